package exchange_test

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/exchange"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/login"
	"countersign.dev/services/api/internal/mailcode"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

var errSprayed = fault.New(fault.Limited, "codes_paused", "paused")

// someone is a user with all that proves who it is. An app's code stays right,
// so that nothing but the stages keeps a proof from counting twice; what is
// sent, and a recovery code, works once.
type someone struct {
	user       user.User
	password   string
	mustChange bool
	app        string // the code that it shows
	text, mail string // the codes that were sent last; empty for none
	factors    []factor.Factor
	waiting    factor.Factor
	recovery   factor.Set
	papers     []string // the recovery codes that are left
}

// right is the right proof at this moment, empty when there is none.
func (p *someone) right(m exchange.Method) string {
	switch m {
	case exchange.Password:
		return p.password
	case exchange.TOTP:
		return p.app
	case exchange.SMS:
		return p.text
	case exchange.Email:
		return p.mail
	case exchange.BackupCode:
		if len(p.papers) > 0 {
			return p.papers[0]
		}
	}
	return ""
}

// The people of acme. In other there is a namesake of ana.
const (
	ana  = "ana@acme.test"  // a password
	ben  = "ben@acme.test"  // and an authenticator app
	cleo = "cleo@acme.test" // and a phone
	dan  = "dan@acme.test"  // and both, with recovery codes
	eve  = "eve@acme.test"  // an authenticator app and recovery codes, and no password
	fay  = "fay@acme.test"  // all but a phone
	old  = "old@acme.test"  // a password that must change
	// Nobody has these.
	nobody    = "nobody@acme.test"
	malformed = "@@"
)

func (w *world) populate(t tester) {
	t.Helper()
	w.add(t, "acme", ana, "ana's").mustChange = false
	w.add(t, "acme", ben, "ben's", factor.App)
	w.add(t, "acme", cleo, "cleo's", factor.SMS)
	w.add(t, "acme", dan, "dan's", factor.App, factor.SMS, factor.Recovery)
	w.add(t, "acme", eve, "", factor.App, factor.Recovery)
	w.add(t, "acme", fay, "fay's", factor.App, factor.Recovery)
	w.add(t, "acme", old, "old's").mustChange = true
	w.add(t, "other", ana, "another's", factor.App)
}

func (w *world) add(t tester, org, address, pass string, methods ...string) *someone {
	t.Helper()
	at, err := user.ParseAddress(address)
	if err != nil {
		t.Fatalf("%v", err)
	}
	n := len(w.users)
	p := &someone{user: user.User{ID: id.UUID(), Tenant: tenantOf(org), Email: at, Active: true}, password: pass, app: fmt.Sprintf("1%05d", n)}
	for _, m := range methods {
		switch m {
		case factor.Recovery:
			p.papers = []string{fmt.Sprintf("AAAA-AAAA-AAAA-%04d", n), fmt.Sprintf("BBBB-BBBB-BBBB-%04d", n), fmt.Sprintf("CCCC-CCCC-CCCC-%04d", n)}
			p.recovery = factor.Set{ID: "set", Tags: make([][]byte, len(p.papers))}
		default:
			p.factors = append(p.factors, factor.Factor{ID: id.UUID(), Tenant: p.user.Tenant, UserID: p.user.ID, Method: m, Phone: phoneOf(m), ConfirmedAt: w.now})
		}
	}
	w.users = append(w.users, p)
	return p
}

func phoneOf(m string) string {
	if m == factor.SMS {
		return "+4915112345678"
	}
	return ""
}

// find finds a user; the caller holds the lock.
func (w *world) find(t tenant.ID, key user.Key) *someone {
	if i := slices.IndexFunc(w.users, func(p *someone) bool {
		return p.user.Tenant == t && (p.user.ID == key.ID || key.Canonical != "" && p.user.Email.Canonical == key.Canonical)
	}); i >= 0 {
		return w.users[i]
	}
	return nil
}

func (w *world) lookup(t tenant.ID, text string) (*someone, error) {
	key, err := user.ParseKey(text)
	if err != nil {
		return nil, err
	}
	if p := w.find(t, key); p != nil {
		return p, nil
	}
	return nil, user.ErrNotFound
}

type users struct{ *world }

func (u users) Find(_ context.Context, t tenant.ID, key string) (user.User, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	p, err := u.lookup(t, key)
	if err != nil {
		return user.User{}, err
	}
	return p.user, nil
}

type passwords struct {
	w      *world
	logins *login.Service
}

func (p passwords) Challenge(ctx context.Context, c link.Caller, email string, plain secret.Text, _ netip.Addr) (password.Verdict, error) {
	l := login.Login{RequestID: c.RequestID, Tenant: c.Tenant, ClientID: c.ClientID(), AMR: []string{grant.Password}, At: p.w.clock(), Browser: c.Browser()}
	p.w.mu.Lock()
	p.w.compared++
	if who, err := p.w.lookup(c.Tenant, email); err == nil && who.user.Active && who.password != "" && who.password == plain.Reveal() {
		l.UserID, l.MustChange = who.user.ID, who.mustChange
	}
	p.w.mu.Unlock()
	p.w.compares.wait()
	if l.UserID == "" {
		return password.Verdict{RequestID: c.RequestID}, nil
	}
	done, err := p.logins.Complete(ctx, l)
	return password.Verdict{RequestID: c.RequestID, UserID: l.UserID, Valid: true, Completed: done}, err
}

func (passwords) PresentPassword(context.Context, tenant.ID, string) (int, bool, error) {
	return 0, false, nil
}

type mails struct{ *world }

func (m mails) Send(_ context.Context, to mailcode.Whose) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent++
	if to.User != nil {
		m.find(to.Tenant, user.Key{ID: to.User.ID}).mail = fmt.Sprintf("3%05d", m.sent)
	}
	return nil
}

func (m mails) Check(_ context.Context, of mailcode.Whose, typed secret.Text) (mailcode.Checked, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.compared++
	if of.User != nil {
		if p := m.find(of.Tenant, user.Key{ID: of.User.ID}); p.mail != "" && p.mail == typed.Reveal() {
			p.mail = ""
			return mailcode.Checked{Outcome: ephemeral.Right}, nil
		}
	}
	return mailcode.Checked{Outcome: ephemeral.Wrong}, nil
}

type factors struct{ *world }

func (f factors) Find(_ context.Context, t tenant.ID, text string) (factor.Standing, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, err := f.lookup(t, text)
	if err != nil {
		return factor.Standing{}, err
	}
	return factor.Standing{User: p.user, Connection: f.connections[t.Org], Factors: slices.Clone(p.factors), Waiting: p.waiting, Recovery: p.recovery}, nil
}

func (f factors) Enrolled(ctx context.Context, t tenant.ID, userID string) (bool, error) {
	standing, err := f.Find(ctx, t, userID)
	return err == nil && standing.Connection.Active && standing.Enrolled(), err
}

var shaped = regexp.MustCompile(`^([0-9]{6}|[0-9A-Z]{4}(-[0-9A-Z]{4}){3})$`)

func (factors) ReadCode(ctx context.Context, source netip.Addr, text secret.Text) (factor.Code, error) {
	if !shaped.MatchString(text.Reveal()) {
		return factor.Code{}, factor.ErrMalformed
	}
	return (&factor.Service{}).ReadCode(ctx, source, text)
}

// opens is what the rules of factors ask of everybody.
func opens(w factor.Whose) error {
	switch {
	case !w.Connection.Active:
		return factor.ErrInactive
	case !w.User.Active:
		return user.ErrInactive
	}
	return nil
}

func (f factors) Validate(ctx context.Context, w factor.Whose, code factor.Code) (factor.Checked, error) {
	switch err := opens(w); {
	case err != nil:
		return factor.Checked{}, err
	case w.Recovery.Obliged:
		return factor.Checked{}, factor.ErrReenrol
	case len(w.Factors) == 0:
		return factor.Checked{}, factor.ErrNotEnrolled
	}
	f.compares.wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.compared++
	p, outcome := f.find(w.Tenant, user.Key{ID: w.User.ID}), ephemeral.Wrong
	if code.Echo().IsZero() {
		if i := slices.IndexFunc(p.papers, func(text string) bool { return reflect.DeepEqual(codeOf(ctx, text), code) }); i >= 0 {
			outcome = ephemeral.Right
			p.recovers(i, f.now)
		}
		return factor.Checked{Outcome: outcome, Method: factor.Recovery}, nil
	}
	taking := slices.DeleteFunc(slices.Clone(w.Factors), func(f factor.Factor) bool { return !f.Takes() })
	if len(taking) == 0 {
		return factor.Checked{}, guard.ErrShut
	}
	for _, has := range taking {
		switch typed := code.Echo().Reveal(); {
		case has.Method == factor.App && typed == p.app:
			outcome = ephemeral.Right
		case has.Method == factor.SMS && p.text != "" && typed == p.text:
			outcome, p.text = ephemeral.Right, ""
		}
	}
	return factor.Checked{Outcome: outcome, Method: taking[0].Method}, nil
}

// recovers uses a recovery code up.
func (p *someone) recovers(i int, now time.Time) {
	p.papers = slices.Delete(slices.Clone(p.papers), i, i+1)
	p.recovery.Used = p.recovery.Used<<1 | 1
	p.recovery.Obliged = true
	p.factors = slices.Clone(p.factors)
	for i := range p.factors {
		p.factors[i].DisabledAt, p.factors[i].DisabledBy = now, factor.ByRecovery
	}
}

func (f factors) Challenge(_ context.Context, w factor.Whose) (factor.Issued, error) {
	if err := opens(w); err != nil {
		return factor.Issued{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := slices.IndexFunc(w.Factors, func(f factor.Factor) bool { return f.Method == factor.SMS && f.Takes() }); i < 0 {
		return factor.Issued{}, factor.ErrNoPhone
	}
	f.sent++
	f.find(w.Tenant, user.Key{ID: w.User.ID}).text = fmt.Sprintf("2%05d", f.sent)
	return factor.Issued{Method: factor.SMS}, nil
}

func (f factors) Enrol(_ context.Context, w factor.Whose, e factor.Enrolment) (factor.Issued, error) {
	if err := opens(w); err != nil {
		return factor.Issued{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !w.Recovery.Obliged && len(w.Factors) > 0 && e.Name == "" {
		return factor.Issued{}, factor.ErrEnrolled
	}
	f.sent++
	p := f.find(w.Tenant, user.Key{ID: w.User.ID})
	p.waiting = factor.Factor{ID: id.UUID(), Tenant: w.Tenant, UserID: p.user.ID, Method: e.Method, Name: e.Name, Phone: phoneOf(e.Method)}
	if e.Method == factor.SMS {
		p.text = fmt.Sprintf("2%05d", f.sent)
	}
	return factor.Issued{Method: e.Method, Name: e.Name}, nil
}

func (f factors) ConfirmEnrolment(_ context.Context, w factor.Whose, code factor.Code) (out factor.Confirmed, err error) {
	if err := opens(w); err != nil {
		return out, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.compared++
	p := f.find(w.Tenant, user.Key{ID: w.User.ID})
	right := p.app
	if p.waiting.Method == factor.SMS {
		right = p.text
	}
	if p.waiting.ID == "" || p.waiting.ID != w.Waiting.ID {
		return out, factor.ErrNoWaiting
	}
	if out.Outcome = ephemeral.Wrong; right == "" || code.Echo().Reveal() != right {
		return out, nil
	}
	done := p.waiting
	done.ConfirmedAt, p.waiting, out.Outcome, out.EnrolledAt = f.now, factor.Factor{}, ephemeral.Right, f.now
	if p.recovery.Obliged {
		p.factors = nil
	}
	p.recovery.Obliged, p.factors = false, append(slices.Clone(p.factors), done)
	return out, nil
}

func (f factors) Remove(context.Context, factor.Whose, string) (factor.Factor, error) {
	return factor.Factor{}, factor.ErrNotFound
}

func (f factors) Rename(context.Context, factor.Whose, string, string) (factor.Factor, error) {
	return factor.Factor{}, factor.ErrNotFound
}

type grants struct{ *world }

// Begin records what a code was made for.
func (g grants) Begin(_ context.Context, n grant.New) (grant.Grant, secret.Text, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p := g.find(n.Tenant, user.Key{ID: n.UserID}); p == nil || !p.user.Active {
		return grant.Grant{}, secret.Text{}, user.ErrNotFound
	}
	g.grants = append(g.grants, n)
	return grant.Grant{ID: id.UUID()}, secret.New(fmt.Sprint("code-", len(g.grants))), nil
}

func (g grants) Revoke(context.Context, tenant.ID, string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.revoked++
	return nil
}

func (g grants) Live(context.Context, string) (grant.Session, error) {
	return grant.Session{}, grant.ErrInvalid
}
