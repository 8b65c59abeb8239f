// Package inbox is every channel's provider of the sandbox: nothing leaves the house. It
// hands each message back, sealed, with its result; the api keeps it and
// shows it in the sandbox inbox.
package inbox

import (
	"context"
	"encoding/json"

	"countersign.dev/pkg/courier"
	"countersign.dev/pkg/event"
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

var _ courier.Provider = Provider{}

// Send seals the message and calls it delivered. It fails only when the
// message cannot be sealed; then it certainly was not sent.
func (p Provider) Send(_ context.Context, m courier.Message) (courier.Receipt, error) {
	plain, err := json.Marshal(event.Message{To: m.To, Subject: m.Subject, Text: m.Text, HTML: m.HTML})
	if err != nil {
		return courier.Receipt{}, &courier.Failure{Reason: "not_sealed", Cause: err}
	}
	sealed, err := p.Keys.Seal(event.SealMessage, m.DeliveryID, plain)
	if err != nil {
		return courier.Receipt{}, &courier.Failure{Reason: "not_sealed", Cause: err}
	}
	return courier.Receipt{ProviderID: "inbox-" + m.DeliveryID, Delivered: true, Sealed: sealed}, nil
}
