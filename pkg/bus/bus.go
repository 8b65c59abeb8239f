// Package bus is how services reach each other: it publishes and consumes the
// payloads of pkg/event on NATS JetStream.
//
// The api publishes event.Requested, a worker consumes it and publishes
// event.Outcome, the api's relay consumes that; event.Public is published for
// whoever may read it. This package owns what all of them need to get right once: the streams and the check that they are what
// we need, publishing with an acknowledgement or an error within two seconds,
// the one retry table, dead letters, and the drain at shutdown. What a message
// means is the handler's business, as is doing it only once (pkg/claim): the
// bus delivers at least once.
//
// A handler's error is the instruction: nil acknowledges, fault.Permanent
// parks, fault.RetryAfter says when, anything else follows the retry table.
package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign.dev/pkg/fault"
)

// Config says where the bus is and how to use it. URL or Conn is required,
// everything else has a default that is right for production.
type Config struct {
	// URL lists servers, comma separated: nats://host:4222 or tls://host:4222.
	// It may carry user and password and is therefore never logged.
	URL string
	// Conn reaches a server inside this process, instead of URL.
	Conn nats.InProcessConnProvider
	// Name is how the server's own pages show this process, and the place
	// under _INBOX where it hears answers: one word, e.g. "api".
	Name string
	// CAFile holds the PEM certificates that the server's must chain to, and
	// insists on TLS. Empty means the system's. Verification cannot be
	// switched off.
	CAFile string
	// CredsFile holds a NATS user's JWT and key.
	CredsFile string
	// Limits bound the streams when this process is the one to create them.
	Limits Limits
	// Log takes one line for each handled message; nil drops them.
	Log *slog.Logger
	// Observe counts; nil counts nothing.
	Observe Observer
	// Grace is how long a handler may go on after shutdown began; 20 s.
	Grace time.Duration

	// PublishDeadline bounds one publication with all its tries; 2 s.
	PublishDeadline time.Duration
	// AckWait is how long a silent consumer keeps a message before it goes to
	// another one; 30 s. A running handler is never silent.
	AckWait time.Duration
	// RetryTable is the wait after the first, second, … try, the last one
	// repeating, each ±50 %; 1, 2, 5, 10, 30 s.
	RetryTable []time.Duration
	// ReconnectWait is the pause between two tries to connect, plus up to
	// half of it at random; 250 ms.
	ReconnectWait time.Duration
}

// Limits bound what the streams may store.
type Limits struct {
	Challenges int64 // bytes of codes that wait for a worker; 64 MiB, about 60,000 codes
	Messages   int64 // bytes of links and notices that wait for a worker; 256 MiB
	Deliveries int64 // bytes of results that wait for the relay; 64 MiB
	Dead       int64 // bytes of parked messages, oldest dropped first; 64 MiB
	Events     int64 // bytes of public events, oldest dropped first; 256 MiB
	Replicas   int   // of each stream; 1, in a cluster 3
}

// Observer counts what passes. Its methods are called from many goroutines and
// must not block.
type Observer interface {
	// Published reports one publication; err is nil when the server has it.
	Published(stream string, err error)
	// Consumed reports one handled message: acked, retried or parked.
	Consumed(consumer, result string, took time.Duration)
	// Dead reports one message that was parked, for the alert.
	Dead(consumer, reason string)
}

// Bus is one connection with what is needed to publish and consume over it.
// Its methods may be called from several goroutines.
type Bus struct {
	cfg     Config
	nc      *nats.Conn
	js      jetstream.JetStream
	link    *link
	log     *slog.Logger
	streams []stream
	missing chan struct{} // somebody met a stream that is not there
}

// errDown is what a caller may see of every failure to publish.
var errDown = fault.New(fault.Unavailable, "delivery_unavailable",
	"Messages cannot be sent right now. Try again in a few seconds.").RetryIn(5 * time.Second)

// Connect prepares the bus and returns at once, with or without a server: the
// connection comes up in the background and again after every loss. It fails
// only on a configuration that can never work.
func Connect(cfg Config) (*Bus, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	b := &Bus{
		cfg:     cfg,
		link:    newLink(),
		log:     cfg.Log,
		streams: streams(cfg.Limits),
		missing: make(chan struct{}, 1),
	}
	nc, err := nats.Connect(cfg.URL, b.options()...)
	if err != nil {
		return nil, fmt.Errorf("connect to the bus: %w", err)
	}
	b.nc = nc
	if nc.IsConnected() {
		b.link.open() // the callback that says so may come later
	}
	if b.js, err = jetstream.New(nc); err != nil {
		b.Close()
		return nil, fmt.Errorf("use jetstream: %w", err)
	}
	return b, nil
}

// Ready reports whether the bus can be relied on now, and creates a missing
// stream on the way. It returns an Unavailable fault while there is no
// connection or the server cannot say, and one or more *Mismatch when a stream
// exists that is not what we need.
func (b *Bus) Ready(ctx context.Context) error {
	if !b.nc.IsConnected() {
		return errDown.Because(nats.ErrDisconnected)
	}
	ctx, cancel := context.WithTimeout(ctx, b.cfg.PublishDeadline)
	defer cancel()
	var wrong []error
	var unknown error
	for _, s := range b.streams {
		err := b.ensure(ctx, s)
		if _, ok := errors.AsType[*Mismatch](err); ok {
			wrong = append(wrong, err)
		} else if err != nil {
			unknown = err
		}
	}
	if unknown != nil && len(wrong) == 0 {
		return errDown.Because(unknown)
	}
	return errors.Join(wrong...)
}

// Close ends the connection and returns when nothing of it is left running.
// Call it after Run and every Serve have returned: what they acknowledged last
// is still flushed, for up to a second.
func (b *Bus) Close() {
	if b.nc.IsConnected() {
		if err := b.nc.FlushTimeout(time.Second); err != nil {
			b.log.Warn("bus flush before close", slog.Any("error", err))
		}
	}
	b.nc.Close()
	b.link.ended()
}

func (c Config) withDefaults() Config {
	orDuration(&c.Grace, 20*time.Second)
	orDuration(&c.PublishDeadline, 2*time.Second)
	orDuration(&c.AckWait, 30*time.Second)
	orDuration(&c.ReconnectWait, 250*time.Millisecond)
	for limit, fallback := range map[*int64]int64{
		&c.Limits.Challenges: 64 << 20, &c.Limits.Messages: 256 << 20, &c.Limits.Deliveries: 64 << 20,
		&c.Limits.Dead: 64 << 20, &c.Limits.Events: 256 << 20,
	} {
		if *limit == 0 {
			*limit = fallback
		}
	}
	c.Limits.Replicas = max(c.Limits.Replicas, 1)
	if len(c.RetryTable) == 0 {
		c.RetryTable = defaultRetryTable()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Observe == nil {
		c.Observe = nobody{}
	}
	return c
}

func orDuration(d *time.Duration, fallback time.Duration) {
	if *d == 0 {
		*d = fallback
	}
}

// check finds what can never work. The library's own errors repeat the whole
// URL, password included, so that it is parsed here first.
func (c Config) check() error {
	if c.Conn != nil {
		return nil
	}
	if c.URL == "" {
		return errors.New("bus: neither URL nor Conn is set")
	}
	for i, server := range strings.Split(c.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(server))
		if err != nil || u.Host == "" || (u.Scheme != "nats" && u.Scheme != "tls") {
			return fmt.Errorf("bus: server %d of URL is not nats://host:port or tls://host:port", i+1)
		}
	}
	return nil
}

type nobody struct{}

func (nobody) Published(string, error)                {}
func (nobody) Consumed(string, string, time.Duration) {}
func (nobody) Dead(string, string)                    {}
