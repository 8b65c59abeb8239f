// Package factor owns second factors: who has which, how one is enrolled, and
// what a challenge of it asks and accepts. So far the factor is a phone that
// receives text messages.
//
// It is called by the edges and hands the codes to the challenge rules. An
// enrolled factor stays in force until the new one is confirmed.
package factor

import (
	"context"
	"net/netip"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/challenge"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/notice"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/phone"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// SMS is a phone that receives codes.
type SMS struct {
	ID          string
	Tenant      tenant.ID
	UserID      string
	Phone       string // E.164; sealed at rest
	CreatedAt   time.Time
	ExpiresAt   time.Time // of a pending one
	ConfirmedAt time.Time // zero while it is pending
}

// pendingLife is how long an enrolment may wait for its first code.
const pendingLife = 10 * time.Minute

// What may go wrong, as the caller reads it.
var (
	ErrInactive    = fault.New(fault.NotFound, "not_found", "the TOTP connection of this organization is not active; activate it with PUT totp-connection active=true")
	ErrNotEnrolled = fault.New(fault.NotFound, "not_found", "the user has no second factor; enrol the user first")
	ErrNoPending   = fault.New(fault.NotFound, "not_found", "no enrolment is waiting for a code; start one first")
	ErrEnrolled    = fault.New(fault.Conflict, "already_enrolled", "the user has a second factor already; use force_enroll=true to replace it")
	ErrNoPhone     = fault.New(fault.Invalid, "missing_parameter", "phone_number must be provided, since the user has none")
	ErrMethod      = fault.New(fault.Invalid, "invalid_parameter", "method must be sms")
)

// Standing is what every call about a user's second factor begins with. It is
// read at every call, so that a change of any of it counts at the next one.
type Standing struct {
	User       user.User
	Connection tenant.Connection
	SMS        SMS // the confirmed factor; its ID is empty when there is none
}

// Store keeps factors.
type Store interface {
	// Standing reads a user with policy and factor in one statement. It
	// returns user.ErrNotFound for others' users too.
	Standing(ctx context.Context, t tenant.ID, key user.Key) (Standing, error)
	// PendingSMS returns the one that waits for its code, or ErrNoPending;
	// one that expired before now is none.
	PendingSMS(ctx context.Context, t tenant.ID, userID string, now time.Time) (SMS, error)
	// PutPendingSMS stores f as the user's only pending factor.
	PutPendingSMS(ctx context.Context, f SMS) error
	// ConfirmSMS makes the pending factor the confirmed one, in place of the
	// one before, and marks the user's number as verified when it is the
	// same, in one transaction. ErrNoPending when it is pending no more:
	// exactly one of many parallel calls succeeds. The entries are written
	// with it.
	ConfirmSMS(ctx context.Context, f SMS, told []outbox.Entry, now time.Time) error
}

// Service is the rules of SMS factors.
type Service struct {
	Store      Store
	Challenges *challenge.Service
	Notices    *notice.Service
	Now        func() time.Time
}

// Whose is the user a call is about, with what a text to this user needs.
type Whose struct {
	Tenant tenant.ID
	Org    tenant.Organization
	Standing
	// MaySeeCodes says that the caller carries the scope codes:read.
	MaySeeCodes bool
	// Source is the person's address, where the caller tells it.
	Source  netip.Addr
	TraceID string
}

func (w Whose) subject() guard.Subject {
	return guard.Subject{Tenant: w.Tenant, UserID: w.User.ID, Class: guard.SecondFactor}
}

// Find reads a user by id or by e-mail address, as calls about factors need it.
func (s *Service) Find(ctx context.Context, t tenant.ID, text string) (Standing, error) {
	key, err := user.ParseKey(text)
	if err != nil {
		return Standing{}, err
	}
	return s.Store.Standing(ctx, t, key)
}

// Purposes of codes.
const (
	purposeLogin  = "login"
	purposeEnroll = "enroll"
)

// Issued is a started enrolment or challenge.
type Issued struct {
	challenge.Challenge
	ByCaller bool
}

// Enrol starts the enrolment of a phone: the number given, else the user's.
func (s *Service) Enrol(ctx context.Context, w Whose, number string, force bool) (Issued, error) {
	if err := w.open(); err != nil {
		return Issued{}, err
	}
	if !force && w.SMS.ID != "" {
		return Issued{}, ErrEnrolled
	}
	to, err := s.target(w, number)
	if err != nil {
		return Issued{}, err
	}
	if err := mayReceive(w, to); err != nil {
		return Issued{}, err
	}
	now := s.Now()
	pending := SMS{ID: id.UUID(), Tenant: w.Tenant, UserID: w.User.ID, Phone: to, CreatedAt: now, ExpiresAt: now.Add(pendingLife)}
	issued, err := s.issue(ctx, w, "totp-enrollment", purposeEnroll, pending)
	if err != nil {
		return Issued{}, err
	}
	return issued, s.Store.PutPendingSMS(ctx, pending)
}

// target is the number given, else the user's.
func (s *Service) target(w Whose, number string) (string, error) {
	switch {
	case number != "":
		return phone.Parse(number)
	case w.User.Phone != "":
		return w.User.Phone, nil
	default:
		return "", ErrNoPhone
	}
}

// Confirmed is the answer to an enrolment's first code.
type Confirmed struct {
	challenge.Result
	EnrolledAt time.Time // set when OK
}

// ConfirmEnrolment checks the code that Enrol sent.
func (s *Service) ConfirmEnrolment(ctx context.Context, w Whose, code Code) (Confirmed, error) {
	if err := w.open(); err != nil {
		return Confirmed{}, err
	}
	pending, err := s.Store.PendingSMS(ctx, w.Tenant, w.User.ID, s.Now())
	if err != nil {
		return Confirmed{}, err
	}
	result, err := s.Challenges.Check(ctx, challenge.Answer{
		Subject: w.subject(), Purpose: purposeEnroll, Factor: pending.ID, To: pending.Phone, Prefix: phone.Prefix(pending.Phone), Code: code.text,
	})
	if err != nil || !result.OK() {
		return Confirmed{Result: result}, err
	}
	told, err := s.told(w)
	if err != nil {
		return Confirmed{}, err
	}
	now := s.Now()
	if err := s.Store.ConfirmSMS(ctx, pending, told, now); err != nil {
		return Confirmed{}, err
	}
	s.Notices.Relay.Wake()
	return Confirmed{Result: result, EnrolledAt: now}, nil
}

// told is the news of a new factor.
func (s *Service) told(w Whose) ([]outbox.Entry, error) {
	mail, err := s.Notices.Entry(notice.About{Org: w.Org, User: w.User, TraceID: w.TraceID}, event.TemplateNoticeFactorChanged, "sms")
	happened := s.Notices.Outbox.Event(w.Tenant, w.User.ID, event.TypeFactorEnrolled, map[string]string{"method": "sms"})
	return []outbox.Entry{happened, mail}, err
}

// Challenge sends a code to the enrolled phone.
func (s *Service) Challenge(ctx context.Context, w Whose) (Issued, error) {
	if err := w.enrolled(); err != nil {
		return Issued{}, err
	}
	if err := mayReceive(w, w.SMS.Phone); err != nil {
		return Issued{}, err
	}
	return s.issue(ctx, w, "totp-challenge", purposeLogin, w.SMS)
}

// Validate checks a code of the enrolled phone. Only a code that Challenge
// sent works; it works once.
func (s *Service) Validate(ctx context.Context, w Whose, code Code) (challenge.Result, error) {
	if err := w.enrolled(); err != nil {
		return challenge.Result{}, err
	}
	return s.Challenges.Check(ctx, challenge.Answer{
		Subject: w.subject(), Purpose: purposeLogin, Factor: w.SMS.ID, To: w.SMS.Phone, Prefix: phone.Prefix(w.SMS.Phone), Code: code.text,
	})
}

// open checks what every call about factors needs: an active connection and
// an active user.
func (w Whose) open() error {
	if !w.Connection.Active {
		return ErrInactive
	}
	if !w.User.Active {
		return user.ErrInactive
	}
	return nil
}

// enrolled is open for calls that need a confirmed factor.
func (w Whose) enrolled() error {
	if err := w.open(); err != nil {
		return err
	}
	if w.SMS.ID == "" {
		return ErrNotEnrolled
	}
	return nil
}

func (s *Service) issue(ctx context.Context, w Whose, kind, purpose string, f SMS) (Issued, error) {
	byCaller := w.Connection.Delivery == tenant.DeliverCaller
	if byCaller && !w.MaySeeCodes {
		return Issued{}, fault.New(fault.Forbidden, "insufficient_scope", "the connection says delivery=caller, so the answer would hold the code; that needs the scope codes:read")
	}
	issued, err := s.Challenges.Issue(ctx, challenge.Request{
		Kind: kind, Subject: w.subject(), Purpose: purpose, Factor: f.ID, To: f.Phone, Prefix: phone.Prefix(f.Phone), Source: w.Source,
		Brand: w.Org.Name, Locale: locale(w), ByCaller: byCaller,
		Limits: challenge.Limits{OrgPerHour: w.Connection.SMSPerHour, OrgPerDay: w.Connection.SMSPerDay}, TraceID: w.TraceID,
	})
	return Issued{Challenge: issued, ByCaller: byCaller}, err
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
