// Package worker turns one event.Requested into one text message, or into a
// reason why there is none.
//
// request -> challenge -> event -> WORKER -> provider
//
// The bus calls [Worker.Handle] for each message and takes its error as the
// instruction. Five steps: may I send it (the claim)? is there time left? open
// and render, hand to the provider, write down and report. The claim makes
// the steps safe to repeat at any point: a worker may be killed between any
// two of them. Where that leaves open whether the provider has the message, it
// is looked up in the provider's list first ([Finder]).
//
// What is promised: nothing is sent after its time or without a claim, every
// try of a delivery has the same text, and at most one message too many goes
// out for each lost worker or lost answer whose end cannot be looked up, never
// more than two in all.
//
// The package knows no provider and no bus; the wiring hands them in.
package worker

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
	"countersign.dev/services/sms/internal/text"
)

// Claims says who may send which delivery; claim.Book is one.
type Claims interface {
	// Take asks for a delivery. Its error decided nothing.
	Take(ctx context.Context, deliveryID string, lease time.Duration) (claim.Claim, error)
	Settler
}

// Settler writes down how a taken claim went on.
type Settler interface {
	Accept(ctx context.Context, c claim.Claim, providerID string) error
	Release(ctx context.Context, c claim.Claim) error // certainly not sent
	Doubt(ctx context.Context, c claim.Claim) error   // nobody knows
}

// Reporter tells the api how it went; bus.Bus is one.
type Reporter interface {
	Report(ctx context.Context, o event.Outcome) error
}

// Opener opens sealed content; seal.Keyring is one.
type Opener interface {
	Open(purpose, aad string, sealed []byte) ([]byte, error)
}

// Worker handles the messages of one environment. The fields are set once;
// Handle may be called from many goroutines.
type Worker struct {
	Claims   Claims
	Provider Provider
	Finder   Finder // nil when the provider keeps no list
	Reports  Reporter
	Keys     Opener
	Now      func() time.Time
	Log      *slog.Logger
	Observe  Observer // may be nil
	// Name is the provider's, for reports and metrics.
	Name string
	// Repeatable says that sending again costs nothing and disturbs nobody,
	// as in the sandbox. Such a message is made again when its report was
	// lost, because the report carries it.
	Repeatable bool
}

const (
	// lease is longer than a look, a provider call and everything around them.
	lease       = 25 * time.Second
	callTimeout = 10 * time.Second
	// With less life than this a second message would arrive too late to be
	// of use.
	secondSendLife = 60 * time.Second
	// settleWithin bounds writing down what a provider did, which also
	// happens while the process is shutting down.
	settleWithin   = 5 * time.Second
	ambiguousPause = 2 * time.Second
)

// The reasons that are the worker's own.
const (
	reasonAmbiguous = "ambiguous"
	reasonExhausted = "sends_exhausted"
	reasonLost      = "worker_lost" // a worker died while it was sending
	reasonContent   = "unreadable"  // the content does not open or makes no message
)

// Handle takes one message as far as it can go. nil means that nothing is
// left to do; the error is an instruction of pkg/fault otherwise.
func (w *Worker) Handle(ctx context.Context, r event.Requested) error {
	j := &job{Worker: w, r: r, started: w.Now()}
	err := j.run(ctx)
	j.finish(ctx, err)
	return err
}

// job is one call of Handle.
type job struct {
	*Worker
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
	c, err := j.Claims.Take(ctx, j.r.DeliveryID, lease)
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

// deliver opens, renders and sends what this worker holds the claim for.
func (j *job) deliver(ctx context.Context) error {
	m, err := j.open()
	if err != nil {
		// The claim stays: no other worker could read it either.
		reported := j.report(ctx, outcome{result: event.Failed, reason: reasonContent})
		return errors.Join(fault.Permanent(err), reported)
	}
	if done, err := j.look(ctx, m); done {
		return err
	}
	if j.uncertain() && j.life() < secondSendLife {
		return j.late(ctx)
	}
	left := j.life()
	if left < time.Second { // the shortest time a provider can be given
		return j.release(ctx, outcome{result: event.Expired})
	}
	m.ValidFor = left
	receipt, err := j.send(ctx, m, min(callTimeout, left))
	if err != nil {
		return j.react(ctx, err)
	}
	return j.accepted(ctx, receipt)
}

// open reads the content and makes the message of it. Its errors hold nothing
// of what was read.
func (j *job) open() (Message, error) {
	plain, err := j.Keys.Open(event.SealContent, j.r.DeliveryID, j.r.Sealed)
	if err != nil {
		return Message{}, fmt.Errorf("open content: %w", err)
	}
	var sms event.SMS
	if json.Unmarshal(plain, &sms) != nil || sms.To == "" {
		return Message{}, errors.New("open content: it is not a text message")
	}
	body, err := text.Render(text.Message{Code: sms.Code, Brand: sms.Brand, Host: sms.Host, Locale: sms.Locale})
	if err != nil {
		return Message{}, fmt.Errorf("render text: %w", err)
	}
	return Message{DeliveryID: j.r.DeliveryID, To: sms.To, Text: body}, nil
}

func (j *job) send(ctx context.Context, m Message, within time.Duration) (Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
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
