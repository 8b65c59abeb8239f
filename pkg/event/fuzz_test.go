package event_test

import (
	"strings"
	"testing"

	"countersign.dev/pkg/event"
)

// Whatever stands on the bus is read or refused, and what is read is complete.
// Covers R-131 for messages on the bus.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"delivery_id":"d","n":1,"request_id":"r","channel":"sms","env":"sandbox","org_id":"o","created_at":1,"expires_at":2,"sealed":"AA=="}`))
	f.Add([]byte(`{"delivery_id":"d","result":"accepted","at":1}`))
	f.Add([]byte(`{"id":"e","type":"password.changed","env":"default","org_id":"o","at":1}`))
	f.Add([]byte(`{"n":1e400}`))
	f.Add([]byte(`[[[[`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := event.Decode[event.Requested](data); err == nil && (r.DeliveryID == "" || len(r.Sealed) == 0 || r.ExpiresAt <= r.CreatedAt) {
			t.Fatalf("Decode let an incomplete request pass: %q", data)
		}
		if o, err := event.Decode[event.Outcome](data); err == nil && (o.DeliveryID == "" || o.Result == "") {
			t.Fatalf("Decode let an incomplete outcome pass: %q", data)
		}
		if p, err := event.Decode[event.Public](data); err == nil && (p.ID == "" || strings.Count(p.Subject(), ".") != 6 || strings.ContainsAny(p.Subject(), "*> ")) {
			t.Fatalf("Decode let an event pass that goes nowhere: %q", data)
		}
	})
}
