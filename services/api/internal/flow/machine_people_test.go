package flow_test

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/login"
	"countersign.dev/services/api/internal/mailcode"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// someone is a user with all that proves who it is.
type someone struct {
	user       user.User
	org        string
	password   string
	number     int // of the password
	mustChange bool
	lapsed     bool
	app, used  string // the code that the app shows, and the last one that was taken
	text       string // the code that was sent last; empty for none
	mail       string // the code that was shown last, and the flow that it is for
	mailFor    string
	factors    []factor.Factor
	waiting    factor.Factor
	recovery   factor.Set
	papers     []string // the recovery codes that are left
}

// The people: the last one is plain's.
const (
	ana = "ana@acme.test" // a password
	ben = "ben@acme.test" // and an authenticator app
	cat = "cat@acme.test" // and a phone
	dan = "dan@acme.test" // and both, with recovery codes
	eva = "eva@acme.test" // a password that must change
	fay = "fay@acme.test" // the same, with an app and recovery codes
	gus = "gus@acme.test" // a password that is too old
	pia = "pia@plain.test"
	// Nobody has these.
	nobody    = "nobody@acme.test"
	malformed = "@@"
)

func (w *world) populate(t tester) {
	t.Helper()
	for _, address := range []string{ana, ben, cat, dan, eva, fay, gus, pia} {
		parsed, err := user.ParseAddress(address)
		if err != nil {
			t.Fatalf("%v", err)
		}
		org := acme
		if address == pia {
			org = plain
		}
		p := &someone{org: org, user: user.User{ID: id.UUID(), Tenant: tenantOf(org), Email: parsed, Active: true}}
		w.users = append(w.users, p)
		w.furnish(p)
	}
}

// furnish gives somebody what they have in the beginning, as an operator would.
func (w *world) furnish(p *someone) {
	methods := map[string][]string{ben: {factor.App}, cat: {factor.SMS}, dan: {factor.App, factor.SMS, factor.Recovery}, fay: {factor.App, factor.Recovery}}[p.user.Email.Canonical]
	w.newPassword(p, w.fresh("password"))
	p.mustChange = p.user.Email.Canonical == eva || p.user.Email.Canonical == fay
	p.lapsed = p.user.Email.Canonical == gus
	p.user.Active, p.factors, p.waiting, p.recovery, p.papers, p.text, p.mail = true, nil, factor.Factor{}, factor.Set{}, nil, "", ""
	p.app = w.digits()
	for _, method := range methods {
		if method == factor.Recovery {
			w.mint(p)
			continue
		}
		p.factors = append(p.factors, factor.Factor{ID: id.UUID(), Tenant: p.user.Tenant, UserID: p.user.ID, Method: method, Phone: "+4915112345678", ConfirmedAt: w.now})
	}
}

func (w *world) fresh(what string) string {
	w.counter++
	return fmt.Sprint(what, " ", w.counter)
}

func (w *world) digits() string {
	w.counter++
	return fmt.Sprintf("%08d", w.counter)
}

func (w *world) mint(p *someone) (codes []factor.RecoveryCode) {
	p.papers = nil
	for range 5 {
		code := factor.NewRecoveryCode()
		codes, p.papers = append(codes, code), append(p.papers, code.Written())
	}
	p.recovery = factor.Set{ID: id.UUID(), Tags: make([][]byte, len(codes))}
	return codes
}

// newPassword sets a password, which ends all that rests on the old one.
func (w *world) newPassword(p *someone, plain string) {
	p.password, p.mustChange, p.lapsed = plain, false, false
	p.number++
	_ = kept{w}.EndUserSessions(context.Background(), session.Whose{Tenant: p.user.Tenant, UserID: p.user.ID}, "", session.Ending{})
}

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

type passwords struct {
	w      *world
	logins *login.Service
}

func (p passwords) Challenge(ctx context.Context, c link.Caller, email string, plain secret.Text, _ netip.Addr) (password.Verdict, error) {
	if _, err := user.ParseAddress(email); err != nil {
		return password.Verdict{}, err
	}
	who, err := p.w.lookup(c.Tenant, email)
	if err != nil || !who.user.Active || who.password != plain.Reveal() {
		return password.Verdict{}, nil
	}
	l := login.Login{
		RequestID: c.RequestID, Tenant: c.Tenant, UserID: who.user.ID, ClientID: c.ClientID(), AMR: []string{grant.Password}, At: p.w.now, Browser: c.Browser(),
		Password: who.number, MustChange: who.mustChange,
	}
	if who.lapsed {
		l.Lapses = p.w.now
	}
	done, err := p.logins.Complete(ctx, l)
	return password.Verdict{UserID: l.UserID, Valid: true, Completed: done}, err
}

func (p passwords) PresentPassword(_ context.Context, t tenant.ID, userID string) (int, bool, error) {
	who := p.w.find(t, user.Key{ID: userID})
	return who.number, who.mustChange, nil
}

func (p passwords) Renew(ctx context.Context, u user.User, l login.Login) (secret.Text, error) {
	return secret.New(u.ID), p.logins.Current(ctx, l)
}

func (passwords) Hint(context.Context, tenant.ID, tenant.Organization, string) (password.Hint, error) {
	return password.Hint{}, nil
}

// weak is a password that the policy does not take.
const weak = "weak"

func (p passwords) Set(_ context.Context, c link.Caller, in password.Set) (password.Done, error) {
	if in.Plain.Reveal() == weak {
		return password.Done{}, fault.New(fault.Invalid, "password_too_weak", "too weak")
	}
	who := p.w.find(c.Tenant, user.Key{ID: in.Code.Reveal()})
	p.w.newPassword(who, in.Plain.Reveal())
	return password.Done{Password: password.Password{Number: who.number}}, nil
}

func (p passwords) Request(_ context.Context, c link.Caller, email, _ string, _ bool) (password.Asked, error) {
	return password.Asked{}, p.w.write(c, email, true)
}

// write mails a link, where there is somebody to mail it to.
func (w *world) write(c link.Caller, email string, reset bool) error {
	if _, err := user.ParseAddress(email); err != nil {
		return err
	}
	if p, err := w.lookup(c.Tenant, email); err == nil && p.user.Active {
		w.letters = append(w.letters, &letter{key: c.Flow, to: p, reset: reset})
	}
	return nil
}

type links struct{ *world }

func (links) Connection(context.Context, tenant.ID) (link.Connection, error) {
	return link.Connection{Active: true}, nil
}

func (l links) SignIn(_ context.Context, c link.Caller, email string) error {
	return l.write(c, email, false)
}

type mails struct{ *world }

func (m mails) Show(_ context.Context, of mailcode.Whose) (secret.Text, error) {
	p := m.find(of.Tenant, user.Key{ID: of.User.ID})
	p.mail, p.mailFor = m.digits(), of.Flow
	return secret.New(p.mail), nil
}

func (m mails) Check(_ context.Context, of mailcode.Whose, typed secret.Text) (mailcode.Checked, error) {
	p := m.find(of.Tenant, user.Key{ID: of.User.ID})
	if !shaped.MatchString(typed.Reveal()) {
		return mailcode.Checked{}, factor.ErrMalformed
	}
	if p.mail == "" || p.mail != typed.Reveal() || p.mailFor != of.Flow {
		return mailcode.Checked{Outcome: ephemeral.Wrong}, nil
	}
	p.mail = ""
	return mailcode.Checked{Outcome: ephemeral.Right}, nil
}

type factors struct{ *world }

func (f factors) Find(_ context.Context, t tenant.ID, text string) (factor.Standing, error) {
	p, err := f.lookup(t, text)
	if err != nil {
		return factor.Standing{}, err
	}
	return factor.Standing{
		User: p.user, Connection: tenant.Connection{Tenant: t, Active: p.org == acme}, Factors: slices.Clone(p.factors), Waiting: p.waiting, Recovery: p.recovery,
	}, nil
}

func (f factors) Enrolled(ctx context.Context, t tenant.ID, userID string) (bool, error) {
	standing, err := f.Find(ctx, t, userID)
	return err == nil && standing.Connection.Active && standing.Enrolled(), err
}

var shaped = regexp.MustCompile(`^[0-9]{8}$`)

func (factors) ReadDigits(ctx context.Context, source netip.Addr, text secret.Text) (factor.Code, error) {
	if !shaped.MatchString(text.Reveal()) {
		return factor.Code{}, factor.ErrMalformed
	}
	return (&factor.Service{}).ReadDigits(ctx, source, text)
}

func (factors) ReadRecovery(ctx context.Context, source netip.Addr, text secret.Text) (factor.Code, error) {
	if !strings.Contains(text.Reveal(), "-") {
		return factor.Code{}, factor.ErrMalformed
	}
	return (&factor.Service{}).ReadRecovery(ctx, source, text)
}

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
	p := f.find(w.Tenant, user.Key{ID: w.User.ID})
	if code.Echo().IsZero() {
		return f.recovers(ctx, p, code), nil
	}
	for _, has := range w.Factors {
		if !has.Takes() {
			return factor.Checked{}, guard.ErrShut
		}
		switch typed := code.Echo().Reveal(); {
		case has.Method == factor.App && typed == p.used:
			return factor.Checked{Outcome: ephemeral.Used, Method: has.Method}, nil
		case has.Method == factor.App && typed == p.app:
			p.used, p.app = p.app, f.digits()
			return factor.Checked{Outcome: ephemeral.Right, Method: has.Method}, nil
		case has.Method == factor.SMS && p.text != "" && typed == p.text:
			p.text = ""
			return factor.Checked{Outcome: ephemeral.Right, Method: has.Method}, nil
		}
	}
	return factor.Checked{Outcome: ephemeral.Wrong, Method: w.Factors[0].Method}, nil
}

func (f factors) recovers(ctx context.Context, p *someone, code factor.Code) factor.Checked {
	i := slices.IndexFunc(p.papers, func(text string) bool {
		read, _ := f.ReadRecovery(ctx, netip.Addr{}, secret.New(text))
		return reflect.DeepEqual(read, code)
	})
	if i < 0 {
		return factor.Checked{Outcome: ephemeral.Wrong, Method: factor.Recovery}
	}
	p.papers = slices.Delete(slices.Clone(p.papers), i, i+1)
	p.recovery.Used, p.recovery.Obliged = p.recovery.Used<<1|1, true
	p.factors = slices.Clone(p.factors)
	for i := range p.factors {
		p.factors[i].DisabledAt, p.factors[i].DisabledBy = f.now, factor.ByRecovery
	}
	return factor.Checked{Outcome: ephemeral.Right, Method: factor.Recovery}
}

func (f factors) Challenge(_ context.Context, w factor.Whose) (factor.Issued, error) {
	if err := opens(w); err != nil {
		return factor.Issued{}, err
	}
	if w.Recovery.Obliged || w.Phone().ID == "" {
		return factor.Issued{}, factor.ErrNoPhone
	}
	f.find(w.Tenant, user.Key{ID: w.User.ID}).text = f.digits()
	return factor.Issued{Method: factor.SMS}, nil
}

// A number that gets codes.
const number = "+4915112345678"

func (f factors) Enrol(_ context.Context, w factor.Whose, e factor.Enrolment) (factor.Issued, error) {
	if err := opens(w); err != nil {
		return factor.Issued{}, err
	}
	if !w.Recovery.Obliged && len(w.Factors) > 0 {
		return factor.Issued{}, factor.ErrEnrolled
	}
	if e.Method == factor.SMS && e.Phone != number {
		return factor.Issued{}, factor.ErrNoNumber
	}
	p := f.find(w.Tenant, user.Key{ID: w.User.ID})
	p.waiting = factor.Factor{ID: id.UUID(), Tenant: w.Tenant, UserID: p.user.ID, Method: e.Method, Phone: e.Phone, CreatedAt: f.now, ExpiresAt: f.now.Add(10 * time.Minute)}
	if e.Method == factor.SMS {
		p.text = f.digits()
	}
	return factor.Issued{Method: e.Method, FactorID: p.waiting.ID, URI: secret.New("otpauth://totp/x"), Secret: secret.New("SECRET")}, nil
}

func (f factors) ConfirmEnrolment(_ context.Context, w factor.Whose, code factor.Code) (out factor.Confirmed, err error) {
	if err := opens(w); err != nil {
		return out, err
	}
	p := f.find(w.Tenant, user.Key{ID: w.User.ID})
	if w.Waiting.ID == "" || p.waiting.ID != w.Waiting.ID || !p.waiting.ExpiresAt.After(f.now) {
		return out, factor.ErrNoWaiting
	}
	right := p.app
	if p.waiting.Method == factor.SMS {
		right = p.text
	}
	out.Method = p.waiting.Method
	if out.Outcome = ephemeral.Wrong; right == "" || code.Echo().Reveal() != right {
		return out, nil
	}
	done := p.waiting
	done.ConfirmedAt, p.waiting, out.Outcome, out.EnrolledAt, p.text = f.now, factor.Factor{}, ephemeral.Right, f.now, ""
	if done.Method == factor.App {
		p.used, p.app = p.app, f.digits()
	}
	if p.recovery.ID == "" {
		out.Codes = f.mint(p)
	}
	if p.recovery.Obliged {
		p.factors = nil
	}
	p.recovery.Obliged, p.factors = false, append(slices.Clone(p.factors), done)
	return out, nil
}
