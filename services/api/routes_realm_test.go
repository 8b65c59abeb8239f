package api_test

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"testing"

	"countersign.dev/pkg/dkim"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/session"
)

// marker starts every text that the tests of the route table invent, so that
// one search finds all of them wherever they end up.
const marker = "canaryleak"

// ledger remembers every value that must not turn up where it does not belong,
// with its kind.
type ledger struct {
	mu        sync.Mutex
	kinds     map[string]string
	first     int // number of a phone
	phones    int
	addresses int
}

func newLedger() *ledger {
	return &ledger{kinds: map[string]string{}, first: mathrand.IntN(90_000_000)}
}

// note enters a value and hands it on.
func (l *ledger) note(kind, value string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kinds[value] = kind
	if kind == "token" || kind == "refresh token" || kind == "secret" { // found by what is last in the ones, without the padding of the other
		l.kinds[value[strings.LastIndexByte(value, '.')+1:]] = kind
		l.kinds[strings.TrimRight(value, "=")] = kind
	}
	return value
}

// word is a new text of a kind. It is its own slug and its own lower case.
func (l *ledger) word(kind string) string {
	return l.note(kind, marker+strings.ToLower(rand.Text()[:14]))
}

// phone is a new number that may receive codes, far from all others of this
// ledger: neighbours share a limit. It is found without the country, too.
func (l *ledger) phone() string {
	l.mu.Lock()
	l.phones++
	digits := fmt.Sprint(10_000_000 + (l.first+l.phones*7919)%90_000_000)
	l.mu.Unlock()
	l.note("phone", "151"+digits)
	return "+49151" + digits
}

// address is a new address of a client, far from all others too.
func (l *ledger) address() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.addresses++
	return fmt.Sprintf("2001:%x::1", 0x1000+l.addresses)
}

// realm is one tenant's corner of a house. What is in it is made when it is
// asked for. Its house calls with a key that may do everything in it.
type realm struct {
	*house
	*ledger
	account, env string
	ids          map[string]string // by kind, see kinds
	secret       string            // of ids["key"]
	codes        map[string]string // what is live, by the flow in the path

	gatewayApp     *client // of ids["gateway app"]
	gatewayRefresh string
	gatewayAccess  string
	gatewayGrant   string

	steppers  map[string]stepping
	recovered string // the track id of a login in which a recovery code was used
}

// realm makes a corner of an account: an organization of its own, unless one is
// given to share.
func (h *house) realm(l *ledger, account, env, org string) *realm {
	h.t.Helper()
	r := &realm{ledger: l, account: account, env: env, ids: map[string]string{"account": account, "org": org}, codes: map[string]string{}}
	key := h.key(account, env, api.AllScopes)
	l.note("secret", key.ClientSecret.Reveal())
	r.house = h.as(l.note("token", h.signIn(key)))
	if org == "" {
		r.ids["org"] = r.call("POST", "/api/v2/organizations", "name="+l.word("label"), "email_domains[]="+l.word("label")+".test",
			"redirect_uris[]="+backURL).want(201).text("domain")
	}
	r.house.org = r.ids["org"]
	r.ids["domain"] = r.call("GET", "/api/v2/organizations/"+r.org).want(200).body["allowed_email_domains"].([]any)[0].(string)
	r.call("PUT", "/api/v2/org/"+r.org+"/totp-connection", "active=true", "countries[]=DE").want(200)
	return r
}

// id is the id of the realm's object of a kind.
func (r *realm) id(kind string) string {
	r.t.Helper()
	if r.ids[kind] == "" {
		switch kind {
		case "key":
			r.addKey()
		case "user", "email", "phone":
			r.addUser()
		case "gateway app":
			r.addGatewayApp()
		case "state":
			r.ids["state"] = r.word("path")
		case "connection":
			r.addConnection()
		case "mail server":
			r.addMailServer()
		case "page language":
			r.ids[kind] = r.call("PUT", "/api/v2/org/"+r.org+"/page-texts/de", "welcome="+r.word("page text"), "help="+r.word("page text")).want(200).text("locale")
		case "logo":
			made := r.call("PUT", "/api/v2/organizations/"+r.org, "logo="+aLogo).want(200).text("logo_url")
			r.ids[kind] = made[strings.LastIndex(made, "/")+1:]
		case "password":
			r.addPassword()
		case "password code":
			r.addPasswordCode()
		case "login":
			r.addLogin()
		case "link":
			r.addLink()
		case "ticket":
			r.addTicket()
		case "language of a page":
			r.ids[kind] = "de"
		case "page of a preview":
			r.ids[kind] = "account"
		case "shown code":
			r.ids[kind] = "123456" // nobody looks it up
		case "org of an app":
			r.ids[kind] = r.org
		case "sessions":
			r.addSessions()
		case "session":
			r.addSession()
		case "realm":
			r.id("sessions")
			r.ids[kind] = session.Realm(r.org, r.env)
		case "request", "delivery", "factor":
			r.addFactor()
		case "spare factor":
			r.addSpare()
		case "own enrolment":
			r.addOwnEnrolment()
		case "own codes":
			r.addOwnCodes()
		case "app":
			r.addApp()
		case "browser":
			r.ids[kind] = r.note(kind, never(r.t, kind))
		case "flow":
			r.addFlow()
		case "second flow":
			r.addSecondFlow()
		case "saving flow":
			r.addSavingFlow()
		case "consent":
			r.addConsent()
		case "template":
			r.addTemplate(kind, "password_reset")
		case "sign-in template":
			r.addTemplate(kind, "magic_link")
		default:
			r.t.Fatalf("there are ids of the kind %q, and no realm has one: teach realm.id how to make it", kind)
		}
	}
	return r.ids[kind]
}

// kinds are those of all objects, in an order in which none ends another.
var kinds = []string{
	"account", "org", "domain", "page language", "logo", "user", "email", "phone", "key", "request", "delivery", "factor", "connection", "mail server", "password", "password code", "login", "link", "app", "gateway app", "browser", "flow", "second flow", "saving flow", "sign-in template", "template", "sessions", "session", "realm",
}

// ownKinds are what has no ids: what the user has allowed, and what has been begun on the account page, which comes
// last: the enrolment that waits is the one of the page then.
var ownKinds = []string{"consent", "spare factor", "own codes", "own enrolment"}

// ofUsers are the kinds of objects that belong to a user.
var ofUsers = []string{"user", "email", "phone", "request", "delivery", "factor", "password", "password code", "login", "second flow", "sessions", "session"}

// full is the realm with one object of every kind.
func (r *realm) full() *realm {
	r.t.Helper()
	for _, kind := range kinds {
		r.id(kind)
	}
	for _, kind := range ownKinds {
		r.id(kind)
	}
	r.stepOn()
	return r
}

func (r *realm) addMailServer() {
	r.t.Helper()
	r.ids["mail server"] = r.call("PUT", "/api/v2/org/"+r.org+"/smtp-connection", "host=smtp.example.test", "from_email=no-reply@example.test",
		"username="+r.word("mail user"), "password="+r.word("mail password")).want(200).text("id")
}

// signingKey is a key that mails are signed with, found by its middle.
func (r *realm) signingKey() string {
	r.t.Helper()
	key, err := dkim.NewKey(dkim.Ed25519)
	if err != nil {
		r.t.Fatal(err)
	}
	r.note("signing key", strings.Split(key.Reveal(), "\n")[1])
	return key.Reveal()
}

func (r *realm) addKey() {
	r.t.Helper()
	made := r.call("POST", "/api/v2/api-keys", "name="+r.word("label"), "scopes=users:read", "organizations[]="+r.org).want(201)
	r.ids["key"], r.secret = made.text("client_id"), r.note("secret", made.text("client_secret"))
}

func (r *realm) addUser() {
	r.t.Helper()
	email, phone := r.word("email")+"@"+r.ids["domain"], r.phone()
	user := r.call("POST", "/api/v2/org/"+r.org+"/users", "email="+email, "phone_number="+phone, "profile[given_name]="+r.word("text")).want(201).text("id")
	r.house.user, r.ids["user"], r.ids["email"], r.ids["phone"] = user, user, email, phone
}

// addFactor enrols the user's phone, sends a code to it, and starts the
// enrolment of another phone, which waits for its first code.
func (r *realm) addFactor() {
	r.t.Helper()
	user := r.id("user")
	first := r.code(r.call("POST", r.enrollment(user), "method=sms").want(201))
	confirmed := r.call("PUT", r.enrollment("validation/"+user), "code="+r.note("code", first)).want(200).wantSuccess(true)
	r.learn(confirmed)
	r.codes["recovery"], _, _ = strings.Cut(confirmed.text("recovery_codes"), "\n")
	factors := r.call("GET", "/api/v2/org/"+r.org+"/users/"+user+"/factors").want(200)
	r.ids["factor"] = factors.body["data"].([]any)[0].(map[string]any)["id"].(string)
	login := r.call("POST", r.challenge(user)).want(201)
	r.ids["request"] = login.text("request_id")
	r.codes["totp-challenge"] = r.note("code", r.code(login))
	r.codes["totp-enrollment"] = r.note("code", r.code(r.call("POST", r.enrollment(user), "method=sms", "force_enroll=true", "phone_number="+r.phone()).want(201)))
	listed := r.call("GET", "/api/v2/org/"+r.org+"/deliveries", "request_id="+r.ids["request"]).want(200)
	r.ids["delivery"] = listed.body["data"].([]any)[0].(map[string]any)["id"].(string)
}

// addTemplate makes words for a kind of mail.
func (r *realm) addTemplate(kind, of string) {
	r.t.Helper()
	r.ids[kind] = r.call("POST", "/api/v2/org/"+r.org+"/templates", "kind="+of, "locale=de", "subject="+r.word("words"),
		"text="+r.word("words")+" {{link}}").want(201).text("id")
}

// addTicket gets the address of a preview, and keeps what opens it.
func (r *realm) addTicket() {
	r.t.Helper()
	shown := r.call("POST", "/api/v2/org/"+r.org+"/page-preview").want(200)
	r.learn(shown)
	r.ids["ticket"] = shown.text("url")[strings.LastIndexByte(shown.text("url"), '/')+1:]
}

// addApp registers an app that keeps a secret.
func (r *realm) addApp() {
	r.t.Helper()
	made := r.call("POST", "/api/v2/org/"+r.org+"/apps", "name="+r.word("label"), "client_type=confidential", "redirect_uris[]="+backURL, "post_logout_redirect_uris[]="+backURL).want(201)
	r.note("secret", made.text("client_secret"))
	r.ids["app"] = made.text("client_id")
}

// narrowed is the same corner for a key that reaches its organization only. A
// login belongs to the key that began it, so it has one of its own.
func (r *realm) narrowed() *realm {
	r.t.Helper()
	made := r.call("POST", "/api/v2/api-keys", "name="+r.word("label"), "organizations[]="+r.org,
		"scopes="+strings.Join(r.key(r.account, r.env, api.AllScopes).Scopes, " ")).want(201)
	other := *r
	other.ids = maps.Clone(r.ids)
	token := r.as("").call("POST", "/oauth/token", "grant_type=client_credentials", "client_id="+made.text("client_id"),
		"client_secret="+r.note("secret", made.text("client_secret"))).want(200).text("access_token")
	other.house = r.as(r.note("token", token))
	delete(other.ids, "login")
	return &other
}

// never makes an id in the shape of a kind that nobody has.
func never(t *testing.T, kind string) string {
	t.Helper()
	word := strings.ToLower(rand.Text())
	switch kind {
	case "org", "account":
		return marker + word[:14]
	case "shown code":
		return "000000"
	case "link", "password code", "browser", "flow", "second flow", "saving flow":
		return marker + strings.Repeat(word, 2)[:secretSize-len(marker)]
	case "password":
		return marker + word[:14]
	case "domain":
		return marker + word[:14] + ".test"
	case "email":
		return marker + word[:14] + "@example.test"
	case "user", "key", "connection", "mail server", "factor", "session":
		raw := make([]byte, 16)
		_, _ = rand.Read(raw)
		raw[6], raw[8] = raw[6]&0x0f|0x40, raw[8]&0x3f|0x80
		text := hex.EncodeToString(raw)
		return strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-")
	case "page language":
		return "zz-" + word[:8]
	case "logo":
		return strings.Repeat("0123456789abcdef", 4)
	case "template", "sign-in template":
		return "template_3" + rand.Text()[:26]
	case "app", "gateway app":
		return "app_3" + rand.Text()[:26]
	case "delivery":
		return "delivery_3" + rand.Text()[:26]
	case "request":
		return "totp-challenge_3" + rand.Text()[:26]
	case "login":
		return "password-challenge_3" + rand.Text()[:26]
	case "phone":
		return newLedger().phone()
	case "realm":
		return marker + word[:14] + ".sandbox"
	case "sessions":
		return marker + word[:14] + ".sandbox:" + marker + strings.Repeat(word, 2)[:secretSize-len(marker)]
	}
	t.Fatalf("there are ids of the kind %q, and nobody said what one looks like that does not exist: teach never", kind)
	return ""
}

// formToken is what the page of a link has in its form.
func (r *realm) formToken(link string) string {
	r.t.Helper()
	index, err := seal.ParseIndex("index", r.parts.index)
	if err != nil {
		r.t.Fatal(err)
	}
	return guard.Forms{Index: index}.Token(secret.New(link)).Reveal()
}
