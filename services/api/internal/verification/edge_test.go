package verification_test

import (
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"countersign.dev/services/api/internal/exchange"
	"countersign.dev/services/api/internal/pipeline"
)

// The contract's table of paths: what its clients of each age call.
var generations = map[string][]string{
	"list":     {"/verification-srv/public/graph/user/setup", "/verification-srv/v2/setup/public/configured/list"},
	"initiate": {"/verification-srv/authentication/totp/initiation", "/verification-srv/v2/authenticate/initiate/totp"},
	"verify":   {"/verification-srv/authentication/totp/verification", "/verification-srv/v2/authenticate/authenticate/totp"},
	"cancel": {
		"/verification-srv/authentication/totp/cancel", "/verification-srv/v2/authenticate/cancel/totp", "/verification-srv/v2/setup/cancel/totp",
		"/verification-actions-srv/setup/totp/cancellation",
	},
	"enrol":          {"/verification-actions-srv/setup/totp/initiation", "/verification-srv/v2/setup/initiate/totp"},
	"enrol in login": {"/verification-actions-srv/setup/totp/initiation/track0001", "/verification-actions-srv/setup/totp/initiate/track0001"},
	"confirm":        {"/verification-actions-srv/setup/totp/verification", "/verification-srv/v2/setup/enroll/totp"},
}

func TestBothGenerationsOfPathsAreOneOperation(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	const body = `{"request_id":"r","usage_type":"INITIAL_AUTHENTICATION","email":"ana@acme.test","exchange_id":"x","pass_code":"123456","type":"TOTP","extra":{"a":[1]}}`
	for what, paths := range generations {
		t.Run(what, func(t *testing.T) {
			newest := e.post(t, paths[0], body, "Authorization", "Bearer "+userToken)
			asked := e.asked
			if newest.Code != http.StatusOK || newest.body["success"] != true || len(asked) == 0 {
				t.Fatalf("%s: %d %s, asked %v", paths[0], newest.Code, newest.Body, asked)
			}
			for _, path := range paths[1:] {
				older := e.post(t, path, body, "Authorization", "Bearer "+userToken)
				if older.Body.String() != newest.Body.String() || !reflect.DeepEqual(e.asked, asked) {
					t.Errorf("%s: %s, asked %v; %s: %s, asked %v", paths[0], newest.Body, asked, path, older.Body, e.asked)
				}
			}
		})
	}
	wantSamePolicy(t, e.table)
}

// wantSamePolicy checks that paths with one summary differ in nothing.
func wantSamePolicy(t *testing.T, table []pipeline.Route) {
	t.Helper()
	seen := map[string]pipeline.Route{}
	for _, route := range table {
		policy := route
		policy.Path, policy.Handler, policy.WriteFault, policy.Write = "", nil, nil, nil
		key := route.Method + " " + route.Summary
		if before, ok := seen[key]; ok && !reflect.DeepEqual(before, policy) {
			t.Errorf("%s is declared in two ways: %+v, %+v", key, before, policy)
		}
		seen[key] = policy
		if route.WriteFault == nil || !route.Envelope || route.Reach != pipeline.Nobody {
			t.Errorf("%s %s does not answer as this edge does", route.Method, route.Path)
		}
		if route.CORS == (route.Success == http.StatusFound) {
			t.Errorf("%s %s: pages of other origins call it: %v", route.Method, route.Path, route.CORS)
		}
	}
}

func TestMethodsAreReadInAnyCase(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	for text, want := range map[string]exchange.Method{
		"TOTP": exchange.TOTP, "totp": exchange.TOTP, "tOtP": exchange.TOTP, "sms": exchange.SMS, "Email": exchange.Email,
		"password": exchange.Password, "backupCode": exchange.BackupCode,
	} {
		r := e.post(t, "/verification-srv/authentication/"+text+"/verification", `{"exchange_id":"x","passcode":"123456","type":"IVR"}`)
		if r.Code != http.StatusOK || !reflect.DeepEqual(e.asked, []any{"verify", "x", want, "123456", "", ""}) {
			t.Errorf("%s: %d %s, asked %v", text, r.Code, r.Body, e.asked)
		}
	}
	for _, text := range []string{"fido2", "undefined", "TOTP%20", "%D0%A2OTP"} {
		for what, paths := range generations {
			if what == "list" {
				continue
			}
			path := strings.Replace(paths[0], "totp", text, 1)
			r := e.post(t, path, `{"request_id":"r","usage_type":"INITIAL_AUTHENTICATION","exchange_id":"x","passcode":"123456"}`, "Authorization", "Bearer "+userToken)
			if r.Code != http.StatusBadRequest || r.body["code"] != "VER_0030" || e.asked != nil {
				t.Errorf("%s: %d %s, asked %v", path, r.Code, r.Body, e.asked)
			}
		}
	}
}

// What an option that is not set leaves behind is as good as nothing.
func TestWhatIsNotSetWasNotSent(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	ana := exchange.Who{Address: "ana@acme.test"}
	for name, c := range map[string]struct {
		path, kind, body string
		headers          []string
		want             []any
	}{
		"an identifier beside texts of nothing": {
			generations["list"][0], asJSON, `{"request_id":"r","sub":"undefined","q":"null","email":"","identifier":"ana@acme.test","username":null}`, nil,
			[]any{"methods", "r", ana},
		},
		"the request id in its header": {
			generations["list"][0], asJSON, `{"request_id":"undefined","email":"ana@acme.test"}`, []string{"requestId", "h"}, []any{"methods", "h", ana},
		},
		"the body before the header": {
			generations["list"][0], asJSON, `{"requestId":"r","email":"ana@acme.test"}`, []string{"requestId", "h"}, []any{"methods", "r", ana},
		},
		"a header of nothing": {
			generations["verify"][0], asJSON, `{"exchange_id":"x","pass_code":"undefined","passcode":"1"}`, []string{"requestId", "undefined"},
			[]any{"verify", "x", exchange.TOTP, "1", "", ""},
		},
		"a track id in its header": {
			generations["initiate"][0], asJSON, `{"request_id":"r","usage_type":"multifactor_authentication","q":"m","trackId":"null"}`, []string{"trackId", "t"},
			[]any{"initiate", "r", exchange.MultiFactor, exchange.TOTP, exchange.Who{Sub: "m"}, "t"},
		},
		"nobody named, but a medium": {
			generations["initiate"][0], asJSON, `{"request_id":"r","usage_type":"PASSWORDLESS_AUTHENTICATION","medium_id":"m1","type":"TOTP"}`, nil,
			[]any{"initiate", "r", exchange.Passwordless, exchange.TOTP, exchange.Who{Medium: "m1"}, ""},
		},
		"a number and a name": {
			generations["list"][0], asJSON, `{"request_id":"r","mobile_number":"+4915112345678","username":"ana"}`, nil,
			[]any{"methods", "r", exchange.Who{Other: "ana"}},
		},
		"a form of the SDK": {
			"/login-srv/verification/login", asForm, "requestId=r&status_id=s&verificationType=totp&sub=m&q=undefined&link-id=undefined", nil,
			[]any{"finish", "r", "s", exchange.TOTP, "m"},
		},
		"a form whose q alone is set": {
			"/login-srv/verification/login", asForm, "requestId=r&status_id=s&verificationType=undefined&sub=undefined&q=m", nil,
			[]any{"finish", "r", "s", exchange.Method(""), "m"},
		},
		"a login": {
			"/login-srv/login", asForm, "requestId=r&username=ana%40acme.test&password=secret&username_type=email&field_key=undefined", nil,
			[]any{"login", "r", ana, "secret"},
		},
		"a login by the masked id": {
			"/login-srv/login", asForm, "requestId=r&username=m&password=secret&username_type=sub", nil, []any{"login", "r", exchange.Who{Sub: "m"}, "secret"},
		},
		"a login that goes on": {
			"/login-srv/precheck/continue/track0001", asForm, "track_id=track0001&requestId=undefined", nil, []any{"continue", "track0001", ""},
		},
		"a password": {
			"/verification-srv/authentication/PASSWORD/verification", asJSON, `{"exchange_id":"x","pass_code":"1","password":"secret","sub":"m"}`, nil,
			[]any{"verify", "x", exchange.Password, "secret", "", "m"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := e.send(t, http.MethodPost, c.path, c.kind, c.body, c.headers...)
			if r.Code >= http.StatusBadRequest || !reflect.DeepEqual(e.asked, c.want) {
				t.Errorf("%d %s, asked %v, want %v", r.Code, r.Body, e.asked, c.want)
			}
		})
	}
}

func TestWhatIsMissingOrMalformed(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	list, initiate, verify := generations["list"][0], generations["initiate"][0], generations["verify"][0]
	for name, c := range map[string]struct{ path, kind, body, code string }{
		"no request id":         {list, asJSON, `{"email":"ana@acme.test"}`, "VER_0005"},
		"no usage":              {initiate, asJSON, `{"request_id":"r","usage_type":"undefined"}`, "VER_0005"},
		"no exchange id":        {verify, asJSON, `{"passcode":"1"}`, "VER_0005"},
		"no code":               {verify, asJSON, `{"exchange_id":"x","pass_code":"undefined"}`, "VER_0046"},
		"no body":               {verify, asJSON, "", "VER_0005"},
		"half of JSON":          {verify, asJSON, `{"exchange_id":`, "VER_0004"},
		"a list":                {verify, asJSON, `[]`, "VER_0004"},
		"a number for a code":   {verify, asJSON, `{"exchange_id":"x","pass_code":123456}`, "VER_0004"},
		"an object for an id":   {verify, asJSON, `{"exchange_id":{"exchange_id":"x"},"pass_code":"1"}`, "VER_0004"},
		"a number for a usage":  {initiate, asJSON, `{"request_id":"r","usage_type":1}`, "VER_0005"},
		"a list for an address": {list, asJSON, `{"request_id":"r","email":["ana@acme.test"]}`, "VER_0005"},
		"a name twice":          {list, asJSON, `{"request_id":"r","request_id":"s"}`, "VER_0004"},
		"a query":               {list + "?request_id=r", asJSON, `{}`, "VER_0004"},
		"a form without a code": {"/login-srv/login", asForm, "requestId=r&username=ana", "VER_0046"},
		"no status id":          {"/login-srv/verification/login", asForm, "requestId=r", "VER_0005"},
		"an unknown type":       {"/login-srv/verification/login", asForm, "requestId=r&status_id=s&verificationType=x", "VER_0030"},
		"no track id":           {"/login-srv/precheck/continue/undefined", asForm, "requestId=r", "VER_0025"},
		"no track to enrol in":  {"/verification-actions-srv/setup/totp/initiation/null", asJSON, "{}", "VER_0025"},
		"no status to ask for":  {"/verification-srv/v2/notification/status/undefined", asJSON, "", "VER1075"},
	} {
		t.Run(name, func(t *testing.T) {
			r := e.send(t, http.MethodPost, c.path, c.kind, c.body)
			if r.Code != http.StatusBadRequest || r.body["code"] != c.code || e.asked != nil {
				t.Errorf("%d %s, want 400 %s; asked %v", r.Code, r.Body, c.code, e.asked)
			}
			wantEnvelope(t, r)
		})
	}
	if r := e.send(t, http.MethodPost, "/login-srv/verification/login", asJSON, `{"requestId":"r","status_id":"s"}`); r.Code != http.StatusUnsupportedMediaType || e.asked != nil {
		t.Errorf("what a script sends is finished: %d %s", r.Code, r.Body)
	}
}

// wantEnvelope checks that an error says all that any client reads.
func wantEnvelope(t *testing.T, r reply) {
	t.Helper()
	names := slices.Sorted(maps.Keys(r.body))
	want := []string{"code", "error", "error_description", "request_id", "status", "success", "type"}
	if !slices.Equal(names, want) || r.body["success"] != false || r.body["status"] != float64(r.Code) || r.body["error"] == "" ||
		r.body["error"] != r.body["error_description"] || r.Header().Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("%d %v: %s", r.Code, r.Header(), r.Body)
	}
}

func TestAnswersOfSteps(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	id := map[string]any{"exchange_id": "next", "expires_at": "2030-01-02T03:04:05.678Z"}
	want := func(r reply, data map[string]any) {
		t.Helper()
		if r.Code != http.StatusOK || r.body["success"] != true || r.body["status"] != float64(200) || !reflect.DeepEqual(r.data(), data) {
			t.Errorf("%d %s, want the data %v", r.Code, r.Body, data)
		}
	}
	want(e.post(t, "/authz-srv/authrequest/authz/generate", `{"client_id":"app_1","response_type":"code","response_mode":"fragment","nonce":"1"}`),
		map[string]any{"requestId": "request", "groupname": "default", "lang": "de", "view_type": "login"})
	medium := map[string]any{"id": "m1", "medium_id": "m1", "medium_text": "app", "key_name": "app"}
	want(e.post(t, generations["list"][0], `{"request_id":"r"}`), map[string]any{"configured_list": []any{
		map[string]any{"type": "TOTP", "verification_type": "TOTP", "mediums": []any{medium}},
		map[string]any{"type": "PASSWORD", "verification_type": "PASSWORD", "mediums": []any{}},
	}})
	const check = "/verification-srv/v2/setup/public/configured/check/"
	want(e.post(t, check+"totp", `{"request_id":"r"}`), map[string]any{"type": "TOTP", "configured": true})
	want(e.post(t, check+"sms", `{"request_id":"r"}`), map[string]any{"type": "SMS", "configured": false})
	want(e.post(t, generations["initiate"][0], `{"request_id":"r","usage_type":"INITIAL_AUTHENTICATION"}`), map[string]any{
		"exchange_id": id, "medium_text": "a***@acme.test", "sub": "masked", "q": "masked", "status_id": "status",
	})
	const proof = `{"exchange_id":"x","pass_code":"1"}`
	after := map[string]any{"exchange_id": id, "sub": "masked", "q": "masked", "status_id": "status", "mfa_required": false, "reenrolment_required": false}
	want(e.post(t, generations["verify"][0], proof), after)
	delete(after, "q")
	want(e.post(t, generations["confirm"][0], proof), after)
	e.step.Needs, e.step.TrackID = exchange.SecondFactor, e.step.StatusID
	after["q"], after["track_id"], after["mfa_required"] = "masked", "status", true
	want(e.post(t, generations["verify"][0], proof), after)
	e.step.Needs, e.step.ExchangeID = exchange.NewFactor, e.step.TrackID
	r := e.post(t, generations["verify"][0], proof)
	if r.data()["reenrolment_required"] != true || r.data()["mfa_required"] != false {
		t.Errorf("after a recovery code: %s", r.Body)
	}
	want(e.post(t, generations["cancel"][0], `{"exchange_id":"x","reason":"none"}`), map[string]any{"cancelled": true})
}

func TestWhatTheUserHas(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	call := func(method, path, body string) reply {
		t.Helper()
		return e.send(t, method, path, asJSON, body, "Authorization", "Bearer "+userToken)
	}
	started := call(http.MethodPost, generations["enrol"][0], `{"deviceInfo":{"type":"x"},"phone":"+4915112345678"}`)
	if data := started.data(); data["totp_secret"] != "BASE32" || data["totp_uri"] != "otpauth://totp/x" || data["authenticator_client_id"] != clientID {
		t.Errorf("start: %s", started.Body)
	}
	if want := []any{"enrol", clientID, exchange.Enrolment{Method: exchange.TOTP, Phone: "+4915112345678"}}; !reflect.DeepEqual(e.asked, want) {
		t.Errorf("asked %v, want %v", e.asked, want)
	}
	own := call(http.MethodGet, "/verification-actions-srv/users/configurations", "")
	if text := fmt.Sprint(own.data()["configured_list"]); !strings.Contains(text, "friendly_name:Phone") || !strings.Contains(text, "codes_left:0") {
		t.Errorf("own list: %s", own.Body)
	}
	if r := call(http.MethodDelete, "/verification-actions-srv/users/configurations/sms?medium_id=f1", ""); r.Code != http.StatusOK ||
		!reflect.DeepEqual(e.asked, []any{"remove", clientID, exchange.SMS, "f1"}) {
		t.Errorf("remove: %d %s, asked %v", r.Code, r.Body, e.asked)
	}
	const name = "/verification-actions-srv/setup/users/friendlyname/TOTP/"
	call(http.MethodPut, name+"f1", `{"friendly_name":"My phone"}`)
	if !reflect.DeepEqual(e.asked, []any{"rename", clientID, exchange.TOTP, "f1", "My phone"}) {
		t.Errorf("rename: asked %v", e.asked)
	}
	call(http.MethodPut, name+"undefined", `{"friendly_name":"My phone","medium_id":"f2"}`)
	if !reflect.DeepEqual(e.asked, []any{"rename", clientID, exchange.TOTP, "f2", "My phone"}) {
		t.Errorf("rename: asked %v", e.asked)
	}
	for _, path := range []string{"/verification-actions-srv/config", "/verification-srv/config/list"} {
		if text := fmt.Sprint(call(http.MethodGet, path, "").data()); !strings.Contains(text, "active:true type:TOTP") || !strings.Contains(text, "active:false type:SMS") {
			t.Errorf("%s: %s", path, text)
		}
	}
	e.err = exchange.ErrSetUp
	if r := call(http.MethodDelete, "/verification-actions-srv/users/configurations/sms", ""); r.Code != http.StatusNoContent || r.Body.Len() != 0 {
		t.Errorf("nothing to remove: %d %s", r.Code, r.Body)
	}
	for _, route := range e.table {
		if route.Credential == pipeline.UserToken {
			path := strings.NewReplacer("{method}", "TOTP", "{medium}", "f1").Replace(route.Path)
			r := e.send(t, route.Method, path, asJSON, "", "Authorization", "Bearer other")
			if r.Code != http.StatusUnauthorized || r.body["code"] != "VER_0401" || r.Header().Get("WWW-Authenticate") == "" || e.asked != nil {
				t.Errorf("%s %s with another token: %d %s", route.Method, path, r.Code, r.Body)
			}
			wantEnvelope(t, r)
		}
	}
}

func TestStandOfALogin(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	get := func(path string) reply {
		t.Helper()
		return e.send(t, http.MethodGet, path, asJSON, "")
	}
	e.stood = exchange.Precheck{ClientID: clientID, Sub: "masked", Needs: exchange.SecondFactor}
	for _, path := range []string{"/token-srv/prelogin/metadata/track0001", "/public-srv/public/trackinfo/r/track0001"} {
		if data := get(path).data(); data["sub"] != "masked" || data["view_type"] != "mfa" || data["mfa_required"] != true {
			t.Errorf("%s: %v", path, data)
		}
	}
	e.stood.ClientID = "app_2"
	if r := get("/public-srv/public/trackinfo/r/track0001"); r.body["code"] != "PUB10002" || r.Code != http.StatusBadRequest {
		t.Errorf("the login of another app: %d %s", r.Code, r.Body)
	}
	for _, path := range []string{"/verification-srv/verificationstatus/s", "/verification-srv/v2/notification/status/s"} {
		method := map[bool]string{true: http.MethodPost, false: http.MethodGet}[strings.Contains(path, "v2")]
		e.done = false
		if r := e.send(t, method, path, asJSON, ""); r.Code != http.StatusNoContent || r.Body.Len() != 0 {
			t.Errorf("%s before: %d %s", path, r.Code, r.Body)
		}
		e.done = true
		if r := e.send(t, method, path, asJSON, ""); r.Code != http.StatusOK || r.data()["verification_type"] != "SMS" {
			t.Errorf("%s after: %d %s", path, r.Code, r.Body)
		}
	}
	if data := get("/public-srv/tenantinfo/basic").data(); data["tenant_name"] != "Countersign" || e.asked != nil {
		t.Errorf("tenant: %v", data)
	}
	e.err = exchange.ErrTrack
	if r := get("/token-srv/prelogin/metadata/track0001"); r.Code != http.StatusNoContent || r.Body.Len() != 0 {
		t.Errorf("an unknown login: %d %s", r.Code, r.Body)
	}
	if r := get("/token-srv/prelogin/metadata/x%20y"); r.Code != http.StatusBadRequest || r.body["code"] != "VER_0025" {
		t.Errorf("no track id: %d %s", r.Code, r.Body)
	}
	e.err = exchange.ErrRequest
	if r := get("/public-srv/public/r"); r.Code != http.StatusBadRequest || r.body["code"] != "PUB10002" {
		t.Errorf("public: %d %s", r.Code, r.Body)
	}
	if r := get("/authz-srv/authrequest/r"); r.Code != http.StatusNotFound || r.body["code"] != "VER_0006" {
		t.Errorf("state: %d %s", r.Code, r.Body)
	}
}

func TestFormsSendTheBrowserOn(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	forms := map[string]string{
		"/login-srv/verification/login": "requestId=r&status_id=s", "/login-srv/login": "requestId=r&username=ana&password=p", "/login-srv/precheck/continue/t": "",
	}
	for path, body := range forms {
		r := e.send(t, http.MethodPost, path, asForm, body)
		if r.Code != http.StatusFound || !strings.HasPrefix(r.Header().Get("Location"), ours+"/back") || r.Body.Len() != 0 {
			t.Errorf("%s: %d %v %s", path, r.Code, r.Header(), r.Body)
		}
	}
	e.err = exchange.ErrStatus
	for path, body := range forms {
		r := e.send(t, http.MethodPost, path, asForm, body)
		if r.Code != http.StatusBadRequest || r.body["code"] != "VER1075" || r.Header().Get("Location") != "" {
			t.Errorf("%s: %d %s", path, r.Code, r.Body)
		}
		wantEnvelope(t, r)
	}
}

// Covers R-157 for the verification flow.
func TestPagesOfTheAppsOriginsRead(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	const allow = "Access-Control-Allow-Origin"
	for name, c := range map[string]struct{ method, path, body, origin, want string }{
		"an app's own":          {http.MethodGet, "/public-srv/public/r", "", ours, ours},
		"another app's":         {http.MethodGet, "/public-srv/public/r", "", others, ""},
		"another app's, login":  {http.MethodPost, "/authz-srv/authrequest/authz/generate", `{"client_id":"app_1"}`, others, ""},
		"an app that is not":    {http.MethodPost, "/authz-srv/authrequest/authz/generate", `{"client_id":"app_2"}`, ours, ours},
		"an error":              {http.MethodPost, generations["verify"][0], "{", ours, ours},
		"nobody's":              {http.MethodPost, generations["verify"][0], "{", "https://evil.example.test", ""},
		"a form, by a script":   {http.MethodPost, "/login-srv/login", "{}", ours, ""},
		"a user without token":  {http.MethodGet, "/verification-actions-srv/config", "", ours, ours},
		"what is not there":     {http.MethodGet, generations["verify"][0], "", ours, ours},
		"a preflight":           {http.MethodOptions, generations["verify"][0], "", ours, ours},
		"a preflight of nobody": {http.MethodOptions, generations["verify"][0], "", "null", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := e.send(t, c.method, c.path, asJSON, c.body, "Origin", c.origin)
			if got := r.Header().Get(allow); got != c.want || r.Header().Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%d %s: allowed %q, want %q", r.Code, r.Body, got, c.want)
			}
		})
	}
}
