package soak_test

import (
	"fmt"
	"slices"
	"time"
)

// check compares the three logs. It is the whole of what the tests of this
// package believe in; TestCheckerNoticesEveryViolation shows that it can say no.
func (h history) check() verdict {
	c := newChecker(h)
	c.challenges()
	c.provider()
	c.texts()
	c.times()
	c.codes()
	return c.verdict
}

// checker is a history with the ways through it.
type checker struct {
	history
	verdict verdict
	asked   map[string]ask        // accepted ones, by request
	known   map[string]delivery   // by id
	of      map[string][]delivery // by request
	sent    map[string][]message  // by delivery, oldest first
	opened  []ask                 // accepted ones, oldest first
}

func newChecker(h history) *checker {
	c := &checker{
		history: h, verdict: verdict{seed: h.seed, messages: len(h.messages), states: map[string]int{}, broken: map[string]int{}},
		asked: map[string]ask{}, known: map[string]delivery{}, of: map[string][]delivery{}, sent: map[string][]message{},
	}
	for _, a := range h.asks {
		if !a.accepted() {
			c.verdict.refused++
			continue
		}
		c.verdict.accepted++
		c.asked[a.requestID] = a
		c.opened = append(c.opened, a)
	}
	slices.SortStableFunc(c.opened, func(a, b ask) int { return a.answered.Compare(b.answered) })
	for _, d := range h.deliveries {
		c.known[d.id] = d
		c.of[d.requestID] = append(c.of[d.requestID], d)
	}
	for _, m := range h.messages {
		c.sent[m.delivery] = append(c.sent[m.delivery], m)
	}
	for _, messages := range c.sent {
		slices.SortStableFunc(messages, func(a, b message) int { return a.at.Compare(b.at) })
	}
	return c
}

// fail keeps the first counterexample and counts the others.
func (c *checker) fail(rule, format string, args ...any) {
	c.verdict.broken[rule]++
	if c.verdict.rule == "" {
		c.verdict.rule, c.verdict.counterexample = rule, fmt.Sprintf(format, args...)
	}
}

// challenges looks from the clients' side: what was accepted has an end, and
// the end is true.
func (c *checker) challenges() {
	for _, a := range c.opened {
		found := c.of[a.requestID]
		if len(found) != 1 {
			c.fail(ruleLost, "%s, accepted at %s, has %d deliveries", a.requestID, stamp(a.answered), len(found))
			continue
		}
		d := found[0]
		c.verdict.states[d.state]++
		if !ended(d.state, c.arrived) {
			c.fail(ruleLost, "%s of %s, accepted at %s, is still %s", d.id, d.requestID, stamp(a.answered), d.state)
		}
		messages := c.sent[d.id]
		switch {
		case d.state == c.arrived && len(messages) == 0:
			c.fail(ruleUnbacked, "%s is %s, and the provider never had it", d.id, d.state)
		case slices.Contains([]string{"failed", "expired", "superseded"}, d.state) && len(messages) > 0:
			c.fail(ruleUnbacked, "%s is %s (%s), and the provider had it at %s", d.id, d.state, d.reason, stamp(messages[0].at))
		}
		if len(messages) > 0 {
			c.verdict.slowest = max(c.verdict.slowest, messages[0].at.Sub(a.answered))
		}
	}
}

// provider looks from the other side: whatever arrived there was accepted,
// and not too often.
func (c *checker) provider() {
	for _, m := range c.messages {
		d, known := c.known[m.delivery]
		a, accepted := c.asked[d.requestID]
		switch {
		case !known:
			c.fail(ruleStray, "message %s at %s belongs to %q, which no delivery is", m.id, stamp(m.at), m.delivery)
		case !accepted:
			c.fail(ruleStray, "message %s at %s belongs to %s (%s %s), which no client was promised", m.id, stamp(m.at), d.id, d.state, d.reason)
		case m.to != a.to:
			c.fail(ruleStray, "message %s of %s went to somebody else", m.id, d.id)
		}
	}
	for id, messages := range c.sent {
		c.verdict.duplicates += len(messages) - 1
		if len(messages) > mostSends {
			c.fail(ruleTooMany, "%s was sent %d times, at %s", id, len(messages), stamps(messages))
		}
	}
	if c.verdict.duplicates > c.extra {
		for id, messages := range c.sent {
			if len(messages) > 1 {
				c.fail(ruleDuplicates, "%d, and at most %d; one is %s, at %s", c.verdict.duplicates, c.extra, id, stamps(messages))
				return
			}
		}
	}
}

// texts compares the messages of each delivery.
func (c *checker) texts() {
	for id, messages := range c.sent {
		for _, m := range messages {
			if m.text != messages[0].text || m.secret == "" {
				c.fail(ruleTwoTexts, "%s: %q and %q", id, messages[0].text, m.text)
			}
		}
	}
}

// times looks for messages that came too late to be of use.
func (c *checker) times() {
	newest := map[string]ask{} // by person and purpose
	for _, a := range slices.Backward(c.opened) {
		newer, replaced := newest[a.key()]
		newest[a.key()] = a
		for _, d := range c.of[a.requestID] {
			for _, m := range c.sent[d.id] {
				switch {
				case m.at.After(a.expires):
					c.fail(ruleLate, "%s expired at %s and was sent at %s", d.id, stamp(a.expires), stamp(m.at))
				case m.until.After(a.expires.Add(time.Second)):
					c.fail(ruleLate, "%s expires at %s and the provider may deliver it until %s", d.id, stamp(a.expires), stamp(m.until))
				case replaced && m.at.After(newer.answered.Add(onItsWay)):
					c.fail(ruleReplaced, "%s was replaced at %s and sent at %s", d.id, stamp(newer.answered), stamp(m.at))
				}
			}
		}
	}
	for _, u := range c.uses {
		for _, d := range c.of[u.requestID] {
			for _, m := range c.sent[d.id] {
				if u.right && m.at.After(u.at.Add(onItsWay)) {
					c.fail(ruleReplaced, "%s was used at %s and sent at %s", d.id, stamp(u.at), stamp(m.at))
				}
			}
		}
	}
}

func (a ask) key() string { return fmt.Sprintf("%d %s", a.person, a.purpose) }

// codes looks at what clients got for their codes.
func (c *checker) codes() {
	seen := map[string]use{}
	for _, u := range c.uses {
		if !u.right {
			continue
		}
		c.verdict.used++
		a, accepted := c.asked[u.requestID]
		if first, again := seen[u.requestID]; again {
			c.fail(ruleUsedTwice, "%s worked at %s and at %s", u.requestID, stamp(first.at), stamp(u.at))
		}
		seen[u.requestID] = u
		switch {
		case !accepted:
			c.fail(ruleForeign, "person %d's code worked for %q, which nobody asked for", u.person, u.requestID)
		case a.person != u.person:
			c.fail(ruleForeign, "person %d's code worked for %s of person %d", u.person, u.requestID, a.person)
		case !c.wasSent(u):
			c.fail(ruleForeign, "person %d's code worked for %s, which was sent another", u.person, u.requestID)
		case u.at.After(a.expires.Add(onItsWay)): // the client's own clock and patience
			c.fail(ruleUsedTwice, "%s expired at %s and worked at %s", u.requestID, stamp(a.expires), stamp(u.at))
		}
	}
}

// wasSent reports whether the code of a use was in a message of its request.
func (c *checker) wasSent(u use) bool {
	for _, d := range c.of[u.requestID] {
		for _, m := range c.sent[d.id] {
			if m.secret == u.code {
				return true
			}
		}
	}
	return false
}

func stamp(t time.Time) string { return t.UTC().Format("15:04:05.000") }

func stamps(messages []message) string {
	text := ""
	for _, m := range messages {
		text += stamp(m.at) + " "
	}
	return text
}
