package callback_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" // Twilio signs with HMAC-SHA-1
	"encoding/base64"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/callback"
	"countersign.dev/services/api/internal/pipeline"
)

const (
	fuzzToken = "twilio-auth-token"
	fuzzBase  = "https://login.example.com"
)

// receipts keeps what a callback would have recorded.
type receipts struct{ words, reasons []string }

func (r *receipts) Receipt(_ context.Context, _, _, word, reason string, _ event.Result) error {
	r.words, r.reasons = append(r.words, word), append(r.reasons, reason)
	return nil
}

var refusedReason = regexp.MustCompile(`^(refused:[0-9]{1,9})?$`)

// Whatever is posted as a callback is refused or understood: without the
// signature nothing is recorded, and with it nothing but words of ours.
//
// Covers R-131 for the callbacks of Twilio.
func FuzzTwilio(f *testing.F) {
	f.Add("delivery_1", "application/x-www-form-urlencoded", "MessageSid=SM1&MessageStatus=delivered", "", true)
	f.Add("delivery_1", "application/x-www-form-urlencoded", "MessageSid=SM1&MessageStatus=failed&ErrorCode=30007", "bm8=", false)
	f.Fuzz(func(t *testing.T, delivery, contentType, body, signature string, sign bool) {
		into := &receipts{}
		mux := chi.NewRouter()
		limits := ephemeral.NewMemory(time.Now)
		edge := &callback.Twilio{Deliveries: into, AuthToken: secret.New(fuzzToken), BaseURL: fuzzBase}
		(&pipeline.Pipeline{Limits: limits, Log: slog.New(slog.DiscardHandler)}).Mount(mux, edge.Routes())

		r := httptest.NewRequest(http.MethodPost, "/callback/twilio/x", strings.NewReader(body))
		r.URL = &url.URL{Path: "/callback/twilio/" + delivery}
		r.Header.Set("Content-Type", contentType)
		if sign {
			signature = signed(fuzzBase+r.URL.Path, body)
		}
		r.Header.Set("X-Twilio-Signature", signature)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)

		if w.Code >= http.StatusInternalServerError || w.Body.Len() > 1<<10 {
			t.Fatalf("answered %d with %d bytes", w.Code, w.Body.Len())
		}
		if (w.Code == http.StatusOK) != (len(into.words) == 1) || len(into.words) > 0 && !sign {
			t.Fatalf("answered %d and recorded %q, signed %v", w.Code, into.words, sign)
		}
		for i, word := range into.words {
			if !slices.Contains(callback.Words(), word) || !refusedReason.MatchString(into.reasons[i]) {
				t.Fatalf("recorded %q because of %q", word, into.reasons[i])
			}
		}
	})
}

// signed is the signature of Twilio's documentation: over the URL and every
// parameter with its value, sorted by name.
func signed(target, body string) string {
	form, _ := url.ParseQuery(body)
	for _, name := range slices.Sorted(maps.Keys(form)) {
		target += name + form.Get(name)
	}
	mac := hmac.New(sha1.New, []byte(fuzzToken))
	mac.Write([]byte(target))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
