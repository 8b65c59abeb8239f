package api_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"countersign.dev/pkg/rig"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api"
	"countersign.dev/services/api/internal/pipeline"
)

// trail is a house whose every outlet is recorded.
type trail struct {
	*house
	*ledger
	wire   *tripwire
	log    *lockedBuffer
	redis  *rig.RedisServer
	aof    string // directory of all that Redis was ever told to write
	db     *sql.DB
	bus    *nats.Subscription
	places map[string][]string // what was found where
}

// Every route, with marked values in everything that a request can hold: where
// it succeeds, where each of its parameters is wrong, where the request itself
// is malformed, where it panics, and where the database, Redis and the bus
// fail. Then whatever left the service is searched: logs at debug level, in a
// plain handler without the net that pkg/logs spreads; metrics; the answers;
// every message on the bus and the bus's files; every command that wrote to
// Redis; every row. There are no traces yet.
// Covers R-044 for what exists: logs, metrics, answers, panics, bus and stores.
// Covers R-042 for what a run of every route leaves in the stores.
// Covers R-122 for the keys that it leaves in Redis.
func TestCanariesStayInTheirCage(t *testing.T) {
	t.Parallel()
	r := newTrail(t)
	reader := r.realm(r.ledger, "acme", "sandbox", "").full()
	for _, route := range r.service.Routes() {
		first, second := reader, reader
		if route.Method != http.MethodGet {
			first, second = r.realm(r.ledger, "acme", "sandbox", ""), r.realm(r.ledger, "acme", "sandbox", "")
		}
		for _, variant := range variantsOf(route) {
			r.succeeds(first, route, variant)
			r.isRefused(second, route, variant)
		}
		r.panics(second, route)
	}
	r.logsIn()
	r.waits()
	r.inboxFills(reader)
	r.breaks()
	r.collect()
	r.search()
	r.redisKeys()
}

func newTrail(t *testing.T) *trail {
	t.Helper()
	r := &trail{ledger: newLedger(), wire: &tripwire{}, log: &lockedBuffer{}, aof: t.TempDir(), places: map[string][]string{}}
	r.redis = rig.Redis(t, "--appendonly", "yes", "--aof-use-rdb-preamble", "no", "--dir", r.aof)
	p := &parts{database: rig.Postgres(t), log: r.log, reports: true, sandbox: true, inbox: true, short: r.wire.around(onRedis(r.redis.URL))}
	// The address in X-Forwarded-For is believed, so that what stands there is
	// read.
	p.cfg = func(c *api.Config) { c.TrustedProxies = []string{"127.0.0.0/8"} }
	p.prepare(t)
	conn, err := nats.Connect(p.nats.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	if r.bus, err = conn.SubscribeSync(">"); err != nil {
		t.Fatal(err)
	}
	if err := r.bus.SetPendingLimits(-1, -1); err != nil {
		t.Fatal(err)
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	r.house = open(t, p)
	r.db = p.openSQL(t)
	for _, key := range []secret.Text{p.seal, p.delivery, p.index} {
		r.note("secret", key.Reveal())
	}
	r.note("secret", "twilio-auth-token")
	return r
}

// marked puts a value of its own into every header that a client may send.
func (r *trail) marked(s *shot) *shot {
	for _, name := range []string{
		"User-Agent", "Referer", "Cookie", "X-Request-Id", "X-Forwarded-For", "X-Real-Ip", "Forwarded", "Traceparent", "Origin",
		"Accept-Language", "If-None-Match", "X-Api-Key", "Idempotency-Key", "Baggage",
	} {
		s.header.Set(name, r.word("header"))
	}
	if slices.Contains(startPaths, s.route.Path) || inEnvelopes(s.route) { // more requests than one address may send
		s.header.Set("X-Forwarded-For", r.word("header")+", "+r.address())
	}
	return s
}

// take keeps an answer for the search.
func (r *trail) take(route pipeline.Route, answer *reply) *reply {
	place := "error answer"
	if answer.status < http.StatusBadRequest {
		place = "answer of " + title(route)
		r.learn(answer) // the next request may use it
	}
	head := answer.header.Clone()
	for name := range always {
		head.Del(name)
	}
	for _, name := range []string{"Permissions-Policy", "Content-Security-Policy", "Date", "Content-Length"} {
		head.Del(name) // observe has looked at them
	}
	if !strings.HasPrefix(strings.TrimPrefix(route.Path, "/docs"), "/assets/") || answer.status >= http.StatusBadRequest { // the same for everybody
		r.places[place] = append(r.places[place], fmt.Sprint(head, r.unpacked(answer)))
	}
	return answer
}

func (r *trail) succeeds(here *realm, route pipeline.Route, variant string) {
	r.t.Helper()
	s := r.marked(here.variant(route, variant))
	answer := r.take(route, r.fire(s))
	if answer.status != success(route) {
		r.t.Errorf("%s %s: status %d: %s", title(route), variant, answer.status, answer.raw)
	}
	r.take(route, r.fire(s)) // again: used, taken, gone, or the kept answer
}

// isRefused makes one mistake after the other.
func (r *trail) isRefused(here *realm, route pipeline.Route, variant string) {
	r.t.Helper()
	fresh := r.fresh(here, route, variant)
	try := func(change func(s *shot)) {
		s := r.marked(fresh())
		change(s)
		r.take(route, r.fire(s))
	}
	raw := func(query, mediaType, body string) {
		s := r.marked(fresh())
		r.take(route, r.observe(s.raw(r.t, r.base, query, mediaType, strings.NewReader(body))))
	}
	for _, p := range inInput(route) {
		if variant != "" && !fresh().form.Has(p.form()) {
			continue
		}
		for _, wrong := range r.wrong(here, route, p) {
			try(func(s *shot) { s.form.Set(p.form(), wrong) })
		}
		kind := "value of " + p.name
		try(func(s *shot) { s.form.Add(p.form(), r.word(kind)) })
		try(func(s *shot) { s.form.Del(p.form()); s.form.Set(bracketed(p.name, !p.list), r.word(kind)) })
		try(func(s *shot) { s.json = true; s.form.Set(p.form(), r.word(kind)) })
	}
	for _, name := range inPath(r.t, route) {
		for _, wrong := range []string{r.word("path"), r.word("path") + "@example.test", r.phone(), "%00" + r.word("path")} {
			try(func(s *shot) { s.ids[name] = wrong })
		}
	}
	try(func(s *shot) { s.form.Set(r.word("name of a parameter"), "1") })
	try(func(s *shot) { s.token = r.note("token", r.word("credential")) })
	try(func(s *shot) {
		s.header.Set("Authorization", "Basic "+r.word("credential"))
		s.bare = true
	})
	try(func(s *shot) { s.header.Set("Idempotency-Key", r.word("header")+" with a blank") })
	try(func(s *shot) { s.bare = true })
	raw(r.word("query")+"="+r.word("query")+"&"+r.word("query")+"=%zz", "", "")
	raw("email="+r.word("query")+"&email="+r.word("query"), form, "email="+r.word("body"))
	raw("", form, "code=%zz"+r.word("body"))
	raw("", asJSON, `{"password":"`+r.word("body"))
	raw("", asJSON, `["`+r.word("body")+`"]`)
	raw("", "multipart/form-data; boundary="+r.word("body"), r.word("body"))
	raw("", "text/"+r.word("body"), r.word("body"))
	raw("", form, "password="+strings.Repeat(r.word("body"), 5000))
}

// wrong are values that a parameter does not take, or takes as a text like any
// other. All parameters in a map are read alike, so a few do for those.
func (r *trail) wrong(here *realm, route pipeline.Route, p parameter) []string {
	kind := "value of " + p.name
	number := r.phone()
	r.note(kind, number[3:])
	values := []string{r.word(kind), number + "000000", "\x00" + r.word(kind)}
	if strings.Contains(p.name, ".") {
		return values
	}
	if sample := here.sample(route, p); len(sample) == 6 && onlyDigits.MatchString(sample) {
		values = append(values, r.note("code", other(sample)))
	}
	return append(values, r.word(kind)+"@", "+"+r.word(kind), "\r\n"+r.word(kind), strings.Repeat(r.word(kind), 20), "\xff"+r.word(kind))
}

// panics has the pipeline panic with a secret in its hand.
func (r *trail) panics(here *realm, route pipeline.Route) {
	r.t.Helper()
	s := r.marked(here.shot(route))
	r.wire.arm(r.word("panic") + "\n" + s.form.Encode())
	defer r.wire.disarm()
	if answer := r.take(route, r.fire(s)); answer.status != http.StatusInternalServerError {
		r.t.Errorf("%s: status %d, want 500 for a panic: %s", title(route), answer.status, answer.raw)
	}
}

// waits leaves messages on the bus that no worker takes.
func (r *trail) waits() {
	r.t.Helper()
	here := r.realm(r.ledger, "acme", "default", "").passwordsByMail()
	here.call("POST", here.enrollment(here.id("user")), "method=sms").want(201)
	here.call("POST", "/api/v2/password-request", "user_email="+here.id("email"), "org_domain="+here.org, "redirect_uri="+backURL).want(201)
}

// inboxFills waits until messages are stored, and reads them.
func (r *trail) inboxFills(here *realm) {
	r.t.Helper()
	total := func(of string) any { return here.call("GET", "/api/v2/org/"+here.org+"/"+of).body["total"] }
	sent := total("deliveries")
	if sent.(float64) < 4 { // three codes, and what the user is told
		r.t.Fatalf("%v messages were sent", sent)
	}
	until(r.t, func() bool { return total("inbox") == sent })
	for _, route := range r.service.Routes() {
		if route.Method == http.MethodGet {
			r.take(route, r.fire(r.marked(here.shot(route))))
		}
	}
}

// breaks takes one dependency after the other away and calls everything again.
func (r *trail) breaks() {
	r.t.Helper()
	here := r.realm(r.ledger, "acme", "sandbox", "").full()
	all := func(shots map[string]*shot) (failed int) {
		for _, route := range r.service.Routes() {
			if answer := r.take(route, r.fire(r.marked(shots[title(route)]))); answer.status >= http.StatusInternalServerError {
				failed++
			}
		}
		return failed
	}
	shots := here.shots()
	// Rows that the database refuses, with all that is in them.
	for _, table := range tables(r.t, r.db, r.parts) {
		for _, statement := range []string{
			`ALTER TABLE ` + table + ` ADD CONSTRAINT broken CHECK (false) NOT VALID`,
			`CREATE FUNCTION broken_` + table + `() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$`,
			`CREATE TRIGGER broken BEFORE DELETE ON ` + table + ` FOR EACH ROW EXECUTE FUNCTION broken_` + table + `()`,
		} {
			if _, err := r.db.ExecContext(r.t.Context(), statement); err != nil {
				r.t.Fatal(err)
			}
		}
	}
	if all(shots) < 5 {
		r.t.Error("hardly anything failed without a database that takes rows")
	}
	for _, table := range tables(r.t, r.db, r.parts) {
		for _, statement := range []string{`ALTER TABLE ` + table + ` DROP CONSTRAINT broken`, `DROP TRIGGER broken ON ` + table} {
			if _, err := r.db.ExecContext(r.t.Context(), statement); err != nil {
				r.t.Fatal(err)
			}
		}
	}
	r.nats.Stop()
	challenge := here.call("POST", here.challenge(here.user))
	r.places["error answer"] = append(r.places["error answer"], challenge.wantFault(http.StatusServiceUnavailable, "delivery_unavailable").raw)
	r.nats.Start()
	shots = here.shots()
	r.gatherRedis()
	r.redis.Kill()
	if all(shots) < 5 {
		r.t.Error("hardly anything failed without Redis")
	}
}

// gatherRedis reads every command that changed something in Redis: more than a
// dump, since it also holds what has expired or was replaced.
func (r *trail) gatherRedis() {
	r.t.Helper()
	r.places["redis"] = files(r.t, r.aof)
	if !strings.Contains(strings.Join(r.places["redis"], ""), "code:{") {
		r.t.Fatal("the record of Redis's commands holds no code's key: it records nothing")
	}
}

func files(t *testing.T, pattern string) (contents []string) {
	t.Helper()
	err := filepath.WalkDir(pattern, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		contents = append(contents, string(content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return contents
}

// collect gathers what the rest of the world could read.
func (r *trail) collect() {
	r.t.Helper()
	for _, path := range []string{"/metrics", "/readyz"} {
		answer, err := http.Get("http://" + r.service.OpsAddr() + path)
		if err != nil {
			r.t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil {
			r.t.Fatal(err)
		}
		r.places["metrics"] = append(r.places["metrics"], withoutRuntime(string(text)))
	}
	for _, row := range dump(r.t, r.db, r.parts) {
		for _, c := range row.cells {
			place := "sql " + row.table + "." + c.column
			r.places[place] = append(r.places[place], c.value)
		}
	}
	messages, _, err := r.bus.Pending()
	if err != nil || messages < 50 {
		r.t.Fatalf("%d messages were seen on the bus: %v", messages, err)
	}
	for range messages {
		ctx, cancel := context.WithTimeout(r.t.Context(), 1e9)
		m, err := r.bus.NextMsgWithContext(ctx)
		cancel()
		if err != nil {
			r.t.Fatal(err)
		}
		r.places["bus"] = append(r.places["bus"], fmt.Sprint(m.Subject, m.Header, string(m.Data)))
	}
	// bustest keeps the server's store in a directory of this test.
	stores, err := filepath.Glob(filepath.Join(filepath.Dir(r.aof), "*", "nats"))
	if err != nil || len(stores) != 1 {
		r.t.Fatalf("the bus's store is not where it was: %v %v", stores, err)
	}
	r.places["bus files"] = files(r.t, stores[0])
	if !strings.Contains(strings.Join(r.places["bus files"], ""), `"delivery_id":"delivery_`) {
		r.t.Fatal("the bus's files hold none of its messages")
	}
	r.places["log"] = append(r.places["log"], r.log.String())
	for line := range strings.Lines(r.log.String()) {
		if !strings.HasPrefix(line, "time=") {
			r.t.Errorf("something made a second line of a record: %q", line)
		}
	}
	if !strings.Contains(r.log.String(), "panic in a handler") || !strings.Contains(r.log.String(), "level=ERROR msg=request") {
		r.t.Error("the log does not hold what this test provokes")
	}
}

// withoutRuntime drops the metrics of the Go runtime, whose numbers could be
// anything.
func withoutRuntime(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "go_") && !strings.HasPrefix(line, "process_") {
			out.WriteString(line)
		}
	}
	return out.String()
}
