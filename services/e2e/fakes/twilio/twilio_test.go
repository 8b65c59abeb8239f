package twilio

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// bench is a fake behind a real HTTP server.
type bench struct {
	*Server
	url string
}

func start(t *testing.T, options Options) bench {
	t.Helper()
	fake := New(options)
	server := httptest.NewServer(fake)
	t.Cleanup(func() {
		fake.Close()
		server.Close()
	})
	return bench{fake, server.URL}
}

// answer is what a call brought back.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	err    error
}

func (b bench) send(t *testing.T, form url.Values) answer {
	t.Helper()
	return b.do(t, http.MethodPost, "/2010-04-01/Accounts/"+AccountSID+"/Messages.json", form.Encode(), AuthToken)
}

func (b bench) do(t *testing.T, method, path, body, token string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, b.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(AccountSID, token)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer res.Body.Close()
	out := answer{status: res.StatusCode, header: res.Header}
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{err: err}
	}
	if len(raw) > 0 && json.Unmarshal(raw, &out.body) != nil {
		out.body = nil
	}
	return out
}

// form is a good message with changes on top; an empty value removes.
func form(changes ...string) url.Values {
	f := url.Values{"To": {"+4915112345678"}, "From": {"+15005550006"}, "Body": {"hello"}, "ValidityPeriod": {"300"}}
	for i := 0; i < len(changes); i += 2 {
		f.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			f.Del(changes[i])
		}
	}
	return f
}

func TestAcceptsAMessageLikeTwilio(t *testing.T) {
	t.Parallel()
	b := start(t, Options{Callbacks: Callbacks{Off: true}})
	got := b.send(t, form("StatusCallback", "https://example.com/cb"))
	if got.status != http.StatusCreated {
		t.Fatalf("status %d, %v", got.status, got.body)
	}
	sid, _ := got.body["sid"].(string)
	for name, want := range map[string]any{
		"to": "+4915112345678", "from": "+15005550006", "body": "hello", "status": "queued", "num_segments": "1",
		"direction": "outbound-api", "api_version": "2010-04-01", "error_code": nil,
		"uri": "/2010-04-01/Accounts/" + AccountSID + "/Messages/" + sid + ".json",
	} {
		if got.body[name] != want {
			t.Errorf("%s = %v, want %v", name, got.body[name], want)
		}
	}
	log := b.Log()
	if len(log.Messages) != 1 || len(log.Calls) != 1 || log.Calls[0].SID != sid {
		t.Fatalf("log %+v", log)
	}
	m := log.Messages[0]
	if m.SID != sid || m.Body != "hello" || m.ValidityPeriod != 300 || m.StatusCallback != "https://example.com/cb" || m.At.IsZero() {
		t.Errorf("message %+v", m)
	}
	if one := b.do(t, http.MethodGet, "/2010-04-01/Accounts/"+AccountSID+"/Messages/"+sid+".json", "", AuthToken); one.body["sid"] != sid {
		t.Errorf("fetch: %+v", one)
	}
}

func TestRefusesWhatTwilioRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		form url.Values
		code float64
	}{
		"no receiver":                     {form("To", ""), 21604},
		"no sender":                       {form("From", ""), 21603},
		"no text":                         {form("Body", ""), 21602},
		"a text over 1600 characters":     {form("Body", strings.Repeat("x", 1601)), 21617},
		"a receiver that is no number":    {form("To", "0151"), 21211},
		"a sender that is neither":        {form("From", "not a sender at all"), 21212},
		"a messaging service in no form":  {form("From", "", "MessagingServiceSid", "MG1"), 21701},
		"validity zero":                   {form("ValidityPeriod", "0"), 90014},
		"validity that is no number":      {form("ValidityPeriod", "12.5"), 90014},
		"validity over ten hours":         {form("ValidityPeriod", "36001"), 90007},
		"a callback that is no URL":       {form("StatusCallback", "/callback"), 21609},
		"the invalid magic number":        {form("To", "+15005550001"), 21211},
		"the unroutable magic number":     {form("To", "+15005550002"), 21612},
		"the magic number abroad":         {form("To", "+15005550003"), 21408},
		"the magic number that opted out": {form("To", "+15005550004"), 21610},
		"the magic landline":              {form("To", "+15005550009"), 21614},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t, Options{})
			got := b.send(t, c.form)
			if got.status != http.StatusBadRequest || got.body["code"] != c.code || got.body["status"] != float64(400) {
				t.Errorf("got %d %v", got.status, got.body)
			}
			if got.body["message"] == "" || !strings.Contains(got.body["more_info"].(string), strconv.Itoa(int(c.code))) {
				t.Errorf("error body %v", got.body)
			}
			if log := b.Log(); len(log.Messages) != 0 || len(log.Calls) != 1 {
				t.Errorf("log %+v", log)
			}
		})
	}
}

func TestRefusesWrongCredentials(t *testing.T) {
	t.Parallel()
	b := start(t, Options{})
	path := "/2010-04-01/Accounts/" + AccountSID + "/Messages.json"
	if got := b.do(t, http.MethodPost, path, form().Encode(), "wrong"); got.status != 401 || got.body["code"] != float64(20003) {
		t.Errorf("wrong token: %+v", got)
	}
	other := strings.Replace(path, AccountSID, "AC11111111111111111111111111111111", 1)
	if got := b.do(t, http.MethodPost, other, form().Encode(), AuthToken); got.status != 404 || got.body["code"] != float64(20404) {
		t.Errorf("another account: %+v", got)
	}
	if log := b.Log(); len(log.Messages) != 0 || len(log.Calls) != 2 {
		t.Errorf("log %+v", log)
	}
}

func TestFaultsComeInOrderAndThenEnd(t *testing.T) {
	t.Parallel()
	b := start(t, Options{})
	faults := `{"next": [{"status": 429, "retry_after": 7}, {"status": 500, "store": true}, {"drop": "before"}, {"drop": "after"},
		{"garbage": true}, {"redirect": "/elsewhere"}, {"status": 502, "body": "<html>"}, {"stall_ms": 1}],
		"for_to": {"+4915100000000": [{"status": 503}]}}`
	if got := b.do(t, http.MethodPost, "/_faults", faults, ""); got.status != http.StatusNoContent {
		t.Fatalf("faults: %+v", got)
	}
	if got := b.send(t, form("To", "+4915100000000")); got.status != 503 || got.body["code"] != float64(20503) {
		t.Errorf("for_to: %+v", got)
	}
	if got := b.send(t, form()); got.status != 429 || got.header.Get("Retry-After") != "7" || got.body["code"] != float64(20429) {
		t.Errorf("429: %+v", got)
	}
	if got := b.send(t, form()); got.status != 500 {
		t.Errorf("500: %+v", got)
	}
	for _, when := range []string{"before", "after"} {
		if got := b.send(t, form("Body", when)); got.err == nil {
			t.Errorf("drop %s: %+v", when, got)
		}
	}
	if got := b.send(t, form()); got.status != 201 || got.body != nil {
		t.Errorf("garbage: %+v", got)
	}
	if got := b.send(t, form()); got.status != 307 || got.header.Get("Location") != "/elsewhere" {
		t.Errorf("redirect: %+v", got)
	}
	if got := b.send(t, form()); got.status != 502 || got.body != nil {
		t.Errorf("page: %+v", got)
	}
	for range 2 { // after the stall, and after the last fault
		if got := b.send(t, form()); got.status != 201 {
			t.Errorf("good again: %+v", got)
		}
	}
	log := b.Log()
	var answers []string
	for _, call := range log.Calls {
		kept := ""
		if call.SID != "" {
			kept = "+"
		}
		answers = append(answers, call.Answer+kept)
	}
	want := []string{"503", "429", "500+", "dropped", "dropped+", "garbage+", "redirect", "502", "201+", "201+"}
	if !slices.Equal(answers, want) {
		t.Errorf("calls %v, want %v", answers, want)
	}
	if len(log.Messages) != 5 {
		t.Errorf("%d messages were kept", len(log.Messages))
	}
}

func TestStallEndsWhenTheCallerLeaves(t *testing.T) {
	t.Parallel()
	seen := make(chan Call, 1)
	b := start(t, Options{Received: func(c Call) { seen <- c }})
	b.Fail(Faults{Next: []Fault{{StallMS: 3_600_000}}})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost,
		b.url+"/2010-04-01/Accounts/"+AccountSID+"/Messages.json", strings.NewReader(form().Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(AccountSID, AuthToken)
	if res, err := new(http.Client).Do(req); err == nil {
		res.Body.Close()
		t.Fatal("the stall was answered")
	}
	if call := <-seen; call.Answer != "abandoned" || call.SID != "" {
		t.Errorf("call %+v", call)
	}
}

func TestRefusesFaultsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	b := start(t, Options{})
	for _, body := range []string{
		`{"next": [{}]}`, `{"next": [{"status": 500, "drop": "after"}]}`, `{"next": [{"drop": "during"}]}`,
		`{"next": [{"status": 99}]}`, `{"nxt": []}`, `[]`,
	} {
		if got := b.do(t, http.MethodPost, "/_faults", body, ""); got.status/100 != 4 {
			t.Errorf("%s: %+v", body, got)
		}
	}
}

func TestListsByNumberAndDayInPages(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 23, 30, 0, 0, time.UTC)
	b := start(t, Options{Callbacks: Callbacks{Off: true}, Now: func() time.Time { return now }})
	for range 3 {
		b.send(t, form())
		now = now.Add(time.Hour)
	}
	b.send(t, form("To", "+4915100000000"))
	list := func(query string) answer {
		return b.do(t, http.MethodGet, "/2010-04-01/Accounts/"+AccountSID+"/Messages.json?"+query, "", AuthToken)
	}
	for query, want := range map[string]int{
		"":                    4,
		"To=%2B4915100000000": 1,
		"To=%2B4915112345678&DateSent%3E=2026-03-02": 2,
		"DateSent=2026-03-01":                        1,
		"DateSent%3C=2026-03-01":                     1,
		"DateSent%3E=2026-03-02T01:00:00Z":           2,
		"PageSize=3":                                 3,
		"PageSize=3&Page=1":                          1,
		"PageSize=3&Page=2":                          0,
	} {
		got := list(query)
		messages, _ := got.body["messages"].([]any)
		if got.status != 200 || len(messages) != want {
			t.Errorf("%s: %d of %d, %v", query, len(messages), want, got.body)
		}
	}
	first := list("PageSize=3")
	next, _ := first.body["next_page_uri"].(string)
	if got := b.do(t, http.MethodGet, next, "", AuthToken); got.body["page"] != float64(1) || got.body["next_page_uri"] != nil {
		t.Errorf("next page %q: %v", next, got.body)
	}
}

func TestLogIsShownAndCleared(t *testing.T) {
	t.Parallel()
	b := start(t, Options{Callbacks: Callbacks{Off: true}})
	b.send(t, form())
	got := b.do(t, http.MethodGet, "/_log", "", "")
	messages, _ := got.body["messages"].([]any)
	if len(messages) != 1 || messages[0].(map[string]any)["body"] != "hello" {
		t.Fatalf("log %v", got.body)
	}
	b.do(t, http.MethodDelete, "/_log", "", "")
	if log := b.Log(); len(log.Calls)+len(log.Messages) != 0 {
		t.Errorf("log %+v", log)
	}
}

func TestSegments(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int{
		strings.Repeat("a", 160): 1, strings.Repeat("a", 161): 2, strings.Repeat("€", 80): 1, strings.Repeat("€", 81): 2,
		strings.Repeat("株", 70): 1, strings.Repeat("株", 71): 2, strings.Repeat("a", 307): 3,
	} {
		if got := segments(body); got != want {
			t.Errorf("segments of %d characters = %d, want %d", len([]rune(body)), got, want)
		}
	}
}
