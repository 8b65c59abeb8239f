package courier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"countersign.dev/pkg/claim"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
)

// The reasons that are the worker's own.
const (
	reasonAmbiguous = "ambiguous"
	reasonExhausted = "sends_exhausted"
	reasonLost      = "worker_lost" // a worker died while it was sending
	reasonContent   = "unreadable"  // the content does not open or makes no message
)

// job is one call of Handle.
type job struct {
	*Worker
	policy  Policy
	r       event.Requested
	started time.Time
	claim   claim.Claim
	// for the line at the end
	result event.Result
	reason string
	answer string // the provider's failure, where the reason hides it
	looked string // what its list said
}

func (j *job) life() time.Duration { return j.r.Expires().Sub(j.Now()) }

func (j *job) run(ctx context.Context) error {
	c, err := j.Claims.Take(ctx, j.r.DeliveryID, j.policy.Lease)
	if err != nil {
		return fmt.Errorf("take claim: %w", err)
	}
	j.claim = c
	switch c.State {
	case claim.Taken:
		return j.deliver(ctx)
	case claim.Gone:
		return j.gone(ctx)
	case claim.Busy:
		return fault.RetryAfter(c.BusyFor+rand.N(time.Second), errBusy) //nolint:gosec // spread, not a secret
	case claim.Accepted, claim.Doubtful:
		return j.told(ctx)
	}
	return fmt.Errorf("take claim: state %q is not known", c.State)
}

// gone ends what was never sent and never will be. A claim ends with its
// message, so that its end alone does not say which of the two it was.
func (j *job) gone(ctx context.Context) error {
	if j.life() <= 0 {
		return j.report(ctx, outcome{result: event.Expired})
	}
	return j.report(ctx, outcome{result: event.Superseded})
}

// told repeats what is known about a delivery that must not be sent again,
// also when its time is over: "expired" would say that it was never sent.
func (j *job) told(ctx context.Context) error {
	if j.Repeatable {
		return j.deliver(ctx)
	}
	if j.claim.State == claim.Accepted {
		return j.report(ctx, outcome{result: event.Accepted, providerID: j.claim.ProviderID})
	}
	return j.doubtful(ctx)
}

var errBusy = errors.New("another worker is sending it")

// deliver opens, composes and sends what this worker holds the claim for.
func (j *job) deliver(ctx context.Context) error {
	m, err := j.open(ctx)
	if err != nil {
		// The claim stays: no other worker could read it either.
		reported := j.report(ctx, outcome{result: event.Failed, reason: reasonContent})
		return errors.Join(fault.Permanent(err), reported)
	}
	if m.Stock {
		j.fell(ctx)
	}
	if done, err := j.look(ctx, m); done {
		return err
	}
	if j.uncertain() && j.life() < j.policy.SecondSend {
		return j.late(ctx)
	}
	left := j.life()
	if left < time.Second { // the shortest time a provider can be given
		return j.release(ctx, outcome{result: event.Expired})
	}
	m.ValidFor = left
	receipt, err := j.send(ctx, m, min(j.policy.CallTimeout, left))
	if err != nil {
		return j.react(ctx, err)
	}
	return j.accepted(ctx, receipt)
}

// open reads the content and makes the message of it. Its errors hold nothing
// of what was read. A panic here goes on to the bus, but the claim goes back
// first: nothing was sent, and the next try must not count as a second send.
func (j *job) open(ctx context.Context) (Message, error) {
	panicked := true
	defer func() {
		if panicked && j.claim.State == claim.Taken {
			ctx, cancel := settling(ctx)
			defer cancel()
			j.settled(ctx, j.Claims.Release(ctx, j.claim))
		}
	}()
	m, err := j.message()
	panicked = false
	return m, err
}

// fell tells that the organization's own words could not be used: whoever wrote
// them sees it in no answer.
func (j *job) fell(ctx context.Context) {
	j.observe().Fell(j.Name)
	j.Log.WarnContext(ctx, j.Line+": an organization's own words could not be used", //nolint:sloglint // the worker's own line
		slog.String("delivery_id", j.r.DeliveryID), slog.String("org_id", j.r.OrgID), slog.String("env", j.r.Env))
}

func (j *job) message() (Message, error) {
	plain, err := j.Keys.Open(event.SealContent, j.r.DeliveryID, j.r.Sealed)
	if err != nil {
		return Message{}, fmt.Errorf("open content: %w", err)
	}
	m, err := j.Compose(j.r, plain)
	if err == nil {
		m.Server, err = j.server()
	}
	m.DeliveryID = j.r.DeliveryID
	return m, err
}

// server opens whom the message has to be sent by. What is sealed for one
// delivery says whose it is: nobody's mail goes out by the server of another.
func (j *job) server() (*event.MailServer, error) {
	if len(j.r.Server) == 0 {
		return nil, nil
	}
	plain, err := j.Keys.Open(event.SealServer, j.r.DeliveryID, j.r.Server)
	if err != nil {
		return nil, fmt.Errorf("open server: %w", err)
	}
	var server event.MailServer
	if json.Unmarshal(plain, &server) != nil || server.OrgID != j.r.OrgID {
		return nil, errors.New("open server: it is not one of this organization")
	}
	return &server, nil
}

func (j *job) send(ctx context.Context, m Message, within time.Duration) (Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	defer j.hold(ctx)()
	start := time.Now()
	receipt, err := j.Provider.Send(ctx, m)
	j.observe().Answered(j.Name, answer(err), time.Since(start))
	return receipt, err
}

// accepted writes a success down and reports it. When the report fails, the
// next try finds the claim accepted and reports again.
func (j *job) accepted(ctx context.Context, receipt Receipt) error {
	ctx, cancel := settling(ctx)
	defer cancel()
	if j.claim.State == claim.Taken {
		// Without a claim the report alone ends the delivery.
		j.settled(ctx, j.Claims.Accept(ctx, j.claim, receipt.ProviderID))
	}
	o := outcome{result: event.Accepted, providerID: receipt.ProviderID, message: receipt.Sealed}
	if receipt.Delivered {
		o.result = event.Delivered
	}
	return j.report(ctx, o)
}

// settling gives the steps after a provider call time of their own: what was
// sent must be written down even if the process is told to stop.
func settling(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), settleWithin)
}
