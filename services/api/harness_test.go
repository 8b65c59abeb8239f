package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/bus/bustest"
	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/rig"
	"countersign.dev/pkg/run"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api"
)

func TestMain(m *testing.M) { rig.Main(m) }

// parts are what one house of services stands on.
type parts struct {
	database  string
	short     func(t *testing.T) ephemeral.Store
	nats      *bustest.NATS
	cfg       func(*api.Config)
	delivery  secret.Text
	seal      secret.Text
	index     secret.Text
	log       io.Writer
	noCourier bool
	reports   bool // the courier reports what it took, as the sandbox's worker does
	sandbox   bool // the courier serves the sandbox alone: what goes elsewhere waits on the bus
	inbox     bool // serves the page /inbox, as dev does
	dear      bool // hashes at the price that a configuration asks for
}

// house is a running api service with a demo tenant, and a courier in place
// of the worker: it opens each event as the worker does.
type house struct {
	t       *testing.T
	base    string
	public  string // the URL that it is configured to have
	service *api.Service
	parts   *parts
	admin   *api.Admin
	courier *courier
	nats    *bustest.NATS
	token   string // of a sandbox key with all scopes
	speaks  string // Accept-Language, where a test is about it
	org     string
	user    string
}

// embedded stands on SQLite and in-process state.
func embedded(t *testing.T) *parts {
	return &parts{
		database: "sqlite:" + filepath.Join(t.TempDir(), "test.db"),
		short:    func(*testing.T) ephemeral.Store { return ephemeral.NewMemory(time.Now) },
	}
}

// distributed stands on Postgres and Redis.
func distributed(t *testing.T) *parts {
	p, _ := distributedOn(t)
	return p
}

// distributedOn is distributed with the Redis, for tests that harm it.
func distributedOn(t *testing.T) (*parts, *rig.RedisServer) {
	redis := rig.Redis(t)
	return &parts{database: rig.Postgres(t), short: onRedis(redis.URL)}, redis
}

// onRedis opens the short-lived store for each service that starts.
func onRedis(url string) func(t *testing.T) ephemeral.Store {
	return func(t *testing.T) ephemeral.Store {
		store, err := ephemeral.NewRedis(ephemeral.RedisConfig{URL: secret.New(url)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		return store
	}
}

func (p *parts) prepare(t *testing.T) {
	t.Helper()
	if p.nats == nil {
		p.nats = bustest.Server(t)
	}
	if p.delivery.IsZero() {
		p.delivery, p.seal, p.index = seal.NewKey(), seal.NewKey(), seal.NewKey()
		if err := furnish(p.database); err != nil {
			t.Fatal(err)
		}
	}
}

// furnish makes the tables of an empty database.
func furnish(database string) error {
	file, embedded := strings.CutPrefix(database, "sqlite:")
	if !embedded {
		return migrate(database)
	}
	content, err := migrated()
	if err != nil {
		return err
	}
	return os.WriteFile(file, content, 0o600)
}

func migrate(database string) error {
	ctx := context.Background()
	admin, err := api.Operator(ctx, api.OperatorConfig{DatabaseURL: secret.New(database), SealKeys: seal.NewKey(), InsecureDev: true})
	if err != nil {
		return err
	}
	return errors.Join(admin.Migrate(ctx), admin.Close())
}

// migrated is the file of an empty database. It is made once and copied: under
// the race detector SQLite takes a second for all the migrations.
var migrated = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "migrated")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "test.db")
	if err := migrate("sqlite:" + file); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
})

// open starts a service on the parts. Called twice it starts two processes'
// worth of services on the same state.
func open(t *testing.T, p *parts) *house {
	t.Helper()
	p.prepare(t)
	out := p.log
	if out == nil {
		out = t.Output()
	}
	log := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	conn := bustest.Bus(t, p.nats, func(c *bus.Config) { c.Log = log })
	cfg := api.Config{
		Addr: "127.0.0.1:0", OpsAddr: "127.0.0.1:0", BaseURL: "http://127.0.0.1:8080", DatabaseURL: secret.New(p.database), SealKeys: p.seal,
		DeliveryKeys: p.delivery, IndexKey: p.index, Guesses: 5, GuessCap: 100, SMSCodeLife: 5 * time.Minute, SMSCodeTries: 5, InsecureDev: true,
		TwilioAuthToken: secret.New("twilio-auth-token"), DNSServer: "127.0.0.1:1", // nobody: tests ask no server but their own
	}
	if !p.dear {
		cfg.Argon2Memory, cfg.Argon2Passes, cfg.Argon2Threads = 64, 1, 1 // every enrolment hashes five codes
	}
	if p.cfg != nil {
		p.cfg(&cfg)
	}
	service, err := api.New(t.Context(), cfg, api.Parts{Ephemeral: p.short(t), Bus: conn, Log: log, Inbox: p.inbox})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, base: "http://" + service.Addr(), public: cfg.BaseURL, service: service, parts: p, admin: service.Admin(), nats: p.nats}
	group := &run.Group{Log: log}
	service.Add(group)
	if !p.noCourier {
		h.courier = newCourier(t, p)
		group.Add("courier", func(ctx context.Context) error { return h.courier.serve(ctx, conn) })
		group.Add("mail courier", func(ctx context.Context) error { return h.courier.serveMail(ctx, conn) })
	}
	t.Cleanup(func() { _ = service.Close() }) // after the group has stopped
	background(t, group.Run)
	return h
}

// background runs f until the test ends and waits for it.
func background(t *testing.T, f func(ctx context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("stop: %v", err)
		}
	})
}

// start opens a house and furnishes it: account, key, organization with an
// active connection, user with a phone.
func start(t *testing.T, p *parts) *house {
	t.Helper()
	h := open(t, p)
	h.token = h.signIn(h.key("acme", "sandbox", api.AllScopes))
	h.org = h.call("POST", "/api/v2/organizations", "name=Acme Test Ltd").want(201).text("domain")
	h.call("PUT", "/api/v2/org/"+h.org+"/totp-connection", "active=true").want(200)
	h.user = h.newUser("ana@acme.test", "+4915112345678")
	return h
}

// key makes an account, unless it exists, and a key of it.
func (h *house) key(account, env string, scopes ...string) api.NewKey {
	h.t.Helper()
	_ = h.admin.CreateAccount(h.t.Context(), account, "") // exists: fine
	key, err := h.admin.CreateKey(h.t.Context(), account, env, "test", scopes)
	if err != nil {
		h.t.Fatal(err)
	}
	return key
}

func (h *house) signIn(key api.NewKey) string {
	h.t.Helper()
	return h.as("").call("POST", "/api/v2/oauth/token", "grant_type=client_credentials",
		"client_id="+key.ClientID, "client_secret="+key.ClientSecret.Reveal()).want(200).text("access_token")
}

// as returns the same house for another caller.
func (h *house) as(token string) *house {
	other := *h
	other.token = token
	return &other
}

func (h *house) newUser(email, phone string) string {
	h.t.Helper()
	return h.call("POST", "/api/v2/org/"+h.org+"/users", "email="+email, "phone_number="+phone).want(201).text("id")
}

// enrolled makes a user whose phone is enrolled.
func (h *house) enrolled(email, phone string) string {
	h.t.Helper()
	user := h.newUser(email, phone)
	started := h.call("POST", h.enrollment(user), "method=sms").want(201)
	h.call("PUT", h.enrollment("validation/"+user), "code="+h.code(started)).want(200).wantSuccess(true)
	return user
}

func (h *house) enrollment(rest string) string {
	return "/api/v2/org/" + h.org + "/totp-enrollment/" + rest
}

func (h *house) challenge(rest string) string {
	return "/api/v2/org/" + h.org + "/totp-challenge/" + rest
}

// code waits for the event of a started enrolment or challenge.
func (h *house) code(started *reply) string {
	h.t.Helper()
	return h.courier.wait(h.t, started.text("request_id")).Code
}

// call sends form parameters.
func (h *house) call(method, path string, params ...string) *reply {
	h.t.Helper()
	form := url.Values{}
	for _, param := range params {
		name, value, _ := strings.Cut(param, "=")
		form.Add(name, value)
	}
	if method == http.MethodGet {
		if len(form) > 0 {
			path += "?" + form.Encode()
		}
		return h.raw(method, path, "", nil)
	}
	return h.raw(method, path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
}

func (h *house) raw(method, path, contentType string, body io.Reader) *reply {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.base+path, body)
	if err != nil {
		h.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if h.speaks != "" {
		req.Header.Set("Accept-Language", h.speaks)
	}
	return h.send(req)
}

func (h *house) send(req *http.Request) *reply {
	h.t.Helper()
	if h.token != "" && req.Header.Get("Authorization") == "" {
		req.Header.Set("Authorization", "Bearer "+h.token)
	}
	r := h.exchange(req)
	if r.body == nil {
		h.t.Errorf("%s: status %d, the body is no JSON object: %q", r.what, r.status, r.raw)
	}
	return r
}

// exchange sends a request as it is, reads whatever is answered, and holds
// both to the document.
func (h *house) exchange(req *http.Request) *reply {
	h.t.Helper()
	r := h.plainly(req)
	h.holdToDocument(req, r)
	return r
}

// plainly is exchange for what the document does not describe. Whatever a test
// is about, the cookies of all answers are looked at here.
func (h *house) plainly(req *http.Request) *reply {
	h.t.Helper()
	res, err := persist(http.DefaultTransport, req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	r := &reply{t: h.t, what: req.Method + " " + req.URL.Path, status: res.StatusCode, header: res.Header, raw: string(raw)}
	for _, set := range res.Header.Values("Set-Cookie") {
		if loose := rig.LooseCookie(set, strings.HasPrefix(h.public, "https:")); loose != "" {
			h.t.Errorf("%s sets a cookie that %s: %s", r.what, loose, set)
		}
	}
	if err := json.NewDecoder(bytes.NewReader(raw)).Decode(&r.body); err != nil {
		r.body = nil
		r.readPage()
	}
	return r
}

// reply is an answer of the API.
type reply struct {
	t      *testing.T
	what   string
	status int
	header http.Header
	raw    string
	body   map[string]any
}

func (r *reply) want(status int) *reply {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("%s: status %d, want %d: %s", r.what, r.status, status, r.raw)
	}
	return r
}

// wantFault checks the whole contract of an error answer.
func (r *reply) wantFault(status int, code string) *reply {
	r.t.Helper()
	inner, _ := r.body["error"].(map[string]any)
	if r.status != status || inner["type"] != code {
		r.t.Errorf("%s: status %d %v, want %d %s: %s", r.what, r.status, inner["type"], status, code, r.raw)
		return r
	}
	if message, _ := inner["message"].(string); message == "" {
		r.t.Errorf("%s: the error has no message: %s", r.what, r.raw)
	}
	if id, _ := inner["request_id"].(string); id == "" || id != r.header.Get("X-Request-Id") {
		r.t.Errorf("%s: request id %v in the body, %q in the header", r.what, inner["request_id"], r.header.Get("X-Request-Id"))
	}
	if media := r.header.Get("Content-Type"); !strings.HasPrefix(media, "application/json") && !r.isPage() {
		r.t.Errorf("%s: content type %q", r.what, media)
	}
	return r
}

func (r *reply) wantSuccess(want bool) *reply {
	r.t.Helper()
	if r.body["success"] != want {
		r.t.Fatalf("%s: success %v, want %v: %s", r.what, r.body["success"], want, r.raw)
	}
	return r
}

func (r *reply) text(name string) string {
	r.t.Helper()
	text, ok := r.body[name].(string)
	if !ok || text == "" {
		r.t.Fatalf("%s: no text %q in %s", r.what, name, r.raw)
	}
	return text
}

// courier stands where the worker stands and keeps what it would send.
type courier struct {
	keys    *seal.Keyring
	mail    chan parcel
	held    map[string]event.SMS
	letters chan letter
	read    []letter // that nobody has asked for yet
	reports bool
	sandbox bool
}

type parcel struct {
	request event.Requested
	content event.SMS
}

func newCourier(t *testing.T, p *parts) *courier {
	keys, err := seal.Parse("delivery keys", p.delivery)
	if err != nil {
		t.Fatal(err)
	}
	return &courier{keys: keys, mail: make(chan parcel, 10_000), held: map[string]event.SMS{}, letters: make(chan letter, 10_000), reports: p.reports, sandbox: p.sandbox}
}

func (c *courier) serve(ctx context.Context, conn *bus.Bus) error {
	if c.sandbox {
		return conn.Serve(ctx, c.work(conn, event.EnvSandbox))
	}
	done := make(chan error, 1)
	go func() { done <- conn.Serve(ctx, c.work(conn, event.EnvDefault)) }()
	err := conn.Serve(ctx, c.work(conn, event.EnvSandbox))
	if other := <-done; err == nil {
		err = other
	}
	return err
}

func (c *courier) work(conn *bus.Bus, env string) bus.Work {
	return bus.Work{Channel: event.ChannelSMS, Class: "code", Env: env, Workers: 4, Handle: func(ctx context.Context, r event.Requested, _ bus.Try) error {
		plain, err := c.keys.Open(event.SealContent, r.DeliveryID, r.Sealed)
		if err != nil {
			return err
		}
		var content event.SMS
		if err := json.Unmarshal(plain, &content); err != nil {
			return err
		}
		c.mail <- parcel{r, content}
		if !c.reports {
			return nil
		}
		return c.report(ctx, conn, r, event.Message{To: content.To, Text: "The code is " + content.Code + "."})
	}}
}

// report answers as a worker does: in the sandbox with the message, if there
// is one to show.
func (c *courier) report(ctx context.Context, conn *bus.Bus, r event.Requested, shown event.Message) error {
	o := event.Outcome{
		DeliveryID: r.DeliveryID, RequestID: r.RequestID, TraceID: r.TraceID, OrgID: r.OrgID, Env: r.Env,
		Result: event.Accepted, Attempt: 1, Provider: "courier", At: time.Now().UnixMilli(),
	}
	if r.Env == event.EnvSandbox && shown.To != "" {
		message, err := json.Marshal(shown)
		if err != nil {
			return err
		}
		if o.Message, err = c.keys.Seal(event.SealMessage, r.DeliveryID, message); err != nil {
			return err
		}
	}
	return conn.Report(ctx, o)
}

// newest waits for a text message that nobody has asked for yet.
func (c *courier) newest(t *testing.T) event.SMS {
	t.Helper()
	select {
	case p := <-c.mail:
		return p.content
	case <-time.After(60 * time.Second):
		t.Fatal("no text message came")
		return event.SMS{}
	}
}

// wait returns the content that was sent for a request. One test uses it at a
// time.
func (c *courier) wait(t *testing.T, requestID string) event.SMS {
	t.Helper()
	if content, ok := c.held[requestID]; ok {
		return content
	}
	limit := time.After(60 * time.Second)
	for {
		select {
		case p := <-c.mail:
			c.held[p.request.RequestID] = p.content
			if p.request.RequestID == requestID {
				return p.content
			}
		case <-limit:
			t.Fatalf("no event for %s", requestID)
		}
	}
}

// other returns a code that is certainly not this one.
func other(code string) string {
	last := (code[5]-'0'+1)%10 + '0'
	return code[:5] + string(last)
}

func numbered(i int) string { return fmt.Sprintf("+49151%08d", 10_000_000+i) }

// persist sends a large body again when the server has hung up: it does once it
// has refused it, and whether its answer is read before that is luck.
func persist(through http.RoundTripper, req *http.Request) (*http.Response, error) {
	for tries := 0; ; tries++ {
		res, err := through.RoundTrip(req)
		if err == nil || req.ContentLength < 32<<10 || tries == 20 {
			return res, err
		}
		if req.Body, err = req.GetBody(); err != nil {
			return nil, err
		}
	}
}
