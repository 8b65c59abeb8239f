package flow

import (
	"context"
	"errors"
	"slices"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/login"
	"countersign.dev/services/api/internal/notice"
	"countersign.dev/services/api/internal/session"
)

// second is what the second half of a flow is about.
type second struct {
	at
	whose   factor.Whose
	session *session.Session // that is raised; nil where a login waits
}

// errLate says that the first half counts no more.
var errLate = errors.New("the first half of the login is too old")

// half reads the second half of a flow, to prove something with the methods that
// the app allows alone. It returns errLate where the first one has to be done again.
func (s *Service) half(ctx context.Context, h at, b Browser) (out second, err error) {
	out = second{at: h}
	if h.UserID == "" {
		return out, errLate
	}
	switch {
	case h.SessionID != "":
		out.session, _, err = s.signedIn(ctx, h.app, b)
		if err == nil && (out.session == nil || out.session.ID != h.SessionID || out.session.User.ID != h.UserID) {
			err = errLate
		}
	case h.Login == nil:
		var waits bool
		if waits, err = s.Logins.Waits(ctx, h.RequestID, h.app.Tenant, h.UserID, h.app.ID); err == nil && !waits {
			err = errLate
		}
	}
	if err != nil {
		return out, err
	}
	standing, err := s.Factors.Find(ctx, h.app.Tenant, h.UserID)
	if fault.KindOf(err) == fault.NotFound || err == nil && !standing.User.Active {
		return out, errLate
	}
	if err != nil {
		return out, err
	}
	// An enrolment looks at all that the user has: who got a factor meanwhile, be
	// it one that the app does not take, has to prove that one.
	if !h.enrols() {
		standing.Factors = slices.DeleteFunc(slices.Clone(standing.Factors), func(f factor.Factor) bool { return !h.app.Allows(f.Method) })
	}
	out.whose = factor.Whose{Tenant: h.app.Tenant, Org: h.org, Standing: standing, Source: b.Source, By: b.by(), Page: true}
	return out, nil
}

// enrols reports whether a flow is at an enrolment.
func (h at) enrols() bool {
	return h.Step == StepEnrolApp || h.Step == StepEnrolPhone || h.Step == StepEnrolSent
}

// Code takes the second proof of a flow.
func (s *Service) Code(ctx context.Context, flow secret.Text, b Browser, typed secret.Text) (Outcome, error) {
	h, out, ok, err := s.open(ctx, flow, b, StepCode)
	if !ok || err != nil {
		return out, err
	}
	half, err := s.half(ctx, h, b)
	if err != nil {
		return out, s.orLate(ctx, h, err)
	}
	code, err := s.Factors.ReadDigits(ctx, b.Source, factor.Typed(typed))
	if err != nil {
		return out, s.notCompared(ctx, h.held, err, NoCode)
	}
	checked, err := s.Factors.Validate(ctx, half.whose, code)
	if err == nil && checked.OK() {
		return out, s.secondProven(ctx, half, proofOf(checked.Method), b)
	}
	return out, s.refused(ctx, half, checked, err)
}

// refused says what was wrong with a code.
func (s *Service) refused(ctx context.Context, half second, checked factor.Checked, err error) error {
	switch {
	case err != nil:
		return s.notCompared(ctx, half.held, err, NoCode)
	case checked.Wrong():
		return s.wrongCode(ctx, half, checked)
	case checked.Used():
		return s.say(ctx, half.held, Used, time.Time{})
	}
	return s.say(ctx, half.held, NotSent, time.Time{})
}

// secondProven goes on from a second factor that was right.
func (s *Service) secondProven(ctx context.Context, half second, proof string, b Browser) error {
	if half.session != nil {
		half.Proof = proof
		return s.onward(ctx, half.at)
	}
	done, waited, err := s.Logins.Continue(ctx, half.RequestID, half.app.Tenant, half.UserID, half.app.ID, proof)
	return s.waited(ctx, half.at, waiting{done, waited, err}, b)
}

// waiting is what a login has come to that waited for a second factor.
type waiting struct {
	login.Completed
	waited bool
	err    error
}

// waited goes on with the login that waited for a second factor.
func (s *Service) waited(ctx context.Context, h at, w waiting, b Browser) error {
	switch {
	case errors.Is(w.err, login.ErrStale):
		return s.end(ctx, h.held, ErrOver)
	case w.err != nil:
		return w.err
	case !w.waited:
		return nil // another request has just ended it: the page shows how
	case w.Lapsed:
		h.UserID, h.Step = "", StepForgot
		return s.say(ctx, h.held, Lapsed, time.Time{})
	}
	return s.complete(ctx, h, w.Completed, b)
}

// orLate goes back to the first half where that is too old; anything else is
// the fault that it is.
func (s *Service) orLate(ctx context.Context, h at, err error) error {
	if !errors.Is(err, errLate) {
		return err
	}
	return s.say(ctx, h.afresh().held, Late, time.Time{})
}

// afresh is the flow at its first half, with nothing proven or half enrolled.
func (h at) afresh() at {
	h.UserID, h.SessionID, h.Login, h.Recovered, h.Step = "", "", nil, false, StepPassword
	h.Enrolling, h.Sent, h.SendAt = enrolling{}, false, time.Time{}
	return h
}

// another is the flow at its beginning, for somebody else.
func (h at) another() at {
	h = h.afresh()
	h.Typed = ""
	if h.Finds {
		h.Step = StepAddress
	}
	return h
}

// failures is how many wrong codes in a row are news.
const failures = 3

func (s *Service) wrongCode(ctx context.Context, half second, checked factor.Checked) error {
	if checked.InARow >= failures {
		err := s.Notices.Tell(ctx, notice.About{Org: half.whose.Org, User: half.whose.User, By: half.whose.By},
			event.TemplateNoticeSecondFactorFailing, event.TypeMFAFailed)
		if err != nil {
			return err
		}
	}
	return s.wrong(ctx, half.held, WrongCode)
}

// Send sends a code to the user's phone.
func (s *Service) Send(ctx context.Context, flow secret.Text, b Browser) (Outcome, error) {
	h, out, ok, err := s.open(ctx, flow, b, StepCode)
	if !ok || err != nil {
		return out, err
	}
	half, err := s.half(ctx, h, b)
	if err != nil {
		return out, s.orLate(ctx, h, err)
	}
	_, err = s.Factors.Challenge(ctx, half.whose)
	return out, s.sent(ctx, h, err)
}

// sent says what became of a code that was to be sent.
func (s *Service) sent(ctx context.Context, h at, err error) error {
	f, ok := errors.AsType[*fault.Error](err)
	switch {
	case err == nil:
		h.Sent, h.SendAt = true, s.Now().Add(sendGap)
		return s.say(ctx, h.held, Sent, time.Time{})
	case errors.Is(err, guard.ErrShut), !ok, f.Kind == fault.Unavailable, f.Kind == fault.Internal:
		return s.notCompared(ctx, h.held, err, NotSent)
	case f.After > 0:
		h.SendAt = s.Now().Add(f.After)
		return s.say(ctx, h.held, Refused, h.SendAt)
	}
	return s.say(ctx, h.held, Refused, time.Time{})
}

// sendGap is how long the page asks a person to wait for a code before asking
// for another one. Whether one may be sent is decided by the rules of sending.
const sendGap = 30 * time.Second

// Recover takes a recovery code in place of the second factor. What follows is
// an enrolment, and nothing else is open until it is confirmed.
func (s *Service) Recover(ctx context.Context, flow secret.Text, b Browser, typed secret.Text) (Outcome, error) {
	h, out, ok, err := s.open(ctx, flow, b, StepRecovery)
	if !ok || err != nil {
		return out, err
	}
	half, err := s.half(ctx, h, b)
	if err != nil {
		return out, s.orLate(ctx, h, err)
	}
	code, err := s.Factors.ReadRecovery(ctx, b.Source, typed)
	if err != nil {
		return out, s.notCompared(ctx, h.held, err, NoRecover)
	}
	checked, err := s.Factors.Validate(ctx, half.whose, code)
	if err != nil || !checked.OK() {
		return out, s.refused(ctx, half, checked, err)
	}
	if half.session == nil {
		waits, err := s.Logins.Recovered(ctx, h.RequestID, h.app.Tenant, h.UserID, h.app.ID)
		if err != nil {
			return out, err
		}
		if !waits {
			return out, s.orLate(ctx, h, errLate)
		}
	}
	half.Recovered = true
	return out, s.enrols(ctx, half, b)
}

// proofOf is what a factor's code proves, in the words of tokens.
func proofOf(method string) string {
	if method == factor.SMS {
		return grant.SMS
	}
	return grant.App
}
