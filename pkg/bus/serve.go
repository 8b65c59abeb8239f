package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign.dev/pkg/event"
)

// Classes of work. Each has a line of its own, so that a code does not wait
// behind a link, nor a link behind news.
const (
	ClassCode   = "code"   // challenges
	ClassLink   = "link"   // links to choose a password or to sign in
	ClassNotice = "notice" // news about an account
)

const (
	relayDurable   = "relay"
	relayWorkers   = 4
	maxAckPending  = 1000 // delayed retries count, so that it is far above the workers
	pauseAfterLoss = 100 * time.Millisecond
)

// Work is what one consumer of messages does.
type Work struct {
	Channel string // event.ChannelSMS or event.ChannelEmail
	Class   string // ClassCode, ClassLink or ClassNotice
	Env     string // event.EnvSandbox or event.EnvDefault
	Workers int    // messages handled at once, at least 1
	// Handle does the work; its error is the instruction. It may be called
	// again for the same message, also after it returned nil, and for a
	// message whose time is over. Its context outlives a shutdown by
	// Config.Grace.
	Handle func(ctx context.Context, r event.Requested, try Try) error
}

// Try says which delivery of a message this is.
type Try struct {
	Number      int // from 1
	Redelivered bool
}

// Serve handles one class of messages of one channel and environment until ctx
// ends. A handler may take as long as it needs: the server hears that it lives.
// Then it stops asking for messages, lets what is in hand finish for up to
// Config.Grace, gives back the rest and returns nil. Any number of processes
// share the work.
//
// It never gives up: when the server, the stream or the consumer is gone, it
// creates its consumer again as soon as that is possible. The only error is a
// Work that is not valid.
func (b *Bus) Serve(ctx context.Context, w Work) error {
	stream, kinds := kindsOf(w.Class)
	switch {
	case len(kinds) == 0:
		return fmt.Errorf("serve: class %q is not known", w.Class)
	case w.Channel == "" || strings.ContainsAny(w.Channel, ".*> \t"):
		return fmt.Errorf("serve: channel %q is not one word", w.Channel)
	case w.Env != event.EnvSandbox && w.Env != event.EnvDefault:
		return fmt.Errorf("serve: environment %q is not known", w.Env)
	case w.Handle == nil:
		return errors.New("serve: no handler")
	}
	filters := make([]string, len(kinds))
	for i, kind := range kinds {
		filters[i] = event.RequestSubject(kind, w.Channel, w.Env, "*")
	}
	c := &consumer{
		bus:       b,
		stream:    stream,
		durable:   strings.Join([]string{w.Channel, w.Class, w.Env}, "-"),
		filters:   filters,
		shelf:     event.DeadSubject(w.Channel),
		parkAfter: parkAfterTries,
		workers:   max(w.Workers, 1),
		read:      func(msg *nats.Msg) (task, error) { return b.readRequested(msg, w.Handle) },
	}
	c.serve(ctx)
	return nil
}

// kindsOf says where the messages of a class wait, and which they are.
func kindsOf(class string) (stream string, kinds []event.Kind) {
	switch class {
	case ClassCode:
		return StreamChallenges, []event.Kind{event.KindChallenge}
	case ClassLink:
		return StreamMessages, []event.Kind{event.KindPassword, event.KindMagicLink}
	case ClassNotice:
		return StreamMessages, []event.Kind{event.KindNotice}
	}
	return "", nil
}

// ServeOutcomes hands every result to handle until ctx ends, under the rules
// of Serve, with two differences: all api processes share one consumer, and a
// result is retried until it is handled, because the delivery it belongs to
// waits for it.
func (b *Bus) ServeOutcomes(ctx context.Context, handle func(context.Context, event.Outcome) error) error {
	if handle == nil {
		return errors.New("serve: no handler")
	}
	c := &consumer{
		bus:     b,
		stream:  StreamDeliveries,
		durable: relayDurable,
		filters: []string{event.OutcomeSubject("*")},
		shelf:   event.DeadSubject("delivery"),
		workers: relayWorkers,
		read:    func(msg *nats.Msg) (task, error) { return readOutcome(msg, handle) },
	}
	c.serve(ctx)
	return nil
}

// consumer is one durable consumer and what to do with its messages.
type consumer struct {
	bus       *Bus
	stream    string
	durable   string
	label     string // of metrics; empty: the durable's name
	filters   []string
	shelf     string // subject of its dead letters
	parkAfter int    // deliveries; 0 means never
	workers   int
	left      time.Duration // how long the server keeps it when nobody asks; 0 is for ever
	read      func(*nats.Msg) (task, error)

	mu   sync.Mutex
	good context.Context // the era in which the durable was last seen
	said string          // the last trouble that was logged
}

// serve runs the workers until ctx ends and all have finished.
func (c *consumer) serve(ctx context.Context) {
	work, expire := context.WithCancel(context.WithoutCancel(ctx))
	defer expire()
	var workers sync.WaitGroup
	for range c.workers {
		workers.Go(func() { c.work(ctx, work) })
	}
	finished := make(chan struct{})
	var waiter sync.WaitGroup
	waiter.Go(func() { workers.Wait(); close(finished) })
	<-ctx.Done()
	grace := time.NewTimer(c.bus.cfg.Grace)
	defer grace.Stop()
	select {
	case <-finished:
	case <-grace.C:
		expire()
	}
	waiter.Wait()
}

// work takes one message after the other until ctx ends. What is in hand runs
// under the longer context.
func (c *consumer) work(ctx, longer context.Context) {
	p, err := newPuller(c.bus.nc, c.stream, c.durable)
	if err != nil {
		c.trouble(ctx, err)
		return
	}
	defer p.giveBack()
	for ctx.Err() == nil {
		era, err := c.present(ctx)
		if err != nil {
			c.trouble(ctx, err)
			pause(ctx, pauseAfterLoss)
			continue
		}
		msg, err := p.nextIn(ctx, era)
		switch {
		case msg != nil && ctx.Err() != nil:
			_ = msg.Nak() // it came together with the end
		case msg != nil:
			c.handle(longer, msg)
		case err != nil && ctx.Err() == nil:
			c.absent(era)
			pause(ctx, pauseAfterLoss)
		}
	}
}

// nextIn is next, ended also by the loss of the connection.
func (p *puller) nextIn(ctx, era context.Context) (*nats.Msg, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(era, cancel)()
	return p.next(ctx)
}

// present makes sure that the durable consumer exists, once for each
// connection and after each sign that it may be gone.
func (c *consumer) present(ctx context.Context) (context.Context, error) {
	era, err := c.bus.link.wait(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.good == era {
		return era, nil
	}
	ctx, cancel := context.WithTimeout(ctx, apiDeadline)
	defer cancel()
	defer context.AfterFunc(era, cancel)()
	_, err = c.bus.js.CreateOrUpdateConsumer(ctx, c.stream, c.config())
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		c.bus.reportMissing()
	}
	if err != nil {
		return nil, fmt.Errorf("create consumer %s: %w", c.durable, err)
	}
	c.good, c.said = era, ""
	return era, nil
}

func (c *consumer) config() jetstream.ConsumerConfig {
	limit := serverLimit
	if c.parkAfter == 0 {
		limit = -1
	}
	config := jetstream.ConsumerConfig{
		Durable:       c.durable,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       c.bus.cfg.AckWait,
		MaxDeliver:    limit,
		MaxAckPending: maxAckPending,

		InactiveThreshold: c.left,
	}
	if len(c.filters) == 1 {
		// A single one stands in the subject of the call, where rights on the
		// server can hold it.
		config.FilterSubject = c.filters[0]
	} else {
		config.FilterSubjects = c.filters
	}
	return config
}

// counted is what metrics call it: never anything of a message.
func (c *consumer) counted() string { return cmp.Or(c.label, c.durable) }

// absent makes the next worker look whether the consumer is still there.
func (c *consumer) absent(era context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.good == era {
		c.good = nil
	}
}

// trouble logs what keeps the consumer from working, once.
func (c *consumer) trouble(ctx context.Context, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() != nil || c.said == err.Error() {
		return
	}
	c.said = err.Error()
	c.bus.log.Log(ctx, levelOf(err), "bus consumer waits",
		slog.String("consumer", c.durable), slog.Any("error", err))
}

// levelOf is how loud it is said that consumers wait.
func levelOf(err error) slog.Level {
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return slog.LevelInfo // at a first start: Run is making the stream
	}
	return slog.LevelWarn
}
