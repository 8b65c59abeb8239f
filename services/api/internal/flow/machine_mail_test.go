package flow_test

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/flow"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/tenant"
)

// even draws numbers that are all as likely; those of package rapid itself are
// mostly small, and most operations would be refused.
var even = rapid.Custom(func(t *rapid.T) (n int) {
	for range 8 {
		if n <<= 1; rapid.Bool().Draw(t, "bit") {
			n++
		}
	}
	return n
})

// upTo is a number up to a most that is below 256.
func (m *machine) upTo(most int, what string) int { return even.Draw(m.t, what) % (most + 1) }

func pick[T any](m *machine, of []T, what string) T { return of[m.upTo(len(of)-1, what)] }

// seldom is what breaks rules.
func (m *machine) seldom(what string) bool { return m.upTo(31, what) == 31 }

// visit is one of the latest, mostly one that is at one of these pages.
func (m *machine) visit(pages ...flow.Step) *visit {
	m.visits = m.visits[max(0, len(m.visits)-12):]
	fit := slices.DeleteFunc(slices.Clone(m.visits), func(v *visit) bool { return !slices.Contains(pages, m.page(v)) })
	if len(fit) == 0 || m.upTo(7, "any visit") == 7 {
		fit = m.visits
	}
	if len(fit) == 0 {
		return nil
	}
	return fit[m.upTo(len(fit)-1, "visit")]
}

func (m *machine) at(org, address string) *someone {
	p, err := m.lookup(tenantOf(org), address)
	if err != nil {
		return nil
	}
	return p
}

// typed is what somebody types as a code: right, used, wrong, or none.
func (m *machine) typed(v *visit, text bool) string {
	n := m.upTo(9, "what is typed")
	switch {
	case n == 9:
		return "none"
	case v.who == nil || n == 8:
		return "99999999"
	case n == 7 && v.who.used != "":
		return v.who.used
	case text && v.who.text != "":
		return v.who.text
	}
	return v.who.app
}

func (m *machine) turns() bool {
	v := m.visit(append(slices.Clone(enrolPages), flow.StepCode, flow.StepRecovery, flow.StepPassword)...)
	if v == nil {
		return false
	}
	to := pick(m, []flow.Step{
		flow.StepAddress, flow.StepPassword, flow.StepLink, flow.StepLinkSent, flow.StepForgot, flow.StepCode, flow.StepRecovery, flow.StepRecovery, flow.StepEnrolApp, flow.StepEnrolPhone,
		flow.StepCodes, flow.StepRenew, flow.StepConsent, flow.StepLeave, flow.StepFinished,
	}, "to")
	if offers := m.offers(v); len(offers) > 0 && m.upTo(1, "offered") == 1 {
		to = pick(m, offers, "to")
	}
	pages := append(slices.Concat(firstPages, enrolPages), flow.StepCode, flow.StepRecovery)
	return m.form("turn to "+string(to), v, pages, func(b flow.Browser) (flow.Outcome, error) {
		return m.Turn(m.t.Context(), v.token, b, to)
	}, func() func(error) bool {
		may := slices.Contains(m.offers(v), to)
		switch {
		case v.who != nil && m.late(v), may && to == flow.StepEnrolApp && m.enrolledElsewhere(v):
			v.forgets(flow.StepPassword)
			return m.fine(false)
		case !may:
		case v.who == nil:
			v.first = to
		case to == flow.StepAddress:
			v.forgets(flow.StepPassword)
			if v.finds {
				v.first = flow.StepAddress
			}
		case v.second != "":
			v.second = to
		default:
			v.enrol, v.begins = to, to == flow.StepEnrolApp
		}
		return m.fine(may)
	})
}

func (m *machine) address() string {
	return pick(m, []string{ana, ben, cat, dan, eva, fay, gus, pia, nobody, malformed}, "address")
}

func (m *machine) typesAddress() bool {
	v := m.visit(flow.StepAddress)
	if v == nil {
		return false
	}
	address := m.address()
	return m.form("address", v, []flow.Step{flow.StepAddress}, func(b flow.Browser) (flow.Outcome, error) {
		return m.Address(m.t.Context(), v.token, b, address)
	}, func() func(error) bool {
		if address != malformed {
			v.first = flow.StepPassword
		}
		return m.fine(address != malformed)
	})
}

func (m *machine) asksLink() bool {
	v := m.visit(flow.StepPassword, flow.StepLink)
	if v == nil {
		return false
	}
	address := m.address()
	return m.form("link", v, []flow.Step{flow.StepPassword, flow.StepLink, flow.StepLinkSent}, func(b flow.Browser) (flow.Outcome, error) {
		return m.Link(m.t.Context(), v.token, b, address)
	}, func() func(error) bool {
		may := m.takes(v.app, "email") && address != malformed
		if may {
			v.first, v.elsewhere, v.shown = flow.StepLinkSent, nil, ""
		}
		return m.fine(may)
	})
}

func (m *machine) forgot() bool {
	v := m.visit(flow.StepForgot)
	if v == nil {
		return false
	}
	address := m.address()
	return m.form("forgot", v, []flow.Step{flow.StepPassword, flow.StepForgot, flow.StepForgotSent}, func(b flow.Browser) (flow.Outcome, error) {
		return m.Forgot(m.t.Context(), v.token, b, address)
	}, func() func(error) bool {
		if address != malformed {
			v.first = flow.StepForgotSent
		}
		return m.fine(address != malformed)
	})
}

// letter takes one of the latest letters out of its mailbox, if its user is
// still one.
func (m *machine) letter(reset bool) (*letter, *visit) {
	for i := len(m.letters) - 1; i >= max(0, len(m.letters)-4); i-- {
		if l := m.letters[i]; l.reset == reset && !l.opened && l.to.user.Active {
			l.opened = true
			if n := slices.IndexFunc(m.visits, func(v *visit) bool { return v.key == l.key }); n >= 0 {
				return l, m.visits[n]
			}
		}
	}
	return nil, nil
}

// follows opens a link to sign in with.
func (m *machine) follows() bool {
	l, v := m.letter(false)
	if l == nil {
		return false
	}
	b, sent := v.browser, m.sent(v.browser)
	if m.upTo(2, "where") == 2 {
		b = m.browsers[m.upTo(len(m.browsers)-1, "browser")]
		if sent = m.sent(b); m.seldom("no cookie") {
			b, sent.Cookie = nil, secret.Text{}
		}
	}
	page := m.page(v)
	here, proven := b == v.browser, v.who != nil
	if page != "" && page != flow.StepFinished && !proven {
		if here {
			m.proves(v, l.to, grant.Mail)
		} else {
			v.first = flow.StepLinkSent
		}
	}
	out, code, err := m.Followed(m.t.Context(), l.key, l.to.user.ID, sent)
	m.says("follow at %s, in its browser %v: %v", page, here, err)
	m.compares("follow", v)
	switch over := page == "" || page == flow.StepFinished; {
	case over || proven && !here:
		if !errors.Is(err, flow.ErrOver) || !code.IsZero() || leads(out) {
			m.fails("the link of a flow that is over, or proven: %v", err)
		}
		return false
	case err != nil:
		m.fails("a link leads nowhere: %v", err)
	case here:
		if out.Flow.Reveal() != v.token.Reveal() || !code.IsZero() {
			m.fails("a link leads to another page than that of its flow")
		}
		v.elsewhere, v.shown = nil, ""
		return !proven
	case leads(out) || code.IsZero():
		m.fails("somebody is led on in another browser: %+v", out)
	}
	v.elsewhere, v.shown = l.to, code.Reveal()
	return true
}

// typesShown types the code that another browser has shown.
func (m *machine) typesShown() bool {
	v := m.visit(flow.StepLinkSent)
	if v == nil {
		return false
	}
	typed := pick(m, []string{v.shown, v.shown, v.shown, v.shown, "99999999", "none"}, "typed")
	return m.form("shown", v, []flow.Step{flow.StepLinkSent}, func(b flow.Browser) (flow.Outcome, error) {
		return m.Shown(m.t.Context(), v.token, b, secret.New(typed))
	}, func() func(error) bool {
		switch p := v.elsewhere; {
		case p == nil:
			return m.fine(false)
		case !p.user.Active:
			return m.over404
		case !shaped.MatchString(typed):
			return m.fine(false)
		case p.mail != typed || p.mailFor != v.key:
			return m.wrong(v)
		default:
			m.proves(v, p, grant.Mail)
			v.elsewhere, v.shown = nil, ""
			return m.fine(true)
		}
	})
}

// chooses sets another password by a link.
func (m *machine) chooses() bool {
	l, v := m.letter(true)
	if l == nil {
		return false
	}
	m.newPassword(l.to, m.fresh("password"))
	return m.form("choose", v, firstPages, func(b flow.Browser) (flow.Outcome, error) {
		return m.Chosen(m.t.Context(), v.token, b)
	}, func() func(error) bool {
		v.first = flow.StepPassword
		return m.fine(true)
	})
}

func (m *machine) again() bool {
	v := m.visit(flow.StepFinished)
	if v == nil {
		return false
	}
	return m.form("again", v, nil, func(b flow.Browser) (flow.Outcome, error) { return m.Again(m.t.Context(), v.token, b) }, nil)
}

// goesAgain sends a form of a flow that has led on.
func (m *machine) goesAgain(name string, v *visit, call func(flow.Browser) (flow.Outcome, error)) {
	a := v.asks
	if s := m.session(v.browser, m.org(a.app)); s != nil && !s.AuthTime.Before(v.at) {
		a.prompts, a.maxAge = nil, -1
	}
	next := m.foresees(a, v.browser)
	out, err := call(m.sent(v.browser))
	m.arrives(name+" of a finished flow", next, out, err)
	m.compares(name, v)
}

func (m *machine) signsOut() bool {
	b := m.browsers[m.upTo(len(m.browsers)-1, "browser")]
	s := m.session(b, acme)
	if s == nil {
		return false
	}
	_ = kept{m.world}.EndSession(m.t.Context(), s.Tenant, s.ID, session.Ending{})
	if m.upTo(1, "cookie") == 1 {
		b.set = b.set.Without(session.Realm(acme, tenant.Default))
	}
	m.says("sign out")
	return true
}

// waits lets time pass.
func (m *machine) waits() bool {
	steps := []time.Duration{time.Second, time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute, 10*time.Minute + time.Second, 30 * time.Minute, time.Hour, 25 * time.Hour}
	m.now = m.now.Add(pick(m, steps[:1+m.upTo(len(steps)-1, "how long at most")], "how long"))
	return true
}

// operates is what an operator, or another service, does beside the page.
func (m *machine) operates() bool {
	p := pick(m, append(slices.Clone(m.users), m.users[3], m.users[3], m.users[5], m.users[5]), "user") // mostly those with recovery codes
	what := pick(m, []string{"furnish", "furnish", "furnish", "furnish", "furnish", "deactivate", "must change", "take consent back", "enrol", "enrol", "enrol"}, "what")
	if what == "enrol" { // mostly of somebody who is about to enrol elsewhere
		if v := m.visit(enrolPages...); v != nil && v.who != nil {
			p = v.who
		}
	}
	m.says("operate: %s of %s", what, p.user.Email.Written)
	switch what {
	case "deactivate":
		p.user.Active = false
		_ = kept{m.world}.EndUserSessions(m.t.Context(), session.Whose{Tenant: p.user.Tenant, UserID: p.user.ID}, "", session.Ending{})
	case "must change":
		p.mustChange = true
		_ = kept{m.world}.EndUserSessions(m.t.Context(), session.Whose{Tenant: p.user.Tenant, UserID: p.user.ID}, "", session.Ending{})
	case "take consent back":
		clear(m.said)
		clear(m.consents)
	case "enrol": // over the API
		if len(p.factors) == 0 && !p.recovery.Obliged {
			p.factors = []factor.Factor{{ID: fmt.Sprint(m.counter), Tenant: p.user.Tenant, UserID: p.user.ID, Method: pick(m, []string{factor.App, factor.SMS}, "method"), ConfirmedAt: m.now}}
			p.waiting = factor.Factor{}
		}
	default:
		m.furnish(p)
	}
	return true
}

// leads reports whether a browser is sent anywhere, or given anything.
func leads(out flow.Outcome) bool {
	return !out.Flow.IsZero() || !out.Back.IsZero() || out.Realm != "" || out.Sessions != nil || !out.Cookie.IsZero() || !out.Device.IsZero()
}
