package password

import (
	"context"
	"errors"
	"strconv"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/outbox"
)

// Life is how long passwords are good. The zero Life is for ever, as it should
// be (see NoExpiry).
type Life struct {
	// TTL is how old a password may be for a login; zero is any age.
	TTL time.Duration
	// Grace is for how long after that its owner can still set another one by
	// proving it. After it a link alone does; zero is no end.
	Grace time.Duration
	// History is how many passwords before the present one may not come back.
	History int
}

// NoExpiry are the rules that a TTL breaks, as the warning and the record of
// it name them.
const NoExpiry = "NIST SP 800-63B-4 3.1.1.2, OWASP ASVS 6.2.10"

// Warnings are what a caller should know about the life it has asked for.
func (l Life) Warnings() []string {
	if l.TTL == 0 {
		return []string{}
	}
	return []string{"time_to_live makes users change passwords that nobody knows to be compromised. " + NoExpiry +
		" say not to: who must change a password at a date chooses a weaker one. Passwords older than this have expired at once."}
}

const (
	shortestTTL = 24 * time.Hour
	longestLife = 10 * 365 * 24 * time.Hour
	// Each former password costs an evaluation of Argon2 when a new one is set.
	deepestHistory = 10
)

// LifeChange is what a caller says about it; nil leaves it.
type LifeChange struct {
	TTL, Grace *time.Duration
	History    *int
}

func (in LifeChange) apply(l *Life) error {
	switch {
	case in.TTL != nil && *in.TTL != 0 && (*in.TTL < shortestTTL || *in.TTL > longestLife):
		return fault.New(fault.Invalid, "invalid_parameter", "time_to_live must be 0 (passwords do not expire) or between one day (86400) and ten years")
	case in.Grace != nil && (*in.Grace < 0 || *in.Grace > longestLife):
		return fault.New(fault.Invalid, "invalid_parameter", "grace_period must be 0 (no end) or ten years of seconds at most")
	case in.History != nil && (*in.History < 0 || *in.History > deepestHistory):
		return fault.Newf(fault.Invalid, "invalid_parameter", "history_depth must be between 0 and %d", deepestHistory)
	}
	set(&l.TTL, in.TTL)
	set(&l.Grace, in.Grace)
	set(&l.History, in.History)
	return nil
}

// Ends returns when a password expires and when it cannot even be renewed; the
// zero time is never.
func (l Life) Ends(p Password) (expires, lapses time.Time) {
	if l.TTL == 0 {
		return time.Time{}, time.Time{}
	}
	expires = p.ChangedAt.Add(l.TTL)
	if l.Grace > 0 {
		lapses = expires.Add(l.Grace)
	}
	return expires, lapses
}

// news is what is recorded of another life than before: whether passwords
// expire is somebody's decision against the rules.
func (s *Connections) news(before Life, c Connection, by activity.By) []outbox.Entry {
	if before.TTL == c.Life.TTL {
		return nil
	}
	r := activity.Record{Tenant: c.Tenant, Action: event.TypePasswordsForever, By: by}
	if c.Life.TTL > 0 {
		r.Action = event.TypePasswordsExpire
		r.Data = map[string]string{"against": NoExpiry, "time_to_live": strconv.FormatInt(int64(c.Life.TTL/time.Second), 10)}
	}
	return []outbox.Entry{s.Outbox.Event(r)}
}

// logged warns of it beside the record, once it is stored.
func (s *Connections) logged(ctx context.Context, before Life, c Connection) {
	if before.TTL == c.Life.TTL {
		return
	}
	s.Relay.Wake()
	if c.Life.TTL > 0 {
		s.Log.WarnContext(ctx, "passwords expire from now on, against "+NoExpiry, "org_id", c.Tenant.Org, "env", c.Tenant.Env, "time_to_live", c.Life.TTL)
	}
}

// ErrReused refuses a former password.
var ErrReused = fault.New(fault.Invalid, "password_reused", "this was one of your passwords before; choose another one")

// differs refuses the password that the user has already, and those
// before it that the connection remembers. Each comparison takes a turn of its
// own, so that others come in between.
func (s *Service) differs(ctx context.Context, code link.Code, plain secret.Text, depth int) error {
	if code.UserID == "" {
		return nil
	}
	old, err := s.Store.Password(ctx, code.Tenant, code.UserID)
	if err != nil || old.Number == 0 {
		return err
	}
	if err := s.unlike(ctx, code.Tenant.Org, plain, old.Hash, ErrSame); err != nil || depth == 0 {
		return err
	}
	former, err := s.Store.FormerHashes(ctx, code.Tenant, code.UserID, depth)
	if err != nil {
		return err
	}
	for _, hash := range former {
		if err := s.unlike(ctx, code.Tenant.Org, plain, hash, ErrReused); err != nil {
			return err
		}
	}
	return nil
}

// unlike returns refusal when a password is the one of a hash. One whose
// pepper the configuration has no more is like nothing: nobody can log in with
// it either, and its owner must be able to set another.
func (s *Service) unlike(ctx context.Context, org string, plain secret.Text, hash string, refusal error) error {
	same, err := s.Guard.SamePassword(ctx, org, plain, hash)
	switch {
	case errors.Is(err, errNoPepper):
		return nil
	case err == nil && same:
		return refusal
	}
	return err
}
