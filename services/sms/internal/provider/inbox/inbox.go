// Package inbox is the provider of the sandbox: nothing leaves the house. It
// hands each message back, sealed, with its result; the api keeps it and
// shows it in the sandbox inbox.
package inbox

import (
	"context"
	"encoding/json"

	"countersign.dev/pkg/event"
	"countersign.dev/services/sms/internal/worker"
)

// Name is how deliveries and metrics call this provider.
const Name = "inbox"

// Sealer seals what the inbox will show; seal.Keyring is one.
type Sealer interface {
	Seal(purpose, aad string, plain []byte) ([]byte, error)
}

// Provider returns messages instead of sending them. It is safe for
// concurrent use.
type Provider struct{ Keys Sealer }

var _ worker.Provider = Provider{}

// Send seals the message and calls it delivered. It fails only when the
// message cannot be sealed; then it certainly was not sent.
func (p Provider) Send(_ context.Context, m worker.Message) (worker.Receipt, error) {
	plain, err := json.Marshal(event.Message{To: m.To, Text: m.Text})
	if err != nil {
		return worker.Receipt{}, &worker.Failure{Reason: "not_sealed", Cause: err}
	}
	sealed, err := p.Keys.Seal(event.SealMessage, m.DeliveryID, plain)
	if err != nil {
		return worker.Receipt{}, &worker.Failure{Reason: "not_sealed", Cause: err}
	}
	return worker.Receipt{ProviderID: "inbox-" + m.DeliveryID, Delivered: true, Sealed: sealed}, nil
}
