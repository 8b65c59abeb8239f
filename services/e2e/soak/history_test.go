package soak_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"countersign.dev/services/e2e/fakes/twilio"
)

// history is what three sides wrote down of one run.
type history struct {
	seed uint64
	// The clients' log.
	asks []ask
	uses []use
	// The provider's log: what it accepted and would have sent.
	messages []message
	// What the API says of its deliveries, after everything came to rest, and
	// the end of those that were sent: mail servers tell no more than that
	// they accepted a mail.
	deliveries []delivery
	arrived    string
	// extra is how many messages too many may be explained: those that were
	// in a worker's hands when it was killed.
	extra int
}

// message is what a provider accepted, whatever the channel.
type message struct {
	at       time.Time
	id       string // the provider's
	to       string // number or address
	delivery string
	text     string    // all that must be the same when it is sent again
	secret   string    // the code or link in it
	until    time.Time // the provider may deliver it until then; zero when nobody can tell it
}

// textMessages are those that Twilio accepted. The delivery of each is in the
// address that its callbacks go to.
func textMessages(log twilio.Log) []message {
	var all []message
	for _, m := range log.Messages {
		all = append(all, message{
			at: m.At, id: m.SID, to: m.To, delivery: deliveryOf(m), text: m.Body, secret: codeOf(m),
			until: m.At.Add(time.Duration(m.ValidityPeriod) * time.Second),
		})
	}
	return all
}

// ask is a client asking for a code or a link, and the answer.
type ask struct {
	person    int
	to        string // number or address
	purpose   string // a newer code of the same person and purpose replaces it
	status    int
	requestID string // of one that was accepted
	answered  time.Time
	took      time.Duration
	expires   time.Time
}

func (a ask) accepted() bool { return a.status == 201 }

// use is a client handing in a code, and the answer.
type use struct {
	person    int
	code      string
	right     bool
	requestID string // of the code that the api says was used
	at        time.Time
}

// delivery is one as the API shows it.
type delivery struct {
	id, requestID, state, reason string
}

// ends are the states in which a delivery stays.
var ends = []string{"delivered", "undelivered", "failed", "expired", "superseded", "unknown"}

// ended reports whether a delivery stays in a state, where those that were
// sent end as arrived.
func ended(state, arrived string) bool { return state == arrived || slices.Contains(ends, state) }

// Rules of the checker, as it names them.
const (
	ruleLost       = "an accepted challenge has one delivery, which ends in one state"
	ruleStray      = "the provider got only what was accepted"
	ruleUnbacked   = "a delivery says what the provider knows"
	ruleTooMany    = "a delivery is sent at most twice"
	ruleDuplicates = "no more messages too many than were in the hands of those killed"
	ruleTwoTexts   = "every message of a delivery is the same"
	ruleLate       = "nothing is sent after it expired"
	ruleReplaced   = "nothing is sent after it was replaced or used"
	ruleUsedTwice  = "a code works once, in its time"
	ruleForeign    = "a code works for its own person and request alone"
)

const (
	mostSends = 2
	// onItsWay is how long a send may take that had begun when its code was
	// replaced or used: it cannot be called back.
	onItsWay = 10 * time.Second
)

// verdict is what the checker found.
type verdict struct {
	seed                 uint64
	accepted, refused    int
	messages, duplicates int
	used                 int
	states               map[string]int
	broken               map[string]int // by rule
	rule, counterexample string         // the first
	slowest              time.Duration  // from an answer to the first message of its delivery
}

// String is the verdict in a few lines.
func (v verdict) String() string {
	var states []string
	for _, state := range slices.Sorted(maps.Keys(v.states)) {
		states = append(states, fmt.Sprintf("%d %s", v.states[state], state))
	}
	text := fmt.Sprintf("seed %d: %d accepted, %d refused, %d messages, %d duplicates, %d codes used, %d lost; deliveries: %s; slowest first message %v",
		v.seed, v.accepted, v.refused, v.messages, v.duplicates, v.used, v.broken[ruleLost], strings.Join(states, ", "), v.slowest.Round(time.Millisecond))
	if v.rule != "" {
		text += fmt.Sprintf("\nbroken: %v\nfirst counterexample (%s): %s", v.broken, v.rule, v.counterexample)
	}
	return text
}

func (v verdict) ok() bool { return v.rule == "" }

var lastCode = regexp.MustCompile(`#([0-9]{6})$`)

func codeOf(m twilio.Message) string {
	if match := lastCode.FindStringSubmatch(m.Body); match != nil {
		return match[1]
	}
	return ""
}

// deliveryOf is the delivery that a message belongs to, by the address its
// callbacks go to.
func deliveryOf(m twilio.Message) string {
	return m.StatusCallback[strings.LastIndex(m.StatusCallback, "/")+1:]
}
