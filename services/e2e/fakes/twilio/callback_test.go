package twilio

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"testing"
)

// hook is a callback endpoint that remembers what it was told.
type hook struct {
	mu    sync.Mutex
	calls []hookCall
	url   string
}

type hookCall struct {
	status    string
	form      url.Values
	signature string
}

func newHook(t *testing.T) *hook {
	h := &hook{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		h.mu.Lock()
		defer h.mu.Unlock()
		h.calls = append(h.calls, hookCall{r.PostForm.Get("MessageStatus"), r.PostForm, r.Header.Get("X-Twilio-Signature")})
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(server.Close)
	h.url = server.URL + "/callback/twilio/dlv_1"
	return h
}

func TestCallsBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		plan     Callbacks
		statuses []string
		signed   bool
	}{
		"sent and delivered by default": {Callbacks{}, []string{"sent", "delivered"}, true},
		"twice each":                    {Callbacks{Duplicate: true}, []string{"sent", "sent", "delivered", "delivered"}, true},
		"the other way round":           {Callbacks{Reverse: true}, []string{"delivered", "sent"}, true},
		"badly signed":                  {Callbacks{BadSignature: true}, []string{"sent", "delivered"}, false},
		"undelivered with a code": {
			Callbacks{Statuses: []string{"undelivered"}, ErrorCode: 30005}, []string{"undelivered"}, true},
		"with parameters nobody announced": {
			Callbacks{Extra: map[string]string{"Zebra": "1", "Alpha": "ä"}}, []string{"sent", "delivered"}, true},
		"not at all": {Callbacks{Off: true}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHook(t)
			b := start(t, Options{Callbacks: c.plan})
			sid := b.send(t, form("StatusCallback", h.url)).body["sid"]
			b.Settle()
			var statuses []string
			for _, call := range h.calls {
				statuses = append(statuses, call.status)
				if call.form.Get("MessageSid") != sid {
					t.Errorf("MessageSid %q", call.form.Get("MessageSid"))
				}
				if (call.signature == Sign(AuthToken, h.url, call.form)) != c.signed {
					t.Errorf("signature %q", call.signature)
				}
				if c.plan.ErrorCode != 0 && call.form.Get("ErrorCode") != strconv.Itoa(c.plan.ErrorCode) {
					t.Errorf("ErrorCode %q", call.form.Get("ErrorCode"))
				}
			}
			if !slices.Equal(statuses, c.statuses) {
				t.Errorf("statuses %v, want %v", statuses, c.statuses)
			}
			if log := b.Log(); len(log.Callbacks) != len(c.statuses) || (len(log.Callbacks) > 0 && log.Callbacks[0].Answer != 204) {
				t.Errorf("log %+v", log.Callbacks)
			}
		})
	}
}

// The example of Twilio's documentation on webhook security.
func TestSignMatchesThePublishedExample(t *testing.T) {
	t.Parallel()
	got := Sign("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", url.Values{
		"CallSid": {"CA1234567890ABCDE"}, "Caller": {"+14158675309"}, "Digits": {"1234"},
		"From": {"+14158675309"}, "To": {"+18005551212"},
	})
	if want := "RSOYDt4T1cUTdK1PDd93/VVr8B8="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
