package sqlstore_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/seal"
	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// inhabit makes a user with one row in every table that hangs on users.
func (b *bench) inhabit(of tenant.ID) user.User {
	b.t.Helper()
	u := b.user(of)
	b.enrolled(newPhone(u, "+41790000001"), newSet(), noon)
	_, err := b.CountGuess(b.t.Context(), subject(u), window, noon)
	b.must(err)
	d, err := b.reserve(newSend("number of "+u.ID, noon), u)
	b.must(err)
	b.must(b.Apply(b.t.Context(), delivery.Update{
		DeliveryID: d.ID, At: noon, Attempt: &delivery.Attempt{Number: 1, At: noon, Provider: "inbox", Answer: "delivered"},
		Message: message(d, "index"),
	}))
	return u
}

func message(d delivery.Delivery, toIndex string) *delivery.SealedMessage {
	return &delivery.SealedMessage{
		Message: delivery.Message{ID: d.ID, DeliveryID: d.ID, Tenant: d.Tenant, Channel: d.Channel, RequestID: d.RequestID, CreatedAt: d.CreatedAt},
		Sealed:  []byte("sealed"), ToIndex: []byte(toIndex),
	}
}

func (b *bench) delivery(of tenant.ID, requestID string) delivery.Delivery {
	b.t.Helper()
	list, err := b.Deliveries(b.t.Context(), of, delivery.Filter{RequestID: requestID}, first(10))
	b.must(err)
	if len(list.Items) != 1 || list.Total != 1 {
		b.t.Fatalf("deliveries of %s = %+v", requestID, list)
	}
	return list.Items[0]
}

func (b *bench) rules() *delivery.Service {
	b.t.Helper()
	index, err := seal.ParseIndex("index", seal.NewKey())
	b.must(err)
	return &delivery.Service{Store: b.Store, Keys: keyring(b.t), Index: index, Now: func() time.Time { return noon }}
}

func TestADeliveryFromItsStartToItsEnd(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		want, err := b.reserve(newSend("number", noon), u)
		b.must(err)
		check := func() {
			t.Helper()
			if got := b.delivery(u.Tenant, want.RequestID); !reflect.DeepEqual(got, want) {
				t.Fatalf("delivery =\n%+v, want\n%+v", got, want)
			}
		}
		check()
		rules := b.rules()
		record := func(o event.Outcome) {
			t.Helper()
			o.DeliveryID, o.Provider = want.ID, "twilio"
			for range 2 { // the bus may deliver twice
				b.must(rules.Record(t.Context(), o))
				check()
			}
		}
		want.Attempts = []delivery.Attempt{{Number: 1, At: noon.Add(time.Second), Provider: "twilio", Answer: "retrying:timeout"}}
		want.Reason, want.UpdatedAt = "timeout", noon.Add(time.Second)
		record(event.Outcome{Result: event.Retrying, Attempt: 1, Reason: "timeout", At: noon.Add(time.Second).UnixMilli()})

		want.Attempts = append(want.Attempts, delivery.Attempt{Number: 2, At: noon.Add(3 * time.Second), Provider: "twilio", Answer: "accepted"})
		want.State, want.Reason, want.ProviderID = "accepted", "", "SM1"
		want.UpdatedAt, want.AcceptedAt = noon.Add(3*time.Second), noon.Add(3*time.Second)
		record(event.Outcome{Result: event.Accepted, Attempt: 2, ProviderID: "SM1", At: noon.Add(3 * time.Second).UnixMilli()})

		receipt := func(word, reason string, result event.Result, at time.Time) {
			t.Helper()
			rules.Now = func() time.Time { return at }
			for range 2 {
				b.must(rules.Receipt(t.Context(), want.ID, "SM1", word, reason, result))
				check()
			}
		}
		want.Receipt, want.UpdatedAt = "sent", noon.Add(4*time.Second)
		receipt("sent", "", "", want.UpdatedAt)
		want.State, want.Receipt, want.Reason, want.UpdatedAt = "undelivered", "undelivered", "30003", noon.Add(5*time.Second)
		receipt("undelivered", "30003", event.Undelivered, want.UpdatedAt)
		want.State, want.Receipt, want.Reason, want.UpdatedAt = "delivered", "delivered", "", noon.Add(6*time.Second)
		receipt("delivered", "", event.Delivered, want.UpdatedAt)
		// Nothing that is late changes it any more.
		receipt("sent", "", "", noon.Add(7*time.Second))
		receipt("undelivered", "30003", event.Undelivered, noon.Add(7*time.Second))
		want.Attempts = slices.Insert(want.Attempts, 1, delivery.Attempt{Number: 1, At: noon.Add(8 * time.Second), Provider: "twilio", Answer: "unknown:no_answer"})
		record(event.Outcome{Result: event.Unknown, Attempt: 1, Reason: "no_answer", At: noon.Add(8 * time.Second).UnixMilli()})

		b.isErr(b.Apply(t.Context(), delivery.Update{DeliveryID: id.Request("delivery"), State: "failed", From: []delivery.State{delivery.Pending}, At: noon}), delivery.ErrNotFound)
		if n := b.count("delivery_attempts"); n != 3 {
			t.Errorf("%d attempts, want 3", n)
		}
	})
}

// TestOutcomesMayComeInAnyOrder applies every order of what a delivery may
// hear, each word twice in places, and expects one end.
func TestOutcomesMayComeInAnyOrder(t *testing.T) {
	type word struct {
		result  event.Result
		receipt string
	}
	cases := map[string]struct {
		words []word
		end   delivery.State
	}{
		"delivered at last":            {[]word{{event.Retrying, ""}, {event.Accepted, ""}, {"", "sent"}, {event.Delivered, "delivered"}}, "delivered"},
		"not delivered":                {[]word{{event.Retrying, ""}, {event.Accepted, ""}, {"", "sent"}, {event.Undelivered, "undelivered"}}, "undelivered"},
		"given up on, then delivered":  {[]word{{event.Accepted, ""}, {event.Unknown, ""}, {event.Delivered, "delivered"}}, "delivered"},
		"expired here, delivered late": {[]word{{event.Expired, ""}, {event.Accepted, ""}, {event.Delivered, "delivered"}}, "delivered"},
		"superseded, but it was out":   {[]word{{event.Superseded, ""}, {event.Accepted, ""}, {event.Undelivered, "undelivered"}}, "undelivered"},
		"both words of the provider":   {[]word{{event.Accepted, ""}, {event.Undelivered, "undelivered"}, {event.Delivered, "delivered"}}, "delivered"},
		"expired, but accepted":        {[]word{{event.Retrying, ""}, {event.Expired, ""}, {event.Accepted, ""}}, "accepted"},
	}
	onBoth(t, func(t *testing.T, b *bench) {
		rules := b.rules()
		u := b.user(b.tenant())
		for name, c := range cases {
			permutations(c.words, func(words []word) {
				d, err := b.reserve(newSend("number", noon), u)
				b.must(err)
				for i, w := range append(slices.Clone(words), words[0]) {
					if w.receipt != "" {
						b.must(rules.Receipt(t.Context(), d.ID, "SM1", w.receipt, "", w.result))
						continue
					}
					b.must(rules.Record(t.Context(), event.Outcome{
						DeliveryID: d.ID, Result: w.result, Attempt: 1, Provider: "twilio", ProviderID: "SM1", At: noon.Add(time.Duration(i) * time.Second).UnixMilli(),
					}))
				}
				got := b.delivery(u.Tenant, d.RequestID)
				if got.State != c.end || got.AcceptedAt.IsZero() || got.ProviderID != "SM1" {
					t.Errorf("%s: after %v the delivery is %+v, want %s", name, words, got, c.end)
				}
				if last := words[len(words)-1]; last.receipt != "" && got.Receipt == "" {
					t.Errorf("%s: after %v there is no receipt", name, words)
				}
				if c.end == "delivered" && got.Receipt != "delivered" {
					t.Errorf("%s: after %v the receipt is %q", name, words, got.Receipt)
				}
			})
		}
	})
}

// permutations calls fn with every order of items.
func permutations[T any](items []T, fn func([]T)) {
	items = slices.Clone(items)
	var place func(from int)
	place = func(from int) {
		if from == len(items) {
			fn(items)
			return
		}
		for i := from; i < len(items); i++ {
			items[from], items[i] = items[i], items[from]
			place(from + 1)
			items[from], items[i] = items[i], items[from]
		}
	}
	place(0)
}

func TestDeliveriesAndMessagesAreListed(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u, other := b.user(b.tenant()), b.user(b.tenant())
		var deliveries []delivery.Delivery
		var messages []delivery.SealedMessage
		for i := range 5 {
			at := noon.Add(time.Duration(i) * time.Minute)
			d, err := b.reserve(newSend(fmt.Sprint(i), at), u)
			b.must(err)
			for n := range i {
				attempt := delivery.Attempt{Number: n + 1, At: at, Provider: "inbox", Answer: "retrying"}
				b.must(b.Apply(t.Context(), delivery.Update{DeliveryID: d.ID, Attempt: &attempt, At: at}))
				d.Attempts = append(d.Attempts, attempt)
			}
			m := message(d, fmt.Sprint("to-", i%2))
			forged := *m // whose it is comes from the delivery
			forged.Tenant, forged.RequestID, forged.DeliveryID = other.Tenant, "forged", "forged"
			for range 2 {
				b.must(b.Apply(t.Context(), delivery.Update{DeliveryID: d.ID, Message: &forged, At: at}))
			}
			deliveries = append([]delivery.Delivery{d}, deliveries...)
			messages = append([]delivery.SealedMessage{*m}, messages...)
		}
		_, err := b.reserve(newSend("other", noon), other)
		b.must(err)
		cases := map[string]struct {
			filter delivery.Filter
			page   listing.Page
			of     []int // of the five, newest first
			total  int
		}{
			"all":               {page: first(10), of: []int{0, 1, 2, 3, 4}, total: 5},
			"a page":            {page: listing.Of(2, 2), of: []int{2, 3}, total: 5},
			"past the end":      {page: listing.Of(9, 2), total: 5},
			"of a request":      {delivery.Filter{RequestID: deliveries[3].RequestID}, first(10), []int{3}, 1},
			"to a number":       {delivery.Filter{ToIndex: []byte("to-1")}, first(10), []int{1, 3}, 2},
			"of both":           {delivery.Filter{RequestID: deliveries[1].RequestID, ToIndex: []byte("to-1")}, first(10), []int{1}, 1},
			"of neither":        {delivery.Filter{RequestID: deliveries[1].RequestID, ToIndex: []byte("to-0")}, first(10), nil, 0},
			"an unknown number": {delivery.Filter{ToIndex: []byte("to-2")}, first(10), nil, 0},
			"an injection":      {delivery.Filter{RequestID: "' OR 1=1 --"}, first(10), nil, 0},
		}
		for name, c := range cases {
			wantDeliveries, wantMessages := []delivery.Delivery{}, []delivery.SealedMessage{}
			for _, i := range c.of {
				wantDeliveries, wantMessages = append(wantDeliveries, deliveries[i]), append(wantMessages, messages[i])
			}
			gotDeliveries, err := b.Deliveries(t.Context(), u.Tenant, c.filter, c.page)
			if err != nil || gotDeliveries.Total != c.total || !reflect.DeepEqual(gotDeliveries.Items, wantDeliveries) {
				t.Errorf("%s: deliveries =\n%+v, %v, want\n%+v", name, gotDeliveries, err, wantDeliveries)
			}
			gotMessages, err := b.Messages(t.Context(), u.Tenant, c.filter, c.page)
			if err != nil || gotMessages.Total != c.total || !reflect.DeepEqual(gotMessages.Items, wantMessages) {
				t.Errorf("%s: messages =\n%+v, %v, want\n%+v", name, gotMessages, err, wantMessages)
			}
		}
		newest, err := b.AllMessages(t.Context(), 2)
		if err != nil || !reflect.DeepEqual(newest, messages[:2]) {
			t.Errorf("AllMessages = %+v, %v", newest, err)
		}
		if none, err := b.AllMessages(t.Context(), -1); err != nil || len(none) != 0 {
			t.Errorf("AllMessages(-1) = %+v, %v", none, err)
		}
	})
}

func TestSilenceIsAnAnswer(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		made := map[string]delivery.Delivery{}
		put := func(name string, at time.Time, state delivery.State) {
			t.Helper()
			d, err := b.reserve(newSend(name, at), u)
			b.must(err)
			if state != delivery.Pending {
				b.must(b.Apply(t.Context(), delivery.Update{DeliveryID: d.ID, State: state, From: []delivery.State{delivery.Pending}, At: at, Message: message(d, "x")}))
			}
			made[name] = d
		}
		put("overdue", noon.Add(-6*time.Minute), delivery.Pending) // expired a minute ago
		put("waiting", noon.Add(-4*time.Minute), delivery.Pending)
		put("unheard", noon.Add(-11*time.Minute), "accepted")
		put("accepted", noon.Add(-9*time.Minute), "accepted")
		put("delivered", noon.Add(-30*time.Hour), "delivered")
		put("heard", noon.Add(-20*time.Minute), "accepted")
		b.must(b.Apply(t.Context(), delivery.Update{DeliveryID: made["heard"].ID, Receipt: "sent", At: noon.Add(-time.Minute)}))

		sweep := func() int {
			t.Helper()
			ended, err := b.EndSilent(t.Context(), noon.Add(-15*time.Second), noon.Add(-10*time.Minute), noon.Add(-24*time.Hour), noon)
			b.must(err)
			return ended
		}
		if ended := sweep(); ended != 2 {
			t.Errorf("%d ended, want 2", ended)
		}
		if ended := sweep(); ended != 0 {
			t.Errorf("%d ended in a second sweep, want 0", ended)
		}
		for name, want := range map[string]delivery.State{
			"overdue": "expired", "waiting": "pending", "unheard": "unknown", "accepted": "accepted", "delivered": "delivered", "heard": "accepted",
		} {
			got := b.delivery(u.Tenant, made[name].RequestID)
			if got.State != want {
				t.Errorf("%s is %s, want %s", name, got.State, want)
			}
			if ended := want == "expired" || want == "unknown"; ended != got.UpdatedAt.Equal(noon) {
				t.Errorf("%s was updated at %v", name, got.UpdatedAt)
			}
		}
		if n := b.count("sandbox_messages"); n != 3 {
			t.Errorf("%d messages, want the 3 of the last day", n)
		}
	})
}

func TestASweepTakesMoreThanOnePortion(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		_, err := b.DB().ExecContext(t.Context(), `
			WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
			INSERT INTO deliveries (account_id, org_id, environment, user_id, id, request_id, trace_id, channel, recipient, state,
				provider_id, receipt, reason, expires_at, created_at, updated_at)
			SELECT account_id, org_id, environment, id, 'd' || i, 'r' || i, '', 'sms', '', 'pending', '', '', '', 1, 1, 1 FROM users, n`)
		b.must(err)
		if ended, err := b.EndSilent(t.Context(), noon, noon, noon, noon); err != nil || ended != 1200 {
			t.Errorf("EndSilent = %d, %v, want 1200", ended, err)
		}
		if list, err := b.Deliveries(t.Context(), u.Tenant, delivery.Filter{}, first(1)); err != nil || list.Total != 1200 || list.Items[0].State != "expired" {
			t.Errorf("Deliveries = %+v, %v", list, err)
		}
	})
}

func TestCountsOfSendingAreDroppedWhenTheyBindNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		for name, at := range map[string]time.Time{"old": noon.Add(-25 * time.Hour), "young": noon.Add(-23 * time.Hour)} {
			send := newSend(name, at)
			send.Gap = time.Second
			for _, span := range []time.Duration{time.Hour, 26 * time.Hour} {
				send.Budgets = append(send.Budgets, budget(name, span))
			}
			_, err := b.reserve(send, u)
			b.must(err)
		}
		_, err := b.EndSilent(t.Context(), noon, noon, noon.Add(-24*time.Hour), noon)
		b.must(err)
		if gaps, budgets := b.count("send_gaps"), b.count("send_budgets"); gaps != 1 || budgets != 3 {
			t.Errorf("%d gaps and %d budgets, want 1 and 3: only the old one's hour is over for a day", gaps, budgets)
		}
	})
}
