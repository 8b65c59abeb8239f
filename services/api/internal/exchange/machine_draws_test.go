package exchange_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/exchange"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/id"
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

// one of n things, mostly one of the latest.
func (m *machine) one(n int) int {
	if m.upTo(5, "how far") < 5 {
		return n - 1 - m.upTo(min(n-1, 2), "back")
	}
	return m.upTo(n-1, "any")
}

// seldom is what breaks rules.
func (m *machine) seldom(what string) bool { return m.upTo(15, what) == 15 }

// method is mostly one of the likely ones.
func (m *machine) method(likely ...exchange.Method) exchange.Method {
	if len(likely) > 0 && !m.seldom("unlikely method") {
		return pick(m, likely, "likely method")
	}
	return pick(m, allMethods, "method")
}

// people that are named: nobody, a number and what is no address among them.
var people = []string{ana, ben, cleo, dan, eve, fay, old, nobody, "+4915112345678", malformed}

// who names somebody in a request; the model learns it once the flow does.
func (m *machine) who(r *asked) (w exchange.Who, meet func() *alias) {
	name := pick(m, people, "who")
	if m.seldom("unknown sub") {
		return exchange.Who{Sub: id.Opaque().Reveal()}, func() *alias { return nil }
	}
	if a := r.people[name]; a != nil && a.sub != "" && m.upTo(1, "by sub") == 1 {
		return exchange.Who{Sub: a.sub}, func() *alias { return a }
	}
	if w.Address = name; strings.HasPrefix(name, "+") {
		w = exchange.Who{Other: name}
	}
	return w, func() *alias {
		if r.people[name] == nil {
			p := m.findAddress(m.apps[r.app].Tenant, name)
			if p != nil && !p.user.Active {
				p = nil // for as long as the request lives
			}
			r.people[name] = &alias{user: p}
		}
		return r.people[name]
	}
}

func (m *machine) findAddress(t tenant.ID, address string) *someone {
	p, err := m.lookup(t, address)
	if err != nil {
		return nil
	}
	return p
}

// login that has begun, mostly one of the latest that live.
func (m *machine) login() *begun {
	live := slices.DeleteFunc(slices.Clone(m.logins), func(l *begun) bool { return !m.lives(l) })
	if len(live) == 0 || m.seldom("any login") {
		live = m.logins
	}
	if len(live) == 0 {
		return nil
	}
	return live[m.one(len(live))]
}

// mayHave are the methods of somebody who is named by address.
func (m *machine) mayHave(r *asked, w exchange.Who) (out []exchange.Method) {
	if p := m.findAddress(m.apps[r.app].Tenant, w.Address); p != nil {
		out = slices.DeleteFunc(slices.Clone(allMethods), func(method exchange.Method) bool {
			return method == exchange.Password && p.password == "" || method == exchange.BackupCode && len(p.papers) == 0 || !p.keeps(method)
		})
	}
	return out
}

// typed is what somebody types: right, wrong, or nothing.
func (m *machine) typed(p *someone, method exchange.Method) string {
	right := ""
	if p != nil {
		right = p.right(method)
	}
	switch n := m.upTo(9, "what is typed"); {
	case n < 7 && right != "":
		return right
	case n == 9:
		return ""
	}
	return wrongCode(method)
}

// paused reports whether a refusal is the limit of tries at an address, which
// comes after five of them and no sooner.
func (m *machine) paused(err error, t *trial) bool {
	if !errors.Is(err, guard.ErrSpent) {
		return false
	}
	if m.guesses[m.slow(t)] < 5 {
		m.t.Fatalf("the limit of an address comes after %d tries", m.guesses[m.slow(t)])
	}
	return true
}

func (m *machine) slow(t *trial) string {
	for name, a := range t.of.people {
		if a == t.who {
			return fmt.Sprint(m.apps[t.of.app].Org, " ", name)
		}
	}
	return ""
}

// sent is what goes beside an exchange id.
func (m *machine) sent(t *trial, typed string) (v exchange.Verification, fits bool) {
	v, fits = exchange.Verification{ExchangeID: t.exchange, Method: t.method, Code: secret.New(typed)}, true
	switch {
	case m.seldom("other method"):
		v.Method = m.method()
		fits = v.Method == t.method
	case m.seldom("other sub"):
		v.Sub, fits = id.Opaque().Reveal(), false
	case m.seldom("other request"):
		r := m.request()
		v.RequestID, fits = r.id, r == t.of
	case m.seldom("all of it"):
		v.Sub, v.RequestID = t.who.sub, t.of.id
	}
	return v, fits
}
