package api_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"countersign.dev/services/api"
	"countersign.dev/services/api/internal/pipeline"
)

// production furnishes the default environment, where messages would be sent
// for real, and returns the house as its caller.
func (h *house) production(countries ...string) *house {
	h.t.Helper()
	live := h.as(h.signIn(h.key("acme", "default", api.AllScopes)))
	params := []string{"active=true", "sms_per_hour=100000", "sms_per_day=100000"}
	for _, country := range countries {
		params = append(params, "countries[]="+country)
	}
	live.call("PUT", "/api/v2/org/"+h.org+"/totp-connection", params...).want(200)
	return live
}

// states counts the text messages of the organization by state and reason.
func (h *house) states() map[string]int {
	h.t.Helper()
	out := map[string]int{}
	for page := 1; ; page++ {
		list := h.call("GET", "/api/v2/org/"+h.org+"/deliveries", fmt.Sprint("page=", page), "per_page=100").want(200)
		items, _ := list.body["data"].([]any)
		for _, item := range items {
			d, _ := item.(map[string]any)
			if d["channel"] != "sms" {
				continue // news of an enrolment comes when it comes
			}
			reason, _ := d["reason"].(string)
			out[strings.TrimSpace(fmt.Sprint(d["state"], " ", reason))]++
		}
		if len(items) < 100 {
			return out
		}
	}
}

// metric adds up the series of the operations port that begin so.
func (h *house) metric(series string) float64 {
	h.t.Helper()
	res, err := http.Get("http://" + h.service.OpsAddr() + "/metrics")
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	sum, found := 0.0, false
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, series) {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndex(line, " "):]), 64)
		if err != nil {
			h.t.Fatalf("%q: %v", line, err)
		}
		sum, found = sum+value, true
	}
	if !found {
		h.t.Logf("no series begins with %s", series)
	}
	return sum
}

//
func TestNumbersThatGetNoCodes(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	live := h.production("DE")
	user := live.newUser("eva@acme.test", "")
	text, err := os.ReadFile("internal/phone/testdata/refused.txt")
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for line := range strings.Lines(string(text)) {
		if _, number, ok := strings.Cut(strings.TrimSpace(line), ": +"); ok {
			live.call("POST", live.enrollment(user), "method=sms", "phone_number=+"+number).wantFault(422, "number_not_allowed")
			refused++
		}
	}
	if refused < 50 {
		t.Errorf("%d numbers were tried, fewer than 50", refused)
	}
	for _, number := range []string{"+33612345678", "+14155552671", "+41791234567"} {
		live.call("POST", live.enrollment(user), "method=sms", "phone_number="+number).wantFault(422, "country_not_allowed")
	}
	live.call("PUT", "/api/v2/org/"+live.org+"/totp-connection", "countries[]=").want(200)
	live.call("POST", live.enrollment(user), "method=sms", "phone_number=+4915112345678").wantFault(422, "country_not_allowed") // nobody has chosen
	if got := live.states(); len(got) != 0 {
		t.Errorf("the deliveries say %v, want none", got)
	}

	live.call("PUT", "/api/v2/org/"+live.org+"/totp-connection", "countries[]=DE").want(200)
	started := live.call("POST", live.enrollment(user), "method=sms", "phone_number=+49 151 1234-5678").want(201)
	sent := live.courier.wait(t, started.text("request_id"))
	if sent.To != "+4915112345678" {
		t.Errorf("sent to %s, want the number in E.164", sent.To)
	}
	if n := len(live.courier.held) + len(live.courier.mail); n != 1 {
		t.Errorf("%d messages left the house, want one", n)
	}
	live.call("POST", live.challenge(user)).wantFault(404, "not_found") // no factor before its code
	live.call("PUT", live.enrollment("validation/"+user), "code="+sent.Code).want(200).wantSuccess(true)
	again := live.call("POST", live.challenge(user)).want(201)
	deliveries := live.call("GET", "/api/v2/org/"+live.org+"/deliveries").want(200)
	for _, answer := range []*reply{started, again, deliveries} {
		if strings.Contains(answer.raw, "5112345678") {
			t.Errorf("%s shows the number: %s", answer.what, answer.raw)
		}
	}
}

// The budget of a number is not in Redis.
// Covers R-092 for the loss of Redis.
func TestTheBudgetOfANumberSurvivesRedis(t *testing.T) {
	t.Parallel()
	p, redis := distributedOn(t)
	h := start(t, p)
	live := h.production("DE")
	user := live.newUser("eva@acme.test", numbered(1))
	send := func() *reply { return live.call("POST", live.enrollment(user), "method=sms", "force_enroll=true") }
	for range 4 {
		live.call("PUT", live.enrollment("validation/"+user), "code="+live.code(send().want(201))).want(200).wantSuccess(true)
	}
	redis.Kill()
	redis.Start()
	var fifth *reply
	until(t, func() bool { fifth = send(); return fifth.status == http.StatusCreated })
	live.call("PUT", live.enrollment("validation/"+user), "code="+live.code(fifth)).want(200).wantSuccess(true)
	send().wantFault(429, "number_limit")
	// Another user with the same number meets the same budget.
	other := live.newUser("bob@acme.test", numbered(1))
	live.call("POST", live.enrollment(other), "method=sms").wantFault(429, "number_limit")
	if got := live.states(); got["pending"] != 5 {
		t.Errorf("the deliveries say %v, want five sends", got)
	}
}

// Covers R-093 for what a caller says of its clients.
func TestACallersClientsAreLimited(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	live := h.production("DE")
	enrol := func(i int, params ...string) *reply {
		user := live.newUser(fmt.Sprintf("user%d@acme.test", i), numbered(1000*i))
		return live.call("POST", live.enrollment(user), append(params, "method=sms")...)
	}
	for i := range 5 {
		enrol(i, "client_ip=203.0.113.7").want(201)
	}
	limited := enrol(5, "client_ip=203.0.113.7").wantFault(429, "source_limit")
	if after, err := strconv.Atoi(limited.header.Get("Retry-After")); err != nil || after < 3590 || after > 3600 {
		t.Errorf("Retry-After is %q, want an hour", limited.header.Get("Retry-After"))
	}
	enrol(6, "client_ip=203.0.113.8").want(201)
	enrol(7, "client_ip=::ffff:203.0.113.7").wantFault(429, "source_limit") // the same address
	for i := 8; i < 14; i++ {
		enrol(i).want(201) // a server that does not say for whom it asks
	}
	for i, bad := range []string{"203.0.113", "203.0.113.7/24", "localhost", "fe80::1%eth0", "0.0.0.0", "ff02::1", "203.0.113.7 "} {
		enrol(20+i, "client_ip="+bad).wantFault(422, "invalid_parameter")
	}
	user := live.newUser("known@acme.test", numbered(50_000))
	started := live.call("POST", live.enrollment(user), "method=sms").want(201)
	live.call("PUT", live.enrollment("validation/"+user), "code="+live.code(started)).want(200).wantSuccess(true)
	live.call("POST", live.challenge(user), "client_ip=203.0.113.7").wantFault(429, "source_limit")
	live.call("POST", live.challenge(user), "client_ip=x").wantFault(422, "invalid_parameter")
	if got := live.states(); got["failed stopped:source_limit"] != 3 {
		t.Errorf("the deliveries say %v, want three stopped sends", got)
	}
	if n := live.metric(`countersign_sends_stopped_total{environment="default",reason="source_limit"}`); n != 3 {
		t.Errorf("%v stopped sends were counted, want 3", n)
	}
}

// Whoever has no key with the right scope causes no message, whatever is
// asked of whichever route; and a challenge goes to the enrolled phone alone.
// Covers R-095 for the headless API, where the scope factors:enroll stands
// for the user's session.
func TestNobodyChoosesWhomTheHouseTexts(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	live := h.production("DE")
	user := live.newUser("eva@acme.test", numbered(1))
	started := live.call("POST", live.enrollment(user), "method=sms").want(201)
	live.call("PUT", live.enrollment("validation/"+user), "code="+live.code(started)).want(200).wantSuccess(true)
	before := live.states()

	params := url.Values{
		"phone_number": {"+4915187654321"}, "to": {"+4915187654321"}, "method": {"sms"}, "force_enroll": {"true"}, "code": {"123456"},
	}.Encode()
	callers := map[string]string{"nobody": "", "a forged token": live.token + "x"}
	callers["the sandbox"] = h.token
	callers["a key without the scope"] = h.signIn(h.key("acme", "default", "users:write", "users:read", "deliveries:read"))
	for name, token := range callers {
		for _, route := range h.service.Routes() {
			if route.Method == http.MethodDelete {
				continue
			}
			sends := strings.Contains(route.Path, "/totp-enrollment/") || strings.Contains(route.Path, "/totp-challenge/")
			path := strings.NewReplacer("{org}", h.org, "{user}", user).Replace(route.Path)
			req, err := http.NewRequestWithContext(t.Context(), route.Method, h.base+path, strings.NewReader(params))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if token != "" {
				req.Header.Set("Authorization", "Bearer "+token)
			}
			r := h.as("").exchange(req)
			if sends && r.status < 400 || route.Credential == pipeline.APIKey && token == "" && r.status != 401 {
				t.Errorf("%s: %s %s answers %d", name, route.Method, route.Path, r.status)
			}
		}
	}
	if after := live.states(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the deliveries went from %v to %v", before, after)
	}
	// A key that may challenge reaches the enrolled phone and no other.
	asker := live.as(live.signIn(live.key("acme", "default", "challenges:write", "deliveries:read")))
	asker.call("POST", asker.enrollment(user), "method=sms", "phone_number=+4915187654321").wantFault(403, "insufficient_scope")
	challenged := asker.call("POST", asker.challenge(user), "phone_number=+4915187654321", "to=+4915187654321").want(201)
	if sent := live.courier.wait(t, challenged.text("request_id")); sent.To != numbered(1) {
		t.Errorf("the code went to %s", sent.To)
	}
}

// Wrong codes for many users of an organization raise an alarm, and second
// factors go on all the same.
// Covers R-009 for the way from the API; nothing signs in by a code alone yet.
func TestSprayingRaisesAnAlarm(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	p := embedded(t)
	p.log = &log
	p.cfg = func(c *api.Config) { c.TrustedProxies = []string{"127.0.0.0/8"} }
	h := start(t, p)
	type person struct{ id, code string }
	var people []person
	for i := range 25 {
		user := h.enrolled(fmt.Sprintf("user%d@acme.test", i), numbered(i))
		people = append(people, person{user, h.code(h.call("POST", h.challenge(user)).want(201))})
	}
	guess := func(i int) {
		who := people[i%len(people)]
		req, err := http.NewRequestWithContext(t.Context(), "POST", h.base+h.challenge("validation/"+who.id), strings.NewReader("code="+other(who.code)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("X-Forwarded-For", fmt.Sprintf("203.0.113.%d", i))
		h.send(req).want(200).wantSuccess(false)
	}
	const alarms = `countersign_alarms_total{kind="spraying"}`
	for i := range 99 {
		guess(i)
	}
	if n := h.metric(alarms); n != 0 {
		t.Errorf("%v alarms after 99 wrong codes", n)
	}
	guess(99)
	if n := h.metric(alarms); n != 1 {
		t.Errorf("%v alarms after 100 wrong codes of 25 users, want one", n)
	}
	if text := log.String(); strings.Count(text, "wrong codes for many users") != 1 || !strings.Contains(text, "wrong=100 users=25") {
		t.Error("the log does not say so once")
	}
	for _, who := range people { // each has one guess left
		h.call("POST", h.challenge("validation/"+who.id), "code="+who.code).want(200).wantSuccess(true)
	}
}
