package relay_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/mailserver"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/relay"
	"countersign.dev/services/api/internal/tenant"
)

// noted is what a publication said, and the server that was sealed with it.
type noted struct {
	event.Requested
	server event.MailServer
}

// notes is the bus, with what was handed to it.
type notes struct {
	relay.Publisher
	scene *scene
	mu    sync.Mutex
	all   []noted
}

func (n *notes) Request(ctx context.Context, r event.Requested) error {
	note := noted{Requested: r}
	if r.Channel == event.ChannelOwnEmail {
		plain, err := n.scene.keys.Open(event.SealServer, r.DeliveryID, r.Server)
		if err != nil || json.Unmarshal(plain, &note.server) != nil {
			n.scene.t.Errorf("the server of %s does not open: %v", r.DeliveryID, err)
		}
	}
	n.mu.Lock()
	n.all = append(n.all, note)
	n.mu.Unlock()
	return n.Publisher.Request(ctx, r)
}

// of returns the publications of a delivery.
func (n *notes) of(deliveryID string) []noted {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(n.all), func(x noted) bool { return x.DeliveryID != deliveryID })
}

// put says through which server the scene's organization sends.
func (s *scene) put(t tenant.ID, change mailserver.Change) {
	s.t.Helper()
	rules := &mailserver.Connections{Store: s.Store, Outbox: s.composer, Relay: nobody{}, Now: s.now}
	_, err := rules.Put(s.t.Context(), t, activity.By{Actor: activity.System}, change)
	s.must(err)
}

type nobody struct{}

func (nobody) Wake() {}

// lanes hands what comes for own servers to a handler.
func (w *worker) lanes() (stop func()) {
	return w.run(func(ctx context.Context) error {
		return w.bus.ServeLanes(ctx, bus.Lanes{Channel: event.ChannelOwnEmail, Env: event.EnvDefault, Workers: 2, Handle: w.handle})
	})
}

// A mail follows what its organization says about its server, also when it was
// written, or put off, before that.
func TestMailsFollowTheServerOfTheirOrganization(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		b := s.bus()
		w := s.worker(b)
		hour := time.Now().Add(3 * time.Hour)
		w.decide = func(r event.Requested) (event.Outcome, bool, error) {
			return event.Outcome{Result: event.Deferred, RetryAt: hour.UnixMilli(), Reason: "credentials"}, r.N == 1, nil
		}
		w.serve()
		w.lanes()
		s.outcomes(b)
		host, from, on, off := "smtp.example.com", "no-reply@example.com", true, false
		user := "ana"
		s.put(s.tenant, mailserver.Change{Active: &on, Host: &host, From: &from, User: &user, Password: secret.New("wrong")})
		sandbox := s.tenant
		sandbox.Env = event.EnvSandbox
		s.put(sandbox, mailserver.Change{Active: &on, Host: &host, From: &from})

		said := &notes{Publisher: b, scene: s}
		out := s.outgoing(said)
		out.Servers, out.Keys = s.Store, s.keys
		s.run(out.Run)
		first := s.mails(1)[0]
		s.eventually("the mail is put off", func() bool { return slices.Contains(w.reported(), event.Deferred) && s.reason(first) == "credentials" })
		s.put(s.tenant, mailserver.Change{Password: secret.New("right")}) // and it is due
		s.eventually("the mail is sent", func() bool { return w.count() == 1 })
		s.eventually("it is accepted", func() bool { return s.states()[delivery.State(event.Accepted)] == 1 })
		s.put(s.tenant, mailserver.Change{Active: &off})
		second := s.mails(1)[0]
		s.eventually("the second is put off", func() bool { return s.reason(second) == "credentials" })

		tries := said.of(first.ID)
		if len(tries) != 2 || tries[0].server.Password != "wrong" || tries[1].server.Password != "right" || tries[1].N != 2 ||
			tries[1].server.OrgID != s.tenant.Org || tries[1].server.Host != host || tries[1].server.From != from || tries[1].server.TLS != event.TLSStart {
			t.Errorf("the first mail was published as %+v", tries)
		}
		if tries := said.of(second.ID); len(tries) != 1 || tries[0].Channel != event.ChannelEmail || tries[0].Server != nil {
			t.Errorf("the mail after it was switched off: %+v", tries)
		}
	})
}

// reported is a copy of the results.
func (w *worker) reported() []event.Result {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.results)
}

// reason is why a mail that waits was put off last.
func (s *scene) reason(e outbox.Entry) string {
	s.t.Helper()
	list, err := s.Deliveries(s.t.Context(), s.tenant, delivery.Filter{}, listing.Of(1, 200))
	s.must(err)
	for _, d := range list.Items {
		if d.ID == e.ID {
			return d.Reason
		}
	}
	return ""
}

// lost is a store that does not answer.
type lost struct{ relay.Servers }

func (lost) MailServer(context.Context, string, string) (*event.MailServer, error) {
	return nil, errors.New("the database is away")
}

// Nobody guesses through which server a mail goes.
func TestWithoutAnAnswerNoMailIsPublished(t *testing.T) {
	t.Parallel()
	s := newScene(t, "sqlite:"+t.TempDir()+"/test.db")
	b := s.bus()
	said := &notes{Publisher: b, scene: s}
	failed := make(chan outbox.Kind, 100)
	out := s.outgoing(said)
	out.Servers, out.Keys, out.Failed = lost{}, s.keys, func(kind outbox.Kind) { failed <- kind }
	mail := s.mails(1)[0]
	stop := s.run(out.Run)
	<-failed
	stop()
	if tries := said.of(mail.ID); len(tries) != 0 || s.backlog(outbox.Message) != 1 {
		t.Errorf("published: %+v; open: %d", tries, s.backlog(outbox.Message))
	}
}
