package courier

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"countersign.dev/pkg/fault"
)

// ReasonPaused is why a message was not even tried: the provider is out.
const ReasonPaused = "provider_paused"

const (
	// tripAfter failures in a row that were not about the message.
	tripAfter = 20
	// probeEvery is how often one message finds out whether it is over.
	probeEvery = 5 * time.Second
)

// Breaker keeps messages from a provider that is out or does not know us.
// What it holds back was certainly not sent and follows the retry table; one
// message every five seconds is let through to see. It is safe for concurrent
// use.
type Breaker struct {
	Next Provider
	Now  func() time.Time
	// Changed is told when the breaker opens (with the reason that did it)
	// and closes (with an empty one). It may be nil and must not block.
	Changed func(reason string)

	mu      sync.Mutex
	down    int    // failures in a row
	reason  string // why it is open, empty when it is closed
	probeAt time.Time
}

var _ Provider = (*Breaker)(nil)

// Send passes the message on, or refuses it with [ReasonPaused].
func (b *Breaker) Send(ctx context.Context, m Message) (Receipt, error) {
	if !b.admit() {
		return Receipt{}, &Failure{Reason: ReasonPaused}
	}
	receipt, err := b.Next.Send(ctx, m)
	b.record(err)
	return receipt, err
}

// Check returns an error while messages are held back.
func (b *Breaker) Check(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reason == "" {
		return nil
	}
	return fmt.Errorf("messages are held back: the provider answered %s", b.reason)
}

// admit lets everything through while closed, and one probe at a time while
// open.
func (b *Breaker) admit() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reason == "" {
		return true
	}
	now := b.Now()
	if now.Before(b.probeAt) {
		return false
	}
	b.probeAt = now.Add(probeEvery)
	return true
}

func (b *Breaker) record(err error) {
	if changed, reason := b.note(err); changed && b.Changed != nil {
		b.Changed(reason)
	}
}

func (b *Breaker) note(err error) (changed bool, reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.reason
	reason = reasonOf(err)
	switch {
	case errors.Is(err, context.Canceled): // we hung up; says nothing
		return false, ""
	case !outage(err):
		b.down, b.reason = 0, ""
	case everybodys(reason):
		b.reason = reason
	default:
		if b.down++; b.down >= tripAfter {
			b.reason = reason
		}
	}
	if b.reason != "" && was == "" {
		b.probeAt = b.Now().Add(probeEvery)
	}
	return (b.reason == "") != (was == ""), b.reason
}

// outage tells a failure of the provider from one of the message. Too many
// messages is neither: the provider works and says when to come back.
func outage(err error) bool {
	if err == nil {
		return false
	}
	if everybodys(reasonOf(err)) || fault.IsAmbiguous(err) {
		return true
	}
	_, later := fault.RetryTime(err)
	return !later && !fault.IsPermanent(err)
}

// everybodys reports a reason that holds for every message until an operator
// acts: a wrong credential, a wrong or forbidden address, or a connection that
// cannot be trusted.
func everybodys(reason string) bool {
	return reason == ReasonCredentials || reason == ReasonRedirected || reason == ReasonTLS || reason == ReasonForbidden
}
