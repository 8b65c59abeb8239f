package email

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign.dev/pkg/courier"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/rig/smtpsink"
	"countersign.dev/pkg/seal"
)

// street is a worker with the installation's mail server and those of
// organizations beside each other.
type street struct {
	*house
	shared  *smtpsink.Server
	t       *testing.T
	options smtpsink.Options
	forward atomic.Int64 // of the worker's clock
	// by delivery, the outcomes that came
	outcomesOf map[string][]event.Outcome
}

func newStreet(t *testing.T, allow ...string) *street {
	t.Helper()
	settings, ca, err := smtpsink.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "own.pem")
	if err := os.WriteFile(file, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	s := &street{t: t, options: smtpsink.Options{TLS: settings}, outcomesOf: map[string][]event.Outcome{}}
	cfg := config(seal.NewKey(), "smtp")
	s.shared, cfg.SMTP = server(t)
	cfg.Own.Allow, cfg.Own.CAFile = allow, file
	cfg.Own.Now = s.now
	s.house = openAt(t, cfg, s.now)
	return s
}

// now is the worker's clock.
func (s *street) now() time.Time { return time.Now().Add(time.Duration(s.forward.Load())) }

// move opens a mail server of an organization.
func (s *street) move(org string, change func(*smtpsink.Options)) (*smtpsink.Server, event.MailServer) {
	s.t.Helper()
	options := s.options
	options.User, options.Password = "user of "+org, "password of "+org
	if change != nil {
		change(&options)
	}
	sink := smtpsink.New(options)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = sink.Serve(listener) })
	s.t.Cleanup(func() { sink.Close(); serving.Wait() })
	return sink, event.MailServer{
		OrgID: org, Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, TLS: event.TLSStart,
		User: "user of " + org, Password: event.Hidden("password of " + org), From: "no-reply@" + strings.ReplaceAll(org, "_", "-") + ".test", FromName: org,
	}
}

// send publishes a mail for the n-th time, as the relay does for the
// organization of a server.
func (s *street) send(id string, n int, by event.MailServer) {
	s.t.Helper()
	s.sendUntil(id, n, by, time.Now().Add(time.Hour))
}

// sendUntil is send for a mail whose life ends at a time.
func (s *street) sendUntil(id string, n int, by event.MailServer, until time.Time) {
	s.t.Helper()
	r := event.Requested{
		Kind: event.KindMagicLink, DeliveryID: id, N: n, RequestID: "r_" + id, TraceID: "t_" + id, Channel: event.ChannelOwnEmail,
		Env: event.EnvDefault, OrgID: by.OrgID, CreatedAt: until.Add(-time.Hour).UnixMilli(), ExpiresAt: until.UnixMilli(),
		Sealed: s.sealed(event.SealContent, id, example(event.KindMagicLink)), Server: s.sealed(event.SealServer, id, by),
	}
	if n == 1 {
		if err := s.book.Open(s.t.Context(), id, r.Expires()); err != nil {
			s.t.Fatal(err)
		}
	}
	s.publish(r)
}

func (s *street) sealed(purpose, id string, content any) []byte {
	s.t.Helper()
	plain, err := json.Marshal(content)
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := s.keys.Seal(purpose, id, plain)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// last waits until each of the deliveries has an outcome of one of the results
// as its last one, and returns those.
func (s *street) last(ids []string, results ...event.Result) []event.Outcome {
	s.t.Helper()
	done := func(id string) bool {
		of := s.outcomesOf[id]
		return len(of) > 0 && slices.Contains(results, of[len(of)-1].Result)
	}
	for !all(ids, done) {
		o := s.outcome()
		s.outcomesOf[o.DeliveryID] = append(s.outcomesOf[o.DeliveryID], o)
	}
	out := make([]event.Outcome, len(ids))
	for i, id := range ids {
		out[i] = s.outcomesOf[id][len(s.outcomesOf[id])-1]
		delete(s.outcomesOf, id)
	}
	return out
}

func all(ids []string, ok func(string) bool) bool {
	return !slices.ContainsFunc(ids, func(id string) bool { return !ok(id) })
}

func named(prefix string, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s_%04d", prefix, i)
	}
	return ids
}

// Covers R-125 (a mail server of an organization that is dead or a tarpit, with 1,000 mails, beside others).
func TestAMailServerThatDoesNotWorkDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*smtpsink.Server) error{
		"it is dead": func(sink *smtpsink.Server) error { sink.Close(); return nil },
		"it never greets": func(sink *smtpsink.Server) error {
			return sink.Fail(smtpsink.Fault{At: smtpsink.Banner, Stall: true, Times: 10_000})
		},
		"it never says that it has mails": func(sink *smtpsink.Server) error {
			return sink.Fail(smtpsink.Fault{At: smtpsink.Dot, Stall: true, Times: 10_000})
		},
		"it puts everybody off": func(sink *smtpsink.Server) error {
			return sink.Fail(smtpsink.Fault{At: smtpsink.Rcpt, Code: 450, Times: 10_000})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStreet(t, "127.0.0.1/32")
			bad, of := s.move("org_a", nil)
			t.Cleanup(bad.Close) // before the worker ends: it has nothing to wait for then
			good, by := s.move("org_b", nil)
			if err := spoil(bad); err != nil {
				t.Fatal(err)
			}
			for _, id := range named("a", 1000) {
				s.send(id, 1, of)
			}
			b, shared, codes := named("b", 30), named("shared", 30), named("code", 30)
			for i := range b {
				s.send(b[i], 1, by)
				s.request(shared[i], event.KindMagicLink, event.EnvDefault)
				s.request(codes[i], event.KindChallenge, event.EnvDefault)
			}
			for _, o := range s.last(slices.Concat(b, shared, codes), event.Accepted) {
				if want := map[bool]string{true: "own_smtp", false: "smtp"}[strings.HasPrefix(o.DeliveryID, "b_")]; o.Provider != want || o.Attempt != 1 {
					t.Errorf("%s went out by %s at attempt %d", o.DeliveryID, o.Provider, o.Attempt)
				}
			}
			if mails := good.Log().Mails; len(mails) != len(b) || mails[0].From != "no-reply@org-b.test" {
				t.Errorf("the good server has %d mails", len(mails))
			}
			if mails := s.shared.Log().Mails; len(mails) != len(shared)+len(codes) || slices.ContainsFunc(mails, func(m smtpsink.Mail) bool { return m.From != "no-reply@countersign.test" }) {
				t.Errorf("the shared server has %d mails", len(mails))
			}
			if n := len(bad.Log().Mails); n != 0 {
				t.Errorf("the bad server has %d mails", n)
			}
		})
	}
}

// What it holds up is not lost, and comes once it works again, with the
// Message-ID that its first try had.
func TestMailsComeOnceTheirServerWorksAgain(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "127.0.0.1/32")
	sink, by := s.move("org_a", nil)
	if err := sink.Fail(smtpsink.Fault{At: smtpsink.Banner, Code: 554, Times: 10_000}); err != nil {
		t.Fatal(err)
	}
	ids := named("a", 40)
	for _, id := range ids {
		s.send(id, 1, by)
	}
	reasons := map[string]bool{}
	for _, o := range s.last(ids, event.Deferred) {
		reasons[o.Reason] = true
	}
	if len(reasons) == 0 || !all(slices.Collect(maps.Keys(reasons)), func(reason string) bool { return reason == courier.ReasonRedirected || reason == courier.ReasonPaused }) {
		t.Errorf("they were held back because of %v", reasons)
	}
	sink.Behave()
	s.forward.Add(int64(time.Minute)) // when the next one finds out
	s.send(ids[0], 2, by)
	s.last(ids[:1], event.Accepted)
	for _, id := range ids[1:] {
		s.send(id, 2, by)
	}
	for _, o := range s.last(ids[1:], event.Accepted) {
		if want := "<" + o.DeliveryID + "@org-a.test>"; len(o.DeliveryID) >= 8 && o.ProviderID != want {
			t.Errorf("%s has the Message-ID %s", o.DeliveryID, o.ProviderID)
		}
	}
	seen := map[string]int{}
	for _, m := range sink.Log().Mails {
		seen[m.MessageID]++
	}
	if len(seen) != len(ids) || slices.Max(slices.Collect(maps.Values(seen))) != 1 {
		t.Errorf("%d mails came, want each of %d once", len(seen), len(ids))
	}
}

// Who mends the settings of a server does not wait for its breaker.
func TestAMendedServerIsTriedAtOnce(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "127.0.0.1/32")
	sink, by := s.move("org_a", nil)
	wrong := by
	wrong.Password = "wrong canary"
	s.send("a_first_1", 1, wrong)
	if o := s.last([]string{"a_first_1"}, event.Deferred)[0]; o.Reason != courier.ReasonPaused && o.Reason != courier.ReasonCredentials {
		t.Errorf("held back because of %s", o.Reason)
	}
	s.send("a_first_1", 2, by)
	if o := s.last([]string{"a_first_1"}, event.Accepted)[0]; o.ProviderID != "<a_first_1@org-a.test>" {
		t.Errorf("reported %+v", o)
	}
	if n := len(sink.Log().Mails); n != 1 {
		t.Errorf("%d mails", n)
	}
}

// Covers R-107 for mail servers of organizations, and R-133: no mail, no password and no second way when the server must not be trusted.
func TestOwnServersAreTrustedNoMoreThanOurs(t *testing.T) {
	t.Parallel()
	other, _, err := smtpsink.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		allow  string
		change func(*smtpsink.Options)
		edit   func(*event.MailServer)
		reason string
	}{
		"it is on this machine": {"10.0.0.0/8", nil, nil, courier.ReasonForbidden},
		"its name leads to this machine": {
			"10.0.0.0/8", nil, func(m *event.MailServer) { m.Host = "localhost" }, courier.ReasonForbidden,
		},
		"it has no TLS":                {"127.0.0.1/32", func(o *smtpsink.Options) { o.NoStartTLS = true }, nil, courier.ReasonTLS},
		"nobody knows its certificate": {"127.0.0.1/32", func(o *smtpsink.Options) { o.TLS = other }, nil, courier.ReasonTLS},
		"its certificate has another name": {
			"127.0.0.0/8", nil, func(m *event.MailServer) { m.Host = "localhost" }, courier.ReasonTLS,
		},
		"it does not know our password": {"127.0.0.1/32", nil, func(m *event.MailServer) { m.Password = "wrong" }, courier.ReasonCredentials},
		"plain text was asked for":      {"127.0.0.1/32", func(o *smtpsink.Options) { o.NoStartTLS = true }, func(m *event.MailServer) { m.TLS = "none" }, courier.ReasonTLS},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStreet(t, c.allow)
			sink, by := s.move("org_a", c.change)
			if c.edit != nil {
				c.edit(&by)
			}
			s.send("a_1", 1, by)
			if o := s.outcome(); o.Result != event.Retrying || o.Reason != c.reason {
				t.Errorf("reported %s because of %s, want %s", o.Result, o.Reason, c.reason)
			}
			if o := s.last([]string{"a_1"}, event.Deferred)[0]; o.RetryAt == 0 {
				t.Errorf("reported %+v", o)
			}
			log := sink.Log()
			if c.reason == courier.ReasonForbidden && len(log.Connections) != 0 || c.reason == courier.ReasonTLS && log.Count("AUTH") != 0 {
				t.Errorf("the server saw %+v", log.Connections)
			}
			if len(log.Mails) != 0 || len(s.shared.Log().Connections) != 0 {
				t.Errorf("a mail went out: %+v, %+v", log.Mails, s.shared.Log())
			}
		})
	}
}

// A server is good for the mails of its organization and for the delivery that
// it was sealed for.
func TestNobodySendsByTheServerOfAnother(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "127.0.0.1/32")
	sink, by := s.move("org_a", nil)
	now := time.Now()
	for id, r := range map[string]event.Requested{
		"of_another_organization": {OrgID: "org_b", Server: s.sealed(event.SealServer, "of_another_organization", by)},
		"of_another_delivery":     {OrgID: "org_a", Server: s.sealed(event.SealServer, "some_delivery", by)},
		"of_another_purpose":      {OrgID: "org_a", Server: s.sealed(event.SealContent, "of_another_purpose", by)},
	} {
		r.Kind, r.DeliveryID, r.N, r.RequestID, r.TraceID, r.Channel, r.Env = event.KindNotice, id, 1, "r", "t", event.ChannelOwnEmail, event.EnvDefault
		r.CreatedAt, r.ExpiresAt, r.Sealed = now.UnixMilli(), now.Add(time.Hour).UnixMilli(), s.sealed(event.SealContent, id, example(event.KindNotice))
		if err := s.book.Open(t.Context(), id, r.Expires()); err != nil {
			t.Fatal(err)
		}
		s.publish(r)
		if o := s.last([]string{id}, event.Failed)[0]; o.Reason != "unreadable" {
			t.Errorf("%s: %+v", id, o)
		}
	}
	if log := sink.Log(); len(log.Connections) != 0 {
		t.Errorf("the server saw %+v", log)
	}
}

// The dev command's worker keeps mails for own servers as it keeps all others.
func TestTheInboxKeepsMailsOfOwnServers(t *testing.T) {
	t.Parallel()
	cfg := config(seal.NewKey(), "inbox")
	cfg.Dev = true
	s := &street{t: t, house: open(t, cfg), outcomesOf: map[string][]event.Outcome{}}
	s.send("a_1", 1, event.MailServer{OrgID: "org_a", Host: "smtp.example.com", Port: 587, TLS: event.TLSStart, From: "no-reply@example.com"})
	if o := s.last([]string{"a_1"}, event.Delivered)[0]; o.Provider != "inbox" || len(o.Message) == 0 {
		t.Errorf("reported %+v", o)
	}
}
