package mailcode_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/mailcode"
	"countersign.dev/services/api/internal/tenant"
)

var errDown = fault.New(fault.Unavailable, "state_unavailable", "down")

// shaky is the ephemeral store on a bad day.
type shaky struct {
	mailcode.Codes
	before error // Arm fails and does nothing
	after  func() error
	armed  []string // ids
}

func (s *shaky) Arm(ctx context.Context, key string, code ephemeral.Code, ttl time.Duration) (*ephemeral.Code, error) {
	if s.before != nil {
		return nil, s.before
	}
	was, err := s.Codes.Arm(ctx, key, code, ttl)
	s.armed = append(s.armed, code.ID)
	if s.after != nil {
		err = s.after()
	}
	return was, err
}

func (r *room) nothing(w mailcode.Whose, before int) {
	r.t.Helper()
	if d := r.deliveries(w); len(d) != before {
		r.t.Errorf("there are %d deliveries, want %d", len(d), before)
	}
	if l := r.letters(); len(l) != 0 {
		r.t.Errorf("%d mails are due", len(l))
	}
}

// Whatever fails, no mail is left without its code and no code without its
// mail, and nothing was taken from the budget.
func TestASendIsAllOrNothing(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		codes func(*room, context.CancelFunc) mailcode.Codes
		// survives says that the code before is as good as ever.
		survives bool
	}{
		"the ephemeral store is down": {survives: true, codes: func(r *room, _ context.CancelFunc) mailcode.Codes {
			return &shaky{Codes: r.short, before: errDown}
		}},
		"its answer is lost": {codes: func(r *room, _ context.CancelFunc) mailcode.Codes {
			return &shaky{Codes: r.short, after: func() error { return errDown }}
		}},
		"the commit fails": {codes: func(r *room, cancel context.CancelFunc) mailcode.Codes {
			return &shaky{Codes: r.short, after: func() error { cancel(); return nil }}
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRoom(t)
			w := r.somebody(tenant.Default, "ana@acme.test")
			first := r.send(w)
			for range 5 { // more than any budget of an address
				ctx, cancel := context.WithCancel(t.Context())
				r.Codes = c.codes(r, cancel)
				err := r.Send(ctx, w)
				cancel()
				if err == nil || fault.KindOf(err) == fault.Limited {
					t.Fatalf("Send = %v", err)
				}
				r.nothing(w, 1)
			}
			r.Codes = r.short
			r.wants(w, first.Code, map[bool]ephemeral.Outcome{true: ephemeral.Right, false: ephemeral.None}[c.survives])
			r.wants(w, r.send(w).Code, ephemeral.Right)
		})
	}
}

func TestWithoutADatabaseNothingIsArmed(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	w := r.somebody(tenant.Default, "ana@acme.test")
	r.send(w)
	codes := &shaky{Codes: r.short}
	r.Codes = codes
	r.must(r.store.Close())
	if err := r.Send(t.Context(), w); err == nil || fault.KindOf(err) == fault.Limited {
		t.Errorf("Send = %v", err)
	}
	if _, err := r.Check(t.Context(), w, secret.New("123456")); err == nil {
		t.Error("a code was compared without a count")
	}
	if len(codes.armed) != 0 {
		t.Error("a code was armed")
	}
}

func (r *room) links() *link.Service {
	return &link.Service{
		Store: r.store, Outbox: r.Outbox, Claims: r.claims, Relay: r, Templates: r.Templates, Index: r.Index, BaseURL: "https://login.example.com", Now: r.clock, Log: r.Log,
	}
}

// Links and codes to an address share what it may get, in both directions and
// over all organizations, and so do addresses without a user. What is refused
// leaves the code before as it was.
// Covers R-109 for codes and links together.
func TestCodesAndLinksShareTheirBudgets(t *testing.T) {
	t.Parallel()
	for name, user := range map[string]func(*room, string, string) mailcode.Whose{"a user": (*room).somebody, "nobody": (*room).nobody} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRoom(t)
			w, elsewhere := user(r, tenant.Default, "ana@acme.test"), r.nobody(tenant.Default, "Ana@acme.test")
			ask := func() error {
				_, err := r.links().Issue(t.Context(), link.New{
					Kind: event.KindMagicLink, RequestKind: "magic-link-challenge", Tenant: elsewhere.Tenant, Org: elsewhere.Org, Email: elsewhere.Address, MayCreate: true,
					Purpose: link.Login, Template: event.TemplateMagicLink, RedirectURI: "https://app.example/cb", ClientID: "client", Life: link.LoginLife,
				})
				return err
			}
			r.must(ask())
			r.must(r.Send(t.Context(), w))
			r.must(r.Send(t.Context(), w))
			code := "000000"
			for _, l := range r.letters() {
				if l.Code != "" {
					code = l.Code
				}
			}
			for what, err := range map[string]error{"code": r.Send(t.Context(), w), "link": ask()} {
				if f, ok := errors.AsType[*fault.Error](err); !errors.Is(err, link.ErrMails) || !ok || f.After != time.Hour {
					t.Errorf("another %s: %v", what, err)
				}
			}
			r.wants(w, code, map[bool]ephemeral.Outcome{true: ephemeral.Right, false: ephemeral.Wrong}[w.User != nil])
			r.pass(time.Hour)
			r.must(r.Send(t.Context(), w))
		})
	}
}

// Nobody gets no mail, nothing is right, and every answer is what a user's
// would be, for as long as somebody goes on guessing.
// Covers R-015 for codes by e-mail.
func TestNobodyLooksLikeSomebody(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	somebody, nobody := r.somebody(tenant.Sandbox, "ana@acme.test"), r.nobody(tenant.Sandbox, "eve@acme.test")
	try := func(w mailcode.Whose, code string) (out [3]any) {
		checked, err := r.Check(t.Context(), w, secret.New(code))
		f, _ := errors.AsType[*fault.Error](err)
		if f != nil {
			return [3]any{checked.Outcome, f.Code, f.After}
		}
		r.must(err)
		return [3]any{checked.Outcome, "", time.Duration(0)}
	}
	if a, b := try(somebody, "123456"), try(nobody, "123456"); a != b {
		t.Errorf("before anything was sent: %v and %v", a, b)
	}
	for i, window := range append([]time.Duration{0}, guard.DefaultPolicy().Windows[:2]...) {
		r.pass(window)
		wrong := other(r.send(somebody).Code)
		r.must(r.Send(t.Context(), nobody))
		if l := r.letters(); len(l) != 0 {
			t.Fatalf("nobody got %d mails", len(l))
		}
		for j := range 7 {
			if a, b := try(somebody, wrong), try(nobody, wrong); a != b {
				t.Errorf("guess %d of window %d: a user's is %v, nobody's %v", j+1, i+1, a, b)
			}
		}
	}
	for _, d := range r.deliveries(nobody) {
		if d.State != delivery.State(event.Failed) || d.Reason != "no_user" || d.UserID != "" {
			t.Errorf("a delivery is %+v", d)
		}
	}
	if n := len(r.deliveries(nobody)); n != 3 {
		t.Errorf("%d deliveries, want 3", n)
	}
	for _, e := range r.happened(nobody) {
		if e.Action == activity.CodeRefused || e.Action == event.TypeCodeAccepted {
			t.Errorf("recorded %+v", e)
		}
	}
	r.must(r.Send(t.Context(), nobody))
	r.pass(mailcode.Life + time.Second)
	r.wants(nobody, "123456", ephemeral.Expired)
}

// The code of nobody is one that no six digits match, and would not be right
// if they did.
func TestNobodyIsNeverRight(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	w := r.nobody(tenant.Sandbox, "eve@acme.test")
	code := &matching{Memory: r.short}
	r.Guard.Codes = code
	r.must(r.Send(t.Context(), w))
	r.wants(w, "123456", ephemeral.Wrong)
	code.outcome = ephemeral.Right
	r.wants(w, "123456", ephemeral.Wrong)
	code.outcome = ephemeral.Used
	r.wants(w, "123456", ephemeral.Wrong)
}

// matching finds whatever it is told to.
type matching struct {
	*ephemeral.Memory
	outcome ephemeral.Outcome
}

func (m *matching) Consume(ctx context.Context, key string, digest []byte, now time.Time) (ephemeral.Verdict, error) {
	v, err := m.Memory.Consume(ctx, key, digest, now)
	if m.outcome != "" {
		v.Outcome = m.outcome
	}
	return v, err
}
