package flow_test

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"countersign.dev/services/api/internal/flow"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/tenant"
)

// machine is the sign-in page and the model side by side.
type machine struct {
	*world
	t        *rapid.T
	browsers []*browser
	visits   []*visit
	ledgers  map[string]*ledger // by session
	said     map[string]bool    // consent, by user, app and scope
	codes    map[string]int     // that were made, by proofs
	allowed  map[string]int     // operations that have led on, by name
	trace    []string
}

// operations, the frequent ones several times. Nothing is the first, so that
// package rapid puts it in place of all that a failure does not need.
var operations = func() (out []operation) {
	for _, o := range []struct {
		times int
		operation
	}{
		{1, operation{"nothing", func(*machine) bool { return true }}},
		{7, operation{"look", (*machine).looks}},
		{4, operation{"start", (*machine).starts}},
		{6, operation{"password", (*machine).typesPassword}},
		{5, operation{"code", (*machine).typesCode}},
		{6, operation{"confirm", (*machine).confirms}},
		{3, operation{"turn", (*machine).turns}},
		{4, operation{"recover", (*machine).recovers}},
		{2, operation{"send", (*machine).sends}},
		{2, operation{"enrol", (*machine).enrols}},
		{2, operation{"save", (*machine).saves}},
		{2, operation{"renew", (*machine).renewsPassword}},
		{2, operation{"consent", (*machine).consentsTo}},
		{1, operation{"address", (*machine).typesAddress}},
		{2, operation{"link", (*machine).asksLink}},
		{3, operation{"follow", (*machine).follows}},
		{2, operation{"shown", (*machine).typesShown}},
		{1, operation{"forgot", (*machine).forgot}},
		{1, operation{"choose", (*machine).chooses}},
		{1, operation{"again", (*machine).again}},
		{1, operation{"sign out", (*machine).signsOut}},
		{1, operation{"wait", (*machine).waits}},
		{2, operation{"operate", (*machine).operates}},
	} {
		for range o.times {
			out = append(out, o.operation)
		}
	}
	return out
}()

type operation struct {
	name string
	run  func(*machine) bool // reports whether it has led on
}

// Covers R-029 for the sign-in page.
func TestNoStepOfASignInIsSkippedOrRepeated(t *testing.T) {
	t.Parallel()
	total, codes, allowed := 0, map[string]int{}, map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		m := &machine{world: newWorld(rt), t: rt, ledgers: map[string]*ledger{}, said: map[string]bool{}, codes: codes, allowed: allowed, browsers: []*browser{{}, {}, {}}}
		for range perRun {
			o := pick(m, operations, "operation")
			if o.run(m) {
				allowed[o.name]++
			}
			total++
		}
	})
	if t.Failed() {
		return
	}
	t.Logf("%d operations, led on %v, codes %v", total, allowed, codes)
	if raced {
		return // too few of them
	}
	for _, o := range operations {
		if allowed[o.name] < 50 {
			t.Errorf("%s has led on %d times: the operations say little", o.name, allowed[o.name])
		}
	}
	for _, proofs := range [][]string{
		{"pwd"}, {"email"}, {"pwd otp"}, {"pwd sms"}, {"email otp"}, {"email sms"}, {"pwd recovery otp", "pwd recovery sms", "email recovery otp", "email recovery sms"},
	} {
		if !slices.ContainsFunc(proofs, func(p string) bool { return codes[p] > 0 }) {
			t.Errorf("no code was made for %s: the operations say little", proofs)
		}
	}
}

func (m *machine) says(format string, args ...any) {
	m.trace = append(m.trace, m.now.Format(time.TimeOnly)+" "+fmt.Sprintf(format, args...))
}

func (m *machine) fails(format string, args ...any) {
	m.t.Helper()
	m.t.Fatalf("%s\n%s", fmt.Sprintf(format, args...), strings.Join(m.trace[max(0, len(m.trace)-30):], "\n"))
}

// sent is what a browser sends, the seldom one that is another's.
func (m *machine) sent(b *browser) flow.Browser {
	return flow.Browser{Cookie: b.cookie, Sessions: b.set, Source: netip.MustParseAddr("192.0.2.7"), Agent: "Browser"}
}

// keeps is what a browser does with an answer.
func (m *machine) keeps(b *browser, out flow.Outcome) {
	if !out.Cookie.IsZero() {
		b.cookie = out.Cookie
	}
	if out.Sessions != nil {
		b.set = *out.Sessions
	}
}

// form sends a form. Expect is called where the form counts: it says, before the
// call and by the model alone, what has to come of it.
func (m *machine) form(name string, v *visit, pages []flow.Step, call func(flow.Browser) (flow.Outcome, error), expect func() func(error) bool) bool {
	m.t.Helper()
	b := v.browser
	switch {
	case m.seldom("another browser"):
		b = m.browsers[m.upTo(len(m.browsers)-1, "browser")]
	case m.seldom("no cookie"):
		b = &browser{set: b.set}
	}
	page := m.page(v)
	switch {
	case page == "" || b != v.browser:
		out, err := call(m.sent(b))
		m.says("%s by a stranger or too late: %v", name, err)
		if v.gone = true; !errors.Is(err, flow.ErrOver) || leads(out) {
			m.fails("%s of a flow that is over, or another browser's: %v", name, err)
		}
		return false
	case page == flow.StepFinished:
		m.goesAgain(name, v, call)
		return true
	case !slices.Contains(pages, page):
		out, err := call(m.sent(b))
		m.says("%s at %s: %v", name, page, err)
		if err != nil || out.Flow.Reveal() != v.token.Reveal() {
			m.fails("%s at %s leads to %v, not to the page", name, page, err)
		}
		m.compares(name, v)
		return false
	}
	check := expect()
	out, err := call(m.sent(b))
	m.says("%s at %s, then %s: %v", name, page, m.page(v), err)
	m.keeps(b, out)
	on := check(err)
	m.compares(name, v)
	return on
}

// good is what most forms come to: the page again, whatever it shows.
func (m *machine) fine(on bool) func(error) bool {
	return func(err error) bool {
		m.t.Helper()
		if err != nil {
			m.fails("it fails: %v", err)
		}
		return on
	}
}

func (m *machine) over404(err error) bool {
	m.t.Helper()
	if !errors.Is(err, flow.ErrOver) {
		m.fails("it is not over: %v", err)
	}
	return false
}

// wrong counts a wrong proof.
func (m *machine) wrong(v *visit) func(error) bool {
	v.tries++
	v.gone = v.gone || v.tries == 10
	return func(err error) bool {
		if (v.tries == 10) != errors.Is(err, flow.ErrTries) || v.tries < 10 && err != nil {
			m.fails("after %d wrong tries: %v", v.tries, err)
		}
		return false
	}
}

// compares fails unless flow and model are at the same page.
func (m *machine) compares(name string, v *visit) {
	m.t.Helper()
	if v.begins && v.who != nil {
		v.begins, v.waiting = false, v.who.waiting.ID
	}
	step, _, err := m.Stored(m.t.Context(), v.token)
	if err != nil {
		m.fails("%v", err)
	}
	if want := m.page(v); step != want {
		m.fails("after %s the flow is at %q, want %q", name, step, want)
	}
}

// starts sends a browser from an app, or to the account page.
func (m *machine) starts() bool {
	a := asks{app: m.upTo(noMoreApps, "app") - 1, scope: []string{"openid"}, maxAge: -1}
	b := m.browsers[m.upTo(len(m.browsers)-1, "browser")]
	if a.app == accountPage {
		a.prompts = []string{"login"}
		c := m.foresees(a, b)
		out, err := m.Own(m.t.Context(), session.Realm(acme, tenant.Default), m.sent(b))
		m.arrives("account page", c, out, err)
		return true
	}
	if m.upTo(1, "scope") == 1 {
		a.scope = []string{"openid", "email"}
	}
	a.strong = m.upTo(7, "acr") == 7
	a.maxAge = pick(m, []time.Duration{-1, -1, -1, -1, -1, 0, 10 * time.Minute}, "max_age")
	if prompt := pick(m, []string{"", "", "", "", "", "login", "consent", "none"}, "prompt"); prompt != "" {
		a.prompts = []string{prompt}
	}
	p := map[string]string{
		"client_id": m.apps[a.app].ID, "redirect_uri": back, "response_type": "code", "scope": strings.Join(a.scope, " "), "prompt": strings.Join(a.prompts, " "),
		"code_challenge": strings.Repeat("c", 43), "code_challenge_method": "S256", "state": "s",
	}
	if a.maxAge >= 0 {
		p["max_age"] = fmt.Sprint(int(a.maxAge.Seconds()))
	}
	if a.strong {
		p["acr_values"] = "aal2"
	}
	a.finds = m.upTo(5, "gateway") == 5
	c := m.foresees(a, b)
	out, err := m.Start(m.t.Context(), flow.Asked{Parameters: p, Gateway: a.finds}, m.sent(b))
	m.arrives("start", c, out, err)
	return true
}

// arrives compares where a request has led.
func (m *machine) arrives(name string, c course, out flow.Outcome, err error) {
	m.t.Helper()
	v, a, b := c.visit, c.visit.asks, c.visit.browser
	m.keeps(b, out)
	m.says("%s %+v leads to %s: %v", name, a, c.where, err)
	if err != nil {
		m.fails("%s: %v", name, err)
	}
	switch c.where {
	case toCode:
		m.led(a, b, out, nil)
	case toError:
		m.refusedWith(out)
	default:
		if out.Flow.IsZero() {
			m.fails("%s leads to no page", name)
		}
		v.token = out.Flow
		_, v.key, _ = m.Stored(m.t.Context(), v.token)
		m.visits = append(m.visits, v)
		m.compares(name, v)
	}
}

func (m *machine) refusedWith(out flow.Outcome) {
	m.t.Helper()
	to, err := url.Parse(out.Back.Reveal())
	if err != nil || !strings.HasPrefix(out.Back.Reveal(), back) || to.Query().Get("error") == "" || to.Query().Has("code") {
		m.fails("the app gets no error: %v", err)
	}
}

// led judges a browser that was led on. V is nil for one that saw no page.
func (m *machine) led(a asks, b *browser, out flow.Outcome, v *visit) {
	m.t.Helper()
	s := m.session(b, m.org(a.app))
	if s == nil {
		m.fails("led on without a session")
	}
	l := m.ledgers[s.ID]
	if l == nil || l.who.user.ID != s.User.ID {
		m.fails("a session of somebody who has proven nothing")
	}
	m.honest(s, l)
	if missing := m.enough(l, a); missing != "" {
		m.fails("led on for %v without %s", l.proofs, missing)
	}
	if v != nil {
		if missing := v.settled(); missing != "" {
			m.fails("led on for %v without %s", v.proofs, missing)
		}
		m.codes[strings.Join(v.proofs, " ")]++
	}
	if a.app == accountPage {
		if out.Realm != session.Realm(acme, tenant.Default) || !out.Back.IsZero() {
			m.fails("led to no account page: %+v", out)
		}
		return
	}
	to, err := url.Parse(out.Back.Reveal())
	if err != nil || to.Query().Get("code") != fmt.Sprint("code-", len(m.grants)) || out.Realm != "" {
		m.fails("led to the app with no code, or with one that there was before: %v", err)
	}
	if n := m.grants[len(m.grants)-1]; n.UserID != s.User.ID || n.SessionID != s.ID || n.ClientID != m.apps[a.app].ID || n.RedirectURI != back ||
		!slices.Equal(n.AMR, s.AMR) || !n.AuthTime.Equal(s.AuthTime) || !slices.Equal(n.Scope, a.scope) || n.Challenge != strings.Repeat("c", 43) {
		m.fails("the code says %+v of the session %+v", n, *s)
	}
}

// honest compares what a session says with what was proven for it.
func (m *machine) honest(s *session.Session, l *ledger) {
	m.t.Helper()
	want, acr := slices.Clone(l.proofs), "aal1"
	if slices.ContainsFunc(want, isFirst) && slices.ContainsFunc(want, func(p string) bool { return !isFirst(p) }) {
		want, acr = append(want, "mfa"), "aal2"
	}
	slices.Sort(want)
	if want = slices.Compact(want); !slices.Equal(s.AMR, want) || s.ACR != acr || acr == "aal2" && !slices.ContainsFunc(want, isSecond) {
		m.fails("the session says %v, %s of %v", s.AMR, s.ACR, want)
	}
}
