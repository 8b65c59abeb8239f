package relay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/event"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/relay"
)

// reader reads EVENTS from the start, as anybody may.
func (s *scene) reader() (next func() jetstream.Msg, kept func() uint64) {
	s.t.Helper()
	closed := make(chan struct{})
	nc, err := nats.Connect(s.nats.URL, nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	s.must(err)
	s.t.Cleanup(func() { nc.Close(); <-closed })
	js, err := jetstream.New(nc)
	s.must(err)
	consumer, err := js.CreateConsumer(s.t.Context(), bus.StreamEvents, jetstream.ConsumerConfig{Durable: "reader", DeliverPolicy: jetstream.DeliverAllPolicy})
	s.must(err)
	next = func() jetstream.Msg {
		s.t.Helper()
		msg, err := consumer.Next(jetstream.FetchMaxWait(limit))
		s.must(err)
		s.must(msg.DoubleAck(s.t.Context()))
		return msg
	}
	kept = func() uint64 {
		s.t.Helper()
		stream, err := js.Stream(s.t.Context(), bus.StreamEvents)
		s.must(err)
		return stream.CachedInfo().State.Msgs
	}
	return next, kept
}

// What the contract shows is what stands on the bus, byte for byte.
func TestAnEventIsPublishedAsTheContractShows(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		golden, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "pkg", "event", "testdata", "public.json"))
		s.must(err)
		var public event.Public
		s.must(json.Unmarshal(golden, &public))
		e := s.composer.Event(activity.Record{
			Tenant: s.tenant, UserID: public.UserID, Action: public.Type, Result: public.Result, Data: public.Data,
			By: activity.By{Actor: public.Actor, TraceID: public.TraceID},
		})
		out := s.outgoing(s.bus())
		s.run(out.Run)
		s.must(s.Enqueue(t.Context(), e))
		out.Wake()
		next, _ := s.reader()
		msg := next()

		var got event.Public
		s.must(json.Unmarshal(msg.Data(), &got))
		if at := time.UnixMilli(got.At); got.ID != e.ID || at.After(s.now()) || at.Before(s.now().Add(-limit)) {
			t.Errorf("published %+v", got)
		}
		// Where it says that its record stands, there it stands.
		records, err := s.Chain(t.Context(), s.tenant, got.Activity.Chain, got.Activity.Number-1, 10)
		s.must(err)
		if len(records) != 1 || records[0].ID != e.ID || records[0].Hash != got.Activity.Hash {
			t.Errorf("the event says it stands at %+v, where %+v does", got.Activity, records)
		}
		// The rest is compared in the form of the golden file.
		public.ID, public.OrgID, public.At, public.Activity = e.ID, s.tenant.Org, got.At, got.Activity
		var want bytes.Buffer
		whole, err := json.Marshal(public)
		s.must(err)
		s.must(json.Compact(&want, whole))
		if !bytes.Equal(msg.Data(), want.Bytes()) {
			t.Errorf("published\n%s\nwant\n%s", msg.Data(), want.Bytes())
		}
		if subject := "countersign.v1.event.user.created.default." + s.tenant.Org; msg.Subject() != subject {
			t.Errorf("published at %s, want %s", msg.Subject(), subject)
		}
		if id := msg.Headers().Get("Nats-Msg-Id"); id != e.ID {
			t.Errorf("published with the id %q, want %q", id, e.ID)
		}
	})
}

// forgetful loses the first notes about what was published, as a crash would.
type forgetful struct {
	relay.Outbox
	lose chan struct{}
}

func (f forgetful) Done(ctx context.Context, ids []string) error {
	select {
	case <-f.lose:
		return errors.New("the database is gone")
	default:
		return f.Outbox.Done(ctx, ids)
	}
}

// Events of a time without a bus, and events whose note was lost, are all
// there; one id is one event.
func TestNoEventIsLostWithTheBus(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		const events = 50
		b := s.bus()
		seen := &counting{Publisher: b}
		out := s.outgoing(seen)
		lose := make(chan struct{}, 1)
		lose <- struct{}{}
		out.Outbox = forgetful{s.Store, lose}
		s.nats.Stop()
		failed := make(chan outbox.Kind, 1000)
		out.Failed = func(kind outbox.Kind) { failed <- kind }
		s.run(out.Run)
		want := map[string]bool{}
		for range events {
			e := s.news()
			want[e.ID] = true
			s.must(s.Enqueue(t.Context(), e))
		}
		out.Wake()
		<-failed
		if open := s.backlog(outbox.Event); open != events {
			t.Errorf("%d events wait, want %d", open, events)
		}
		s.nats.Start()
		s.eventually("an event was published, and its note lost", func() bool { return len(lose) == 0 })
		s.advance(2 * relay.DefaultAgain)
		out.Wake()
		s.eventually("all events are closed", func() bool { return s.backlog(outbox.Event) == 0 })
		next, kept := s.reader()
		for range events {
			var got event.Public
			s.must(json.Unmarshal(next().Data(), &got))
			if !want[got.ID] {
				t.Errorf("event %s came twice, or is not ours", got.ID)
			}
			delete(want, got.ID)
		}
		if n := kept(); n != events {
			t.Errorf("%d events are kept, want %d", n, events)
		}
		seen.mu.Lock()
		defer seen.mu.Unlock()
		if seen.events <= events {
			t.Errorf("%d announcements of %d events: no note was lost, the test tests nothing", seen.events, events)
		}
	})
}
