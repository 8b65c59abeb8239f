package twilio

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"countersign.dev/pkg/courier"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
)

const (
	account = "AC0123456789abcdef0123456789abcdef"
	token   = "canarytoken0123456789"
	sid     = "SM0123456789abcdef0123456789abcdef"
	good    = `{"sid": "` + sid + `", "status": "queued"}`
)

var message = courier.Message{
	DeliveryID: "delivery_1", To: "+4915112345678", Text: "747723 is your code.\n\n@a.io #747723", ValidFor: 299_900 * time.Millisecond,
}

// server answers like handler and counts what arrives.
type server struct {
	*httptest.Server
	calls atomic.Int32
}

func serve(t *testing.T, handler http.HandlerFunc) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.calls.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		handler(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func provider(t *testing.T, base string, change ...func(*Config)) *Provider {
	t.Helper()
	cfg := Config{AccountSID: account, AuthToken: secret.New(token), From: "+15005550006", BaseURL: base}
	for _, c := range change {
		c(&cfg)
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// say answers with a status and a body.
func say(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// refuse answers in Twilio's error format, with a sentence that repeats the
// number as Twilio's do.
func refuse(status, code int, headers ...string) http.HandlerFunc {
	return say(status, `{"code": `+strconv.Itoa(code)+`, "message": "The number +4915112345678 is wrong", "more_info": "", "status": `+
		strconv.Itoa(status)+`}`, headers...)
}

func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// instruction names what an error tells the worker to do.
func instruction(err error) string {
	wait, later := fault.RetryTime(err)
	switch {
	case err == nil:
		return "sent"
	case fault.IsPermanent(err):
		return "permanent"
	case fault.IsAmbiguous(err):
		return "ambiguous"
	case later:
		return "later " + wait.String()
	}
	return "not sent"
}

func reason(err error) string {
	if f, ok := errors.AsType[*courier.Failure](err); ok {
		return f.Reason
	}
	return ""
}

// The worker's side of it (how many calls come of each) is tested there and
// against the fake.
func TestEveryAnswerHasItsOneReaction(t *testing.T) {
	t.Parallel()
	page := "<html>" + strings.Repeat("x", 200<<10)
	for name, c := range map[string]struct {
		answer      http.HandlerFunc
		instruction string
		reason      string
	}{
		"created":                         {say(201, good), "sent", ""},
		"created, with unknown fields":    {say(201, `{"sid": "`+sid+`", "news": [1]}`), "sent", ""},
		"ok with a SID":                   {say(200, good), "sent", ""},
		"too many, with a time":           {refuse(429, 20429, "Retry-After", "7"), "later 7s", "rate_limited"},
		"too many, without":               {refuse(429, 20429), "later 1s", "rate_limited"},
		"too many, with nonsense":         {refuse(429, 20429, "Retry-After", "-5"), "later 1s", "rate_limited"},
		"too many, for years":             {refuse(429, 20429, "Retry-After", "9223372036854775807"), "later 10m0s", "rate_limited"},
		"too many, until a past date":     {refuse(429, 20429, "Retry-After", "Mon, 02 Jan 2006 15:04:05 GMT"), "later 1s", "rate_limited"},
		"a number that is not valid":      {refuse(400, 21211), "permanent", "refused:21211"},
		"a landline":                      {refuse(400, 21614), "permanent", "refused:21614"},
		"a receiver who opted out":        {refuse(400, 21610), "permanent", "refused:21610"},
		"a region that is not enabled":    {refuse(400, 21408), "permanent", "refused:21408"},
		"a receiver refused with 403":     {refuse(403, 21610), "permanent", "refused:21610"},
		"an unknown refusal":              {say(400, "<html>"), "permanent", "refused:400"},
		"a code that is none":             {say(400, `{"code": 7}`), "permanent", "refused:400"},
		"an unknown account":              {refuse(404, 20404), "permanent", "refused:20404"},
		"wrong credentials":               {refuse(401, 20003), "permanent", "credentials"},
		"a suspended account":             {refuse(403, 20005), "permanent", "credentials"},
		"403 from somebody else":          {say(403, "<html>"), "permanent", "credentials"},
		"an error of the server":          {refuse(500, 20500), "ambiguous", "server_error:500"},
		"a page from a gateway":           {say(502, page), "ambiguous", "server_error:502"},
		"unavailable":                     {refuse(503, 20503, "Retry-After", "1"), "ambiguous", "server_error:503"},
		"a gateway that lost patience":    {say(408, ""), "ambiguous", "server_error:408"},
		"no answer":                       {hangUp, "ambiguous", "no_answer"},
		"created, with half a document":   {say(201, `{"sid": "SM01`), "ambiguous", "unreadable_answer"},
		"created, with a page":            {say(201, "<html>"), "ambiguous", "unreadable_answer"},
		"created, with nothing":           {say(201, ""), "ambiguous", "unreadable_answer"},
		"created, without a SID":          {say(201, `{"status": "queued"}`), "ambiguous", "unreadable_answer"},
		"created, with a SID that is not": {say(201, `{"sid": "+4915112345678"}`), "ambiguous", "unreadable_answer"},
		"created, endlessly":              {say(201, `{"body": "`+strings.Repeat("x", 200<<10)+`", "sid": "`+sid+`"}`), "ambiguous", "unreadable_answer"},
		"created, and broken off":         {say(201, good, "Content-Length", "9999"), "ambiguous", "unreadable_answer"},
		"moved":                           {say(307, "", "Location", "/elsewhere"), "permanent", "redirected"},
		"moved for good":                  {say(301, "", "Location", "https://example.com/"), "permanent", "redirected"},
		"see elsewhere":                   {say(303, good, "Location", "/elsewhere"), "permanent", "redirected"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, c.answer)
			receipt, err := provider(t, s.URL).Send(t.Context(), message)
			if got := instruction(err); got != c.instruction || reason(err) != c.reason {
				t.Errorf("%s, %q: want %s, %q (%v)", got, reason(err), c.instruction, c.reason, err)
			}
			if calls := s.calls.Load(); calls != 1 {
				t.Errorf("%d calls", calls)
			}
			if (receipt.ProviderID == sid) != (err == nil) {
				t.Errorf("receipt %+v", receipt)
			}
			silent(t, err)
		})
	}
}

// silent checks that an error names nothing that a log must not hold.
func silent(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, word := range []string{"15112345678", "747723", token, account} {
		if strings.Contains(err.Error(), word) {
			t.Errorf("the error shows %q: %v", word, err)
		}
	}
}

func TestWithoutAConnectionNothingWasSent(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	strange := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a call arrived") }))
	t.Cleanup(strange.Close)
	strange.Config.ErrorLog = nil
	mute := mutePort(t)
	for name, base := range map[string]string{
		"refused":                   closed.URL,
		"no such host":              "https://twilio.invalid",
		"an unknown certificate":    strange.URL,
		"a server that never talks": "https://" + mute,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := provider(t, base).Send(ctx, message)
			if instruction(err) != "not sent" || reason(err) != courier.ReasonUnreachable {
				t.Errorf("%s, %q: %v", instruction(err), reason(err), err)
			}
			silent(t, err)
		})
	}
}

// mutePort accepts connections and says nothing, so that a TLS handshake
// never ends.
func mutePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

func TestDeadlineOfTheCallerHolds(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := serve(t, func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := provider(t, s.URL).Send(ctx, message)
	if instruction(err) != "ambiguous" || reason(err) != courier.ReasonNoAnswer {
		t.Errorf("%s: %v", instruction(err), err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestOwnTimeoutHoldsWithoutADeadline(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := serve(t, func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	p := provider(t, s.URL, func(c *Config) { c.Timeout = 50 * time.Millisecond })
	if _, err := p.Send(t.Context(), message); instruction(err) != "ambiguous" {
		t.Errorf("%s: %v", instruction(err), err)
	}
}

// A server may close an idle connection just when a request goes out on it.
// That must be a new connection or an ambiguous answer, never "not sent" for
// a request that was written.
func TestStaleConnectionIsNeverCalledNotSent(t *testing.T) {
	t.Parallel()
	s := serve(t, say(201, good))
	p := provider(t, s.URL)
	for range 50 {
		if _, err := p.Send(t.Context(), message); instruction(err) != "sent" && instruction(err) != "ambiguous" {
			t.Fatalf("%s: %v", instruction(err), err)
		}
		s.CloseClientConnections()
	}
}

func TestSecureConnectionTrustsTheConfiguredAuthority(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(say(201, good))
	t.Cleanup(s.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate(s).Raw})
	if err := os.WriteFile(file, block, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := provider(t, s.URL, func(c *Config) { c.CAFile = file }).Send(t.Context(), message); err != nil {
		t.Error(err)
	}
	if _, err := New(Config{AccountSID: account, AuthToken: secret.New(token), From: "Acme", CAFile: file + "x"}); err == nil {
		t.Error("a CA file that is not there was taken")
	}
}

func certificate(s *httptest.Server) *x509.Certificate { return s.Certificate() }

// Not parallel: it sets the environment.
func TestEnvironmentOfTheLibraryIsIgnored(t *testing.T) {
	t.Setenv("TWILIO_EDGE", "dublin")
	t.Setenv("TWILIO_REGION", "ie1")
	t.Setenv("TWILIO_ACCOUNT_SID", "ACother")
	s := serve(t, say(201, good))
	if _, err := provider(t, s.URL).Send(t.Context(), message); err != nil || s.calls.Load() != 1 {
		t.Errorf("%d calls, %v", s.calls.Load(), err)
	}
}

// Not parallel: it counts the goroutines of the process.
func TestLargeErrorAnswersLeakNothing(t *testing.T) {
	page := strings.Repeat("x", 1<<20)
	s := serve(t, say(503, `{"code": 20503} `+page))
	p := provider(t, s.URL)
	before := goleak.IgnoreCurrent()
	var sending sync.WaitGroup
	for range 50 {
		sending.Go(func() {
			if _, err := p.Send(t.Context(), message); !fault.IsAmbiguous(err) {
				t.Errorf("%v", err)
			}
		})
	}
	sending.Wait()
	p.Close() // what is idle; the server keeps running and would hold what leaked
	goleak.VerifyNone(t, before)
}
