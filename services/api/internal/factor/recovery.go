package factor

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/tenant"
)

// Recovery codes, as the contract has them.
const (
	setSize = 5
	// RecoveryGap is how long a user must wait after using one.
	RecoveryGap = 24 * time.Hour
)

// ErrWait answers for a second recovery code within a day. Nothing was
// compared.
var ErrWait = fault.New(fault.Limited, "recovery_code_wait", "one recovery code works in 24 hours; wait, or have the user enrolled anew with force_enroll")

// Set is the recovery codes of a user.
type Set struct {
	ID       string // empty: there is none
	Made     string // how they were hashed
	Tags     [][]byte
	Used     int64 // a bit for each
	Obliged  bool  // one was used, and no factor was enrolled since
	Renewals int   // enrolments that used codes have led to
	// LastUsedAt is the user's, whatever set the code was of.
	LastUsedAt time.Time
	CreatedAt  time.Time
}

// IsUsed reports whether a code of the set is used up.
func (s Set) IsUsed(i int) bool { return s.Used&(1<<i) != 0 }

// Left is how many codes are not used.
func (s Set) Left() (n int) {
	for i := range s.Tags {
		if !s.IsUsed(i) {
			n++
		}
	}
	return n
}

// Next is when the next code may be used; a time that has passed for now.
func (s Set) Next() time.Time {
	if s.LastUsedAt.IsZero() {
		return time.Time{}
	}
	return s.LastUsedAt.Add(RecoveryGap)
}

// Use is a recovery code that was right.
type Use struct {
	Tenant tenant.ID
	UserID string
	Set    string
	Bit    int64
	At     time.Time
}

// mint makes the five codes of a user, and hashes them in the turn of the
// caller.
func (s *Service) mint(now time.Time) (Set, []RecoveryCode, error) {
	codes := make([]RecoveryCode, setSize)
	for i := range codes {
		codes[i] = NewRecoveryCode()
	}
	made, tags, err := s.Hasher.HashSet(codes)
	return Set{ID: id.UUID(), Made: made, Tags: tags, CreatedAt: now}, codes, err
}

// NewRecoveryCode draws 80 bits.
func NewRecoveryCode() RecoveryCode {
	var raw [codeLength]byte
	_, _ = rand.Read(raw[:]) // never fails since Go 1.24
	for i, b := range raw {
		raw[i] = crockford[b%32]
	}
	return RecoveryCode{secret.New(string(raw[:]))}
}

// Lines are recovery codes as they are shown, once: a line each.
func Lines(codes []RecoveryCode) string {
	lines := make([]string, len(codes))
	for i, code := range codes {
		lines[i] = code.Written()
	}
	return strings.Join(lines, "\n")
}

// tryRecovery checks a recovery code. A right one stops the user's factors and
// leaves nothing open but an enrolment.
func (s *Service) tryRecovery(ctx context.Context, w Whose, code RecoveryCode) (Checked, error) {
	now := s.Now()
	if err := s.mayRecover(ctx, w, now); err != nil {
		return Checked{}, err
	}
	set := guard.Set{Made: w.Recovery.Made, Tags: w.Recovery.Tags, Used: w.Recovery.IsUsed}
	verdict, err := s.Guard.Recovery(ctx, w.try(purposeLogin), code.text, set, func(ctx context.Context, i int) (bool, error) {
		told, err := s.toldRecovered(ctx, w)
		if err != nil {
			return false, err
		}
		return s.Store.UseRecoveryCode(ctx, Use{Tenant: w.Tenant, UserID: w.User.ID, Set: w.Recovery.ID, Bit: 1 << i, At: now}, told)
	})
	if err != nil {
		return Checked{}, err
	}
	if verdict.Outcome == ephemeral.Right {
		s.Notices.Relay.Wake()
		// The database has the day already: a gate that stays open opens nothing.
		end := strconv.FormatInt(now.Add(RecoveryGap).UnixMilli(), 10)
		_ = s.Gate.Put(context.WithoutCancel(ctx), gate(w), []byte(end), RecoveryGap)
	}
	return Checked{Outcome: verdict.Outcome, Method: Recovery, InARow: verdict.InARow}, s.last(ctx, w, verdict)
}

// mayRecover refuses a second code within a day before anything is hashed. The
// front gate is asked first; the database is asked too, since the gate may have
// been flushed, and decides again when the code is used.
func (s *Service) mayRecover(ctx context.Context, w Whose, now time.Time) error {
	shut, err := s.Gate.Get(ctx, gate(w))
	if err != nil {
		return err
	}
	next := w.Recovery.Next()
	if until, err := strconv.ParseInt(string(shut), 10, 64); err == nil && until > next.UnixMilli() {
		next = time.UnixMilli(until)
	}
	if rest := next.Sub(now); rest > 0 {
		return ErrWait.RetryIn(rest)
	}
	return nil
}

func gate(w Whose) string {
	return fmt.Sprintf("recovery:{%s|%s|%s}", w.Tenant.Org, w.Tenant.Env, w.User.ID)
}

func (s *Service) toldRecovered(ctx context.Context, w Whose) ([]outbox.Entry, error) {
	mail, err := s.mail(ctx, w, event.TemplateNoticeRecoveryCodeUsed, "")
	return []outbox.Entry{s.happened(w, event.TypeRecoveryCodeUsed, nil), mail}, err
}
