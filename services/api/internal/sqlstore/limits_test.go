package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"countersign.dev/services/api/internal/challenge"
	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/sqlstore"
)

func watched(number string, at time.Time, enough int) challenge.Send {
	send := newSend(number, at)
	send.Watch = &challenge.Watch{Prefix: "+49151", Enough: enough}
	return send
}

func TestParallelSendsOfOneSource(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		for round := range 10 {
			source := challenge.Budget{Key: fmt.Sprint("source:", round), Span: time.Hour, Most: 5, Fault: challenge.ErrSource}
			errs := together(t, 32, func(ctx context.Context, i int) error {
				send := newSend(fmt.Sprint("number-", round, "-", i/2), noon) // 16 numbers, each asked for twice
				send.Sources = []challenge.Budget{source}
				return b.Reserve(ctx, send, newDelivery(u, noon))
			})
			tally(t, errs, challenge.ErrSource)
			numbers := map[int]bool{}
			for i, err := range errs {
				if err == nil {
					numbers[i/2] = true
				}
			}
			var kept int
			b.must(b.DB().QueryRowContext(t.Context(), `SELECT COUNT(*) FROM source_numbers WHERE source_key = $1`, source.Key).Scan(&kept))
			if len(numbers) != 5 || kept != 5 {
				t.Fatalf("round %d: one source reached %d numbers and %d are kept, want 5", round, len(numbers), kept)
			}
		}
	})
}

func TestARefusedSendCountsForNoSource(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		send := newSend("number", noon)
		send.Sources = []challenge.Budget{{Key: "source:1", Span: time.Hour, Most: 1, Fault: challenge.ErrSource}}
		send.Budgets = []challenge.Budget{{Key: "org:1", Span: time.Hour, Most: 0, Fault: challenge.ErrOrg}}
		_, err := b.reserve(send, u)
		b.isErr(err, challenge.ErrOrg)
		if n := b.count("source_numbers") + b.count("send_budgets"); n != 0 {
			t.Errorf("%d rows are left", n)
		}
	})
}

// Of many parallel sends exactly enough pass, and one of them has closed the
// prefix. That outlives the process.
func TestParallelSendsToOnePrefix(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		const enough = 20
		tripped := make([]bool, 64)
		errs := together(t, len(tripped), func(ctx context.Context, i int) error {
			send := watched(fmt.Sprint("number-", i), noon, enough)
			err := b.Reserve(ctx, send, newDelivery(u, noon))
			tripped[i] = err == nil && send.Watch.After.Tripped(noon)
			return err
		})
		alarms := 0
		for _, yes := range tripped {
			if yes {
				alarms++
			}
		}
		if ok := tally(t, errs, challenge.ErrPrefix); ok != enough || alarms != 1 {
			t.Fatalf("%d of %d passed with %d alarms, want %d and 1", ok, len(errs), alarms, enough)
		}
		if n := b.count("deliveries"); n != enough {
			t.Errorf("%d deliveries for %d sends", n, enough)
		}
		b.Store = open(t, sqlstore.Config{DSN: b.dsn})
		_, err := b.reserve(watched("another", noon.Add(30*time.Minute), enough), u)
		b.refusedFor(err, challenge.ErrPrefix, 30*time.Minute)
		_, err = b.reserve(watched("another", noon.Add(time.Hour), enough), u)
		b.must(err)
	})
}

func TestASendTakenBackIsNotWaitedFor(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		for range 10 {
			send := watched("number", noon, 3)
			d, err := b.reserve(send, u)
			b.must(err)
			for range 2 { // once is as good as twice
				b.must(b.Unreserve(t.Context(), send, d.ID, "not_published"))
			}
		}
		for i := range 3 {
			send := watched("number", noon, 3)
			_, err := b.reserve(send, u)
			b.must(err)
			if sends, _ := send.Watch.After.LastHour(noon); sends != int64(i+1) {
				t.Fatalf("%d sends are waited for, want %d", sends, i+1)
			}
		}
		_, err := b.reserve(watched("number", noon, 3), u)
		b.isErr(err, challenge.ErrPrefix)
	})
}

func TestNumbersBecomeKnown(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		number := []byte("number")
		known := func(at time.Time, want bool) {
			t.Helper()
			if got, err := b.Known(t.Context(), number, at.Add(-challenge.KnownFor)); err != nil || got != want {
				t.Fatalf("known at %v: %v, %v, want %v", at, got, err, want)
			}
		}
		verified := func(at time.Time, want bool) {
			t.Helper()
			opened, err := b.Verified(t.Context(), number, "+49151", at.Add(-challenge.KnownFor), at)
			if b.must(err); opened != want {
				t.Fatalf("opened at %v: %v, want %v", at, opened, want)
			}
		}
		known(noon, false)
		for i := range 5 {
			_, err := b.reserve(watched(fmt.Sprint("number-", i), noon, 5), u)
			b.must(err)
		}
		_, err := b.reserve(watched("number-6", noon, 5), u)
		b.isErr(err, challenge.ErrPrefix)
		verified(noon, true) // one of five
		known(noon, true)
		_, err = b.reserve(watched("number-6", noon, 5), u)
		b.must(err)
		_, err = b.reserve(watched("number-7", noon, 5), u) // 1 of 6 is too few: that one closed it
		b.isErr(err, challenge.ErrPrefix)
		verified(noon.Add(time.Minute), false) // a known number is no new answer
		known(noon.Add(time.Minute+challenge.KnownFor), true)
		known(noon.Add(time.Minute+challenge.KnownFor+time.Millisecond), false)
		verified(noon.Add(2*time.Minute+challenge.KnownFor), false) // a new one, of a prefix that is long open
		known(noon.Add(2*time.Minute+challenge.KnownFor), true)
	})
}

// Parallel answers of one number are one answer of its prefix.
func TestParallelAnswersCountOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		for round := range 10 {
			number := []byte(fmt.Sprint("number-", round))
			errs := together(t, 16, func(ctx context.Context, _ int) error {
				_, err := b.Verified(ctx, number, "+49151", noon.Add(-challenge.KnownFor), noon)
				return err
			})
			tally(t, errs, nil)
		}
		var verified int
		b.must(b.DB().QueryRowContext(t.Context(), `SELECT verified FROM prefix_conversions`).Scan(&verified))
		if verified != 10 {
			t.Errorf("%d answers were counted, want 10", verified)
		}
	})
}

func TestStoppedSends(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		stop := func(at time.Time) challenge.Stop {
			d := newDelivery(u, at)
			d.State, d.Reason = "failed", "stopped:number_limit"
			return challenge.Stop{
				Delivery: d, At: at, Seen: challenge.Budget{Key: "stopped:1", Span: time.Minute, Most: 1},
				Alarm: challenge.Budget{Key: "alarm:1", Span: time.Hour, Most: 1},
			}
		}
		alarms := make([]bool, 32)
		errs := together(t, len(alarms), func(ctx context.Context, i int) (err error) {
			alarms[i], err = b.Stop(ctx, stop(noon))
			return err
		})
		tally(t, errs, nil)
		raised := 0
		for _, yes := range alarms {
			if yes {
				raised++
			}
		}
		if n := b.count("deliveries"); n != 1 || raised != 1 {
			t.Errorf("%d deliveries and %d alarms for 32 stopped sends, want one of each", n, raised)
		}
		for minute := range 60 {
			alarm, err := b.Stop(t.Context(), stop(noon.Add(time.Duration(minute)*time.Minute)))
			if b.must(err); alarm {
				t.Errorf("a second alarm after %d minutes", minute)
			}
		}
		if alarm, err := b.Stop(t.Context(), stop(noon.Add(time.Hour))); err != nil || !alarm {
			t.Errorf("no alarm after an hour: %v", err)
		}
		list, err := b.Deliveries(t.Context(), u.Tenant, delivery.Filter{}, first(1))
		b.must(err)
		if got := list.Items[0]; got.State != "failed" || got.Reason != "stopped:number_limit" || list.Total != 61 {
			t.Errorf("%d deliveries, the last %+v, want one for each minute", list.Total, got)
		}
		silent := stop(noon.Add(2 * time.Hour))
		silent.Alarm = challenge.Budget{}
		if alarm, err := b.Stop(t.Context(), silent); err != nil || alarm {
			t.Errorf("an alarm that nobody asked for: %v", err)
		}
		u.ID = id.UUID()
		gone := stop(noon.Add(3 * time.Hour))
		gone.Delivery.UserID = u.ID
		if alarm, err := b.Stop(t.Context(), gone); err == nil || alarm {
			t.Errorf("Stop for nobody = %v, %v", alarm, err)
		}
	})
}

func TestWhatBoundsNothingIsForgotten(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		send := watched("number", noon, 1)
		send.Sources = []challenge.Budget{{Key: "source:1", Span: time.Hour, Most: 1, Fault: challenge.ErrSource}}
		_, err := b.reserve(send, u)
		b.must(err)
		_, err = b.Verified(t.Context(), []byte("number"), "", time.Time{}, noon)
		b.must(err)
		left := func(at time.Time) [3]int {
			t.Helper()
			_, err := b.EndSilent(t.Context(), at, at, at.Add(-24*time.Hour), at)
			b.must(err)
			return [3]int{b.count("source_numbers"), b.count("prefix_conversions"), b.count("known_numbers")}
		}
		if got := left(noon.Add(24 * time.Hour)); got != [3]int{1, 1, 1} {
			t.Errorf("after a day %v are left", got)
		}
		if got := left(noon.Add(24*time.Hour + time.Millisecond)); got != [3]int{0, 0, 1} {
			t.Errorf("after more than a day %v are left", got)
		}
		if got := left(noon.Add(challenge.KnownFor)); got != [3]int{0, 0, 1} {
			t.Errorf("after 90 days %v are left", got)
		}
		if got := left(noon.Add(challenge.KnownFor + time.Millisecond)); got != [3]int{} {
			t.Errorf("after more than 90 days %v are left", got)
		}
	})
}

// Everything that is locked is locked in one order: mixed sends that share
// every row, given back and answered at the same time, all end.
func TestSendsThatShareEverythingDoNotDeadlock(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		users := []string{}
		of := b.tenant()
		for range 4 {
			users = append(users, b.user(of).ID)
		}
		many := 32
		if b.Dialect() == "sqlite" {
			many = 8 // its one writer locks no rows, and a long line waits longer than a call may on a busy machine
		}
		errs := together(t, many, func(ctx context.Context, i int) error {
			for step := range 5 {
				n := (i + step) % 4
				u := newUser(of, "x@example.com")
				u.ID = users[(i+2*step)%4]
				send := watched(fmt.Sprint("number-", n), noon, 1_000_000)
				send.Gap = time.Nanosecond
				send.Sources = []challenge.Budget{budget(fmt.Sprint("source:", i%2), time.Hour), budget("source:wide", time.Hour)}
				send.Budgets = []challenge.Budget{
					budget(fmt.Sprint("number:", n), 10*time.Minute), budget(fmt.Sprint("number:", n), 24*time.Hour),
					budget("user:"+u.ID, 24*time.Hour), budget("block:1", time.Hour), budget("org:1", time.Hour), budget("org:1", 24*time.Hour),
				}
				d := newDelivery(u, noon)
				err := b.Reserve(ctx, send, d)
				if err == nil && i%3 == 0 {
					err = b.Unreserve(ctx, send, d.ID, "not_published")
				}
				if err == nil && i%3 == 1 {
					_, err = b.Verified(ctx, send.Number, send.Watch.Prefix, time.Time{}, noon)
				}
				if err != nil && !errors.Is(err, challenge.ErrGap) {
					return err
				}
			}
			return nil
		})
		tally(t, errs, nil)
	})
}
