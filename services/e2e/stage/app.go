package stage

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// App talks to the headless API as a customer's server does.
type App struct {
	Base  string
	Token string
	Org   string
	HTTP  *http.Client

	tb testing.TB
}

// NewApp makes an app that has no token yet.
func NewApp(tb testing.TB, base string) *App {
	return &App{Base: base, HTTP: &http.Client{Timeout: time.Minute}, tb: tb}
}

// SignIn gets a token for a key, as `countersign key create` printed it.
func (a *App) SignIn(key map[string]string) {
	a.tb.Helper()
	a.Token = a.Call(http.MethodPost, "/api/v2/oauth/token", "grant_type=client_credentials",
		"client_id="+key["COUNTERSIGN_CLIENT_ID"], "client_secret="+key["COUNTERSIGN_CLIENT_SECRET"]).Want(200).Text("access_token")
}

// Furnish makes an organization with an active connection that may text to
// Germany as much as it likes.
func (a *App) Furnish(name string) {
	a.tb.Helper()
	a.Org = a.Call(http.MethodPost, "/api/v2/organizations", "name="+name).Want(201).Text("domain")
	a.Call(http.MethodPut, a.Path("totp-connection"), "active=true", "countries[]=DE", "sms_per_hour=100000", "sms_per_day=100000").Want(200)
}

// Path is a path below the organization.
func (a *App) Path(rest string) string { return "/api/v2/org/" + a.Org + "/" + rest }

// NewUser makes a user and returns its id.
func (a *App) NewUser(email, phone string) string {
	a.tb.Helper()
	return a.Call(http.MethodPost, a.Path("users"), "email="+email, "phone_number="+phone).Want(201).Text("id")
}

// Delivery returns the one delivery of a request.
func (a *App) Delivery(requestID string) map[string]any {
	a.tb.Helper()
	items := a.Call(http.MethodGet, a.Path("deliveries"), "request_id="+requestID).Want(200).Items()
	if len(items) != 1 {
		a.tb.Fatalf("%d deliveries of %s instead of one", len(items), requestID)
	}
	return items[0]
}

// AwaitState returns the delivery of a request as soon as it is in the state.
func (a *App) AwaitState(requestID, state string) map[string]any {
	a.tb.Helper()
	var last map[string]any
	Until(a.tb, "the delivery is "+state, func() bool {
		last = a.Delivery(requestID)
		return last["state"] == state
	})
	return last
}

// Call sends form parameters (name=value).
func (a *App) Call(method, path string, params ...string) *Reply {
	a.tb.Helper()
	form := url.Values{}
	for _, param := range params {
		name, value, _ := strings.Cut(param, "=")
		form.Add(name, value)
	}
	target, body := a.Base+path, io.Reader(nil)
	switch {
	case method != http.MethodGet:
		body = strings.NewReader(form.Encode())
	case len(form) > 0:
		target += "?" + form.Encode()
	}
	req, err := http.NewRequestWithContext(a.tb.Context(), method, target, body)
	if err != nil {
		a.tb.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if a.Token != "" {
		req.Header.Set("Authorization", "Bearer "+a.Token)
	}
	return a.send(req)
}

func (a *App) send(req *http.Request) *Reply {
	a.tb.Helper()
	res, err := a.HTTP.Do(req)
	if err != nil {
		a.tb.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		a.tb.Fatal(err)
	}
	r := &Reply{Status: res.StatusCode, Header: res.Header, Raw: string(raw), tb: a.tb, what: req.Method + " " + req.URL.Path}
	if err := json.Unmarshal(raw, &r.Body); err != nil {
		a.tb.Fatalf("%s: status %d, the body is no JSON object: %q", r.what, r.Status, raw)
	}
	return r
}

// Reply is an answer of the API.
type Reply struct {
	Status int
	Header http.Header
	Raw    string
	Body   map[string]any

	tb   testing.TB
	what string
}

// Want fails the test on any other status.
func (r *Reply) Want(status int) *Reply {
	r.tb.Helper()
	if r.Status != status {
		r.tb.Fatalf("%s: status %d, want %d: %s", r.what, r.Status, status, r.Raw)
	}
	return r
}

// WantSuccess fails the test when the member success is another.
func (r *Reply) WantSuccess(want bool) *Reply {
	r.tb.Helper()
	if r.Body["success"] != want {
		r.tb.Fatalf("%s: success is %v, want %v: %s", r.what, r.Body["success"], want, r.Raw)
	}
	return r
}

// Text returns a member that must be a text.
func (r *Reply) Text(name string) string {
	r.tb.Helper()
	text, _ := r.Body[name].(string)
	if text == "" {
		r.tb.Fatalf("%s: no text %q in %s", r.what, name, r.Raw)
	}
	return text
}

// Items returns the members of a list.
func (r *Reply) Items() []map[string]any {
	r.tb.Helper()
	list, ok := r.Body["data"].([]any)
	if !ok {
		r.tb.Fatalf("%s: no list: %s", r.what, r.Raw)
	}
	out := make([]map[string]any, len(list))
	for i := range list {
		out[i], _ = list[i].(map[string]any)
	}
	return out
}

var lastCode = regexp.MustCompile(`#([0-9]{6})$`)

// Code returns the code of a text message, from its last line.
func Code(tb testing.TB, text string) string {
	tb.Helper()
	match := lastCode.FindStringSubmatch(text)
	if match == nil {
		tb.Fatalf("no code in the message %q", text)
	}
	return match[1]
}

// Other returns a code that is certainly not this one.
func Other(code string) string {
	return code[:len(code)-1] + string('0'+(code[len(code)-1]-'0'+1)%10)
}

// untilWithin bounds Until.
const untilWithin = time.Minute

// Until polls what nothing can signal to this process, and fails the test when
// it does not come true.
func Until(tb testing.TB, what string, done func() bool) {
	tb.Helper()
	UntilWithin(tb, untilWithin, what, done)
}

// UntilWithin is Until with a limit of its own.
func UntilWithin(tb testing.TB, within time.Duration, what string, done func() bool) {
	tb.Helper()
	limit := time.NewTimer(within)
	defer limit.Stop()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-limit.C:
			tb.Fatalf("not within %v: %s", within, what)
		}
	}
}
