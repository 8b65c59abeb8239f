package exchange_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/exchange"
	"countersign.dev/services/api/internal/id"
)

// machine is the flow and the model side by side.
type machine struct {
	*world
	t        *rapid.T
	requests []*asked
	trials   []*trial
	logins   []*begun
	led      map[*asked]bool // to a code
	had      map[*begun]bool // whether its user had a second factor as it began
	guesses  map[string]int  // at signing in by a code alone, since the last right one
	codes    map[string]int  // that were made, by proofs
	ids      map[string]bool // that there have been
	trace    []string
	allowed  map[string]int // operations that were, by name
}

// operations, the frequent ones several times. Nothing is the first, so that
// package rapid puts it in place of all that a failure does not need.
var operations = func() (out []operation) {
	for _, o := range []struct {
		times int
		operation
	}{
		{1, operation{"nothing", func(*machine) bool { return true }}},
		{7, operation{"verify", (*machine).verifies}},
		{5, operation{"go on", (*machine).goesOn}},
		{4, operation{"finish", (*machine).finishes}},
		{9, operation{"begin", (*machine).begins}},
		{4, operation{"confirm", (*machine).confirms}},
		{3, operation{"enrol", (*machine).enrols}},
		{3, operation{"generate", (*machine).generates}},
		{2, operation{"continue", (*machine).continues}},
		{2, operation{"wait", (*machine).waits}},
		{1, operation{"precheck", (*machine).prechecks}},
		{1, operation{"methods", (*machine).lists}},
		{1, operation{"status", (*machine).asksStatus}},
		{1, operation{"cancel", (*machine).cancels}},
		{1, operation{"stray", (*machine).strays}},
		{1, operation{"deactivate", (*machine).deactivates}},
		{3, operation{"restore", (*machine).restores}},
	} {
		for range o.times {
			out = append(out, o.operation)
		}
	}
	return out
}()

type operation struct {
	name string
	run  func(*machine) bool // reports whether it was allowed
}

// The operations of one run, and how many runs package rapid makes of them.
const (
	perRun = 2000
	allRun = 100_000
)

//
func TestNoStepIsSkippedOrRepeated(t *testing.T) {
	t.Parallel()
	total, codes, allowed := 0, map[string]int{}, map[string]int{}
	for round := 0; total < allRun; round++ {
		rapid.Check(t, func(rt *rapid.T) {
			m := &machine{world: newWorld(rt), t: rt, led: map[*asked]bool{}, ids: map[string]bool{}, had: map[*begun]bool{}, guesses: map[string]int{}, codes: codes, allowed: allowed}
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
	}
	t.Logf("%d operations, allowed %v, codes %v", total, allowed, codes)
	for _, o := range operations {
		if allowed[o.name] < 50 {
			t.Errorf("%s was allowed %d times: the operations say little", o.name, allowed[o.name])
		}
	}
	for _, proofs := range [][]string{
		{"pwd"}, {"email"}, {"otp"}, {"sms"}, {"pwd otp"}, {"pwd sms"}, {"email otp"}, {"pwd email"}, {"recovery otp"}, {"recovery sms"},
		{"pwd recovery otp", "pwd recovery sms", "email recovery otp", "email recovery sms"},
	} {
		if !slices.ContainsFunc(proofs, func(p string) bool { return codes[p] > 0 }) {
			t.Errorf("no code was made for %s: the operations say little", proofs)
		}
	}
}

// agrees fails unless an operation was allowed if, and only if, it may be.
func (m *machine) agrees(what string, err error, may bool) bool {
	m.t.Helper()
	if m.trace = append(m.trace, fmt.Sprintf("%s %s: %v", m.now.Format(time.TimeOnly), what, err)); (err == nil) != may {
		m.t.Fatalf("%s: the flow says %v, and it may be: %v\n%s", what, err, may, strings.Join(m.trace[max(0, len(m.trace)-40):], "\n"))
	}
	return err == nil
}

func (m *machine) generates() bool {
	n := pick(m, []int{0, 0, 0, 1, 2}, "app")
	requestID, _, err := m.Generate(m.t.Context(), m.asks(n))
	if m.agrees("generate", err, m.runs(n)) {
		m.fresh(requestID)
		m.requests = append(m.requests, &asked{id: requestID, app: n, at: m.now, people: map[string]*alias{}})
	}
	return err == nil
}

func (m *machine) request() *asked {
	if len(m.requests) == 0 {
		m.generates()
	}
	if len(m.requests) == 0 {
		return nil
	}
	return m.requests[m.one(len(m.requests))]
}

func (m *machine) lists() bool {
	r := m.request()
	if r == nil {
		return false
	}
	w, meet := m.who(r)
	list, err := m.Methods(m.t.Context(), r.id, w)
	var a *alias
	if m.works(r) {
		a = meet()
	}
	if !m.agrees("methods", err, a != nil) {
		return false
	}
	want := m.firsts(r.app)
	if m.lives(a.login) {
		want = m.seconds(a.login)
	}
	m.same("methods", list, want)
	return true
}

func (m *machine) same(what string, list []exchange.Configured, want []exchange.Method) {
	m.t.Helper()
	got := make([]exchange.Method, 0, len(list))
	for _, c := range list {
		got = append(got, c.Method)
	}
	slices.Sort(got)
	if slices.Sort(want); !slices.Equal(got, want) {
		m.t.Fatalf("%s are %v, want %v", what, got, want)
	}
}

func (m *machine) begins() bool {
	r := m.request()
	if r == nil {
		return false
	}
	in := exchange.Initiation{RequestID: r.id, Usage: pick(m, []exchange.Usage{exchange.Initial, exchange.Passwordless}, "usage")}
	if m.seldom("no usage") {
		in.Usage = "SOMETHING"
	}
	w, meet := m.who(r)
	in.Who, in.Method = w, m.method(m.mayHave(r, w)...)
	step, err := m.Initiate(m.t.Context(), from, in)
	var a *alias
	if m.works(r) && in.Usage != "SOMETHING" && slices.Contains(m.firsts(r.app), in.Method) && (in.Method == exchange.Password || !m.sprayed) {
		a = meet()
	}
	if m.agrees("begin with "+string(in.Method), err, a != nil) {
		m.started(step, trial{purpose: toBegin, method: in.Method, of: r, who: a})
	}
	return err == nil
}

// started notes the ids of a new trial.
func (m *machine) started(step exchange.Step, t trial) {
	if t.who.sub = cmp.Or(t.who.sub, step.Sub); t.who.sub != step.Sub {
		m.t.Fatalf("somebody has two masked ids in one request")
	}
	t.exchange, t.stage, t.ends = step.ExchangeID, open, m.now.Add(5*time.Minute).Truncate(time.Millisecond)
	if !step.ExpiresAt.Equal(t.ends) {
		m.t.Fatalf("an exchange id ends %s, want %s", step.ExpiresAt, t.ends)
	}
	m.fresh(step.ExchangeID, step.StatusID)
	t.kept = m.now.Add(memory)
	t.report = &report{id: step.StatusID, of: &t, stage: open, ends: t.ends, kept: t.kept}
	m.trials = append(m.trials, &t)
}

// fresh notes ids that are new, and must be.
func (m *machine) fresh(ids ...secret.Text) {
	m.t.Helper()
	for _, one := range ids {
		if m.ids[one.Reveal()] {
			m.t.Fatalf("an id was there before")
		}
		m.ids[one.Reveal()] = true
	}
}

func (m *machine) goesOn() bool {
	l := m.login()
	if l == nil {
		return false
	}
	in := exchange.Initiation{RequestID: l.of.id, Usage: exchange.MultiFactor, Method: m.method(m.seconds(l)...), Who: exchange.Who{Sub: l.who.sub}}
	r, found := l.of, l.who.login
	switch m.upTo(3, "how named") {
	case 0: // by the track id, beside whatever
		in.TrackID, in.Who = l.track, exchange.Who{}
		found = l
		if m.seldom("other sub") {
			in.Who.Sub = id.Opaque().Reveal()
			found = nil
		}
		if other := m.request(); m.seldom("other request") && other != r {
			in.RequestID, r, found = other.id, other, nil
		}
	case 1: // by anybody's name
		r = m.request()
		w, meet := m.who(r)
		in.RequestID, in.Who, found = r.id, w, nil
		if m.works(r) {
			if a := meet(); a != nil {
				found = a.login
			}
		}
	}
	step, err := m.Initiate(m.t.Context(), from, in)
	may := m.works(r) && m.lives(found) && slices.Contains(m.seconds(found), in.Method)
	if m.works(r) && in.TrackID.Reveal() != "" && found == nil {
		l.end()
	}
	if m.agrees("go on with "+string(in.Method), err, may) {
		m.started(step, trial{purpose: toGoOn, method: in.Method, of: r, who: found.who, login: found})
	}
	return err == nil
}

// waits lets time pass.
func (m *machine) waits() bool {
	steps := []time.Duration{
		time.Second, 9 * time.Second, 10 * time.Second, 11 * time.Second, time.Minute, 4 * time.Minute, 5 * time.Minute, 5*time.Minute + time.Second, 10 * time.Minute, 30 * time.Minute,
	}
	m.pass(pick(m, steps[:1+m.upTo(len(steps)-1, "how long at most")], "how long"))
	return true
}

func (m *machine) deactivates() bool {
	switch m.upTo(4, "what") {
	case 0:
		m.apps[m.upTo(len(m.apps)-1, "app")].Active = false
	case 1:
		org := m.orgs["acme"]
		org.DeletedAt = m.now
		m.orgs["acme"] = org
	case 2:
		m.sprayed = true
	case 3:
		c := m.connections[tenantOf("acme").Org]
		c.Passwordless = false
		m.connections[tenantOf("acme").Org] = c
	default:
		pick(m, m.users, "user").user.Active = false
	}
	return true
}

func (m *machine) restores() bool {
	for i := range m.apps {
		m.apps[i].Active = true
	}
	for _, domain := range slices.Collect(maps.Keys(m.orgs)) {
		m.organization(domain, domain == "acme")
	}
	for _, p := range m.users {
		p.user.Active = true
	}
	m.sprayed = false
	return true
}
