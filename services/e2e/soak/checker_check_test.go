package soak_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// quiet is a history of n persons in which nothing is wrong: each asked once,
// got one message and used its code. The first one's was sent twice, by a
// worker that was killed.
func quiet(n int) history {
	h := history{seed: 7, extra: 1, arrived: "delivered"}
	for i := range n {
		request, id, at := fmt.Sprintf("challenge_%d", i), fmt.Sprintf("delivery_%d", i), noon.Add(time.Duration(i)*time.Second)
		number, code := fmt.Sprintf("+4915100%06d", i), fmt.Sprintf("%06d", 100+i)
		h.asks = append(h.asks, ask{
			person: i, to: number, purpose: "login", status: 201, requestID: request, answered: at, expires: at.Add(5 * time.Minute),
		})
		m := message{
			at: at.Add(time.Second), id: fmt.Sprintf("SM%d", i), to: number, text: code + " is your code.", secret: code,
			delivery: id, until: at.Add(291 * time.Second),
		}
		h.messages = append(h.messages, m)
		if i == 0 {
			m.at = m.at.Add(2 * time.Second)
			h.messages = append(h.messages, m)
		}
		h.deliveries = append(h.deliveries, delivery{id: id, requestID: request, state: "delivered"})
		h.uses = append(h.uses, use{person: i, code: code, right: true, requestID: request, at: at.Add(3 * time.Second)})
	}
	h.asks = append(h.asks, ask{person: 1, to: "+4915100000001", purpose: "login", status: 503, answered: noon})
	h.deliveries = append(h.deliveries, delivery{id: "delivery_x", requestID: "challenge_x", state: "failed", reason: "not_published"})
	h.uses = append(h.uses, use{person: 2, code: "999999", at: noon})
	return h
}

// later returns the message of delivery i again, after d.
func (h *history) again(i int, d time.Duration) *message {
	m := h.messages[i+1] // the first one is there twice
	m.id += "again"
	m.at = m.at.Add(d)
	h.messages = append(h.messages, m)
	return &h.messages[len(h.messages)-1]
}

// asMails makes the messages mails: their server tells no more than that it has
// them, and not until when it tries.
func (h *history) asMails() {
	h.arrived = "accepted"
	for i := range h.deliveries {
		if h.deliveries[i].state == "delivered" {
			h.deliveries[i].state = "accepted"
		}
	}
	for i := range h.messages {
		h.messages[i].until = time.Time{}
	}
}

func TestCheckerNoticesEveryViolation(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(h *history)
		rule  string // empty: nothing is wrong
		says  string // in the counterexample
	}{
		"nothing": {func(*history) {}, "", ""},
		"an accepted challenge without a delivery": {func(h *history) { h.deliveries = h.deliveries[1:] }, ruleLost, "challenge_0"},
		"a delivery that never ended":              {func(h *history) { h.deliveries[3].state = "pending" }, ruleLost, "delivery_3"},
		"one that the provider only took":          {func(h *history) { h.deliveries[3].state = "accepted" }, ruleLost, "delivery_3"},
		"mails, which end as accepted":             {func(h *history) { h.asMails() }, "", ""},
		"a mail that is accepted and was never sent": {
			func(h *history) { h.asMails(); h.messages = h.messages[:len(h.messages)-1] }, ruleUnbacked, "delivery_9"},
		"one that was retried for ever": {func(h *history) { h.deliveries[3].state = "retrying" }, ruleLost, "delivery_3"},
		"two deliveries of one challenge": {
			func(h *history) {
				h.deliveries = append(h.deliveries, delivery{id: "delivery_y", requestID: "challenge_4", state: "failed"})
			}, ruleLost, "challenge_4"},
		"one that is delivered and was never sent": {
			func(h *history) { h.messages = h.messages[:len(h.messages)-1] }, ruleUnbacked, "delivery_9"},
		"one that failed and was sent":     {func(h *history) { h.deliveries[5].state = "failed" }, ruleUnbacked, "delivery_5"},
		"one that expired and was sent":    {func(h *history) { h.deliveries[5].state = "expired" }, ruleUnbacked, "delivery_5"},
		"one that was replaced and sent":   {func(h *history) { h.deliveries[5].state = "superseded" }, ruleUnbacked, "delivery_5"},
		"one that nobody knows the end of": {func(h *history) { h.deliveries[5].state = "unknown" }, "", ""},
		"a refused challenge that was sent": {
			func(h *history) { h.again(1, 0).delivery = "delivery_x" }, ruleStray, "not_published"},
		"a message of nobody": {func(h *history) { h.again(1, 0).delivery = "delivery_z" }, ruleStray, "delivery_z"},
		"a message without a delivery": {
			func(h *history) { h.again(1, 0).delivery = "" }, ruleStray, "SM1again"},
		"a message to somebody else": {func(h *history) { h.messages[4].to = "+4915100999999" }, ruleStray, "SM3"},
		"three messages of one delivery": {
			func(h *history) { h.extra = 9; h.again(6, 0); h.again(6, 0) }, ruleTooMany, "delivery_6"},
		"one message too many that nobody's death explains": {func(h *history) { h.again(6, 0) }, ruleDuplicates, "at most 1"},
		"one that is explained":                             {func(h *history) { h.extra = 2; h.again(6, 0) }, "", ""},
		"a second message with another code": {
			func(h *history) { h.extra = 2; h.again(6, 0).text = "999999 is your code." }, ruleTwoTexts, "delivery_6"},
		"a second message with another sentence": {
			func(h *history) { h.messages[1].text = "000100 ist Ihr Code." }, ruleTwoTexts, "delivery_0"},
		"a message without a code": {func(h *history) { h.messages[3].secret = "" }, ruleTwoTexts, "000102"},
		"a message after its end": {
			func(h *history) { h.extra, h.uses = 2, nil; h.again(6, 6*time.Minute) }, ruleLate, "delivery_6"},
		"a message that may come after its end": {
			func(h *history) { h.messages[7].until = noon.Add(10 * time.Hour) }, ruleLate, "may deliver"},
		"a message after a newer one was asked for": {
			func(h *history) {
				a := h.asks[6]
				a.requestID, a.answered = "challenge_n", a.answered.Add(40*time.Second)
				h.asks = append(h.asks, a)
				h.deliveries = append(h.deliveries, delivery{id: "delivery_n", requestID: "challenge_n", state: "superseded"})
				h.extra, h.uses = 2, nil
				h.again(6, time.Minute)
			}, ruleReplaced, "delivery_6"},
		"a message after a code for something else": {
			func(h *history) {
				a := h.asks[6]
				a.requestID, a.purpose, a.answered = "challenge_n", "enrolment", a.answered.Add(40*time.Second)
				h.asks = append(h.asks, a)
				h.deliveries = append(h.deliveries, delivery{id: "delivery_n", requestID: "challenge_n", state: "superseded"})
				h.extra, h.uses = 2, nil
				h.again(6, time.Minute)
			}, "", ""},
		"a message after its code was used": {
			func(h *history) { h.extra = 2; h.again(6, time.Minute) }, ruleReplaced, "was used"},
		"a code that worked twice": {func(h *history) { h.uses = append(h.uses, h.uses[2]) }, ruleUsedTwice, "challenge_2"},
		"a code that worked too late": {
			func(h *history) { h.uses[2].at = noon.Add(time.Hour) }, ruleUsedTwice, "challenge_2"},
		"a code that worked for another person":  {func(h *history) { h.uses[2].person = 3 }, ruleForeign, "of person 2"},
		"a code that worked for another request": {func(h *history) { h.uses[2].code = h.uses[3].code }, ruleForeign, "sent another"},
		"a code that worked for no request":      {func(h *history) { h.uses[2].requestID = "challenge_x" }, ruleForeign, "nobody asked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := quiet(10)
			c.spoil(&h)
			v := h.check()
			if v.rule != c.rule || v.ok() != (c.rule == "") || !strings.Contains(v.counterexample, c.says) {
				t.Errorf("the checker says %s\nwant the rule %q with %q", v, c.rule, c.says)
			}
			if text := v.String(); !strings.HasPrefix(text, "seed 7: ") || strings.Contains(text, "counterexample") == v.ok() {
				t.Errorf("printed: %s", text)
			}
		})
	}
}

// What is printed when all is well.
func TestVerdictCounts(t *testing.T) {
	t.Parallel()
	want := "seed 7: 10 accepted, 1 refused, 11 messages, 1 duplicates, 10 codes used, 0 lost; deliveries: 10 delivered; slowest first message 1s"
	if got := quiet(10).check().String(); got != want {
		t.Errorf("printed %s\nwant    %s", got, want)
	}
}
