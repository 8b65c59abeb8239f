// Package callback takes the receipts of providers: their later word about a
// message that they accepted.
//
// A receipt is believed only with the provider's signature over the public
// URL, which comes from configuration and never from the request. Receipts
// may come in any order and more than once; the delivery rules only move
// forwards.
package callback

import (
	"context"
	"net/http"
	"strings"

	"github.com/twilio/twilio-go/client"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/pipeline"
)

// Deliveries records receipts.
type Deliveries interface {
	Receipt(ctx context.Context, deliveryID, providerID, word, reason string, result event.Result) error
}

// Twilio takes status callbacks of Twilio's Messages API.
type Twilio struct {
	Deliveries Deliveries
	AuthToken  secret.Text
	BaseURL    string // public URL of this service, no slash at its end
}

// TwilioPath is where Twilio is asked to report, with the delivery's id.
const TwilioPath = "/callback/twilio/{delivery}"

// Routes is the table of this edge.
func (t *Twilio) Routes() []pipeline.Route {
	return []pipeline.Route{{
		Method: http.MethodPost, Path: TwilioPath, Summary: "Take a status callback of Twilio",
		Credential: pipeline.None, Reach: pipeline.Nobody, Rate: pipeline.RateReceipt,
		Faults:  []int{http.StatusForbidden, http.StatusNotFound, http.StatusServiceUnavailable},
		Handler: pipeline.Handle(t.status),
	}}
}

type statusIn struct {
	SID       string `in:"MessageSid"`
	Status    string `in:"MessageStatus"`
	ErrorCode string `in:"ErrorCode"`
}

type statusOut struct {
	Received bool `json:"received"`
}

var errSignature = fault.New(fault.Forbidden, "bad_signature", "the signature of the callback is missing or wrong")

// results says what a word of Twilio means for a delivery; words that are not
// here (queued, sending, sent) change nothing.
var results = map[string]event.Result{
	"delivered":   event.Delivered,
	"read":        event.Delivered,
	"undelivered": event.Undelivered,
	"failed":      event.Undelivered,
}

func (t *Twilio) status(ctx context.Context, c pipeline.Call, in statusIn) (statusOut, error) {
	if !t.signed(c) {
		return statusOut{}, errSignature
	}
	reason := ""
	if in.ErrorCode != "" && strings.Trim(in.ErrorCode, "0123456789") == "" && len(in.ErrorCode) < 10 {
		reason = "refused:" + in.ErrorCode
	}
	word := strings.ToLower(in.Status)
	result, final := results[word]
	if !final && !known[word] {
		word = "other" // never store what anybody may have written
	}
	err := t.Deliveries.Receipt(ctx, c.Path("delivery"), in.SID, word, reason, result)
	return statusOut{Received: err == nil}, err
}

var known = map[string]bool{"accepted": true, "scheduled": true, "queued": true, "sending": true, "sent": true}

// signed checks X-Twilio-Signature over every parameter that came, also ones
// this package does not know: Twilio adds some at any time.
func (t *Twilio) signed(c pipeline.Call) bool {
	signature := c.Request.Header.Get("X-Twilio-Signature")
	if signature == "" || t.AuthToken.IsZero() {
		return false
	}
	url := t.BaseURL + strings.Replace(TwilioPath, "{delivery}", c.Path("delivery"), 1)
	validator := client.NewRequestValidator(t.AuthToken.Reveal())
	return validator.Validate(url, c.Form(), signature)
}
