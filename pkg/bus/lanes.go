package bus

import (
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

const (
	laneLook = time.Second      // between two looks for subjects with messages
	laneIdle = time.Minute      // how long a lane without messages is kept
	laneLeft = 10 * time.Minute // how long the server keeps the consumer of a lane that nobody serves
)

// Lanes is what the consumers of a channel do whose organizations must not wait
// for each other.
type Lanes struct {
	Channel string // event.ChannelOwnEmail
	Env     string // event.EnvSandbox or event.EnvDefault
	Workers int    // messages of one lane handled at once, at least 1
	// Handle does the work under the rules of Work.Handle.
	Handle func(ctx context.Context, r event.Requested, try Try) error
}

// ServeLanes is Serve for mails of a channel in which each subject, which is
// one kind of one organization, is a lane: it has a consumer of its own, with
// workers and unanswered messages of its own, so that what one lane waits for
// delays no other. A lane is there while it has messages, and a little longer.
func (b *Bus) ServeLanes(ctx context.Context, l Lanes) error {
	switch {
	case l.Channel == "" || strings.ContainsAny(l.Channel, ".*> \t"):
		return fmt.Errorf("serve lanes: channel %q is not one word", l.Channel)
	case l.Env != event.EnvSandbox && l.Env != event.EnvDefault:
		return fmt.Errorf("serve lanes: environment %q is not known", l.Env)
	case l.Handle == nil:
		return errors.New("serve lanes: no handler")
	}
	open := &openLanes{Lanes: l, bus: b, lanes: map[string]*lane{}}
	defer open.close()
	for ctx.Err() == nil {
		subjects, err := b.waiting(ctx, event.RequestSubject("*", l.Channel, l.Env, "*"))
		open.say(ctx, err)
		if err == nil {
			open.follow(ctx, subjects, time.Now())
		}
		pause(ctx, laneLook)
	}
	return nil
}

// waiting returns the subjects of mails that are not answered for yet.
func (b *Bus) waiting(ctx context.Context, filter string) (map[string]uint64, error) {
	era, err := b.link.wait(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, apiDeadline)
	defer cancel()
	defer context.AfterFunc(era, cancel)()
	stream, err := b.js.Stream(ctx, StreamMessages)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		b.reportMissing()
	}
	if err != nil {
		return nil, fmt.Errorf("look at stream %s: %w", StreamMessages, err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return nil, fmt.Errorf("look for lanes in %s: %w", StreamMessages, err)
	}
	return info.State.Subjects, nil
}

// openLanes are the lanes that this process serves. One goroutine uses it.
type openLanes struct {
	Lanes
	bus     *Bus
	lanes   map[string]*lane // by subject
	serving sync.WaitGroup
	said    string
}

type lane struct {
	stop context.CancelFunc
	seen time.Time // when it had messages last
}

// follow opens lanes for the subjects and closes those that have had nothing
// for a while. Messages in hand count: they are not answered for yet.
func (o *openLanes) follow(ctx context.Context, subjects map[string]uint64, now time.Time) {
	for subject := range subjects {
		l, found := o.lanes[subject]
		if !found {
			l = &lane{}
			var serve context.Context
			serve, l.stop = context.WithCancel(ctx)
			o.lanes[subject] = l
			o.serving.Go(func() { o.consumer(subject).serve(serve) })
		}
		l.seen = now
	}
	for subject, l := range o.lanes {
		if now.Sub(l.seen) >= laneIdle {
			l.stop()
			delete(o.lanes, subject)
		}
	}
}

// consumer is that of one lane. Its subject is one that the filter has found:
// prefix (two words), kind, requested, channel, environment, organization.
func (o *openLanes) consumer(subject string) *consumer {
	words := strings.Split(subject, ".")
	name := strings.Join([]string{o.Channel, words[2], o.Env}, "-")
	return &consumer{
		bus:       o.bus,
		stream:    StreamMessages,
		durable:   name + "-" + words[6],
		label:     name,
		filters:   []string{subject},
		shelf:     event.DeadSubject(o.Channel),
		parkAfter: parkAfterTries,
		workers:   max(o.Workers, 1),
		left:      laneLeft,
		read:      func(msg *nats.Msg) (task, error) { return o.bus.readRequested(msg, o.Handle) },
	}
}

// say logs what keeps lanes from being found, once.
func (o *openLanes) say(ctx context.Context, err error) {
	switch {
	case err == nil:
		o.said = ""
	case ctx.Err() == nil && o.said != err.Error():
		o.said = err.Error()
		o.bus.log.Log(ctx, levelOf(err), "bus lanes wait", slog.String("channel", o.Channel), slog.Any("error", err))
	}
}

// close ends all lanes and waits for what is in hand.
func (o *openLanes) close() {
	for _, l := range o.lanes {
		l.stop()
	}
	o.serving.Wait()
}
