package api_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/totp"
)

// What a login hands out, from the link in a mail to tokens, is made here for
// the tests of the route table: for the routes that take it, and for the
// search for what has leaked.

// backURL is where the links of a realm lead.
const backURL = "https://app.example.test/back"

// addConnection allows passwords. Answers hold the links of a realm: a mail
// would change rows whenever it comes.
func (r *realm) addConnection() {
	r.t.Helper()
	r.ids["connection"] = r.call("POST", "/api/v2/org/"+r.org+"/password-connection", "delivery=caller").want(201).text("id")
}

// addPassword gives the realm's user a password, by a link.
func (r *realm) addPassword() {
	r.t.Helper()
	password := r.word("password")
	r.learn(r.call("POST", "/api/v2/password", "plain_text="+password, "password_code="+r.newPasswordCode()).want(200))
	r.ids["password"] = password
}

// addPasswordCode makes a code with which the password is replaced: that of a
// first password is worth nothing once there is one.
func (r *realm) addPasswordCode() {
	r.t.Helper()
	r.id("password")
	r.ids["password code"] = r.newPasswordCode()
}

func (r *realm) newPasswordCode() string {
	r.t.Helper()
	r.id("connection")
	return r.passwordCodeOf(r.id("email"))
}

// click is the button of a link's page.
func (r *realm) click(link string) *shot {
	r.t.Helper()
	route := r.route("POST /link")
	return &shot{
		route: route, form: url.Values{pipeline.TokenParameter: {r.formToken(link)}}, header: http.Header{}, base: r.public,
		cookie: route.Cookie + "=" + link,
	}
}

// leadsTo is the query of where an answer sends the browser.
func leadsTo(r *reply) url.Values {
	r.t.Helper()
	to, err := url.Parse(r.header.Get("Location"))
	if err != nil {
		r.t.Fatal(err)
	}
	return to.Query()
}

// route is the one of that method and path.
func (h *house) route(name string) pipeline.Route {
	h.t.Helper()
	routes := h.service.Routes()
	i := slices.IndexFunc(routes, func(route pipeline.Route) bool { return title(route) == name })
	if i < 0 {
		h.t.Fatalf("there is no route %s any more", name)
	}
	return routes[i]
}

// addLogin begins a login that waits for the second factor of its user.
func (r *realm) addLogin() {
	r.t.Helper()
	r.id("request") // without a factor no login waits
	r.ids["login"] = r.rightPassword().text("request_id")
}

func (r *realm) rightPassword() *reply {
	r.t.Helper()
	password := r.id("password")
	right := r.call("POST", "/api/v2/password-challenge", "user_email="+r.id("email"), "org_domain="+r.org, "plain_text="+password).want(200)
	r.learn(right)
	return right
}

// newCode is an authorization code for the realm's user, who has no second
// factor.
func (r *realm) newCode() string {
	r.t.Helper()
	return r.rightPassword().text("code")
}

// newRefresh is a refresh token.
func (r *realm) newRefresh() string {
	r.t.Helper()
	given := r.call("POST", "/api/v2/oauth/token", "grant_type=authorization_code", "code="+r.newCode()).want(200)
	r.learn(given)
	return given.text("refresh_token")
}

// variants are other requests that succeed than the one with all parameters,
// by the end of a path: a call that is several in one.
var variants = map[string]map[string]func(r *realm, s *shot){
	"/oauth/token": {
		"a code": func(r *realm, s *shot) {
			s.form, s.token = url.Values{"grant_type": {"authorization_code"}, "code": {r.newCode()}}, r.token
		},
		"a refresh token": func(r *realm, s *shot) {
			s.form, s.token = url.Values{"grant_type": {"refresh_token"}, "refresh_token": {r.newRefresh()}}, r.token
		},
	},
	"/token-srv/token": {
		"a code": func(r *realm, s *shot) {
			r.id("gateway app")
			s.form = with(r.gatewayApp.exchange(r.newGatewayCode()), "redirect_uri", backURL)
		},
	},
	"/oauth2/token":         {"a code": gatewayVariants["a code"]},
	"/client/token":         {"a code": gatewayVariants["a code"]},
	"/token-srv/introspect": {"an access token": gatewayVariants["an access token"]},
	"/totp-enrollment/{user}": {
		"an app": func(r *realm, s *shot) {
			s.form = url.Values{"force_enroll": {"true"}, "device_name": {r.word("device")}}
		},
	},
	"/totp-enrollment/validation/{user}": {
		"an app": func(r *realm, s *shot) {
			r.startApp()
			s.form = url.Values{"code": {r.appCode(0)}}
		},
	},
	"/totp-challenge/validation/{user}": {
		"an app": func(r *realm, s *shot) {
			r.startApp()
			r.call("PUT", r.enrollment("validation/"+r.id("user")), "code="+r.appCode(0)).want(200).wantSuccess(true)
			s.form = url.Values{"code": {r.appCode(1)}}
		},
		"recovery": func(r *realm, s *shot) { s.form = url.Values{"code": {r.codes["recovery"]}} },
	},
}

// startApp starts the enrolment of an app beside the user's phone.
func (r *realm) startApp() {
	r.t.Helper()
	r.id("request")
	started := r.call("POST", r.enrollment(r.id("user")), "device_name="+r.word("device")).want(201)
	r.learn(started)
	r.codes["app"] = started.text("secret")
}

// appCode is what the app shows some steps from now.
func (r *realm) appCode(steps int) string {
	r.t.Helper()
	return r.note("code", codeOf(r.t, r.codes["app"], time.Now().Add(time.Duration(30*steps)*time.Second)))
}

// codeOf is the code of an app at a time.
func codeOf(t *testing.T, key string, at time.Time) string {
	t.Helper()
	codes, err := totp.Key{Secret: secret.New(key), Parameters: totp.Default()}.Codes(at)
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range codes {
		if code.Drift == 0 {
			return code.Text.Reveal()
		}
	}
	return ""
}

// variantsOf names the variants of a route, beginning with the plain one, which
// has no name.
func variantsOf(route pipeline.Route) []string {
	names := []string{""}
	for end, more := range variants {
		if strings.HasSuffix(route.Path, end) {
			names = append(names, sortedKeys(more)...)
		}
	}
	return names
}

// variant is a request of the realm that succeeds.
func (r *realm) variant(route pipeline.Route, name string) *shot {
	r.t.Helper()
	s := r.shot(route)
	for end, more := range variants {
		if change := more[name]; change != nil && strings.HasSuffix(route.Path, end) {
			change(r, s)
		}
	}
	return s
}

// hidden are the fields of answers that hold secrets, by what they hold.
var hidden = map[string]string{
	"access_token": "token", "id_token": "token", "refresh_token": "refresh token", "client_secret": "secret", "magic_link": "link", "url": "ticket",
	"code": "authorization code", "authorization_code": "authorization code", "password_code": "password code",
}

// Secrets of apps and recovery codes are shorter than the others.
const (
	appSecretSize = 32
	recoverySize  = 19 // with its dashes
	opaqueSize    = 36 // ids that look like UUIDs
)

// learn enters the secrets of an answer.
func (l *ledger) learn(r *reply) {
	l.learnIn(r.body)
	if r.header.Get("Location") != "" {
		for name, values := range leadsTo(r) {
			l.learnIn(map[string]any{name: values[0]})
		}
	}
}

func (l *ledger) learnIn(body map[string]any) {
	for name, value := range body {
		switch value := value.(type) {
		case string:
			if (name == "secret" || name == "totp_secret") && len(value) == appSecretSize {
				l.note("app secret", value)
			}
			if name == "recovery_codes" {
				for code := range strings.SplitSeq(value, "\n") {
					l.note("recovery code", code)
					l.note("recovery code", strings.ReplaceAll(code, "-", ""))
				}
			}
			if len(value) == opaqueSize && slices.Contains(stepFields, name) {
				l.note("step", value)
			}
			if len(value) >= secretSize && hidden[name] != "" { // a code of six digits is noted where it is read
				l.note(hidden[name], value[strings.LastIndexByte(value, '/')+1:])
			}
		case map[string]any:
			l.learnIn(value)
		case []any:
			for _, code := range value {
				if text, ok := code.(string); ok && name == "recovery_codes" {
					l.learnIn(map[string]any{name: text})
				}
			}
		}
	}
}
