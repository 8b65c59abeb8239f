package exchange

import (
	"context"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/id"
)

// Finish returns where the browser goes: to the app, with a code, or with what
// the login still needs. A status id is good for one finish; one that is shown
// beside what it does not belong to, or once more, ends the login (S9).
func (s *Service) Finish(ctx context.Context, _ From, f Finish) (redirect secret.Text, err error) {
	o, err := s.open(ctx, f.RequestID)
	if err != nil {
		return secret.Text{}, err
	}
	h, ok, err := find[status](ctx, s, keptStatus, f.StatusID)
	if err == nil && !ok {
		err = orElse(s.astray(ctx, f.StatusID), ErrStatus)
	}
	if err != nil {
		return secret.Text{}, err
	}
	now := s.Now()
	switch st := h.is; {
	case st.Stage == used && now.Sub(st.UsedAt) <= grace:
		return secret.Text{}, ErrStatus
	case st.Stage != proven, st.Purpose == enrol, st.Request != o.key, f.Sub != "" && st.Sub != f.Sub, f.Method != "" && f.Method != st.Method:
		return secret.Text{}, orElse(s.drop(ctx, st.Track, st.Attempt, h.key), ErrStatus)
	case !now.Before(st.ExpiresAt):
		return secret.Text{}, ErrStatus
	}
	if err := s.use(ctx, &h); err != nil {
		return secret.Text{}, err
	}
	return s.leadBy(ctx, o, h.is.Track)
}

// use uses a status id up, by one conditional step.
func (s *Service) use(ctx context.Context, h *held[status]) error {
	gone, err := change(ctx, s, h, Life+remembered, func(st *status) error {
		if st.Stage != proven {
			return ErrStatus
		}
		st.Stage, st.UsedAt = used, s.Now()
		return nil
	})
	if gone {
		return ErrStatus
	}
	return err
}

// leadBy is lead for the login under a key.
func (s *Service) leadBy(ctx context.Context, o opened, key string) (secret.Text, error) {
	of, ok, err := fetch[track](ctx, s, key)
	if err != nil || !ok || s.over(of.is) || of.is.Request != o.key {
		return secret.Text{}, orElse(err, ErrTrack)
	}
	return s.lead(ctx, o, of)
}

// tracked finds a login that has begun, with its request.
func (s *Service) tracked(ctx context.Context, trackID, requestID secret.Text) (opened, held[track], error) {
	of, ok, err := find[track](ctx, s, keptTrack, trackID)
	if err == nil && !ok {
		err = s.astray(ctx, trackID)
	}
	if err != nil || !ok || s.over(of.is) {
		return opened{}, of, orElse(err, ErrTrack)
	}
	if !requestID.IsZero() && keyOf(keptRequest, requestID) != of.is.Request {
		return opened{}, of, orElse(s.drop(ctx, of.key), ErrTrack)
	}
	o, err := s.openKey(ctx, of.is.Request)
	return o, of, err
}

// Precheck tells where a login stands, or returns ErrTrack.
func (s *Service) Precheck(ctx context.Context, trackID secret.Text) (Precheck, error) {
	o, of, err := s.tracked(ctx, trackID, secret.Text{})
	if err != nil {
		return Precheck{}, err
	}
	p, err := o.person(func(p person) bool { return p.Sub == of.is.Sub })
	if err != nil {
		return Precheck{}, err
	}
	methods, err := s.seconds(ctx, o, p, of.is)
	return Precheck{RequestID: o.is.Name, ClientID: o.is.ClientID, Sub: p.Sub, Needs: of.is.needs(), Methods: methods}, err
}

// Continue is Finish for a login that has waited. RequestID is compared where
// it is sent.
func (s *Service) Continue(ctx context.Context, _ From, trackID, requestID secret.Text) (redirect secret.Text, err error) {
	o, of, err := s.tracked(ctx, trackID, requestID)
	if err != nil {
		return secret.Text{}, err
	}
	return s.lead(ctx, o, of)
}

// Login is a password in one step, and then as Finish.
func (s *Service) Login(ctx context.Context, from From, l Login) (redirect secret.Text, err error) {
	step, err := s.Initiate(ctx, from, Initiation{RequestID: l.RequestID, Usage: Initial, Method: Password, Who: l.Who})
	if err != nil {
		return secret.Text{}, err
	}
	step, err = s.Verify(ctx, from, Verification{ExchangeID: step.ExchangeID, Method: Password, Code: l.Password})
	if err != nil {
		return secret.Text{}, err
	}
	return s.Finish(ctx, from, Finish{RequestID: l.RequestID, StatusID: step.StatusID, Method: Password, Sub: step.Sub})
}

// Cancel ends an exchange id, of a login or an enrolment, with what it is for.
// What the login had proven before, it keeps.
func (s *Service) Cancel(ctx context.Context, m Method, exchangeID secret.Text) error {
	h, ok, err := find[attempt](ctx, s, keptAttempt, exchangeID)
	switch {
	case err != nil:
		return err
	case !ok:
		return orElse(s.astray(ctx, exchangeID), ErrExchange)
	case h.is.Stage == used && s.Now().Sub(h.is.UsedAt) <= grace:
		return ErrExchange
	case h.is.Stage == used, h.is.Method != m:
		return orElse(s.kill(ctx, h), ErrExchange)
	}
	taken, err := take(ctx, s, h)
	if err != nil || !taken {
		return orElse(err, ErrExchange)
	}
	ended := []string{h.is.Status}
	if h.is.Stage == proven && h.is.Purpose == first {
		ended = append(ended, h.is.Track)
	}
	return s.drop(ctx, ended...)
}

// Status reports whether what a status id stands for is proven, and for which
// method, or returns ErrStatus.
func (s *Service) Status(ctx context.Context, statusID secret.Text) (done bool, m Method, err error) {
	if !id.IsOpaque(statusID.Reveal()) {
		return false, "", ErrStatus
	}
	h, ok, err := find[status](ctx, s, keptStatus, statusID)
	if err != nil || !ok || !s.Now().Truncate(time.Millisecond).Before(h.is.ExpiresAt) {
		return false, "", orElse(err, ErrStatus)
	}
	return h.is.Stage != started, h.is.Method, nil
}
