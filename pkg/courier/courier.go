// Package courier turns one event.Requested into one message at a provider, or
// into a reason why there is none. It is the engine of every worker, whatever
// the channel.
//
// request -> challenge -> event -> COURIER -> provider
//
// The bus calls [Worker.Handle] for each message and takes its error as the
// instruction. Five steps: may I send it (the claim)? is there time left? open
// and compose, hand to the provider, write down and report. The claim makes
// the steps safe to repeat at any point: a worker may be killed between any
// two of them. Where that leaves open whether the provider has the message, it
// is looked up in the provider's list first ([Finder]).
//
// What is promised: nothing is sent after its time or without a claim, every
// try of a delivery has the same text, and at most one message too many goes
// out for each lost worker or lost answer whose end cannot be looked up, never
// more than two in all.
//
// What differs from channel to channel is a [Policy] and how content becomes a
// message ([Compose]). The package knows no provider and no bus; the wiring of
// a service hands them in (pkg/service).
package courier

import (
	"context"
	"log/slog"
	"time"

	"countersign.dev/pkg/claim"
	"countersign.dev/pkg/event"
)

// Claims says who may send which delivery; claim.Book is one.
type Claims interface {
	// Take asks for a delivery. Its error decided nothing.
	Take(ctx context.Context, deliveryID string, lease time.Duration) (claim.Claim, error)
	Settler
	Extender
}

// Settler writes down how a taken claim went on.
type Settler interface {
	Accept(ctx context.Context, c claim.Claim, providerID string) error
	Release(ctx context.Context, c claim.Claim) error // certainly not sent
	Doubt(ctx context.Context, c claim.Claim) error   // nobody knows
}

// Extender keeps a taken claim from ending while a send goes on.
type Extender interface {
	Extend(ctx context.Context, c claim.Claim, lease time.Duration) (claim.Claim, error)
}

// Reporter tells the api how it went; bus.Bus is one.
type Reporter interface {
	Report(ctx context.Context, o event.Outcome) error
}

// Opener opens sealed content; seal.Keyring is one.
type Opener interface {
	Open(purpose, aad string, sealed []byte) ([]byte, error)
}

// Compose makes the message of an opened content. It is a pure function: every
// try of a delivery has the same text. Its error holds nothing of the content
// and ends the delivery.
type Compose func(r event.Requested, content []byte) (Message, error)

// Worker handles the messages of one class and environment. The fields are set
// once; Handle may be called from many goroutines.
type Worker struct {
	Claims   Claims
	Compose  Compose
	Provider Provider
	Finder   Finder // nil when the provider keeps no list
	Reports  Reporter
	Keys     Opener
	Now      func() time.Time
	Log      *slog.Logger
	Observe  Observer // may be nil
	Policy   Policy
	// Line starts the log lines: sms.
	Line string
	// Name is the provider's, for reports and metrics.
	Name string
	// Repeatable says that sending again costs nothing and disturbs nobody,
	// as in the sandbox. Such a message is made again when its report was
	// lost, because the report carries it.
	Repeatable bool
}

// Handle takes one message as far as it can go. nil means that nothing is
// left to do; the error is an instruction of pkg/fault otherwise.
func (w *Worker) Handle(ctx context.Context, r event.Requested) error {
	j := &job{Worker: w, policy: w.Policy.withDefaults(), r: r, started: w.Now()}
	err := j.run(ctx)
	j.finish(ctx, err)
	return err
}
