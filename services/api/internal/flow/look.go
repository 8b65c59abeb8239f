package flow

import (
	"context"
	"errors"
	"slices"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/factor"
)

// Look returns what the page of a flow shows. It changes nothing but two things:
// a flow in which nothing is left to do ends here, where the browser leaves, and
// one whose first half is too old goes back to it, so that the forms of the page
// that says so are those of its step.
func (s *Service) Look(ctx context.Context, flow secret.Text, b Browser) (View, error) {
	h := at{}
	var err error
	if h.held, err = s.find(ctx, flow, b.Cookie); err != nil {
		return View{}, err
	}
	if h.app, h.org, err = s.target(ctx, h.Request); err != nil {
		return View{}, err
	}
	v := View{
		Step: h.Step, Org: h.org, Env: h.app.Tenant.Env, App: h.app.Name, Back: h.RedirectURI, Locale: h.Locale, Address: h.Typed,
		Said: h.Said, Until: h.Until, Elsewhere: h.Elsewhere, Again: h.Recovered, Recovery: h.Codes, Scopes: h.Scope,
	}
	if h.Advice != nil {
		v.Advice = h.Advice
	}
	switch h.Step {
	case StepFinished:
		return v, nil
	case StepLeave:
		out, gone, err := s.leave(ctx, h, b)
		if gone {
			v.Step = StepFinished
		}
		v.Outcome = out
		return v, err
	case StepCode, StepRecovery, StepEnrolApp, StepEnrolPhone, StepEnrolSent:
		return s.lookSecond(ctx, v, h, b)
	case StepCodes, StepRenew, StepConsent:
		return s.lookProven(ctx, v, h)
	}
	return s.lookFirst(ctx, v, h)
}

// lookFirst is the view of the steps before anything is proven.
func (s *Service) lookFirst(ctx context.Context, v View, h at) (View, error) {
	links, err := s.linkable(ctx, h)
	if err != nil {
		return View{}, err
	}
	if !h.app.Allows(app.Password) {
		if !links {
			return View{}, ErrMethod
		}
		if v.Step == StepPassword {
			v.Step = StepLink
		}
	}
	v.Others = others(h, links)
	return v, nil
}

// lookProven is the view of the steps when all is proven.
func (s *Service) lookProven(ctx context.Context, v View, h at) (View, error) {
	standing, err := s.Factors.Find(ctx, h.app.Tenant, h.UserID)
	if fault.KindOf(err) == fault.NotFound {
		return View{}, ErrOver
	}
	if err != nil {
		return View{}, err
	}
	address := standing.User.Email.Written
	v.Address = secret.MaskEmail(address)
	if h.Step == StepRenew {
		v.Username = address
		v.Hint, err = s.Passwords.Hint(ctx, h.app.Tenant, h.org, address)
	}
	return v, err
}

// lookSecond is the view of the steps between.
func (s *Service) lookSecond(ctx context.Context, v View, h at, b Browser) (View, error) {
	half, err := s.half(ctx, h, b)
	if errors.Is(err, errLate) {
		h = h.afresh()
		v.Step, v.Said, v.Until, v.Again = h.Step, Late, time.Time{}, false
		if err := s.say(ctx, h.held, Late, time.Time{}); err != nil {
			return View{}, err
		}
		return s.lookFirst(ctx, v, h)
	}
	if err != nil {
		return View{}, err
	}
	v.Address = secret.MaskEmail(half.whose.User.Email.Written)
	v.Sent, v.SendAt = h.Sent, h.SendAt
	v.Others = seconds(half)
	v.Enrolment = Enrolment{URI: secret.New(h.Enrolling.URI), Secret: secret.New(h.Enrolling.Secret), Phone: h.Enrolling.Phone}
	v.Apps = slices.ContainsFunc(half.whose.Factors, func(f factor.Factor) bool { return f.Method == factor.App })
	if phone := half.whose.Phone(); phone.ID != "" {
		v.Phone = secret.MaskPhone(phone.Phone)
	}
	if (h.Step == StepCode || h.Step == StepRecovery) && !v.Apps && v.Phone == "" && !half.whose.Recovery.Obliged {
		return View{}, ErrMethod
	}
	return v, nil
}

// others are the steps to turn to while nothing is proven.
func others(h at, links bool) (out []Step) {
	passwords := h.app.Allows(app.Password)
	for _, step := range []struct {
		Step
		ok   bool
		from []Step
	}{
		// Whoever turned away from the code of another browser finds back to it.
		{StepLinkSent, h.Elsewhere, []Step{StepPassword, StepLink, StepForgot, StepForgotSent}},
		{StepPassword, passwords, []Step{StepLink, StepLinkSent, StepForgot, StepForgotSent}},
		{StepLink, links, []Step{StepPassword, StepLinkSent}},
		{StepForgot, passwords, []Step{StepPassword, StepForgotSent}},
	} {
		if step.ok && slices.Contains(step.from, h.Step) {
			out = append(out, step.Step)
		}
	}
	return out
}

// seconds are the steps to turn to at the second factor: a text message never
// stands alone.
func seconds(h second) (out []Step) {
	for _, step := range []struct {
		Step
		ok   bool
		from []Step
	}{
		{StepCode, true, []Step{StepRecovery}},
		{StepRecovery, h.app.Allows(app.Recovery) && h.whose.Recovery.Left() > 0, []Step{StepCode}},
		{StepEnrolApp, h.app.Allows(app.TOTP), []Step{StepEnrolPhone, StepEnrolSent}},
		{StepEnrolPhone, h.app.Allows(app.SMS), []Step{StepEnrolApp, StepEnrolSent}},
		// Whoever shares a browser may not be the one who is asked here.
		{StepAddress, h.Subject == "", []Step{StepCode}},
	} {
		if step.ok && slices.Contains(step.from, h.Step) {
			out = append(out, step.Step)
		}
	}
	return out
}

// Turn goes to another step that the page offers (View.Others). It changes
// nothing where the flow is at none that does.
func (s *Service) Turn(ctx context.Context, flow secret.Text, b Browser, to Step) (Outcome, error) {
	h, out, ok, err := s.open(ctx, flow, b, StepPassword, StepLink, StepLinkSent, StepForgot, StepForgotSent,
		StepCode, StepRecovery, StepEnrolApp, StepEnrolPhone, StepEnrolSent)
	if !ok || err != nil {
		return out, err
	}
	if h.UserID == "" {
		links, err := s.linkable(ctx, h)
		if err != nil || !slices.Contains(others(h, links), to) {
			return out, err
		}
		h.Step = to
		return out, s.say(ctx, h.held, "", time.Time{})
	}
	half, err := s.half(ctx, h, b)
	if err != nil {
		return out, s.orLate(ctx, h, err)
	}
	if !slices.Contains(seconds(half), to) {
		return out, nil
	}
	switch to {
	case StepEnrolApp:
		return out, s.enrolApp(ctx, half, "")
	case StepAddress:
		return out, s.say(ctx, half.another().held, "", time.Time{})
	}
	half.Step = to
	return out, s.say(ctx, half.held, "", time.Time{})
}
