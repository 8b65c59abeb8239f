package inbox

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"countersign.dev/pkg/courier"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/seal"
)

var message = courier.Message{
	DeliveryID: "d1", To: "user@example.com", Subject: "Sign in", Text: "747723 is your code.", HTML: "<p>747723</p>", ValidFor: time.Minute,
}

func TestMessageComesBackSealedForItsDelivery(t *testing.T) {
	t.Parallel()
	keys, err := seal.Parse("KEYS", seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := Provider{Keys: keys}.Send(t.Context(), message)
	if err != nil || !receipt.Delivered || receipt.ProviderID != "inbox-d1" {
		t.Fatalf("receipt %+v, %v", receipt, err)
	}
	plain, err := keys.Open(event.SealMessage, "d1", receipt.Sealed)
	var m event.Message
	if err != nil || json.Unmarshal(plain, &m) != nil || m != (event.Message{To: message.To, Subject: message.Subject, Text: message.Text, HTML: message.HTML}) {
		t.Errorf("message %+v, %v", m, err)
	}
	if _, err := keys.Open(event.SealMessage, "d2", receipt.Sealed); err == nil {
		t.Error("it opens for another delivery")
	}
	if _, err := keys.Open(event.SealContent, "d1", receipt.Sealed); err == nil {
		t.Error("it opens as content")
	}
}

type broken struct{}

func (broken) Seal(string, string, []byte) ([]byte, error) { return nil, errors.New("no key") }

func TestWhatCannotBeSealedWasCertainlyNotSent(t *testing.T) {
	t.Parallel()
	_, err := Provider{Keys: broken{}}.Send(t.Context(), message)
	if err == nil || fault.IsAmbiguous(err) || fault.IsPermanent(err) {
		t.Errorf("got %v", err)
	}
}
