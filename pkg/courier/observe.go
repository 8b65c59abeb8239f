package courier

import (
	"time"

	"countersign.dev/pkg/event"
)

// Observer counts what the workers of this process do. Its methods are called
// from many goroutines and must not block.
type Observer interface {
	// Reported is called for each outcome that was handed over.
	Reported(provider string, result event.Result)
	// Answered is called for each call of a provider: ok, or the reason why not.
	Answered(provider, answer string, took time.Duration)
	// Looked is called for each look into a provider's list: LookFound,
	// LookMissing, or the reason why it did not tell.
	Looked(provider, answer string)
	// Fell is called for each message in our words where the organization's
	// own could not be used.
	Fell(provider string)
}

// What a look into a provider's list may come to, apart from the reasons of a
// Failure.
const (
	LookFound   = "found"
	LookMissing = "missing"
)

type nobody struct{}

func (nobody) Reported(string, event.Result)          {}
func (nobody) Answered(string, string, time.Duration) {}
func (nobody) Looked(string, string)                  {}
func (nobody) Fell(string)                            {}

func (w *Worker) observe() Observer {
	if w.Observe == nil {
		return nobody{}
	}
	return w.Observe
}

// answer is the word for one call of a provider.
func answer(err error) string {
	if err == nil {
		return "ok"
	}
	return reasonOf(err)
}
