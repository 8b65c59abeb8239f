package api_test

import (
	"crypto/hmac"
	"crypto/sha1" // Twilio signs with HMAC-SHA-1
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// twilioSign is the signature of Twilio's documentation: HMAC-SHA-1 over the
// URL and every parameter with its value, sorted by name.
func twilioSign(token, target string, form url.Values) string {
	text := target
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range form {
			if !yield(name) {
				return
			}
		}
	}) {
		text += name + form.Get(name)
	}
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func (h *house) receipt(delivery, status, token string, extra ...string) *reply {
	h.t.Helper()
	form := url.Values{"MessageSid": {"SM1"}, "MessageStatus": {status}, "AccountSid": {"AC1"}}
	for i := 0; i < len(extra); i += 2 {
		form.Set(extra[i], extra[i+1])
	}
	path := "/callback/twilio/" + delivery
	req, err := http.NewRequestWithContext(h.t.Context(), "POST", h.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if token != "" {
		req.Header.Set("X-Twilio-Signature", twilioSign(token, "http://127.0.0.1:8080"+path, form))
	}
	return h.as("").send(req)
}

// Receipts count only with the provider's signature over the configured URL,
// in any order and any number.
// Covers R-085 but for the silence of ten minutes, which the store's test holds.
func TestReceiptsOfTwilio(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	started := h.call("POST", h.enrollment(h.user), "method=sms").want(201)
	delivery := func() map[string]any {
		list := h.call("GET", "/api/v2/org/"+h.org+"/deliveries", "request_id="+started.text("request_id")).want(200)
		return list.body["data"].([]any)[0].(map[string]any)
	}
	id, _ := delivery()["id"].(string)
	const token = "twilio-auth-token"

	h.receipt(id, "delivered", "").wantFault(403, "bad_signature")
	h.receipt(id, "delivered", "another-token").wantFault(403, "bad_signature")
	if state := delivery()["state"]; state != "pending" {
		t.Fatalf("an unsigned receipt made the delivery %v", state)
	}
	h.receipt("delivery_unknown", "delivered", token).wantFault(404, "not_found")
	h.receipt(id, "delivered", token, "NewParameter", "of tomorrow").want(200) // before "sent"
	for _, late := range []string{"sent", "queued", "delivered", "undelivered", "failed"} {
		h.receipt(id, late, token).want(200)
	}
	if d := delivery(); d["state"] != "delivered" {
		t.Errorf("the delivery ended %v", d["state"])
	}

	refused := h.call("POST", h.enrollment(h.user), "method=sms").want(201)
	started = refused
	id, _ = delivery()["id"].(string)
	h.receipt(id, "undelivered", token, "ErrorCode", "30006").want(200)
	if d := delivery(); d["state"] != "undelivered" || d["reason"] != "refused:30006" || d["receipt"] != "undelivered" {
		t.Errorf("the delivery is %v", d)
	}
}
