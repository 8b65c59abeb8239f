package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"countersign.dev/pkg/event"
)

// The streams.
const (
	StreamChallenges = "CHALLENGES" // codes on their way to a worker
	StreamMessages   = "MESSAGES"   // links and notices on their way to a worker
	StreamDeliveries = "DELIVERIES" // results on their way back
	StreamDead       = "DEAD"       // what no try could handle, kept for a person
	StreamEvents     = "EVENTS"     // what happened, for whoever may read it, again and again
)

const (
	duplicates    = 5 * time.Minute     // how long a message id is remembered
	minDuplicates = 2 * time.Minute     // below this a stream is not ours
	shelfAge      = 30 * 24 * time.Hour // how long a parked message or an event is kept
	recheck       = 30 * time.Second    // between two looks at healthy streams
	recheckFailed = time.Second         // between two looks at unhealthy ones
	recheckAsked  = 20 * time.Millisecond
	apiDeadline   = 5 * time.Second // of one question to the server
)

// errSubjectsOverlap is the server's number for "another stream has one of
// these subjects"; the client library has no name for it.
const errSubjectsOverlap jetstream.ErrorCode = 10065

// stream is one stream as we create it.
type stream struct{ jetstream.StreamConfig }

// streams are the three queues and the two shelves beside them.
//
// A queue forgets what is acknowledged, so that only what still waits takes
// room, and refuses new messages when it is full: a publisher must hear about
// it. Codes have a queue of their own, which a flood of mails cannot fill. A
// shelf drops its oldest instead: a full one that refused would leave
// unhandled messages in the queues, and events in the outbox, and stall them.
func streams(limits Limits) []stream {
	queue := jetstream.StreamConfig{
		Retention:   jetstream.WorkQueuePolicy,
		Discard:     jetstream.DiscardNew,
		Storage:     jetstream.FileStorage,
		AllowMsgTTL: true,
		Duplicates:  duplicates,
		Replicas:    limits.Replicas,
	}
	shelf := queue
	shelf.Retention, shelf.Discard = jetstream.LimitsPolicy, jetstream.DiscardOld
	shelf.AllowMsgTTL, shelf.MaxAge = false, shelfAge
	challenges, messages, deliveries, dead, events := queue, queue, queue, shelf, shelf
	challenges.Name, challenges.MaxBytes = StreamChallenges, limits.Challenges
	challenges.Subjects = []string{event.Prefix + ".challenge.requested.>"}
	messages.Name, messages.MaxBytes = StreamMessages, limits.Messages
	for _, kind := range []event.Kind{event.KindPassword, event.KindMagicLink, event.KindNotice} {
		messages.Subjects = append(messages.Subjects, event.Prefix+"."+string(kind)+".requested.>")
	}
	deliveries.Name, deliveries.MaxBytes = StreamDeliveries, limits.Deliveries
	deliveries.Subjects = []string{event.Prefix + ".delivery.>"}
	dead.Name, dead.MaxBytes = StreamDead, limits.Dead
	dead.Subjects = []string{event.Prefix + ".dead.>"}
	events.Name, events.MaxBytes = StreamEvents, limits.Events
	events.Subjects = []string{event.Prefix + ".event.>"}
	return []stream{{challenges}, {messages}, {deliveries}, {dead}, {events}}
}

// Mismatch says that a stream exists and is not what we need. It is never
// changed by us: an operator decides whether to edit or to empty it.
type Mismatch struct {
	Stream string
	Field  string // as the server names it: retention, max_bytes, …
	Have   string
	Want   string
}

// Error implements error.
func (m *Mismatch) Error() string {
	return fmt.Sprintf("stream %s: %s is %s, needs to be %s", m.Stream, m.Field, m.Have, m.Want)
}

// compare returns a Mismatch for every field of have that would break a
// promise. What is stricter or larger than we would have chosen is fine.
func (s stream) compare(have jetstream.StreamConfig) error {
	var wrong []error
	check := func(ok bool, field string, have, want any) {
		if !ok {
			wrong = append(wrong, &Mismatch{s.Name, field, fmt.Sprint(have), fmt.Sprint(want)})
		}
	}
	check(have.Retention == s.Retention, "retention", have.Retention, s.Retention)
	check(have.Storage == s.Storage, "storage", have.Storage, s.Storage)
	check(have.MaxBytes > 0, "max_bytes", have.MaxBytes, "set")
	check(have.Duplicates >= minDuplicates, "duplicate_window", have.Duplicates, "at least "+minDuplicates.String())
	check(have.Replicas >= s.Replicas, "num_replicas", have.Replicas, "at least "+strconv.Itoa(s.Replicas))
	check(!have.NoAck, "no_ack", have.NoAck, false)
	check(!have.Sealed, "sealed", have.Sealed, false)
	for _, subject := range s.Subjects {
		check(slices.Contains(have.Subjects, subject), "subjects", strings.Join(have.Subjects, " "), subject)
	}
	check(have.Discard == s.Discard, "discard", have.Discard, s.Discard)
	// These would drop, without a word, what nobody has handled yet or what a
	// reader was promised.
	check(have.MaxMsgsPerSubject <= 0, "max_msgs_per_subject", have.MaxMsgsPerSubject, "unset")
	if s.Retention == jetstream.WorkQueuePolicy {
		check(have.AllowMsgTTL, "allow_msg_ttl", have.AllowMsgTTL, true)
		check(have.MaxAge == 0, "max_age", have.MaxAge, "unset")
	} else {
		check(have.MaxAge == 0 || have.MaxAge >= s.MaxAge, "max_age", have.MaxAge, "at least "+s.MaxAge.String())
	}
	return errors.Join(wrong...)
}

// inspect compares a stream with what the server has. It returns
// jetstream.ErrStreamNotFound when the server has none.
func (b *Bus) inspect(ctx context.Context, s stream) error {
	found, err := b.js.Stream(ctx, s.Name)
	if err != nil {
		return fmt.Errorf("look at stream %s: %w", s.Name, err)
	}
	return s.compare(found.CachedInfo().Config)
}

// ensure creates a stream if there is none. Several processes may do so at
// once: whoever is second finds the stream of the first.
func (b *Bus) ensure(ctx context.Context, s stream) error {
	ctx, cancel := context.WithTimeout(ctx, apiDeadline)
	defer cancel()
	err := b.inspect(ctx, s)
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return err
	}
	_, err = b.js.CreateStream(ctx, s.StreamConfig)
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && api.ErrorCode == errSubjectsOverlap {
		return &Mismatch{s.Name, "subjects", "in another stream", strings.Join(s.Subjects, " ")}
	}
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return b.inspect(ctx, s)
	}
	if err != nil {
		return fmt.Errorf("create stream %s: %w", s.Name, err)
	}
	b.log.InfoContext(ctx, "bus stream created", slog.String("stream", s.Name))
	return nil
}

func (b *Bus) ensureAll(ctx context.Context) error {
	var errs []error
	for _, s := range b.streams {
		errs = append(errs, b.ensure(ctx, s))
	}
	return errors.Join(errs...)
}

// Run keeps the streams there: it creates what is missing at every connect and
// whenever a publisher or consumer meets a gap, and logs what does not match.
// It returns nil when ctx ends, with nothing left running.
func (b *Bus) Run(ctx context.Context) error {
	said := ""
	for {
		era, err := b.link.wait(ctx)
		if err != nil {
			return nil //nolint:nilerr // the end of ctx is the regular end
		}
		next := recheck
		if err := b.ensureAll(ctx); err != nil && ctx.Err() == nil {
			next = recheckFailed
			if said != err.Error() { // once, not at every look
				b.log.ErrorContext(ctx, "bus streams", slog.Any("error", err))
			}
			said = err.Error()
		} else {
			said = ""
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-era.Done():
		case <-b.missing:
			pause(ctx, recheckAsked) // many ask at once
		case <-timer.C:
		}
		timer.Stop()
	}
}

// reportMissing asks Run to look now.
func (b *Bus) reportMissing() {
	select {
	case b.missing <- struct{}{}:
	default:
	}
}
