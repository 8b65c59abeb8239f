package courier

import (
	"cmp"
	"math/rand/v2"
	"time"
)

// Policy is what differs between channels and classes. The zero value suits a
// code that lives for minutes and a provider that answers in seconds.
type Policy struct {
	// CallTimeout bounds one call of the provider, 10 s when zero.
	CallTimeout time.Duration
	// Lease is for how long a claim is taken, 25 s when zero. Without Prolong
	// it is longer than a look, a call and everything around them.
	Lease time.Duration
	// Prolong is how often the lease is extended during a call that may
	// outlast it; zero is never. A third of the lease leaves room for two
	// extensions that fail.
	Prolong time.Duration
	// With less life than SecondSend (a minute when zero) a second message
	// would arrive too late to be of use.
	SecondSend time.Duration
	// Doubt is how long a message rests after a call whose end nobody knows,
	// 2 s when zero.
	Doubt time.Duration
	// Defer is for messages that the api keeps until they have a result. The
	// zero value leaves every retry to the bus.
	Defer Deferral
}

// Deferral says when a message that was certainly not sent goes back to the
// api, which publishes it again at the time that the worker asks for. Until
// then it takes no room in the queue.
type Deferral struct {
	// From is the attempt from which on; the ones before it are repeated by
	// the bus.
	From int
	// Pauses follow each other from there, ±25 % so that what failed together
	// does not come back together; the last one repeats.
	Pauses []time.Duration
}

// The defaults of a Policy.
const (
	callTimeout    = 10 * time.Second
	lease          = 25 * time.Second
	secondSendLife = time.Minute
	doubtPause     = 2 * time.Second
)

const (
	// settleWithin bounds writing down what a provider did, which also
	// happens while the process is shutting down.
	settleWithin = 5 * time.Second
	// A pause shorter than this is the bus's own business.
	shortestDeferral = 10 * time.Second
)

func (p Policy) withDefaults() Policy {
	p.CallTimeout = cmp.Or(p.CallTimeout, callTimeout)
	p.Lease = cmp.Or(p.Lease, lease)
	p.SecondSend = cmp.Or(p.SecondSend, secondSendLife)
	p.Doubt = cmp.Or(p.Doubt, doubtPause)
	return p
}

// wait is how long the api shall keep a message after its given attempt, zero
// when the bus keeps it. It is at least as long as the provider asked for and
// otherwise leaves half of the message's life for the tries to come.
func (d Deferral) wait(attempt int, life, told time.Duration) time.Duration {
	if len(d.Pauses) == 0 || attempt < d.From && told < d.Pauses[0] {
		return 0
	}
	step := d.Pauses[min(max(attempt-d.From, 0), len(d.Pauses)-1)]
	pause := step - step/4 + rand.N(step/2+1) //nolint:gosec // spread, not a secret
	if pause = max(min(pause, life/2), told); pause < shortestDeferral {
		return 0
	}
	return pause
}
