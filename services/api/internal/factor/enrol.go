package factor

import (
	"context"
	"slices"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/pkg/wording"
	"countersign.dev/services/api/internal/challenge"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/phone"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/totp"
)

// Mode is what confirming an enrolment does to what the user has.
type Mode string

// The modes.
const (
	First Mode = "first" // the user has no factor
	Add   Mode = "add"   // another device beside the others
	Renew Mode = "renew" // in place of what a recovery code has stopped; the codes that are left stay
	Reset Mode = "reset" // in place of everything, the recovery codes included
)

// waitingLife is how long an enrolment may wait for its first code.
const waitingLife = 10 * time.Minute

// MostApps bounds the apps of a user: each of them shows a guesser three more
// codes that would do.
const MostApps = 3

// What may go wrong with an enrolment, as the caller reads it.
var (
	ErrMethod   = fault.New(fault.Invalid, "invalid_parameter", "method must be totp (an authenticator app) or sms")
	ErrNoNumber = fault.New(fault.Invalid, "missing_parameter", "phone_number must be provided, since the user has none")
	ErrTooMany  = fault.Newf(fault.Conflict, "too_many_devices", "a user has at most %d authenticator apps; remove one first", MostApps)
	ErrForce    = fault.New(fault.Forbidden, "insufficient_scope", "force_enroll replaces all that a user can prove; that needs the scope factors:reset")
)

// Enrolment is what somebody wants to enrol.
type Enrolment struct {
	Method string // empty: App
	Phone  string // of SMS; empty: the user's own
	Name   string
	Force  bool
}

// Issued is a started enrolment or challenge.
type Issued struct {
	RequestID string
	FactorID  string
	IssuedAt  time.Time
	ExpiresAt time.Time
	Method    string
	Name      string
	Code      secret.Text // only with ByCaller
	ByCaller  bool
	// URI and Secret are those of an app, shown this once.
	URI    secret.Text
	Secret secret.Text
}

// Enrol starts an enrolment. One that waited for its first code before is
// dropped for it, whatever its method.
func (s *Service) Enrol(ctx context.Context, w Whose, e Enrolment) (Issued, error) {
	if err := w.open(); err != nil {
		return Issued{}, err
	}
	if e.Method == "" {
		e.Method = App
	}
	if e.Method != App && e.Method != SMS {
		return Issued{}, ErrMethod
	}
	if e.Name != "" {
		name, err := tenant.CleanName("device_name", e.Name)
		if err != nil {
			return Issued{}, err
		}
		e.Name = name
	}
	mode, err := w.mode(e)
	if err != nil {
		return Issued{}, err
	}
	now := s.Now().Truncate(time.Millisecond)
	f := Factor{
		ID: id.UUID(), Tenant: w.Tenant, UserID: w.User.ID, Method: e.Method, Name: e.Name, Mode: mode, CreatedAt: now, ExpiresAt: now.Add(waitingLife),
	}
	if e.Method == SMS {
		return s.enrolPhone(ctx, w, f, e.Phone)
	}
	return s.enrolApp(ctx, w, f)
}

// mode decides whether an enrolment may begin, and what it is.
func (w Whose) mode(e Enrolment) (Mode, error) {
	apps := 0
	for _, f := range w.Factors {
		if f.Method == App {
			apps++
		}
	}
	switch {
	case e.Force && !w.MayReset:
		return "", ErrForce
	case e.Force:
		return Reset, nil
	case w.Recovery.Obliged:
		return Renew, nil
	case len(w.Factors) == 0:
		return First, nil
	case e.Name == "", e.Method == SMS && w.Phone().ID != "", !slices.ContainsFunc(w.Factors, Factor.Takes):
		return "", ErrEnrolled // what wrong codes have shut is not opened by another device
	case e.Method == App && apps >= MostApps:
		return "", ErrTooMany
	}
	return Add, nil
}

// enrolApp makes a secret and shows it, this once.
func (s *Service) enrolApp(ctx context.Context, w Whose, f Factor) (Issued, error) {
	f.Key = totp.NewKey(w.Connection.App)
	if err := s.Store.PutWaiting(ctx, f, s.toldStarted(w, f)); err != nil {
		return Issued{}, err
	}
	s.Notices.Relay.Wake()
	return Issued{
		RequestID: id.Request("totp-enrollment"), FactorID: f.ID, IssuedAt: f.CreatedAt, ExpiresAt: f.ExpiresAt, Method: App, Name: f.Name,
		URI: f.Key.URI(w.issuer(), w.User.Email.Written), Secret: f.Key.Secret,
	}, nil
}

// issuer is what an app shows as whose codes these are.
func (w Whose) issuer() string {
	if w.Connection.Issuer != "" {
		return w.Connection.Issuer
	}
	return w.Org.Name
}

// enrolPhone sends a code to the number given, else to the user's.
func (s *Service) enrolPhone(ctx context.Context, w Whose, f Factor, number string) (Issued, error) {
	var err error
	if f.Phone, err = target(w, number); err != nil {
		return Issued{}, err
	}
	if err := mayReceive(w, f.Phone); err != nil {
		return Issued{}, err
	}
	issued, err := s.issue(ctx, w, "totp-enrollment", purposeEnroll, f)
	if err != nil {
		return Issued{}, err
	}
	if err := s.Store.PutWaiting(ctx, f, s.toldStarted(w, f)); err != nil {
		return Issued{}, err
	}
	s.Notices.Relay.Wake()
	return issued, nil
}

// target is the number given, else the user's.
func target(w Whose, number string) (string, error) {
	switch {
	case number != "":
		return phone.Parse(number)
	case w.User.Phone != "":
		return w.User.Phone, nil
	default:
		return "", ErrNoNumber
	}
}

// Challenge sends a code to the enrolled phone.
func (s *Service) Challenge(ctx context.Context, w Whose) (Issued, error) {
	if err := w.enrolled(); err != nil {
		return Issued{}, err
	}
	f := w.Phone()
	if f.ID == "" {
		return Issued{}, ErrNoPhone
	}
	if err := shut(f); err != nil {
		return Issued{}, err
	}
	if err := mayReceive(w, f.Phone); err != nil {
		return Issued{}, err
	}
	return s.issue(ctx, w, "totp-challenge", purposeLogin, f)
}

func (s *Service) issue(ctx context.Context, w Whose, kind, purpose string, f Factor) (Issued, error) {
	byCaller := w.Connection.Delivery == tenant.DeliverCaller && !w.Page
	if byCaller && !w.MaySeeCodes {
		return Issued{}, fault.New(fault.Forbidden, "insufficient_scope", "the connection says delivery=caller, so the answer would hold the code; that needs the scope codes:read")
	}
	own, err := s.Notices.Own(ctx, w.Tenant, w.Org, wording.KindSMS)
	if err != nil {
		return Issued{}, err
	}
	issued, err := s.Challenges.Issue(ctx, challenge.Request{
		Kind: kind, Subject: w.subject(), Purpose: purpose, Factor: f.ID, To: f.Phone, Prefix: phone.Prefix(f.Phone), Source: w.Source,
		Brand: w.Org.Name, Locale: locale(w), Words: own.In(locale(w), w.Org.Locale), ByCaller: byCaller,
		Limits: challenge.Limits{OrgPerHour: w.Connection.SMSPerHour, OrgPerDay: w.Connection.SMSPerDay}, TraceID: w.By.TraceID,
	})
	return Issued{
		RequestID: issued.RequestID, FactorID: f.ID, IssuedAt: issued.IssuedAt, ExpiresAt: issued.ExpiresAt, Method: SMS, Name: f.Name, Code: issued.Code, ByCaller: byCaller,
	}, err
}

// mayReceive applies the country list. The sandbox reaches no phone, so it
// takes all countries; in production an empty list takes none.
func mayReceive(w Whose, to string) error {
	if w.Tenant.Env == tenant.Sandbox {
		return phone.CheckSMS(to, nil)
	}
	return phone.CheckSMS(to, append([]string{}, w.Connection.Countries...))
}

func locale(w Whose) string {
	if w.User.Profile.Locale != nil {
		return *w.User.Profile.Locale
	}
	return w.Org.Locale
}

// toldStarted is the record of an enrolment that waits for its first code.
func (s *Service) toldStarted(w Whose, f Factor) []outbox.Entry {
	return []outbox.Entry{s.happened(w, event.TypeEnrolmentStarted, map[string]string{"method": f.Method, "mode": string(f.Mode), "factor": f.ID})}
}
