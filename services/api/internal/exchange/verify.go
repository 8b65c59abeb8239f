package exchange

import (
	"context"
	"errors"
	"slices"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/id"
)

// grace is how long an id that was just used may be shown again without harm:
// a page that sends twice is no thief. It is refused all the same.
const grace = 10 * time.Second

// errUsed marks what has ended by the time that it is changed.
var errUsed = errors.New("the exchange id has ended")

// attempted finds what an exchange id stands for. One that is shown beside
// something it does not belong to, or long after its use, ends its login.
func (s *Service) attempted(ctx context.Context, v Verification, of ...purpose) (held[attempt], error) {
	h, ok, err := find[attempt](ctx, s, keptAttempt, v.ExchangeID)
	if err != nil {
		return h, err
	}
	if !ok {
		return h, orElse(s.astray(ctx, v.ExchangeID), ErrExchange)
	}
	now := s.Now()
	switch a := h.is; {
	case a.Stage == used && now.Sub(a.UsedAt) <= grace:
		return h, ErrExchange
	case a.Stage != started, !fits(a, v, of):
		return h, orElse(s.kill(ctx, h), ErrExchange)
	case !now.Before(a.ExpiresAt):
		return h, ErrExpired
	}
	return h, nil
}

func fits(a attempt, v Verification, of []purpose) bool {
	return slices.Contains(of, a.Purpose) && a.Method == v.Method && (v.Sub == "" || v.Sub == a.Sub) &&
		(v.RequestID.IsZero() || keyOf(keptRequest, v.RequestID) == a.Request)
}

// kill ends the login that an attempt is of, and the attempt.
func (s *Service) kill(ctx context.Context, h held[attempt]) error {
	return s.drop(ctx, h.is.Track, h.is.Status, h.is.Next, h.key)
}

// count takes a try of an exchange id, before anything is compared. After the
// last one there is none left; what was counted before it still counts, so that
// a right proof is not lost to wrong ones beside it.
func (s *Service) count(ctx context.Context, h *held[attempt]) error {
	gone, err := change(ctx, s, h, Life+remembered, func(a *attempt) error {
		if a.Stage != started || a.Tries >= tries {
			return errUsed
		}
		a.Tries++
		return nil
	})
	if gone || errors.Is(err, errUsed) {
		return ErrExchange
	}
	return err
}

// giveBack returns a try for which nothing was compared, and why.
func (s *Service) giveBack(ctx context.Context, h held[attempt], why error) error {
	_, err := change(context.WithoutCancel(ctx), s, &h, Life+remembered, func(a *attempt) error {
		if a.Stage != started || a.Tries == 0 {
			return errUsed
		}
		a.Tries--
		return nil
	})
	if err != nil && !errors.Is(err, errUsed) {
		s.Log.WarnContext(ctx, "try not given back", "error", err)
	}
	return why
}

// pass moves a login on to its next stage: the exchange id is used, by one
// conditional step, and another one takes its place. Of many that come here
// with one proof, one passes.
func (s *Service) pass(ctx context.Context, h *held[attempt], trackKey string) (Step, error) {
	next := id.Opaque()
	gone, err := change(ctx, s, h, Life+remembered, func(a *attempt) error {
		if a.Stage != started {
			return errUsed
		}
		a.Stage, a.UsedAt, a.Next, a.Track = used, s.Now(), keyOf(keptAttempt, next), trackKey
		return nil
	})
	if gone || errors.Is(err, errUsed) {
		return Step{}, ErrExchange
	}
	if err != nil {
		return Step{}, err
	}
	after := h.is
	after.Stage, after.Next, after.UsedAt, after.ExpiresAt = proven, "", time.Time{}, s.Now().Add(Life).Truncate(time.Millisecond)
	return Step{ExchangeID: next, ExpiresAt: after.ExpiresAt, StatusID: secret.New(after.Named), Sub: after.Sub},
		put(ctx, s, h.is.Next, after, Life+remembered)
}

// settle says under the status id that its method is proven. Where somebody has
// ended that meanwhile, the login ends with it.
func (s *Service) settle(ctx context.Context, a attempt) error {
	h, ok, err := fetch[status](ctx, s, a.Status)
	if err != nil {
		return err
	}
	gone := !ok
	if ok {
		gone, err = change(ctx, s, &h, Life+remembered, func(st *status) error {
			st.Stage, st.Track, st.Attempt, st.ExpiresAt = proven, a.Track, a.Next, s.Now().Add(Life).Truncate(time.Millisecond)
			return nil
		})
	}
	if gone {
		return orElse(s.drop(ctx, a.Track, a.Next), ErrExchange)
	}
	return err
}

// Verify takes a proof. A wrong one leaves the exchange id for another try.
func (s *Service) Verify(ctx context.Context, from From, v Verification) (Step, error) {
	h, err := s.attempted(ctx, v, first, second)
	if err != nil {
		return Step{}, err
	}
	o, err := s.openKey(ctx, h.is.Request)
	if err != nil {
		return Step{}, err
	}
	p, err := o.person(func(p person) bool { return p.Sub == h.is.Sub })
	if err != nil {
		return Step{}, err
	}
	if v.Code.IsZero() {
		return Step{}, ErrNoCode
	}
	code, err := s.shape(ctx, from, v)
	if err != nil {
		return Step{}, err
	}
	t := trial{from: from, person: p, typed: v.Code, code: code}
	if h.is.Purpose == second {
		return s.verifySecond(ctx, o, &h, t)
	}
	return s.verifyFirst(ctx, o, &h, t)
}

// trial is a proof that is looked at.
type trial struct {
	from   From
	person person
	typed  secret.Text
	code   factor.Code // of every method but a password
}

// shape refuses what cannot be a code of the method. It is no guess.
func (s *Service) shape(ctx context.Context, from From, v Verification) (factor.Code, error) {
	if v.Method == Password {
		return factor.Code{}, nil
	}
	code, err := s.Factors.ReadCode(ctx, from.Source, v.Code)
	if fault.KindOf(err) == fault.Malformed {
		return code, ErrCode.Because(err)
	}
	if err == nil && code.Echo().IsZero() != (v.Method == BackupCode) {
		return code, ErrCode
	}
	return code, err
}

func (s *Service) verifyFirst(ctx context.Context, o opened, h *held[attempt], t trial) (Step, error) {
	// The organization or the app may have closed this way since it was started.
	connection, err := s.Connections.Connection(ctx, o.is.Tenant)
	if err != nil {
		return Step{}, err
	}
	if !slices.Contains(firsts(o.app, connection), h.is.Method) {
		return Step{}, orElse(s.kill(ctx, *h), ErrInactive)
	}
	if h.is.Method == Password {
		return s.verifyPassword(ctx, o, h, t)
	}
	if err := s.Breaker.Sprayed(ctx, o.is.Tenant); err != nil {
		return Step{}, err
	}
	if err := s.slow(ctx, o, t.person); err != nil {
		return Step{}, err
	}
	if err := s.count(ctx, h); err != nil {
		return Step{}, err
	}
	right, err := s.compareFirst(ctx, o, h.is.Method, t)
	if err != nil {
		return Step{}, s.giveBack(ctx, *h, err)
	}
	if !right {
		return Step{}, ErrCode
	}
	if _, err := s.Store.Delete(ctx, o.slowKey(s, t.person)); err != nil {
		s.Log.WarnContext(ctx, "tries not cleared", "error", err)
	}
	done, err := s.Logins.Complete(ctx, o.login(t.person.UserID, amrOf(h.is.Method), s.Now()))
	if err != nil {
		return Step{}, err
	}
	return s.begin(ctx, o, h, t.person, done)
}

// compareFirst compares a code where no first factor was proven before. For
// nobody, and for who has no such factor or may not use it, it is wrong. So it is
// while the user's own budget is spent, which is no business of strangers.
func (s *Service) compareFirst(ctx context.Context, o opened, m Method, t trial) (right bool, err error) {
	if m == Email {
		right, err = s.compareMailed(ctx, o, t)
	} else {
		right, err = s.compareCode(ctx, o, m, t)
	}
	switch {
	case errors.Is(err, guard.ErrSpent), errors.Is(err, guard.ErrShut), errors.Is(err, factor.ErrWait):
		return false, nil // not everybody has such a limit
	case fault.KindOf(err) == fault.NotFound, fault.KindOf(err) == fault.Forbidden:
		return false, nil // none enrolled, or nothing but an enrolment is open
	}
	return err == nil && right, err
}

func (s *Service) compareMailed(ctx context.Context, o opened, t trial) (bool, error) {
	if t.person.Address == "" {
		return false, nil
	}
	w, err := s.mailbox(ctx, o, t.person, t.from)
	if err != nil {
		return false, err
	}
	checked, err := s.Mails.Check(ctx, w, t.typed)
	return checked.OK() && w.User != nil, err
}

func (s *Service) compareCode(ctx context.Context, o opened, m Method, t trial) (bool, error) {
	standing, known, err := s.standing(ctx, o, t.person)
	if err != nil || !known {
		return false, err
	}
	checked, err := s.Factors.Validate(ctx, o.whose(standing, m, t.from), t.code)
	return checked.OK(), err
}

// slowRate bounds tries at signing in to one address by codes alone, whether
// it has a user or not. It is all that is told of limits here: the guard's own
// budget, which only users have, is spent for longer each time.
var slowRate = ephemeral.Rate{Burst: 5, Per: 15 * time.Minute}

func (s *Service) slow(ctx context.Context, o opened, p person) error {
	allowance, err := s.Store.Allow(ctx, o.slowKey(s, p), slowRate)
	if err == nil && !allowance.OK {
		err = guard.ErrSpent.RetryIn(allowance.RetryAfter)
	}
	return err
}

func (o opened) slowKey(s *Service, p person) string {
	t := o.is.Tenant
	return "exchange.tries:{" + id.FromDigest(s.Index.Sum("exchange.tries", t.Org, t.Env, p.Address, p.Other)) + "}"
}
