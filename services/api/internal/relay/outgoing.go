package relay

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/services/api/internal/outbox"
)

// Outbox is the table of what is to leave. Several processes may work on it.
type Outbox interface {
	Queue
	Ledger
}

// Queue hands out rows.
type Queue interface {
	// TakeDue takes up to most rows of a kind that are due, each with the
	// next n, and makes them due again after a time that doubles while
	// nothing is heard of them, beginning with again.
	TakeDue(ctx context.Context, kind outbox.Kind, most int, again time.Duration, now time.Time) ([]outbox.Row, error)
	// PutBack makes rows that could not be published due at a time.
	PutBack(ctx context.Context, rows []outbox.Row, due time.Time) error
	// Done closes rows.
	Done(ctx context.Context, ids []string) error
}

// Ledger tells what is in it.
type Ledger interface {
	// StillOpen returns those of the rows that are there.
	StillOpen(ctx context.Context, ids []string) ([]string, error)
	// Backlog counts what is open, by kind.
	Backlog(ctx context.Context) ([]outbox.Backlog, error)
}

// Publisher is where entries go. Its methods return when the bus has the
// payload, or an error.
type Publisher interface {
	Request(ctx context.Context, r event.Requested) error
	Announce(ctx context.Context, p event.Public) error
}

// Claims tell workers whether sending still makes sense.
type Claims interface {
	Open(ctx context.Context, deliveryID string, until time.Time) error
	Withdraw(ctx context.Context, deliveryID string) (bool, error)
}

// Outgoing publishes the outbox until its context ends.
type Outgoing struct {
	Outbox  Outbox
	Bus     Publisher
	Claims  Claims
	Servers Servers
	Keys    outbox.Sealer // for the workers
	Now     func() time.Time
	Log     *slog.Logger
	// Again is how long a message that was published may be silent before it
	// is published again, the first time; then twice as long, and so on. Zero
	// means DefaultAgain.
	Again time.Duration
	// Every is the time between two looks that nobody asked for; zero means
	// DefaultEvery.
	Every time.Duration
	// Failed hears of every publication that failed, Backlog of what is open
	// at every look, with the age of the oldest. Nil hears nothing.
	Failed  func(kind outbox.Kind)
	Backlog func(kind outbox.Kind, open int, oldest time.Duration)

	once  sync.Once
	lines []*line
}

var _ outbox.Waker = (*Outgoing)(nil)

// DefaultAgain is the first silence after which a message is published again.
const DefaultAgain = 2 * time.Minute

// Wake says that something was written, and returns at once.
func (o *Outgoing) Wake() {
	for _, l := range o.prepared() {
		select {
		case l.wake <- struct{}{}:
		default: // it is awake
		}
	}
}

// prepared makes the lines: one for each kind, so that a queue that takes no
// more messages does not hold up events.
func (o *Outgoing) prepared() []*line {
	o.once.Do(func() {
		if o.Again == 0 {
			o.Again = DefaultAgain
		}
		if o.Every == 0 {
			o.Every = DefaultEvery
		}
		for _, kind := range outbox.Kinds() {
			o.lines = append(o.lines, &line{Outgoing: o, kind: kind, wake: make(chan struct{}, 1)})
		}
	})
	return o.lines
}

// Run publishes until ctx is done; what it has in hand it finishes.
func (o *Outgoing) Run(ctx context.Context) error {
	var running sync.WaitGroup
	for _, l := range o.prepared() {
		running.Go(func() { l.run(ctx) })
	}
	running.Go(func() { o.count(ctx) })
	running.Wait()
	return nil
}

// count tells from time to time what is open.
func (o *Outgoing) count(ctx context.Context) {
	if o.Backlog == nil {
		return
	}
	ticker := time.NewTicker(o.Every)
	defer ticker.Stop()
	for {
		backlog, err := o.Outbox.Backlog(ctx)
		if err != nil && ctx.Err() == nil {
			o.Log.WarnContext(ctx, "count outbox", "error", err)
		}
		if err == nil {
			o.tell(backlog)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (o *Outgoing) tell(backlog []outbox.Backlog) {
	open := map[outbox.Kind]outbox.Backlog{}
	for _, b := range backlog {
		open[b.Kind] = b
	}
	now := o.Now()
	for _, kind := range outbox.Kinds() {
		b, age := open[kind], time.Duration(0)
		if b.Open > 0 {
			age = max(now.Sub(b.Oldest), 0)
		}
		o.Backlog(kind, b.Open, age)
	}
}
