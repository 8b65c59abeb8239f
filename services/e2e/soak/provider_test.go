package soak_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"countersign.dev/services/e2e/fakes/twilio"
)

// provider is the fake of Twilio, in the test's own process: what it wrote
// down survives every kill.
type provider struct {
	*twilio.Server
	URL      string
	calls    atomic.Int64 // that were decided
	receipts *http.Transport

	mu    sync.Mutex
	boxes map[string]chan twilio.Message // by number
}

// newProvider starts it. listDown decides about each look into its list.
func newProvider(t *testing.T, listDown func() bool) *provider {
	t.Helper()
	p := &provider{boxes: map[string]chan twilio.Message{}, receipts: &http.Transport{MaxIdleConnsPerHost: callsAtOnce}}
	p.Server = twilio.New(twilio.Options{Received: p.received, Client: &http.Client{Transport: p.receipts}})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/Messages.json") && listDown() {
			http.Error(w, "the list is down", http.StatusServiceUnavailable)
			return
		}
		p.ServeHTTP(w, r)
	}))
	p.URL = server.URL
	t.Cleanup(func() {
		p.Close()
		server.CloseClientConnections()
		server.Close()
		p.receipts.CloseIdleConnections()
	})
	return p
}

// received puts an accepted message into the box of its number.
func (p *provider) received(call twilio.Call) {
	p.calls.Add(1)
	if m, ok := p.Message(call.SID); ok {
		select {
		case p.box(m.To) <- m:
		default: // nobody empties it; the log has the message all the same
		}
	}
}

// box is where a number's messages arrive.
func (p *provider) box(number string) chan twilio.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.boxes[number] == nil {
		p.boxes[number] = make(chan twilio.Message, 8)
	}
	return p.boxes[number]
}
