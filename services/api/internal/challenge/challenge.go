// Package challenge owns codes: it makes one, has it sent, and checks it once.
//
// request -> CHALLENGE -> event -> worker -> provider
//
// It is called by the factor rules, which know whose factor it is and what
// the code is for. It hands an event to the bus and hears no more of it: the
// delivery rules record how it ended.
//
// Order of an issue: one SQL transaction reserves the send budgets and writes
// the delivery as pending; then the code and the claim go into the ephemeral
// store; then the event is published and acknowledged; then the caller is
// answered. Whatever fails takes back what stood before it.
package challenge

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"net/netip"
	"regexp"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/tenant"
)

// Policy of codes. Its hard limits are checked by Validate.
type Policy struct {
	Life  time.Duration // how long a code is good
	Tries int           // guesses per code
}

// DefaultPolicy is 5 minutes and 5 tries (security.md part 7).
func DefaultPolicy() Policy { return Policy{Life: 5 * time.Minute, Tries: 5} }

// Validate refuses limits that are off or too wide.
func (p Policy) Validate() error {
	if p.Life < 30*time.Second || p.Life > 10*time.Minute {
		return fmt.Errorf("COUNTERSIGN_SMS_CODE_LIFE (R-016): must be between 30s and 10m")
	}
	if p.Tries < 1 || p.Tries > 10 {
		return fmt.Errorf("COUNTERSIGN_SMS_CODE_TRIES (R-016): must be between 1 and 10, limits cannot be switched off")
	}
	return nil
}

// Store keeps what must last of a challenge.
type Store interface {
	Sends
	Numbers
}

// Sends keeps the budgets of sending.
type Sends interface {
	// Reserve takes the send from every budget and writes the delivery, in
	// one transaction: all or nothing. A spent budget is a fault of kind
	// Limited that says when to return.
	Reserve(ctx context.Context, s Send, d delivery.Delivery) error
	// Unreserve gives the send back and ends the delivery as failed, since
	// it never left the house.
	Unreserve(ctx context.Context, s Send, deliveryID, reason string) error
	// Stop writes down that a send was refused, and reports whether the
	// alarm about it is due.
	Stop(ctx context.Context, s Stop) (alarm bool, err error)
}

// Numbers keeps what is known of numbers.
type Numbers interface {
	// Answered ends the resend gap of a number: its person is there. It
	// returns when a provider took the delivery that was answered; the zero
	// time while none is known to have, and for one that is gone.
	Answered(ctx context.Context, number []byte, t tenant.ID, deliveryID string) (sentAt time.Time, err error)
	// Known reports whether a code that was sent to the number has been
	// answered since then.
	Known(ctx context.Context, number []byte, since time.Time) (bool, error)
	// Verified makes a number known. If it was not known since then, its
	// prefix is credited with an answer; it reports whether that opened it.
	Verified(ctx context.Context, number []byte, prefix string, since, now time.Time) (opened bool, err error)
}

// Codes holds live codes.
type Codes interface {
	Arm(ctx context.Context, key string, code ephemeral.Code, ttl time.Duration) (*ephemeral.Code, error)
	Disarm(ctx context.Context, key, id string) (bool, error)
}

// Claims tell workers whether sending still makes sense.
type Claims interface {
	Open(ctx context.Context, deliveryID string, until time.Time) error
	Withdraw(ctx context.Context, deliveryID string) (bool, error)
}

// Publisher puts the event on the bus. It returns only after the bus has it,
// or a fault of kind Unavailable.
type Publisher interface {
	Request(ctx context.Context, r event.Requested) error
}

// Sealer seals the content for the worker.
type Sealer interface {
	Seal(purpose, aad string, plain []byte) ([]byte, error)
}

// Index makes keyed digests.
type Index interface {
	Sum(purpose string, parts ...string) []byte
}

// Service is the rules of challenges.
type Service struct {
	Store     Store
	Codes     Codes
	Claims    Claims
	Publisher Publisher
	Guard     *guard.Guard
	Keys      Sealer
	Index     Index
	Policy    Policy
	Bounds    Bounds // zero fields mean the defaults
	Host      string // of the login page, for the last line of the text
	Now       func() time.Time
	Log       *slog.Logger
	// Stopped hears of every send that a limit refused, by the code of its
	// fault, and Alarm of what an operator should look at. Nil hears nothing.
	Stopped func(env, code string)
	Alarm   func(a Alarm)
}

// Request asks for a code.
type Request struct {
	Kind    string // totp-challenge or totp-enrollment: the prefix of its public id
	Subject guard.Subject
	// Purpose separates codes of one user: the code of one purpose is
	// nothing to another. One code per purpose is live.
	Purpose string
	// Factor is the id of the factor the code proves. A code sent to one
	// phone says nothing about the phone that has replaced it since.
	Factor string
	To     string // E.164
	Prefix string // the first digits of To, by which answers are watched
	// Source is where the person asked from; invalid when nobody knows.
	Source netip.Addr
	Brand  string
	Locale string
	// Words are the organization's own, nil for ours.
	Words *event.Words
	// ByCaller hands the code to the caller instead of sending it.
	ByCaller bool
	Limits   Limits
	TraceID  string
}

// Challenge is an issued code.
type Challenge struct {
	RequestID string
	Code      secret.Text // only with ByCaller
	IssuedAt  time.Time
	ExpiresAt time.Time
}

// Issue makes a code and has it sent. It returns faults of kind Limited when
// a budget is spent and Unavailable when a part is down; then nothing is sent
// later either.
func (s *Service) Issue(ctx context.Context, r Request) (Challenge, error) {
	code, err := NewCode()
	if err != nil {
		return Challenge{}, err
	}
	now := s.Now().Truncate(time.Millisecond) // as it is stored, so that every answer shows the same time
	c := Challenge{RequestID: id.Request(r.Kind), IssuedAt: now, ExpiresAt: now.Add(s.Policy.Life)}
	if r.ByCaller {
		c.Code = code
		return c, s.arm(ctx, r, c, code, "")
	}
	return c, s.send(ctx, r, c, code)
}

func (s *Service) send(ctx context.Context, r Request, c Challenge, code secret.Text) error {
	deliveryID := id.Request("delivery")
	requested, err := s.seal(r, c, code, deliveryID)
	if err != nil {
		return err
	}
	send, err := s.reserve(ctx, r, delivery.Delivery{
		ID: deliveryID, Tenant: r.Subject.Tenant, UserID: r.Subject.UserID, RequestID: c.RequestID, TraceID: r.TraceID,
		Channel: event.ChannelSMS, To: secret.MaskPhone(r.To), State: delivery.Pending,
		ExpiresAt: c.ExpiresAt, CreatedAt: c.IssuedAt, UpdatedAt: c.IssuedAt,
	})
	if err != nil {
		return err
	}
	if err := s.offer(ctx, r, c, code, requested); err != nil {
		s.Log.WarnContext(ctx, "challenge not published", "delivery_id", deliveryID, "error", err)
		s.takeBack(ctx, r, c, send, deliveryID)
		return err
	}
	return nil
}

// offer makes the code live and publishes the event. The claim is opened
// before the code is armed, so that a parallel challenge that replaces this
// code finds the claim to withdraw.
func (s *Service) offer(ctx context.Context, r Request, c Challenge, code secret.Text, requested event.Requested) error {
	if err := s.Claims.Open(ctx, requested.DeliveryID, c.ExpiresAt); err != nil {
		return err
	}
	if err := s.arm(ctx, r, c, code, requested.DeliveryID); err != nil {
		return err
	}
	return s.Publisher.Request(ctx, requested)
}

// arm makes the code live in place of the one before, whose message, if it
// still waits, is not sent any more.
func (s *Service) arm(ctx context.Context, r Request, c Challenge, code secret.Text, deliveryID string) error {
	replaced, err := s.Codes.Arm(ctx, s.key(r.Subject, r.Purpose), ephemeral.Code{
		ID: c.RequestID, Ref: deliveryID, Digest: s.digest(r.Subject, r.Purpose, r.Factor, code), Tries: s.Policy.Tries,
		IssuedAt: c.IssuedAt, ExpiresAt: c.ExpiresAt,
	}, s.Policy.Life+time.Minute)
	if err != nil || replaced == nil || replaced.Ref == "" {
		return err
	}
	_, err = s.Claims.Withdraw(ctx, replaced.Ref)
	return err
}

// takeBack undoes an issue that was not published, whatever of it was done:
// the answer of a step that failed may just have been lost. The request's own
// context may be over already, so it runs on one of its own. Should the claim
// stay open although the event has reached the bus, the message is sent after
// all; its code is then not live, and its delivery still says what became of
// it.
func (s *Service) takeBack(ctx context.Context, r Request, c Challenge, send Send, deliveryID string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if _, err := s.Claims.Withdraw(ctx, deliveryID); err != nil {
		s.Log.ErrorContext(ctx, "claim not withdrawn", "delivery_id", deliveryID, "error", err)
	}
	if _, err := s.Codes.Disarm(ctx, s.key(r.Subject, r.Purpose), c.RequestID); err != nil {
		s.Log.ErrorContext(ctx, "code not disarmed", "delivery_id", deliveryID, "error", err)
	}
	if err := s.Store.Unreserve(ctx, send, deliveryID, "not_published"); err != nil {
		s.Log.ErrorContext(ctx, "send not taken back", "delivery_id", deliveryID, "error", err)
	}
}

func (s *Service) seal(r Request, c Challenge, code secret.Text, deliveryID string) (event.Requested, error) {
	content, err := json.Marshal(event.SMS{To: r.To, Code: code.Reveal(), Brand: r.Brand, Host: s.Host, Locale: r.Locale, Words: r.Words})
	if err != nil {
		return event.Requested{}, fmt.Errorf("encode content: %w", err)
	}
	sealed, err := s.Keys.Seal(event.SealContent, deliveryID, content)
	if err != nil {
		return event.Requested{}, fmt.Errorf("seal content: %w", err)
	}
	return event.Requested{
		DeliveryID: deliveryID, N: 1, RequestID: c.RequestID, TraceID: r.TraceID, Channel: event.ChannelSMS,
		Env: r.Subject.Tenant.Env, OrgID: r.Subject.Tenant.Org,
		CreatedAt: c.IssuedAt.UnixMilli(), ExpiresAt: c.ExpiresAt.UnixMilli(), Sealed: sealed,
	}, nil
}

// key keeps all codes of a user in one slot of the store.
func (s *Service) key(subject guard.Subject, purpose string) string {
	t := subject.Tenant
	return fmt.Sprintf("code:{%s|%s|%s}:%s", t.Org, t.Env, subject.UserID, purpose)
}

// digest is bound to tenant, user, purpose and factor: without the key a code
// of six digits would be found in a dump by trying all million.
func (s *Service) digest(subject guard.Subject, purpose, factor string, code secret.Text) []byte {
	t := subject.Tenant
	return s.Index.Sum("challenge.code", t.Org, t.Env, subject.UserID, purpose, factor, code.Reveal())
}

// number is the digest by which all sends to a number are counted, whoever
// asks. The environments count apart: the sandbox sends nothing.
func (s *Service) number(env, to string) []byte { return s.Index.Sum("sms.number", env, to) }

var million = big.NewInt(1_000_000)

// NewCode returns six uniform digits. Leading zeros belong to it.
func NewCode() (secret.Text, error) {
	n, err := rand.Int(rand.Reader, million)
	if err != nil {
		return secret.Text{}, fmt.Errorf("draw code: %w", err)
	}
	return secret.New(fmt.Sprintf("%06d", n)), nil
}

var codePattern = regexp.MustCompile(`^[0-9]{6}$`)

// IsCode reports whether text is six ASCII digits and nothing else.
func IsCode(text string) bool { return codePattern.MatchString(text) }

// hexKey is how a digest stands in a budget's key.
func hexKey(digest []byte) string { return hex.EncodeToString(digest[:16]) }
