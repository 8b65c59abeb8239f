package api_test

import (
	"net/http"
	"strings"
	"testing"

	apps "countersign.dev/services/api/internal/app"
)

const unknownID = "5f0c1f3e-7a3b-4c9e-8d52-0f6f6f0f6f6f"

// crossing sends JSON as a page of an origin does.
func (c *client) crossing(origin, method, path, body string, headers ...string) *reply {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", asJSON)
	req.Header.Set("Origin", origin)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return c.plainly(req)
}

// What goes wrong is said in the contract's codes, as JSON, under the paths of
// clients of all ages.
func TestErrorsOfTheVerificationFlow(t *testing.T) {
	t.Parallel()
	h := codesAlone(t, embedded(t))
	c := h.pages()
	a := h.withApp("eva@acme.test")
	for _, age := range ages {
		h.again()
		s := c.leads()
		s.paths = age
		verify, initiate := of(age.verify, "totp"), of(age.initiate, "totp")
		started := s.initiate("totp", initial, "email=eva@acme.test")
		id := started.exchangeID()
		for name, r := range map[string]struct {
			got  *reply
			code string
		}{
			"a wrong code":            {s.says(verify, "exchange_id="+id, "pass_code="+a.wrong()), "VER_0041"},
			"what is no code":         {s.says(verify, "exchange_id="+id, "passcode=abc"), "VER_0041"},
			"no code":                 {s.says(verify, "exchange_id="+id, "type=TOTP"), "VER_0046"},
			"a code that is not set":  {s.says(verify, "exchange_id="+id, "pass_code=undefined", "passcode=null"), "VER_0046"},
			"an unknown exchange id":  {s.says(verify, "exchange_id="+unknownID, "pass_code=123456"), "VER_0032"},
			"no exchange id at all":   {s.says(verify, "exchange_id=x", "pass_code=123456"), "VER_0032"},
			"none":                    {s.says(verify, "pass_code=123456"), "VER_0005"},
			"one that is not set":     {s.says(verify, "exchange_id=undefined", "pass_code=123456"), "VER_0005"},
			"half of JSON":            {s.raw("POST", verify, asJSON, strings.NewReader(`{"exchange_id":`)), "VER_0004"},
			"no JSON object":          {s.raw("POST", verify, asJSON, strings.NewReader(`"x"`)), "VER_0004"},
			"an unknown method":       {s.says(of(age.verify, "fido2"), "exchange_id="+id, "pass_code=123456"), "VER_0030"},
			"one that is not set yet": {s.says(of(age.initiate, "undefined"), "request_id="+s.request, "usage_type="+initial), "VER_0030"},
			"an unknown usage":        {s.initiate("totp", "LOGIN", "email=eva@acme.test"), "VER_0003"},
			"no usage":                {s.says(initiate, "request_id="+s.request, "email=eva@acme.test"), "VER_0005"},
			"nobody named":            {s.initiate("totp", initial, "email=undefined"), "VER_0026"},
			"no request id":           {s.says(initiate, "usage_type="+initial, "email=eva@acme.test"), "VER_0005"},
			"an unknown request id":   {s.says(initiate, "request_id="+unknownID, "usage_type="+initial, "email=eva@acme.test"), "VER_0006"},
			"nothing proven before":   {s.initiate("totp", further, "email=eva@acme.test"), "VER_0025"},
			"an unknown track id":     {s.initiate("totp", further, "trackId="+unknownID), "VER_0025"},
			"an unknown status id":    {s.sends(finishPath, "requestId="+s.request, "status_id="+unknownID), "VER1075"},
			"a status id that waits":  {s.finish("TOTP", s.initiate("totp", initial, "email=eva@acme.test")), "VER1075"},
			"a list for nobody":       {s.says(age.list, "request_id="+s.request), "VER_0026"},
			"cancelled as another":    {s.says(of(age.cancel, "sms"), "exchange_id="+s.initiate("totp", initial, "email=eva@acme.test").exchangeID()), "VER_0032"},
		} {
			r.got.what = name + ", " + r.got.what
			r.got.wantVER(400, r.code)
		}
		s.says(of(age.cancel, "TOTP"), "exchange_id="+id, "reason=MANUAL", "type=TOTP").data()
		s.prove("TOTP", started, a.code(0)).wantVER(400, "VER_0032")
		s.finish("TOTP", started).wantVER(400, "VER1075")
	}
	s := c.leads()
	form := s.raw("POST", finishPath, asJSON, strings.NewReader(`{"requestId":"`+s.request+`","status_id":"`+unknownID+`"}`))
	form.wantVER(415, "VER_0415")
	c.call("GET", "/public-srv/public/"+unknownID).wantVER(400, "PUB10002")
	c.call("GET", "/authz-srv/authrequest/"+unknownID).wantVER(404, "VER_0006")
	if r := c.call("GET", "/authz-srv/authrequest/"+s.request); r.said("client_id") != c.app.ID {
		t.Errorf("the request is %s", r.raw)
	}
	for _, asked := range []string{
		"redirect_uri=" + callbackURL + "/", "client_id=app_", "scope=", "scope=admin", "response_type=token", "response_mode=form_post", "code_challenge=x",
	} {
		if r := c.raw("POST", generatePath, asJSON, strings.NewReader(jsonOf(c.asked(asked)))); r.status != 400 || r.body["success"] != false || r.body["code"] == "" {
			t.Errorf("%s: %d %s", asked, r.status, r.raw)
		}
	}
}

// Five tries of one exchange id, and it is over; a request names ten people.
func TestTheVerificationFlowCountsTries(t *testing.T) {
	t.Parallel()
	h := codesAlone(t, embedded(t))
	c := h.pages()
	h.withPassword("ana@acme.test", plain)
	s := c.leads()
	started := s.initiate("PASSWORD", initial, "email=ana@acme.test")
	for range 4 {
		s.prove("PASSWORD", started, "x").wantVER(400, "VER_0041")
	}
	s.says(of(s.verify, "PASSWORD"), "exchange_id="+started.exchangeID()).wantVER(400, "VER_0046") // no try
	s.finish("PASSWORD", s.prove("PASSWORD", started, plain)).wantCodeIn("#")

	s = c.leads()
	for i := range 11 {
		r := s.says(s.list, "request_id="+s.request, "email="+strings.Repeat("a", i+1)+"@acme.test")
		if i < 10 {
			r.data()
		} else {
			r.wantVER(400, "VER_0006")
		}
	}
}

// Pages of the app's origins read every answer of the flow, errors included,
// and pages of other origins read none.
// Covers R-157 for the verification flow.
func TestWhichPagesReadTheVerificationFlow(t *testing.T) {
	t.Parallel()
	h := codesAlone(t, embedded(t))
	c := h.pages()
	const elsewhere = "https://other.example.test"
	h.pages(func(in *apps.New) { origins := []string{elsewhere}; in.Origins = &origins })
	s := c.leads()
	list := ages[0].list
	cases := map[string]struct {
		method, path, body string
		status             int
	}{
		"a list":                     {"POST", list, `{"request_id":"` + s.request + `","email":"ana@acme.test"}`, 200},
		"an error":                   {"POST", list, `{"email":"ana@acme.test"}`, 400},
		"malformed JSON":             {"POST", list, `{`, 400},
		"a path that is not there":   {"POST", "/verification-srv/nothing", `{}`, 404},
		"another one":                {"GET", "/device-srv/devices", "", 404},
		"another method":             {"DELETE", list, "", 405},
		"without a token":            {"GET", "/verification-actions-srv/users/configurations", "", 401},
		"the request":                {"GET", "/authz-srv/authrequest/" + s.request, "", 200},
		"before a call":              {"OPTIONS", list, "", 204},
		"before one with a method":   {"OPTIONS", "/verification-srv/v2/authenticate/initiate/totp", "", 204},
		"before one with a token":    {"OPTIONS", "/verification-actions-srv/setup/TOTP/initiation", "", 204},
		"nothing known of a login":   {"GET", "/token-srv/prelogin/metadata/" + unknownID, "", 204},
		"a status that is not known": {"POST", "/verification-srv/v2/notification/status/" + unknownID, "", 400},
	}
	for name, k := range cases {
		ask := []string{"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type,requestid,trackid"}
		mine := c.crossing(pageOrigin, k.method, k.path, k.body, ask...)
		if mine.status != k.status || mine.header.Get("Access-Control-Allow-Origin") != pageOrigin || mine.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %d %v %s", name, mine.status, mine.header, mine.raw)
		}
		if mine.status != http.StatusNoContent && (mine.body == nil || mine.body["success"] != (mine.status == 200) || mine.body["status"] != float64(mine.status)) {
			t.Errorf("%s is answered with %s", name, mine.raw)
		}
		if k.method == http.MethodOptions {
			for header, want := range map[string]string{"Methods": "POST", "Headers": "requestId, trackId"} {
				if got := mine.header.Get("Access-Control-Allow-" + header); !strings.Contains(got, want) {
					t.Errorf("%s: %s are %q", name, header, got)
				}
			}
		}
		for _, stranger := range []string{"https://evil.test", pageOrigin + ".evil.test", pageOrigin + ":8443", "http://shop.example.test", "null"} {
			if r := c.crossing(stranger, k.method, k.path, k.body, ask...); len(r.header.Values("Access-Control-Allow-Origin")) != 0 || r.status != k.status {
				t.Errorf("%s, for %s: %d %v", name, stranger, r.status, r.header)
			}
		}
	}
	// Where an answer is about an app, pages of other apps do not read it.
	for _, path := range []string{"/authz-srv/authrequest/" + s.request, "/public-srv/public/" + s.request} {
		if r := c.crossing(elsewhere, "GET", path, ""); r.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s is read by pages of another app: %v", path, r.header)
		}
	}
	// Forms are what a browser sends by itself, and no page reads their answers.
	if r := c.crossing(pageOrigin, "POST", finishPath, `{}`); r.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a page reads the end of a login: %v", r.header)
	}
}
