package flow_test

import (
	"errors"
	"slices"

	"countersign.dev/pkg/secret"

	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/flow"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/session"
)

// The pages before anything is proven; a password is taken at each of them.
var (
	firstPages    = []flow.Step{flow.StepPassword, flow.StepLink, flow.StepLinkSent, flow.StepForgot, flow.StepForgotSent}
	passwordPages = append([]flow.Step{flow.StepAddress}, firstPages...)
	enrolPages    = []flow.Step{flow.StepEnrolApp, flow.StepEnrolPhone, flow.StepEnrolSent}
)

// looks opens the page of a flow, which is what leads on where nothing is left.
func (m *machine) looks() bool {
	v := m.visit(flow.StepLeave, flow.StepCodes)
	if v == nil {
		return false
	}
	b, page := v.browser, m.page(v)
	if m.seldom("another browser") {
		b = m.browsers[m.upTo(len(m.browsers)-1, "browser")]
	}
	if page == "" || b != v.browser {
		_, err := m.Look(m.t.Context(), v.token, m.sent(b))
		m.says("look from elsewhere: %v", err)
		if v.gone = true; !errors.Is(err, flow.ErrOver) {
			m.fails("a page is shown that is over, or another browser's: %v", err)
		}
		return false
	}
	if page == flow.StepLeave {
		return m.leaves(v)
	}
	want, blocked := m.shows(v, page)
	view, err := m.Look(m.t.Context(), v.token, m.sent(b))
	m.says("look at %s: %s, %v", page, view.Step, err)
	if blocked != errors.Is(err, flow.ErrMethod) || !blocked && err != nil {
		m.fails("a page fails: %v; nothing that it takes: %v", err, blocked)
	}
	if blocked {
		return false
	}
	var codes []string
	if page == flow.StepCodes {
		codes = v.codes
	}
	if view.Step != want || leads(view.Outcome) || !slices.Equal(view.Recovery, codes) ||
		want == flow.StepEnrolApp && view.Enrolment.Secret.IsZero() || !slices.Contains(enrolPages, want) && !view.Enrolment.Secret.IsZero() {
		m.fails("the page shows %s with %v, want %s with %v", view.Step, view.Recovery, want, codes)
	}
	m.compares("look", v)
	return true
}

// shows is what a page says that it is, and whether it has nothing to offer.
func (m *machine) shows(v *visit, page flow.Step) (want flow.Step, blocked bool) {
	if slices.Contains(enrolPages, page) || page == flow.StepCode || page == flow.StepRecovery {
		if m.late(v) {
			v.forgets(flow.StepPassword) // so that its forms are those of the page
			return flow.StepPassword, false
		}
		return page, v.enrol == "" && len(m.mayProve(v)) == 0 && !v.who.recovery.Obliged
	}
	return page, false
}

// leaves opens the page of a flow in which nothing is left to do.
func (m *machine) leaves(v *visit) bool {
	org, before := m.org(v.app), m.session(v.browser, m.org(v.app))
	strong := slices.ContainsFunc(v.proofs, isSecond)
	refused, may, ends := false, true, false
	switch {
	case v.by != "":
		may = before != nil && before.ID == v.by
		if c, _ := m.asFar(v.asks, v.browser); may && !strong && c.where != toCode { // too little by now
			view, err := m.Look(m.t.Context(), v.token, m.sent(v.browser))
			v.done = true
			m.arrives("leave", c, view.Outcome, err)
			m.compares("leave", v)
			return false
		}
	case v.who.enrolled() && !strong:
		may = false
	case v.strong && !strong:
		refused = true
	case !v.who.user.Active:
		may = false
	case v.stale():
		may, ends = false, true
	}
	if may && !refused && v.app != accountPage && !m.apps[v.app].FirstParty && !m.saidAll(v.asks, v.who) { // taken back since
		may, ends = false, v.by == ""
	}
	view, err := m.Look(m.t.Context(), v.token, m.sent(v.browser))
	v.done = true
	m.says("leave: %v", err)
	if err != nil {
		view.Outcome = flow.Outcome{} // no browser gets any of it
	}
	m.keeps(v.browser, view.Outcome)
	m.compares("leave", v)
	after := m.session(v.browser, org)
	switch {
	case !may:
		if err == nil || leads(view.Outcome) || ends && after != nil {
			m.fails("led on where that may not be")
		}
		return false
	case err != nil:
		m.fails("not led on: %v", err)
	case refused:
		m.refusedWith(view.Outcome)
		return false
	case after == nil:
		m.fails("led on without a session")
	}
	m.books(v, before, after, strong)
	m.led(v.asks, v.browser, view.Outcome, v)
	return true
}

// books notes what a visit adds to the browser's session.
func (m *machine) books(v *visit, before, after *session.Session, strong bool) {
	m.t.Helper()
	goesOn := v.by != ""
	if before != nil && !goesOn {
		l := m.ledgers[before.ID]
		goesOn = l.who == v.who && (strong || !slices.ContainsFunc(l.proofs, isSecond))
		if !goesOn && m.sessions[before.ID] != nil {
			m.fails("the session of before has not ended")
		}
	}
	if goesOn != (before != nil && after.ID == before.ID) {
		m.fails("the session goes on: %v, want %v", !goesOn, goesOn)
	}
	if !goesOn {
		m.ledgers[after.ID] = &ledger{who: v.who}
	}
	l := m.ledgers[after.ID]
	if len(v.proofs) > 0 && before != nil && goesOn && m.good(before.Digest) != nil && slices.Equal(before.Digest, after.Digest) {
		m.fails("a session goes on under its old token")
	}
	l.proofs = append(l.proofs, v.proofs...)
}

func (m *machine) typesPassword() bool {
	v := m.visit(flow.StepPassword)
	if v == nil {
		return false
	}
	address := pick(m, []string{ana, ben, cat, dan, eva, fay, gus, pia, nobody, malformed}, "address")
	p, plain := m.at(m.org(v.app), address), "wrong"
	if p != nil && m.upTo(7, "right") > 0 {
		plain = p.password
	}
	return m.form("password of "+address, v, passwordPages, func(b flow.Browser) (flow.Outcome, error) {
		return m.Password(m.t.Context(), v.token, b, address, secret.New(plain))
	}, func() func(error) bool {
		v.forgets(flow.StepPassword)
		switch {
		case address == malformed:
			return m.fine(false)
		case p == nil || !p.user.Active || p.password != plain:
			return m.wrong(v)
		}
		m.proves(v, p, grant.Password)
		return m.fine(v.who != nil)
	})
}

func (m *machine) typesCode() bool {
	v := m.visit(flow.StepCode)
	if v == nil {
		return false
	}
	typed := m.typed(v, m.upTo(1, "text") == 1)
	return m.form("code", v, []flow.Step{flow.StepCode}, func(b flow.Browser) (flow.Outcome, error) {
		return m.Code(m.t.Context(), v.token, b, secret.New(typed))
	}, func() func(error) bool {
		if m.late(v) {
			v.forgets(flow.StepPassword)
			return m.fine(false)
		}
		p, has := v.who, m.mayProve(v)
		switch byApp := slices.Contains(has, factor.App); {
		case !shaped.MatchString(typed), p.recovery.Obliged, len(has) == 0, byApp && typed == p.used:
			return m.fine(false)
		case byApp && typed == p.app:
			return m.provesSecond(v, grant.App)
		case slices.Contains(has, factor.SMS) && typed == p.text:
			return m.provesSecond(v, grant.SMS)
		}
		return m.wrong(v)
	})
}

// provesSecond notes a second factor that was asked for.
func (m *machine) provesSecond(v *visit, proof string) func(error) bool {
	if v.by != "" {
		v.proofs, v.second = []string{proof}, ""
		m.onward(v)
		return m.fine(true)
	}
	if !v.must && v.stale() {
		v.gone = true
		return m.over404
	}
	v.proofs, v.second = append(v.proofs, proof), ""
	m.completes(v)
	return m.fine(true)
}

func (m *machine) sends() bool {
	v := m.visit(flow.StepCode)
	if v == nil {
		return false
	}
	return m.form("send", v, []flow.Step{flow.StepCode}, func(b flow.Browser) (flow.Outcome, error) {
		return m.Send(m.t.Context(), v.token, b)
	}, func() func(error) bool {
		if m.late(v) {
			v.forgets(flow.StepPassword)
			return m.fine(false)
		}
		return m.fine(slices.Contains(m.mayProve(v), factor.SMS))
	})
}

func (m *machine) recovers() bool {
	v := m.visit(flow.StepRecovery)
	if v == nil {
		return false
	}
	typed := pick(m, []string{"ZZZZ-ZZZZ-ZZZZ-ZZZZ", "none"}, "paper")
	if v.who != nil && len(v.who.papers) > 0 && m.upTo(5, "right") > 0 {
		typed = v.who.papers[0]
	}
	return m.form("recovery code", v, []flow.Step{flow.StepRecovery}, func(b flow.Browser) (flow.Outcome, error) {
		return m.Recover(m.t.Context(), v.token, b, secret.New(typed))
	}, func() func(error) bool {
		if m.late(v) {
			v.forgets(flow.StepPassword)
			return m.fine(false)
		}
		switch p := v.who; {
		case typed == "none", p.recovery.Obliged, len(m.mayProve(v)) == 0:
			return m.fine(false)
		case !slices.Contains(p.papers, typed):
			return m.wrong(v)
		}
		v.recovered, v.second = true, ""
		if v.by == "" {
			v.proofs = append(v.proofs, grant.Recovery)
		}
		m.mustEnrol(v)
		return m.fine(true)
	})
}

func (m *machine) enrols() bool {
	v := m.visit(enrolPages...)
	if v == nil {
		return false
	}
	method, phone := pick(m, []string{factor.App, factor.SMS, factor.SMS}, "method"), pick(m, []string{number, number, "1"}, "number")
	return m.form("enrol "+method, v, enrolPages, func(b flow.Browser) (flow.Outcome, error) {
		return m.Enrol(m.t.Context(), v.token, b, method, phone)
	}, func() func(error) bool {
		switch {
		case !m.takes(v.app, method):
			return m.fine(false)
		case m.late(v) || m.enrolledElsewhere(v):
			v.forgets(flow.StepPassword)
			return m.fine(false)
		case method == factor.App:
			v.enrol, v.begins = flow.StepEnrolApp, true
		case phone == number:
			v.enrol, v.begins = flow.StepEnrolSent, true
		default:
			v.enrol = flow.StepEnrolPhone
		}
		return m.fine(true)
	})
}

// enrolledElsewhere reports whether somebody has a second factor by now, which
// nobody gets around by enrolling another.
func (m *machine) enrolledElsewhere(v *visit) bool {
	return len(v.who.factors) > 0 && !v.who.recovery.Obliged
}

func (m *machine) confirms() bool {
	v := m.visit(flow.StepEnrolApp, flow.StepEnrolSent)
	if v == nil {
		return false
	}
	typed := m.typed(v, v.enrol == flow.StepEnrolSent)
	return m.form("confirm", v, []flow.Step{flow.StepEnrolApp, flow.StepEnrolSent}, func(b flow.Browser) (flow.Outcome, error) {
		return m.Confirm(m.t.Context(), v.token, b, secret.New(typed))
	}, func() func(error) bool {
		if m.late(v) {
			v.forgets(flow.StepPassword)
			return m.fine(false)
		}
		p := v.who
		right, waits := p.app, p.waiting.ID != "" && p.waiting.ID == v.waiting && p.waiting.ExpiresAt.After(m.now)
		if p.waiting.Method == factor.SMS {
			right = p.text
		}
		switch {
		case !shaped.MatchString(typed):
		case !waits && v.enrol == flow.StepEnrolSent:
			v.enrol = flow.StepEnrolPhone
		case !waits && m.enrolledElsewhere(v):
			v.forgets(flow.StepPassword)
		case !waits:
			v.begins = true // another one
		case typed != right:
			return m.wrong(v)
		default:
			return m.enrolledNow(v, map[string]string{factor.App: grant.App, factor.SMS: grant.SMS}[p.waiting.Method])
		}
		return m.fine(false)
	})
}

// enrolledNow notes a confirmed enrolment.
func (m *machine) enrolledNow(v *visit, proof string) func(error) bool {
	if v.minted = v.who.recovery.ID == ""; v.minted {
		v.saved = false
	}
	stale := v.by == "" && !v.complete && !v.must && v.stale()
	v.enrol, v.confirmed = "", true
	return func(err error) bool {
		m.t.Helper()
		if v.gone = stale; stale {
			return m.over404(err)
		}
		if v.minted {
			v.codes = v.who.papers
		}
		if v.proofs = append(v.proofs, proof); v.by != "" {
			v.proofs = []string{proof}
		}
		if v.by != "" || v.complete {
			m.onward(v)
		} else {
			m.completes(v)
		}
		return m.fine(true)(err)
	}
}
