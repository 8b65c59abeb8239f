package api_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/callback"
	"countersign.dev/services/api/internal/pipeline"
)

// The tests in files named routes_ are generated from the table of routes. What
// the table cannot say about a request that succeeds stands in this file as
// data: how to fill each parameter. A route whose parameters are not here fails
// every one of these tests until somebody adds them.

// objects names the kinds of ids that may stand for a parameter of a path.
var objects = map[string][]string{
	"org":          {"org"},
	"user":         {"user", "email"},
	"key":          {"key"},
	"factor":       {"factor"},
	"template":     {"template"},
	"app":          {"app"},
	"session":      {"session"},
	"delivery":     {"delivery"},
	"domain":       {"domain"},
	"issuer":       {"org", "account"},
	"token":        {"link"},
	"account":      {"account"},
	"organization": {"org"},
	"client":       {"gateway app"},
	"state":        {"state"},
	"app_org":      {"org of an app"},
	"app_id":       {"app"},
	"realm":        {"realm"},
	"request_id":   {"step"},
	"track_id":     {"step"},
	"status_id":    {"step"},
	"method":       {"method"},
	"medium":       {"factor"},
	"locale":       {"page language"},
	"hash":         {"logo"},
	"ticket":       {"ticket"},
	"language":     {"language of a page"},
	"preview_page": {"page of a preview"},
}

// references are parameters of an input that name an object, by their kind.
var references = map[string]string{
	"organizations": "org",
	"organization":  "org",
	"org_domain":    "org",
	"user_email":    "email",
	"request_id":    "request",
	"user":          "user",
	"to":            "phone",
	"client_id":     "key",
	"tenant_domain": "account",
	"domain":        "account",
	"audience":      "account",
	"password_code": "password code",
	"template_id":   "template",
	"session":       "session",
	"factor":        "factor",
	"app":           "app",

	"forgot_password_template_id": "template",
	"sign_in_template_id":         "sign-in template",
}

// reference is the kind of object that a parameter of a route names, empty for
// none.
func reference(route pipeline.Route, p parameter) string {
	if inEnvelopes(route) {
		return stepReference(route, p)
	}
	if p.name == "request_id" && strings.Contains(route.Path, "/validation/") {
		return "login" // which the code ends, not the request that it was sent for
	}
	if p.name == "client_id" && (slices.Contains(startPaths, route.Path) || strings.HasPrefix(route.Path, "/session/")) {
		return "" // everybody may know an app
	}
	if p.name == "to" && route.Path == "/login/turn" {
		return "" // a step
	}
	if kind := signInReference(route, p); kind != "" {
		return kind
	}
	if p.name == "audience" && strings.Contains(route.Path, "/apps") {
		return "" // any text, which tokens are for
	}
	if p.name == "client_id" && ofGateway(route) {
		return "gateway app"
	}
	return references[p.name]
}

// needs are objects that a route is about and does not name.
var needs = map[string]string{
	"GET /api/v2/org/{org}/password-connection":                 "connection",
	"PUT /api/v2/org/{org}/password-connection":                 "connection",
	"GET /api/v2/org/{org}/users/{user}/password":               "password",
	"POST /api/v2/org/{org}/users/{user}/password/force-change": "password",
	"POST /account/{realm}/password":                            "password",
	"POST /account/{realm}/consents":                            "consent",
	"POST /account/{realm}/factors/remove":                      "spare factor",
	"GET /account/{realm}/enrolment":                            "own enrolment",
	"POST /account/{realm}/enrolment":                           "own enrolment",
	"POST /account/{realm}/recovery-codes":                      "factor",
	"GET /account/{realm}/recovery-codes":                       "own codes",
	"GET /account/{realm}/recovery-codes.txt":                   "own codes",
	"GET /api/v2/org/{org}/smtp-connection":                     "mail server",
	"DELETE /api/v2/org/{org}/smtp-connection":                  "mail server",
	"DELETE /api/v2/org/{org}/users/{user}/consents/{app}":      "consent",
	"POST /api/v2/password-request":                             "connection",
	"POST /api/v2/password-strength":                            "connection",
	"POST /api/v2/magic-link-challenge":                         "link", // whose connection it is switched on by
}

// samples makes a good value for each parameter of an input. A name that ends
// in a dot stands for everything in that map.
var samples = map[string]func(r *realm, route pipeline.Route) string{
	"name": func(r *realm, _ pipeline.Route) string { return r.word("label") },
	"plain_text": func(r *realm, route pipeline.Route) string {
		if strings.HasSuffix(route.Path, "/password-challenge") {
			return r.id("password")
		}
		return r.word("password")
	},
	"plain_text_min_length":  fixed("20"),
	"plain_text_max_length":  fixed("100"),
	"pepper_rotation_period": fixed("86400"),
	"time_to_live":           fixed("7776000"),
	"grace_period":           fixed("86400"),
	"history_depth":          fixed("5"),
	"verbose_errors":         fixed("true"),
	"direct_creation":        fixed("true"),
	"min_strength":           fixed("2"),
	"find_or_create_user":    fixed("true"),

	"given_name":  func(r *realm, _ pipeline.Route) string { return r.word("text") },
	"family_name": func(r *realm, _ pipeline.Route) string { return r.word("text") },
	"nickname":    func(r *realm, _ pipeline.Route) string { return r.word("text") },

	"host":             fixed("smtp.example.test"),
	"port":             fixed("587"),
	"security":         fixed("starttls"),
	"username":         func(r *realm, _ pipeline.Route) string { return r.word("mail user") },
	"password":         func(r *realm, _ pipeline.Route) string { return r.word("mail password") },
	"from_email":       fixed("no-reply@example.test"),
	"from_name":        func(r *realm, _ pipeline.Route) string { return r.word("label") },
	"dkim_domain":      fixed("example.test"),
	"dkim_selector":    fixed("cs1"),
	"dkim_private_key": func(r *realm, _ pipeline.Route) string { return r.signingKey() },

	"email_domains": func(r *realm, _ pipeline.Route) string { return r.word("label") + ".test" },
	"logo":          fixed(aLogo),
	"welcome":       func(r *realm, _ pipeline.Route) string { return r.word("page text") },
	"help":          func(r *realm, _ pipeline.Route) string { return r.word("page text") },
	"icon_logo_url": fixed("https://cdn.example.test/logo.png"),
	"redirect_uris": fixed(backURL),
	"locale":        fixed("de"),
	"color":         fixed("#336699"),
	"scopes":        fixed("users:read"),

	"post_logout_redirect_uris":           fixed(backURL),
	"origins":                             fixed("https://app.example.test"),
	"client_type":                         fixed("confidential"),
	"application_type":                    fixed("web"),
	"methods":                             fixed("password"),
	"first_party":                         fixed("true"),
	"sms_alone":                           fixed("true"),
	"token_profile":                       fixed("gateway"),
	"audience":                            fixed("https://api.example.test"),
	"id_token_signed_response_alg":        fixed("RS256"),
	"initiate_login_uri":                  fixed("https://app.example.test/login"),
	"backchannel_logout_uri":              fixed("https://app.example.test/logout"),
	"backchannel_logout_session_required": fixed("true"),

	"email":        func(r *realm, _ pipeline.Route) string { return r.word("email") + "@example.test" },
	"phone_number": func(r *realm, _ pipeline.Route) string { return r.phone() },
	"active":       fixed("true"),
	"profile.":     func(r *realm, _ pipeline.Route) string { return r.word("text") },
	"address.":     func(r *realm, _ pipeline.Route) string { return r.word("text") },
	"delivery":     fixed("worker"),
	"kind":         fixed("password_reset"),
	"subject":      func(r *realm, _ pipeline.Route) string { return r.word("words") },
	"text":         func(r *realm, _ pipeline.Route) string { return r.word("words") + " {{link}}" },
	"html":         func(r *realm, _ pipeline.Route) string { return `<a href="{{link}}">` + r.word("words") + "</a>" },
	"detail":       func(r *realm, _ pipeline.Route) string { return r.word("text") },
	"countries":    fixed("DE"),
	"passwordless": fixed("true"),
	"sms_per_hour": fixed("150"),
	"sms_per_day":  fixed("700"),
	"page":         fixed("1"),
	"per_page":     fixed("200"),
	"method": func(_ *realm, route pipeline.Route) string {
		if strings.HasPrefix(route.Path, "/account/") {
			return "totp" // the user may have a phone already
		}
		return "sms"
	},
	"phone":        func(r *realm, _ pipeline.Route) string { return r.phone() },
	"said":         fixed("wrong"),
	"allow":        fixed("yes"),
	"saved":        fixed("yes"),
	"to":           fixed("forgot"),
	"force_enroll": fixed("true"),
	"device_name":  func(r *realm, _ pipeline.Route) string { return r.word("device") },
	"qr_format":    fixed("svg"),
	"issuer":       func(r *realm, _ pipeline.Route) string { return r.word("label") },
	"algorithm":    fixed("SHA1"),
	"digits":       fixed("6"),
	"period":       fixed("30"),
	"action":       fixed("factor.enrolled"),
	"client_ip":    func(r *realm, _ pipeline.Route) string { return r.address() },
	"code":         liveCode,
	// A call for an API key's token needs none of these and looks at none; see
	// variants for those that do.
	"redirect_uri":  fixed(backURL),
	"code_verifier": func(r *realm, _ pipeline.Route) string { return r.word("verifier") },
	"refresh_token": func(r *realm, _ pipeline.Route) string { return r.word("refresh token") },
	"grant_type":    fixed("client_credentials"),
	"client_secret": func(r *realm, _ pipeline.Route) string { r.id("key"); return r.secret },
	"token":         func(r *realm, _ pipeline.Route) string { return r.id("link") },
	"page_token":    func(r *realm, route pipeline.Route) string { return r.formToken(r.id(cookieKind(route))) },
	"client_id":     func(r *realm, _ pipeline.Route) string { return r.id("app") },
	"view_type":     fixed("login"),
	"lang":          fixed("de"),

	"response_type":         fixed("code"),
	"response_mode":         fixed("query"),
	"scope":                 fixed("openid email"),
	"state":                 fixed("state"),
	"client_state":          fixed("state"),
	"nonce":                 fixed("nonce"),
	"code_challenge":        fixed(challengeOf(verifier)),
	"code_challenge_method": fixed("S256"),
	"prompt":                fixed("login"),
	"max_age":               fixed("3600"),
	"acr_values":            fixed("aal1"),
	"login_hint":            fixed("somebody@example.test"),
	"id_token_hint": func(r *realm, route pipeline.Route) string {
		if strings.HasPrefix(route.Path, "/session/") {
			return r.word("hint")
		}
		return "" // no app of a realm has one yet
	},
	"ui_locales":    fixed("de en"),
	"MessageSid":    func(r *realm, _ pipeline.Route) string { return r.word("provider id") },
	"MessageStatus": fixed("delivered"),
	"ErrorCode":     fixed("30006"),

	"access_token_hint":        func(r *realm, _ pipeline.Route) string { return r.word("hint") },
	"post_logout_redirect_uri": fixed(backURL),
	"target_url":               fixed(backURL),
	"slo_code":                 func(r *realm, _ pipeline.Route) string { return r.word("logout code") },
	"logout_hint":              fixed("ana"),
	"realm":                    fixed("elsewhere.sandbox"),
}

// proofs are what a route without a credential asks for instead of one, where
// it does.
var proofs = map[string]func(s *shot) (header, value string){
	callback.TwilioPath: func(s *shot) (string, string) {
		form := url.Values{}
		for name, value := range s.tree() {
			if text, plain := value.(string); plain {
				form.Set(name, text)
			}
		}
		for name := range s.query {
			form.Set(name, s.query.Get(name))
		}
		return "X-Twilio-Signature", twilioSign("twilio-auth-token", s.base+s.path(), form)
	},
}

func fixed(value string) func(*realm, pipeline.Route) string {
	return func(*realm, pipeline.Route) string { return value }
}

func liveCode(r *realm, route pipeline.Route) string {
	if strings.HasSuffix(route.Path, "/token") {
		return r.word("authorization code")
	}
	r.id("request")
	if route.Path == "/account/{realm}/enrolment" {
		return r.ownCode()
	}
	if route.Path == "/login/code" {
		return r.codes["totp-challenge"]
	}
	if strings.HasPrefix(route.Path, "/login/") {
		return r.note("code", "000000") // the flow is at another step
	}
	for flow, code := range r.codes {
		if strings.Contains(route.Path, "/"+flow+"/") {
			return code
		}
	}
	r.t.Fatalf("%s takes a code, and no realm has one for it: teach realm.addFactor how to get it", title(route))
	return ""
}

func title(route pipeline.Route) string { return route.Method + " " + route.Path }

var inBraces = regexp.MustCompile(`\{([a-z_]+)\}`)

// inPath lists the parameters of a route's path.
func inPath(t *testing.T, route pipeline.Route) []string {
	t.Helper()
	var names []string
	for _, match := range inBraces.FindAllStringSubmatch(route.Path, -1) {
		if objects[match[1]] == nil {
			t.Fatalf("%s: teach objects how to make a {%s}", title(route), match[1])
		}
		names = append(names, match[1])
	}
	if strings.Count(route.Path, "{") != len(names) || strings.Contains(route.Path, "*") {
		t.Fatalf("%s: the path has parameters of a form that these tests do not know", title(route))
	}
	return names
}

// parameter is one of a route's input.
type parameter struct {
	name  string   // dotted: profile.given_name
	names []string // all its names, dotted
	list  bool
}

// form is how a form writes a dotted name.
func (p parameter) form() string { return bracketed(p.name, p.list) }

func bracketed(dotted string, list bool) string {
	head, rest, nested := strings.Cut(dotted, ".")
	if nested {
		head += "[" + strings.ReplaceAll(rest, ".", "][") + "]"
	}
	if list {
		head += "[]"
	}
	return head
}

// inInput lists the parameters that a route's input declares.
func inInput(route pipeline.Route) []parameter {
	in, _ := route.Handler.Types()
	return fieldsOf(in, "")
}

func fieldsOf(in reflect.Type, prefix string) (out []parameter) {
	for field := range in.Fields() {
		tag := field.Tag.Get("in")
		plain := field.Type
		if plain.Kind() == reflect.Pointer {
			plain = plain.Elem()
		}
		switch {
		case tag == "":
		case plain.Kind() == reflect.Struct && plain != reflect.TypeFor[secret.Text]():
			out = append(out, fieldsOf(plain, prefix+tag+".")...)
		default:
			var names []string
			for name := range strings.SplitSeq(tag, "|") {
				names = append(names, prefix+name)
			}
			out = append(out, parameter{names[0], names, plain.Kind() == reflect.Slice})
		}
	}
	return out
}

// sample returns a good value for a parameter.
func (r *realm) sample(route pipeline.Route, p parameter) string {
	if kind := reference(route, p); kind != "" {
		return r.id(kind)
	}
	if inEnvelopes(route) {
		return unset
	}
	head, _, nested := strings.Cut(p.name, ".")
	if nested {
		head += "."
	}
	if made := gatewaySamples[head]; made != nil && ofGateway(route) {
		return made(r)
	}
	if samples[head] == nil {
		r.t.Fatalf("%s: teach samples how to make a %s", title(route), p.name)
	}
	return samples[head](r, route)
}

// shot is a request to a route before it is sent.
type shot struct {
	route  pipeline.Route
	ids    map[string]string // what stands for each parameter of the path
	form   url.Values
	query  url.Values // beside the form
	header http.Header
	base   string // public URL of the service, which signatures cover
	token  string // empty: none
	cookie string // what the browser has
	bare   bool   // without the proof and the cookie, too
	json   bool
}

// shot is a request of the realm that succeeds.
func (r *realm) shot(route pipeline.Route) *shot {
	r.t.Helper()
	s := &shot{route: route, ids: map[string]string{}, form: url.Values{}, header: http.Header{}, base: r.public}
	if route.Credential == pipeline.APIKey {
		s.token = r.token
	}
	if route.Credential == pipeline.UserToken {
		s.token = r.userToken()
	}
	if inEnvelopes(route) {
		r.inScene(s)
		s.json = formsLeave(route)
		return s
	}
	if kind := needs[title(route)]; kind != "" {
		r.id(kind)
	}
	for _, name := range inPath(r.t, route) {
		s.ids[name] = r.id(objects[name][0])
		if name == "user" && !strings.Contains(route.Path, "/users/") {
			r.id("request") // what is done with a user may need its factor
		}
	}
	for _, p := range inInput(route) {
		s.form.Set(p.form(), r.sample(route, p))
	}
	if route.Cookie != "" {
		s.cookie = route.Cookie + "=" + r.id(cookieKind(route))
	}
	return s
}

// shots are requests of the realm to every route, which may have changed rows
// when they are there: so they are made before rows are compared.
func (r *realm) shots() map[string]*shot {
	r.t.Helper()
	all := map[string]*shot{}
	for _, route := range r.service.Routes() {
		all[title(route)] = r.shot(route)
	}
	return all
}

func (s *shot) path() string {
	return inBraces.ReplaceAllStringFunc(s.route.Path, func(match string) string {
		return url.PathEscape(s.ids[strings.Trim(match, "{}")])
	})
}

// inQuery reports whether the parameters go into the query.
func (s *shot) inQuery() bool {
	return s.route.Method == http.MethodGet || s.route.Method == http.MethodDelete
}

// tree is the form as JSON would say it.
func (s *shot) tree() map[string]any {
	tree := map[string]any{}
	for name, values := range s.form {
		plain, list := strings.CutSuffix(name, "[]")
		steps := strings.Split(strings.ReplaceAll(strings.ReplaceAll(plain, "]", ""), "[", "."), ".")
		at := tree
		for _, step := range steps[:len(steps)-1] {
			next, _ := at[step].(map[string]any)
			if next == nil {
				next = map[string]any{}
				at[step] = next
			}
			at = next
		}
		var value any = values[0]
		if list {
			value = values
		}
		at[steps[len(steps)-1]] = value
	}
	return tree
}

// raw is the request with another body.
func (s *shot) raw(t *testing.T, base, query, contentType string, body io.Reader) *http.Request {
	t.Helper()
	target := base + s.path()
	if query != "" {
		target += "?" + query
	}
	req, err := http.NewRequestWithContext(t.Context(), s.route.Method, target, body)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range s.header {
		req.Header[name] = slices.Clone(values)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if s.token != "" && req.Header.Get("Authorization") == "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	if s.cookie != "" && !s.bare {
		req.Header.Set("Cookie", s.cookie)
	}
	if s.route.Form {
		req.Header.Set("Sec-Fetch-Site", "same-origin") // as a browser says of a form of ours
	}
	if proof := proofs[s.route.Path]; proof != nil && !s.bare {
		name, value := proof(s)
		req.Header.Set(name, value)
	}
	return req
}

func (s *shot) request(t *testing.T, base string) *http.Request {
	t.Helper()
	switch {
	case s.json:
		body, err := json.Marshal(s.tree())
		if err != nil {
			t.Fatal(err)
		}
		return s.raw(t, base, s.query.Encode(), asJSON, bytes.NewReader(body))
	case s.inQuery() || len(s.form) == 0:
		all := maps.Clone(s.form)
		maps.Copy(all, s.query)
		return s.raw(t, base, all.Encode(), "", nil)
	}
	return s.raw(t, base, s.query.Encode(), form, strings.NewReader(s.form.Encode()))
}

// fire sends it and looks at what every answer must have.
func (h *house) fire(s *shot) *reply {
	h.t.Helper()
	return h.observe(s.request(h.t, h.base))
}
