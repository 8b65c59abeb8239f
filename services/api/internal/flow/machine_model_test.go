package flow_test

import (
	"crypto/sha256"
	"slices"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"

	"countersign.dev/services/api/internal/flow"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/tenant"
)

// What the sign-in page should do, written down once more and in other words: a
// visit is a list of what one browser has really proven since an app has sent it,
// and what is still missing of it is the page that it must see.

// asks is what an app asks for.
type asks struct {
	app     int
	scope   []string
	prompts []string
	maxAge  time.Duration // negative for any
	strong  bool          // by acr_values
	finds   bool          // neither an organization nor a user is named
}

// visit is a flow.
type visit struct {
	asks
	token   secret.Text
	key     string
	browser *browser
	at      time.Time
	gone    bool // ended for good
	done    bool // led on
	tries   int
	first   flow.Step // the page while nothing is proven
	second  flow.Step // that of the second factor, while it is missing
	enrol   flow.Step // that of the enrolment, while it is missing
	last    flow.Step // and the one after all of that
	// What was proven, whose it is and since when; by is the session in which the
	// first half was proven before.
	who      *someone
	by       string
	proofs   []string
	firstAt  time.Time
	number   int // of the password
	must     bool
	complete bool   // the login waits for nothing
	waiting  string // the enrolment that the page shows
	begins   bool   // one that is begun just now
	// What else has to happen.
	recovered, confirmed bool
	codes                []string
	minted, saved        bool
	renews, allowed      bool
	elsewhere            *someone // who has opened the link in another browser
	shown                string   // the code that it has shown
}

type browser struct {
	cookie secret.Text
	set    session.Set
}

// ledger is what was proven for a session, one proof after the other.
type ledger struct {
	who    *someone
	proofs []string
}

func (m *machine) over(v *visit) bool { return v.gone || m.now.Sub(v.at) >= 30*time.Minute }

// page is what must be stored as the step of a visit.
func (m *machine) page(v *visit) flow.Step {
	switch {
	case m.over(v):
		return ""
	case v.done:
		return flow.StepFinished
	case v.who == nil:
		return v.first
	case v.second != "":
		return v.second
	case v.enrol != "":
		return v.enrol
	}
	return v.last
}

func (m *machine) org(n int) string {
	if n == accountPage {
		return acme
	}
	return m.apps[n].Org
}

func (m *machine) takes(n int, method string) bool {
	return n == accountPage || slices.Contains(m.apps[n].Methods, method)
}

func (m *machine) takesSecond(n int) bool { return m.takes(n, app.TOTP) || m.takes(n, app.SMS) }

// enrolled reports whether somebody has to prove a second factor.
func (p *someone) enrolled() bool {
	return p.org == acme && (len(p.factors) > 0 || p.recovery.Obliged)
}

// mayProve are those of the factors of somebody that an app takes.
func (m *machine) mayProve(v *visit) (methods []string) {
	for _, f := range v.who.factors {
		if m.takes(v.app, f.Method) {
			methods = append(methods, f.Method)
		}
	}
	return methods
}

func isSecond(proof string) bool { return proof == grant.App || proof == grant.SMS }

func isFirst(proof string) bool { return proof == grant.Password || proof == grant.Mail }

// session of a browser with an organization.
func (m *machine) session(b *browser, org string) *session.Session {
	sum := sha256.Sum256([]byte(b.set.Token(session.Realm(org, tenant.Default)).Reveal()))
	s := m.good(sum[:])
	if s == nil || s.Org != org {
		return nil
	}
	return s
}

// late reports whether the first half counts no more.
func (m *machine) late(v *visit) bool {
	if v.by != "" {
		s := m.session(v.browser, m.org(v.app))
		return s == nil || s.ID != v.by || s.User.ID != v.who.user.ID || !v.who.user.Active
	}
	return !v.complete && !v.recovered && m.now.Sub(v.firstAt) > 10*time.Minute || !v.who.user.Active
}

// stale reports whether the password of a login was replaced, or has to be.
func (v *visit) stale() bool {
	return v.number != 0 && (v.who.number != v.number || v.who.mustChange && !v.must)
}

// forgets goes back to where nothing is proven.
func (v *visit) forgets(page flow.Step) {
	v.who, v.by, v.proofs, v.second, v.enrol, v.last, v.first = nil, "", nil, "", "", "", page
	v.complete, v.recovered, v.confirmed, v.waiting = false, false, false, ""
}

// proves notes a first proof.
func (m *machine) proves(v *visit, p *someone, proof string) {
	v.forgets(flow.StepPassword)
	if proof == grant.Password && p.lapsed {
		v.first = flow.StepForgot
		return
	}
	v.who, v.proofs, v.firstAt, v.number, v.must = p, []string{proof}, m.now, 0, false
	if proof == grant.Password {
		v.number, v.must = p.number, p.mustChange
	}
	if p.enrolled() {
		v.second = flow.StepCode
		return
	}
	m.completes(v)
}

func (m *machine) completes(v *visit) {
	v.complete, v.renews = true, v.must
	if v.who.org == acme && m.takesSecond(v.app) && !slices.ContainsFunc(v.proofs, isSecond) {
		m.mustEnrol(v)
		return
	}
	m.onward(v)
}

func (m *machine) mustEnrol(v *visit) {
	v.enrol, v.waiting = flow.StepEnrolPhone, ""
	if m.takes(v.app, app.TOTP) {
		v.enrol, v.begins = flow.StepEnrolApp, true
	}
}

func (m *machine) onward(v *visit) {
	switch {
	case len(v.codes) > 0:
		v.last = flow.StepCodes
	case v.renews:
		v.last = flow.StepRenew
	case m.mustAsk(v.asks, v.who, v.allowed):
		v.last = flow.StepConsent
	default:
		v.last = flow.StepLeave
	}
}

// mustAsk reports whether somebody has to allow an app what it asks for.
func (m *machine) mustAsk(a asks, p *someone, allowed bool) bool {
	switch {
	case a.app == accountPage || allowed:
		return false
	case slices.Contains(a.prompts, "consent"):
		return true
	case m.apps[a.app].FirstParty:
		return false
	}
	return !m.saidAll(a, p)
}

func (m *machine) saidAll(a asks, p *someone) bool {
	return !slices.ContainsFunc(a.scope, func(scope string) bool { return !m.said[p.user.ID+m.apps[a.app].ID+scope] })
}

// offers are the pages to turn to.
func (m *machine) offers(v *visit) []flow.Step {
	links := m.takes(v.app, app.Email)
	var out []flow.Step
	add := func(step flow.Step, may bool) {
		if may {
			out = append(out, step)
		}
	}
	switch m.page(v) {
	case flow.StepPassword, flow.StepLink, flow.StepForgot, flow.StepForgotSent:
		add(flow.StepLinkSent, v.elsewhere != nil) // to the code of the other browser
	default:
	}
	switch m.page(v) {
	case flow.StepPassword:
		add(flow.StepLink, links)
		add(flow.StepForgot, true)
	case flow.StepLink, flow.StepForgot:
		add(flow.StepPassword, true)
	case flow.StepLinkSent:
		add(flow.StepPassword, true)
		add(flow.StepLink, links)
	case flow.StepForgotSent:
		add(flow.StepPassword, true)
		add(flow.StepForgot, true)
	case flow.StepCode:
		add(flow.StepAddress, true) // as somebody else
		add(flow.StepRecovery, m.takes(v.app, app.Recovery) && v.who.recovery.Left() > 0)
	case flow.StepRecovery:
		add(flow.StepCode, true)
	case flow.StepEnrolApp:
		add(flow.StepEnrolPhone, m.takes(v.app, app.SMS))
	case flow.StepEnrolPhone:
		add(flow.StepEnrolApp, m.takes(v.app, app.TOTP))
	case flow.StepEnrolSent:
		add(flow.StepEnrolApp, m.takes(v.app, app.TOTP))
		add(flow.StepEnrolPhone, m.takes(v.app, app.SMS))
	default:
	}
	return out
}

// Where a request leads at once.
const (
	toCode  = "a code"
	toError = "an error"
	toPage  = "a page"
)

// course is where a request leads: at a page with what is known there.
type course struct {
	where string
	visit *visit
}

// foresees says where a request leads in a browser.
func (m *machine) foresees(a asks, b *browser) course {
	c, p := m.asFar(a, b)
	if c.where != toCode || !m.mustAsk(a, p, false) {
		return c
	}
	if c.where = toPage; slices.Contains(a.prompts, "none") {
		c.where = toError
	}
	c.visit.who, c.visit.by, c.visit.last = p, m.session(b, m.org(a.app)).ID, flow.StepConsent
	return c
}

// asFar is foresees without consent: a code is made if there is that.
func (m *machine) asFar(a asks, b *browser) (course, *someone) {
	s := m.session(b, m.org(a.app))
	v := &visit{asks: a, browser: b, at: m.now, first: flow.StepPassword}
	if a.finds {
		v.first = flow.StepAddress
	}
	page := course{toPage, v}
	if slices.Contains(a.prompts, "none") {
		page.where = toError
	}
	if s == nil || slices.Contains(a.prompts, "login") || a.maxAge == 0 || a.maxAge > 0 && m.now.Sub(s.AuthTime) > a.maxAge {
		return page, nil
	}
	p := m.ledgers[s.ID].who
	switch strong := slices.ContainsFunc(m.ledgers[s.ID].proofs, isSecond); {
	case strong:
	case p.enrolled():
		v.who, v.by, v.second = p, s.ID, flow.StepCode
		return page, nil
	case p.org == acme && m.takesSecond(a.app):
		return page, nil
	case a.strong:
		return course{toError, v}, nil
	}
	return course{toCode, v}, p
}

// enough is the property itself: whether what was proven for a session, and in
// a visit, opens an app. It looks at no page. It says what is missing.
func (m *machine) enough(l *ledger, a asks) string {
	required := l.who.enrolled() || a.strong || l.who.org == acme && m.takesSecond(a.app)
	switch {
	case !slices.ContainsFunc(l.proofs, isFirst):
		return "a first proof"
	case required && !slices.ContainsFunc(l.proofs, isSecond):
		return "a second proof"
	case a.app != accountPage && !m.apps[a.app].FirstParty && !m.saidAll(a, l.who):
		return "consent"
	case !l.who.user.Active:
		return "a user"
	}
	return ""
}

// settled is the same of a visit that is led on.
func (v *visit) settled() string {
	anew := slices.Contains(v.prompts, "login") || v.maxAge == 0
	switch {
	case v.recovered && !v.confirmed:
		return "an enrolment after the recovery code"
	case v.minted && !v.saved:
		return "recovery codes that were saved"
	case v.number != 0 && v.who.mustChange:
		return "another password"
	case slices.Contains(v.prompts, "consent") && v.app != accountPage && !v.allowed:
		return "consent, which the app asks for each time"
	case anew && !slices.ContainsFunc(v.proofs, isFirst):
		return "a proof of now"
	}
	return ""
}
