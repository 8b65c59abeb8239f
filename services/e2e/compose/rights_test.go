package compose_test

import (
	"context"
	"crypto/tls"
	"database/sql"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/services/e2e/stage"
)

// What the services must not be able to do on the bus, by user. The right way
// is what TestComposeDelivers goes.
var forbiddenOnNATS = map[string][]struct{ what, publish, subscribe string }{
	"api": {
		{what: "report a result", publish: "countersign.v1.delivery.delivered"},
		{what: "park for a worker", publish: "countersign.v1.dead.sms"},
		{what: "publish elsewhere", publish: "countersign.v2.event.user.created.default.org"},
		{what: "park a mail", publish: "countersign.v1.dead.email"},
		{what: "take a link", publish: "$JS.API.CONSUMER.MSG.NEXT.MESSAGES.email-link-default"},
		{what: "consume mails", publish: "$JS.API.CONSUMER.CREATE.MESSAGES.spy"},
		{what: "read a waiting mail", publish: "$JS.API.STREAM.MSG.GET.MESSAGES"},
		{what: "take back what it told the world", publish: "$JS.API.STREAM.PURGE.EVENTS"},
		{what: "consume events", publish: "$JS.API.CONSUMER.CREATE.EVENTS.spy"},
		{what: "delete a stream", publish: "$JS.API.STREAM.DELETE.CHALLENGES"},
		{what: "purge a stream", publish: "$JS.API.STREAM.PURGE.CHALLENGES"},
		{what: "change a stream", publish: "$JS.API.STREAM.UPDATE.CHALLENGES"},
		{what: "create another stream", publish: "$JS.API.STREAM.CREATE.COPY"},
		{what: "read a waiting challenge", publish: "$JS.API.STREAM.MSG.GET.CHALLENGES"},
		{what: "read a dead letter", publish: "$JS.API.DIRECT.GET.DEAD"},
		{what: "take a worker's message", publish: "$JS.API.CONSUMER.MSG.NEXT.CHALLENGES.sms-code-default"},
		{what: "consume challenges", publish: "$JS.API.CONSUMER.CREATE.CHALLENGES.spy.countersign.v1.challenge.requested.sms.default.*"},
		{what: "consume dead letters", publish: "$JS.API.CONSUMER.CREATE.DEAD.spy"},
		{what: "acknowledge a worker's message", publish: "$JS.ACK.CHALLENGES.sms-code-default.1.1.1.1.1"},
		{what: "listen to the bus", subscribe: "countersign.v1.>"},
		{what: "hear the worker's answers", subscribe: "_INBOX.sms.>"},
		{what: "hear everybody's answers", subscribe: "_INBOX.>"},
		{what: "hear advisories", subscribe: "$JS.EVENT.>"},
	},
	"sms": {
		{what: "ask for a code", publish: "countersign.v1.challenge.requested.sms.default.org"},
		{what: "ask for a mail", publish: "countersign.v1.notice.requested.sms.default.org"},
		{what: "tell the world", publish: "countersign.v1.event.user.created.default.org"},
		{what: "take a mail", publish: "$JS.API.CONSUMER.MSG.NEXT.MESSAGES.email-link-default"},
		{what: "consume links", publish: "$JS.API.CONSUMER.CREATE.MESSAGES.email-link-default"},
		{what: "read events", publish: "$JS.API.CONSUMER.CREATE.EVENTS.sms"},
		{what: "park for the api", publish: "countersign.v1.dead.delivery"},
		{what: "delete a stream", publish: "$JS.API.STREAM.DELETE.DELIVERIES"},
		{what: "purge a stream", publish: "$JS.API.STREAM.PURGE.CHALLENGES"},
		{what: "delete a message", publish: "$JS.API.STREAM.MSG.DELETE.CHALLENGES"},
		{what: "read results", publish: "$JS.API.STREAM.MSG.GET.DELIVERIES"},
		{what: "read a dead letter", publish: "$JS.API.STREAM.MSG.GET.DEAD"},
		{what: "take the relay's message", publish: "$JS.API.CONSUMER.MSG.NEXT.DELIVERIES.relay"},
		{what: "consume results", publish: "$JS.API.CONSUMER.CREATE.DELIVERIES.spy.countersign.v1.delivery.*"},
		{what: "consume all challenges", publish: "$JS.API.CONSUMER.CREATE.CHALLENGES.sms-code-default"},
		{what: "delete the relay's consumer", publish: "$JS.API.CONSUMER.DELETE.DELIVERIES.relay"},
		{what: "list streams", publish: "$JS.API.STREAM.NAMES"},
		{what: "hear the api's answers", subscribe: "_INBOX.api.>"},
		{what: "listen to the bus", subscribe: ">"},
		{what: "look at the server", publish: "$SYS.REQ.SERVER.PING"},
	},
	"email": {
		{what: "ask for a code", publish: "countersign.v1.challenge.requested.email.default.org"},
		{what: "ask for a link", publish: "countersign.v1.password.requested.email.default.org"},
		{what: "ask for a notice", publish: "countersign.v1.notice.requested.email.default.org"},
		{what: "tell the world", publish: "countersign.v1.event.password.changed.default.org"},
		{what: "park for the api", publish: "countersign.v1.dead.delivery"},
		{what: "park for the other worker", publish: "countersign.v1.dead.sms"},
		{what: "delete a stream", publish: "$JS.API.STREAM.DELETE.MESSAGES"},
		{what: "purge a stream", publish: "$JS.API.STREAM.PURGE.MESSAGES"},
		{what: "change a stream", publish: "$JS.API.STREAM.UPDATE.MESSAGES"},
		{what: "delete a message", publish: "$JS.API.STREAM.MSG.DELETE.MESSAGES"},
		{what: "read a waiting mail", publish: "$JS.API.STREAM.MSG.GET.MESSAGES"},
		{what: "read a dead letter", publish: "$JS.API.STREAM.MSG.GET.DEAD"},
		{what: "read events", publish: "$JS.API.CONSUMER.CREATE.EVENTS.email"},
		{what: "take the other worker's message", publish: "$JS.API.CONSUMER.MSG.NEXT.CHALLENGES.sms-code-default"},
		{what: "consume the other worker's codes", publish: "$JS.API.CONSUMER.CREATE.CHALLENGES.email-code-default.countersign.v1.challenge.requested.sms.default.*"},
		{what: "consume all mails", publish: "$JS.API.CONSUMER.CREATE.MESSAGES.spy"},
		{what: "consume all mails of own servers", publish: "$JS.API.CONSUMER.CREATE.MESSAGES.spy.countersign.v1.*.requested.email-own.>"},
		{what: "consume mails of own servers and others", publish: "$JS.API.CONSUMER.CREATE.MESSAGES.spy.countersign.v1.notice.requested.*.default.*"},
		{what: "consume links as notices", publish: "$JS.API.CONSUMER.CREATE.MESSAGES.email-notice-default.countersign.v1.password.requested.email.default.*"},
		{what: "take the relay's message", publish: "$JS.API.CONSUMER.MSG.NEXT.DELIVERIES.relay"},
		{what: "delete a consumer", publish: "$JS.API.CONSUMER.DELETE.MESSAGES.email-link-default"},
		{what: "list streams", publish: "$JS.API.STREAM.NAMES"},
		{what: "hear the api's answers", subscribe: "_INBOX.api.>"},
		{what: "hear the other worker's answers", subscribe: "_INBOX.sms.>"},
		{what: "listen to the bus", subscribe: "countersign.v1.>"},
	},
	"operator": {
		{what: "ask for a code", publish: "countersign.v1.challenge.requested.sms.default.org"},
		{what: "ask for a link", publish: "countersign.v1.password.requested.email.default.org"},
		{what: "tell the world", publish: "countersign.v1.event.password.changed.default.org"},
		{what: "delete an event", publish: "$JS.API.STREAM.MSG.DELETE.EVENTS"},
		{what: "purge the events", publish: "$JS.API.STREAM.PURGE.EVENTS"},
		{what: "read a waiting mail", publish: "$JS.API.STREAM.MSG.GET.MESSAGES"},
		{what: "consume mails", publish: "$JS.API.CONSUMER.CREATE.MESSAGES.spy"},
		{what: "park", publish: "countersign.v1.dead.sms"},
		{what: "delete a stream", publish: "$JS.API.STREAM.DELETE.DEAD"},
		{what: "purge the dead letters", publish: "$JS.API.STREAM.PURGE.DEAD"},
		{what: "change a stream", publish: "$JS.API.STREAM.UPDATE.DEAD"},
		{what: "create a stream", publish: "$JS.API.STREAM.CREATE.COPY"},
		{what: "read a waiting challenge", publish: "$JS.API.STREAM.MSG.GET.CHALLENGES"},
		{what: "delete a waiting challenge", publish: "$JS.API.STREAM.MSG.DELETE.CHALLENGES"},
		{what: "delete a result", publish: "$JS.API.STREAM.MSG.DELETE.DELIVERIES"},
		{what: "consume challenges", publish: "$JS.API.CONSUMER.CREATE.CHALLENGES.spy"},
		{what: "take a worker's message", publish: "$JS.API.CONSUMER.MSG.NEXT.CHALLENGES.sms-code-default"},
		{what: "hear the api's answers", subscribe: "_INBOX.api.>"},
	},
}

// Each service may do on the bus what it does, and nothing else; nobody comes
// in without a password or in plain text.
//
// Covers R-046 (NATS: rights, TLS, no monitoring port).
func TestRightsOnNATS(t *testing.T) {
	s := newStack(t) // not parallel: the configuration of NATS reads this process's environment
	s.nats()
	for user, calls := range forbiddenOnNATS {
		if len(calls) < 12 {
			t.Errorf("%d calls of %s are tried, want at least 12", len(calls), user)
		}
		for _, call := range calls {
			nc := s.connect(user)
			var err error
			if call.subscribe != "" {
				_, err = nc.SubscribeSync(call.subscribe)
			} else {
				err = nc.Publish(call.publish, []byte("{}"))
			}
			if err = errors.Join(err, nc.FlushTimeout(10*time.Second)); err != nil {
				t.Fatal(err)
			}
			if !errors.Is(nc.LastError(), nats.ErrPermissionViolation) {
				t.Errorf("%s may %s (%s%s): %v", user, call.what, call.publish, call.subscribe, nc.LastError())
			}
			nc.Close()
		}
	}
	s.operatorReadsDeadLetters()
	s.eachGoesItsWay()
	trusting := nats.Secure(&tls.Config{RootCAs: s.ca})
	for name, c := range map[string]struct {
		url     string
		options []nats.Option
	}{
		"without a password":        {"tls://localhost:", []nats.Option{trusting}},
		"with a wrong password":     {"tls://api:wrong@localhost:", []nats.Option{trusting}},
		"with another's password":   {"tls://api:" + s.secrets["NATS_SMS_PASSWORD"] + "@localhost:", []nats.Option{trusting}},
		"with an unknown authority": {"tls://api:" + s.secrets["NATS_API_PASSWORD"] + "@localhost:", nil},
	} {
		nc, err := nats.Connect(c.url+s.ports["nats:4222"], append(c.options, nats.Timeout(5*time.Second))...)
		if err == nil {
			nc.Close()
			t.Errorf("a client %s comes in", name)
		}
	}
}

// operatorReadsDeadLetters goes the way of docs/operations.md, on a shelf that
// the api has made.
func (s *stack) operatorReadsDeadLetters() {
	s.t.Helper()
	api, sms, operator := s.connect("api"), s.connect("sms"), s.connect("operator")
	defer api.Close()
	defer sms.Close()
	defer operator.Close()
	for _, step := range []struct {
		as                  *nats.Conn
		subject, body, want string
	}{
		{api, "$JS.API.STREAM.CREATE.DEAD", `{"name":"DEAD","subjects":["countersign.v1.dead.>"],"storage":"file"}`, `"name":"DEAD"`},
		{api, "countersign.v1.dead.delivery", `{"delivery_id":"delivery_1"}`, `"seq":1`},
		{sms, "countersign.v1.dead.sms", `{"delivery_id":"delivery_2"}`, `"seq":2`},
		{operator, "$JS.API.STREAM.INFO.DEAD", "", `"messages":2`},
		{operator, "$JS.API.STREAM.MSG.GET.DEAD", `{"seq":1}`, base64.StdEncoding.EncodeToString([]byte(`{"delivery_id":"delivery_1"}`))},
		{operator, "$JS.API.STREAM.MSG.DELETE.DEAD", `{"seq":1}`, `"success":true`},
	} {
		answer, err := step.as.Request(step.subject, []byte(step.body), 10*time.Second)
		if err != nil || !strings.Contains(string(answer.Data), step.want) {
			s.t.Fatalf("%s: %v, answer %+v", step.subject, err, answer)
		}
	}
}

// eachGoesItsWay makes the calls of pkg/bus with the accounts that make them,
// each over a bus of its own.
func (s *stack) eachGoesItsWay() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	api, email, operator := s.connect("api"), s.connect("email"), s.connect("operator")
	defer api.Close()
	defer email.Close()
	defer operator.Close()
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	buses := map[string]*bus.Bus{}
	for _, name := range []string{"api", "email"} {
		b, err := bus.Connect(bus.Config{URL: s.address(name), CAFile: s.here("/certs/ca.pem"), Name: name, Log: slog.New(slog.NewTextHandler(s.t.Output(), nil))})
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(b.Close)
		running.Go(func() { _ = b.Run(ctx) })
		buses[name] = b
	}
	handled := make(chan string, 10)
	for _, env := range []string{event.EnvDefault, event.EnvSandbox} {
		for _, class := range []string{bus.ClassCode, bus.ClassLink, bus.ClassNotice} {
			running.Go(func() {
				_ = buses["email"].Serve(ctx, bus.Work{Channel: event.ChannelEmail, Class: class, Env: env, Handle: func(ctx context.Context, r event.Requested, _ bus.Try) error {
					handled <- r.DeliveryID
					if class == bus.ClassNotice {
						return fault.Permanent(errors.New("parked"))
					}
					return nil
				}})
			})
		}
	}
	running.Go(func() {
		_ = buses["email"].ServeLanes(ctx, bus.Lanes{Channel: event.ChannelOwnEmail, Env: event.EnvDefault, Handle: func(_ context.Context, r event.Requested, _ bus.Try) error {
			handled <- r.DeliveryID
			if r.Kind == event.KindNotice {
				return fault.Permanent(errors.New("parked"))
			}
			return nil
		}})
	})
	wanted := map[string]bool{}
	for _, kind := range []event.Kind{event.KindPassword, event.KindMagicLink, event.KindNotice} {
		r := event.Requested{
			Kind: kind, DeliveryID: string(kind) + "-own", N: 1, RequestID: "r", Channel: event.ChannelOwnEmail, Env: event.EnvDefault, OrgID: "org", Sealed: []byte("x"),
			Server: []byte("x"), CreatedAt: time.Now().UnixMilli(), ExpiresAt: time.Now().Add(time.Hour).UnixMilli(),
		}
		wanted[r.DeliveryID] = true
		for buses["api"].Request(ctx, r) != nil && ctx.Err() == nil {
			continue // its streams are being made
		}
	}
	for _, env := range []string{event.EnvDefault, event.EnvSandbox} {
		for _, kind := range []event.Kind{event.KindChallenge, event.KindPassword, event.KindMagicLink, event.KindNotice} {
			r := event.Requested{
				Kind: kind, DeliveryID: string(kind) + "-" + env, N: 1, RequestID: "r", Channel: event.ChannelEmail, Env: env, OrgID: "org", Sealed: []byte("x"),
				CreatedAt: time.Now().UnixMilli(), ExpiresAt: time.Now().Add(time.Hour).UnixMilli(),
			}
			wanted[r.DeliveryID] = true
			for buses["api"].Request(ctx, r) != nil && ctx.Err() == nil {
				continue // its streams are being made
			}
		}
	}
	for len(wanted) > 0 {
		select {
		case got := <-handled:
			delete(wanted, got)
		case <-ctx.Done():
			s.t.Fatalf("the worker did not get %v", wanted)
		}
	}
	for parked := ""; !strings.Contains(parked, `"messages":4`); { // the three notices, beside what is there
		info, err := operator.RequestWithContext(ctx, "$JS.API.STREAM.INFO.DEAD", nil)
		if err != nil {
			s.t.Fatalf("the notices were not parked: %v; %s", err, parked)
		}
		parked = string(info.Data)
	}
	p := event.Public{ID: "event_1", Type: event.TypePasswordChanged, Env: event.EnvDefault, OrgID: "org", At: 1}
	if err := buses["api"].Announce(ctx, p); err != nil {
		s.t.Fatal(err)
	}
	s.operatorReadsEvents(ctx, operator, p)
}

// operatorReadsEvents goes the way of docs/events.md, twice.
func (s *stack) operatorReadsEvents(ctx context.Context, operator *nats.Conn, want event.Public) {
	s.t.Helper()
	js, err := jetstream.New(operator)
	if err != nil {
		s.t.Fatal(err)
	}
	for range 2 {
		consumer, err := js.CreateConsumer(ctx, bus.StreamEvents, jetstream.ConsumerConfig{
			Durable: "mine", DeliverPolicy: jetstream.DeliverAllPolicy, FilterSubject: "countersign.v1.event.*.*.default.org",
		})
		if err != nil {
			s.t.Fatal(err)
		}
		msg, err := consumer.Next(jetstream.FetchMaxWait(30 * time.Second))
		if err != nil || msg.Subject() != want.Subject() {
			s.t.Fatalf("the operator read %v, %v", msg, err)
		}
		if err := errors.Join(msg.DoubleAck(ctx), js.DeleteConsumer(ctx, bus.StreamEvents, "mine")); err != nil {
			s.t.Fatal(err)
		}
	}
}

// connect is a client with a service's own URL, or the operator's.
func (s *stack) connect(name string) *nats.Conn {
	s.t.Helper()
	nc, err := nats.Connect(s.address(name), nats.RootCAs(s.here("/certs/ca.pem")), nats.CustomInboxPrefix("_INBOX."+name),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		s.t.Fatal(err)
	}
	return nc
}

// address of the bus, with a name and its password.
func (s *stack) address(name string) string {
	s.t.Helper()
	if name == "operator" {
		return s.here("tls://operator:" + s.secrets["NATS_OPERATOR_PASSWORD"] + "@nats:4222")
	}
	return s.here(s.file.Services[name].env(s.t, s.secrets)["COUNTERSIGN_NATS_URL"])
}

// claimsAlone is what a worker must not be able to do.
var claimsAlone = [][]any{
	{"get", "countersign:code:{o|default|u}:login"}, {"hmget", "countersign:code:{o|default|u}:login", "digest"},
	{"del", "countersign:rate:{tokens|x}"}, {"set", "countersign:rate:{tokens|x}", "0"}, {"keys", "*"}, {"scan", "0"},
	{"flushall"}, {"config", "set", "maxmemory", "1"}, {"acl", "list"}, {"shutdown"},
	{"eval", "return redis.call('HMGET', KEYS[1], 'digest')", 1, "countersign:code:{o|default|u}:login"},
	{"eval", "return redis.call('HMGET', KEYS[1], 'digest')", 1, "countersign:claim:{x}"},
}

// The workers see claims and no codes, and no service can look around or empty
// the store.
//
// Covers R-046 (Redis: rights and TLS).
func TestRightsOnRedis(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.redis()
	for name, forbidden := range map[string][][]any{
		"api": {
			{"get", "other:key"}, {"set", "other:key", "1"}, {"keys", "*"}, {"scan", "0"}, {"flushall"}, {"flushdb"},
			{"config", "set", "maxmemory-policy", "allkeys-lru"}, {"config", "rewrite"}, {"acl", "list"}, {"shutdown"},
			{"replicaof", "no", "one"}, {"monitor"}, {"script", "flush"}, {"client", "list"}, {"save"},
			{"eval", "return redis.call('GET', KEYS[1])", 1, "other:key"}, {"eval", "return redis.call('KEYS', '*')", 0},
		},
		"sms":   claimsAlone,
		"email": claimsAlone,
	} {
		client := s.redisClient(name)
		if err := client.Set(t.Context(), "countersign:claim:{x}", "1", time.Minute).Err(); err != nil {
			t.Errorf("%s cannot write a claim: %v", name, err)
		}
		for _, command := range forbidden {
			if err := client.Do(t.Context(), command...).Err(); err == nil || !strings.Contains(err.Error(), "NOPERM") && !strings.Contains(err.Error(), "can't run this command") && !strings.Contains(err.Error(), "No permissions") {
				t.Errorf("%s may %v: %v", name, command, err)
			}
		}
	}
	for name, options := range map[string]*redis.Options{
		"without a password": {TLSConfig: &tls.Config{RootCAs: s.ca}},
		"in plain text":      {Username: "api", Password: s.secrets["REDIS_API_PASSWORD"]},
		"with an unknown authority": {
			Username: "api", Password: s.secrets["REDIS_API_PASSWORD"], TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		},
	} {
		options.Addr, options.MaxRetries = "localhost:"+s.ports["redis:6379"], -1
		client := redis.NewClient(options)
		if err := client.Ping(t.Context()).Err(); err == nil {
			t.Errorf("a client %s comes in", name)
		}
		_ = client.Close()
	}
}

// What pkg/ephemeral sends to Redis, in scripts or not, the api may send; the
// worker what claims need.
func TestRedisUsersMayWhatTheStoreDoes(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	files, err := filepath.Glob(filepath.Join(stage.Root(t), "pkg/ephemeral/*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(`redis\.call\('([A-Z]+)'|\.do\(ctx, "([a-z]+)"|\[\]any\{"([a-z]+)", r\.prefix`).FindAllSubmatch(text, -1) {
			used[strings.ToLower(string(match[1])+string(match[2])+string(match[3]))] = true
		}
	}
	if len(used) < 8 {
		t.Fatalf("only %v was found", used)
	}
	users := map[string][]string{}
	for _, arg := range parse(t).Services["redis"].Command {
		if fields := strings.Fields(arg); fields[0] == "--user" {
			users[fields[1]] = fields
		}
	}
	for command := range used {
		if !slices.Contains(users["api"], "+"+command) {
			t.Errorf("pkg/ephemeral sends %s, which the user api may not", command)
		}
	}
	for _, command := range []string{"get", "set", "del", "eval", "evalsha", "ping"} {
		for _, worker := range []string{"sms", "email"} {
			if !slices.Contains(users[worker], "+"+command) {
				t.Errorf("claims need %s, which the user %s may not", command, worker)
			}
		}
	}
}

func (s *stack) redisClient(name string) *redis.Client {
	s.t.Helper()
	u, err := url.Parse(s.here(s.file.Services[name].env(s.t, s.secrets)["COUNTERSIGN_REDIS_URL"]))
	if err != nil {
		s.t.Fatal(err)
	}
	password, _ := u.User.Password()
	client := redis.NewClient(&redis.Options{
		Addr: u.Host, Username: u.User.Username(), Password: password, TLSConfig: &tls.Config{RootCAs: s.ca}, MaxRetries: -1, DisableIdentity: true,
	})
	s.t.Cleanup(func() { _ = client.Close() })
	return client
}

// The api reads and writes rows and changes no schema; the superuser does not
// come in over the network, and nobody does in plain text.
//
// Covers R-046 (Postgres: rights and TLS).
func TestRightsOnPostgres(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.postgres()
	stage.Must(t, s.env("migrate"), "countersign", s.args("migrate")...)
	api := s.here(s.file.Services["api"].env(t, s.secrets)["COUNTERSIGN_DATABASE_URL"])
	db := database(t, api)
	if _, err := db.ExecContext(t.Context(), `SELECT count(*) FROM accounts`); err != nil {
		t.Errorf("the api cannot read rows: %v", err)
	}
	for _, statement := range []string{
		`CREATE TABLE t (a INT)`, `DROP TABLE accounts`, `ALTER TABLE accounts ADD COLUMN a INT`, `TRUNCATE accounts`,
		`CREATE SCHEMA s`, `CREATE ROLE r`, `ALTER ROLE countersign_owner PASSWORD 'x'`, `SET ROLE countersign_owner`,
		`SELECT rolpassword FROM pg_authid`, `COPY accounts TO PROGRAM 'true'`, `SELECT pg_read_file('/etc/passwd')`, `ALTER SYSTEM SET ssl = 'off'`,
		`CREATE EXTENSION dblink`,
	} {
		if _, err := db.ExecContext(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "42501") { // insufficient_privilege
			t.Errorf("the api may %s: %v", statement, err)
		}
	}
	for name, dsn := range map[string]string{
		"in plain text":           strings.Replace(api, "verify-full", "disable", 1),
		"as the superuser":        strings.Replace(api, "countersign_api:"+s.secrets["POSTGRES_API_PASSWORD"], "postgres:"+s.secrets["POSTGRES_PASSWORD"], 1),
		"with a wrong password":   strings.Replace(api, s.secrets["POSTGRES_API_PASSWORD"], "wrong", 1),
		"for another database":    strings.Replace(api, "/countersign?", "/postgres?", 1),
		"under a name unverified": strings.Replace(api, "@localhost:", "@127.0.0.2:", 1),
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if err := database(t, dsn).PingContext(ctx); err == nil {
			t.Errorf("a client %s comes in", name)
		}
		cancel()
	}
}

func database(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}
