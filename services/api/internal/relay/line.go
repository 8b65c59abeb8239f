package relay

import (
	"context"
	"slices"
	"sync"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/services/api/internal/outbox"
)

const (
	// batch is how many rows are taken at once, and inFlight how many of them
	// are being published: enough for a thousand mails a second, and little
	// to put back when the bus is gone.
	batch    = 64
	inFlight = 16
)

// LongestPause is the longest time between two tries while nothing can be
// published: it and DefaultEvery bound how long mails wait once the bus is
// back.
const LongestPause = 5 * time.Second

// patience is how long to wait after one, two, three or more looks in a row
// that ended with nothing published.
var patience = [...]time.Duration{time.Second, 2 * time.Second, LongestPause}

// line publishes one kind.
type line struct {
	*Outgoing
	kind     outbox.Kind
	wake     chan struct{}
	failures int // looks in a row that ended with nothing published
}

func (l *line) run(ctx context.Context) {
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		wake := l.wake
		if l.failures > 0 {
			wake = nil // more to publish is no reason to try sooner
		}
		select {
		case <-ctx.Done():
			return
		case <-wake:
		case <-next.C:
		}
		next.Reset(l.look(ctx))
	}
}

// look publishes what is due and returns when to look again.
func (l *line) look(ctx context.Context) time.Duration {
	after := l.Every
	for ctx.Err() == nil {
		most := batch
		if l.failures > 0 {
			most, after = 1, patience[0] // a probe; the others come soon after it
		}
		rows, err := l.Outbox.TakeDue(ctx, l.kind, most, l.Again, l.Now())
		if err != nil {
			if ctx.Err() == nil {
				l.Log.WarnContext(ctx, "take from outbox", "kind", string(l.kind), "error", err)
			}
			return l.Every
		}
		if len(rows) == 0 {
			return after
		}
		failed := l.publish(ctx, rows)
		if failed == len(rows) {
			l.failures++
			return l.pause()
		}
		l.failures = 0
		if failed > 0 {
			after = patience[0]
		}
		if len(rows) < most {
			return after
		}
	}
	return after
}

func (l *line) pause() time.Duration {
	return patience[min(max(l.failures, 1), len(patience))-1]
}

// publish publishes rows and returns how many failed. Those are put back, and
// so is what the end of ctx has left untouched.
func (l *line) publish(ctx context.Context, rows []outbox.Row) (failed int) {
	work := context.WithoutCancel(ctx) // what was begun is finished
	var results []result
	if l.kind == outbox.Message {
		results = l.messages(ctx, work, rows)
	} else {
		results = l.events(ctx, work, rows)
	}
	var sent []string
	var broken, untouched []outbox.Row
	for i, r := range results {
		switch {
		case r.untouched:
			untouched = append(untouched, rows[i])
		case r.err == nil:
			sent = append(sent, rows[i].ID)
		default:
			if len(broken) == 0 {
				l.Log.WarnContext(ctx, "not published; it stays in the outbox", "kind", string(l.kind), "id", rows[i].ID, "error", r.err)
			}
			broken = append(broken, rows[i])
			if l.Failed != nil {
				l.Failed(l.kind)
			}
		}
	}
	if l.kind == outbox.Event && len(sent) > 0 {
		if err := l.Outbox.Done(work, sent); err != nil { // they are announced once more
			l.Log.WarnContext(ctx, "close outbox", "error", err)
		}
	}
	now := l.Now()
	l.putBack(work, broken, now.Add(patience[min(l.failures, len(patience)-1)]))
	l.putBack(work, untouched, now)
	return len(broken)
}

func (l *line) putBack(ctx context.Context, rows []outbox.Row, due time.Time) {
	if len(rows) == 0 {
		return
	}
	if err := l.Outbox.PutBack(ctx, rows, due); err != nil { // then they are due as if they had been published
		l.Log.WarnContext(ctx, "put back into outbox", "error", err)
	}
}

// result is what became of one row. A row that is untouched was neither
// published nor refused.
type result struct {
	untouched bool
	err       error
}

// events announces in order.
func (l *line) events(ctx, work context.Context, rows []outbox.Row) []result {
	return each(ctx, rows, 1, func(i int) error {
		public, err := rows[i].Public()
		if err != nil {
			return err
		}
		return l.Bus.Announce(work, public)
	})
}

// messages opens the claims, looks whether the rows are still there, and only
// then publishes. A rule that replaces a message deletes the row and then
// withdraws the claim: whichever comes first, the claim of a replaced message
// does not stay open.
func (l *line) messages(ctx, work context.Context, rows []outbox.Row) []result {
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	claimed := each(ctx, rows, inFlight, func(i int) error {
		return l.Claims.Open(work, ids[i], rows[i].ExpiresAt)
	})
	open, err := l.Outbox.StillOpen(work, ids)
	to := &addressed{line: l, known: map[string]func() (*event.MailServer, error){}}
	return each(ctx, rows, inFlight, func(i int) error {
		switch {
		case err != nil:
			return err
		case claimed[i].err != nil || claimed[i].untouched:
			return claimed[i].err // untouched in the second round, too
		case !slices.Contains(open, ids[i]):
			_, err := l.Claims.Withdraw(work, ids[i])
			return err
		}
		requested, err := rows[i].Requested()
		if err == nil {
			requested, err = to.address(work, requested)
		}
		if err != nil {
			return err
		}
		return l.Bus.Request(work, requested)
	})
}

// each calls f for all rows, some at once, and begins no more when ctx ends.
func each(ctx context.Context, rows []outbox.Row, atOnce int, f func(i int) error) []result {
	results := make([]result, len(rows))
	var running sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i := range rows {
		slots <- struct{}{}
		if ctx.Err() != nil {
			results[i].untouched = true
			<-slots
			continue
		}
		running.Go(func() {
			defer func() { <-slots }()
			results[i].err = f(i)
		})
	}
	running.Wait()
	return results
}
