package flow

import (
	"context"
	"errors"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/factor"
)

// mustEnrol reports whether a sign-in to the app ends in an enrolment: second
// factors are switched on, and the user has none.
func mustEnrol(a app.App, of factor.Standing) bool {
	return of.Connection.Active && !of.Enrolled() && (a.Allows(app.TOTP) || a.Allows(app.SMS))
}

// enrols goes to the first step of an enrolment. An authenticator app is
// offered first, where the app allows one: its key is made at once.
func (s *Service) enrols(ctx context.Context, h second, b Browser) error {
	// What was proven or used up just now counts, also where this was read before.
	standing, err := s.Factors.Find(ctx, h.app.Tenant, h.UserID)
	if err != nil {
		return err
	}
	h.whose = factor.Whose{Tenant: h.app.Tenant, Org: h.org, Standing: standing, Source: b.Source, By: b.by(), Page: true}
	if !h.app.Allows(app.TOTP) {
		h.Step, h.Enrolling = StepEnrolPhone, enrolling{}
		return s.move(ctx, h.held, "")
	}
	return s.enrolApp(ctx, h, "")
}

// enrolApp shows the key of the flow's enrolment of an app, or makes one: who
// turns to and fro between app and phone begins, and records, one enrolment.
func (s *Service) enrolApp(ctx context.Context, h second, said Said) error {
	if h.waits(s.Now()) {
		h.Step = StepEnrolApp
		return s.move(ctx, h.held, said)
	}
	issued, err := s.Factors.Enrol(ctx, h.whose, factor.Enrolment{Method: factor.App})
	if errors.Is(err, factor.ErrEnrolled) { // in another browser, meanwhile
		return s.orLate(ctx, h.at, errLate)
	}
	if err != nil {
		return err
	}
	h.Step, h.Enrolling = StepEnrolApp, enrolling{ID: issued.FactorID, URI: issued.URI.Reveal(), Secret: issued.Secret.Reveal()}
	return s.move(ctx, h.held, said)
}

// waits reports whether the app that the flow shows may still be confirmed:
// neither another enrolment nor another factor has come between.
func (h second) waits(now time.Time) bool {
	waiting := h.whose.Waiting
	return h.Enrolling.URI != "" && waiting.ID == h.Enrolling.ID && waiting.ExpiresAt.After(now) &&
		(len(h.whose.Factors) == 0 || h.whose.Recovery.Obliged)
}

// Enrol begins the enrolment of a factor: of an authenticator app, or of the
// phone with a number, to which a code is sent.
func (s *Service) Enrol(ctx context.Context, flow secret.Text, b Browser, method, number string) (Outcome, error) {
	h, out, ok, err := s.open(ctx, flow, b, StepEnrolApp, StepEnrolPhone, StepEnrolSent)
	if !ok || err != nil || !h.app.Allows(method) {
		return out, err
	}
	half, err := s.half(ctx, h, b)
	switch {
	case err != nil:
		return out, s.orLate(ctx, h, err)
	case method == factor.App:
		return out, s.enrolApp(ctx, half, "")
	case method != factor.SMS:
		return out, nil
	}
	issued, err := s.Factors.Enrol(ctx, half.whose, factor.Enrolment{Method: factor.SMS, Phone: number})
	f, isFault := errors.AsType[*fault.Error](err)
	switch {
	case errors.Is(err, factor.ErrEnrolled):
		return out, s.orLate(ctx, h, errLate)
	case isFault && (f.Kind == fault.Invalid || f.Kind == fault.Malformed || f.Kind == fault.Forbidden):
		half.Step = StepEnrolPhone
		return out, s.say(ctx, half.held, NoNumber, time.Time{})
	case h.Step == StepEnrolApp:
		half.Step = StepEnrolPhone
	}
	if err == nil {
		half.Step = StepEnrolSent
		half.Enrolling = enrolling{ID: issued.FactorID, Phone: secret.MaskPhone(number)}
	}
	return out, s.sent(ctx, half.at, err)
}

// Confirm takes the first code of the enrolment.
func (s *Service) Confirm(ctx context.Context, flow secret.Text, b Browser, typed secret.Text) (Outcome, error) {
	h, out, ok, err := s.open(ctx, flow, b, StepEnrolApp, StepEnrolSent)
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
	confirmed, err := s.confirm(ctx, half, code)
	switch {
	case errors.Is(err, factor.ErrNoWaiting) && h.Step == StepEnrolApp:
		half.Enrolling = enrolling{}
		return out, s.enrolApp(ctx, half, Stale)
	case errors.Is(err, factor.ErrNoWaiting):
		half.Step = StepEnrolPhone
		return out, s.say(ctx, half.held, Stale, time.Time{})
	case err != nil || !confirmed.OK():
		return out, s.refused(ctx, half, confirmed.Checked, err)
	}
	for _, c := range confirmed.Codes {
		half.Codes = append(half.Codes, c.Written())
	}
	return out, s.enrolled(ctx, half, proofOf(confirmed.Method), b)
}

// confirm compares the first code with the enrolment that this flow shows.
// Where another one has taken its place, in another browser or by an API key,
// nothing is compared: the code would be wrong however often it was typed, and
// one of the other enrolment is none of this flow.
func (s *Service) confirm(ctx context.Context, half second, code factor.Code) (factor.Confirmed, error) {
	if half.whose.Waiting.ID != half.Enrolling.ID {
		return factor.Confirmed{}, factor.ErrNoWaiting
	}
	return s.Factors.ConfirmEnrolment(ctx, half.whose, code)
}

// enrolled goes on from a factor that was confirmed, which proves it.
func (s *Service) enrolled(ctx context.Context, half second, proof string, b Browser) error {
	half.Enrolling = enrolling{}
	switch {
	case half.session != nil:
		half.Proof = proof
	case half.Login != nil:
		half.Login.AMR = append(half.Login.AMR, proof)
	default:
		done, waited, err := s.Logins.Reenrolled(ctx, half.RequestID, half.app.Tenant, half.UserID, half.app.ID, proof)
		return s.waited(ctx, half.at, waiting{done, waited, err}, b)
	}
	return s.onward(ctx, half.at)
}

// Recovery returns the recovery codes of StepCodes, and ErrOver at any other
// step. It changes nothing.
func (s *Service) Recovery(ctx context.Context, flow secret.Text, b Browser) ([]string, error) {
	h, err := s.find(ctx, flow, b.Cookie)
	if err == nil && h.Step != StepCodes {
		err = ErrOver
	}
	return h.Codes, err
}

// Saved goes on from the recovery codes, which nobody shows again.
func (s *Service) Saved(ctx context.Context, flow secret.Text, b Browser, saved bool) (Outcome, error) {
	h, out, ok, err := s.open(ctx, flow, b, StepCodes)
	if !ok || err != nil {
		return out, err
	}
	if !saved {
		return out, s.say(ctx, h.held, NotSaved, time.Time{})
	}
	h.Codes = nil
	return out, s.onward(ctx, h)
}
