package flow_test

import (
	"cmp"
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"countersign.dev/services/e2e/stage"
)

// secretText is in every secret of the tables below, to be searched for.
const secretText = "hunter2hunter2"

// goodKey has 32 bytes; base64 of them is what the settings take.
var goodKey = base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))

// good is a configuration of each service with which it would start.
func good() map[string]map[string]string {
	both := map[string]string{
		"REDIS_URL": "rediss://u:" + secretText + "@redis.example:6379", "NATS_URL": "tls://u:" + secretText + "@nats.example:4222",
		"DELIVERY_KEYS": goodKey, "TWILIO_AUTH_TOKEN": secretText, "BASE_URL": "https://login.example.com",
	}
	api, sms := maps.Clone(both), maps.Clone(both)
	maps.Copy(api, map[string]string{
		"DATABASE_URL": "postgres://u:" + secretText + "@db.example/c?sslmode=verify-full", "SEAL_KEYS": goodKey, "INDEX_KEY": goodKey,
	})
	maps.Copy(sms, map[string]string{
		"SMS_PROVIDER": "twilio", "TWILIO_ACCOUNT_SID": "AC" + strings.Repeat("0", 32), "TWILIO_FROM": "+15005550006",
	})
	email := maps.Clone(both)
	maps.DeleteFunc(email, func(name, _ string) bool { return name == "BASE_URL" || name == "TWILIO_AUTH_TOKEN" })
	maps.Copy(email, map[string]string{
		"EMAIL_PROVIDER": "smtp", "SMTP_HOST": "smtp.example", "SMTP_FROM": "no-reply@example.com", "SMTP_USER": "relay", "SMTP_PASSWORD": secretText,
	})
	serve := maps.Clone(api)
	maps.Copy(serve, sms)
	maps.Copy(serve, email)
	return map[string]map[string]string{"api": api, "sms": sms, "email": email, "serve": serve}
}

// bad are the values that a setting must not have. A service that does not
// know the setting is left out.
var bad = map[string][]string{
	"ADDR":                         {"8080", "nowhere:http:x"},
	"OPS_ADDR":                     {"9090"},
	"TLS_CERT_FILE":                {"/nowhere/tls.pem"}, // without its key
	"BASE_URL":                     {"login.example.com", "http://login.example.com", "https://login.example.com/", "https://", "ftp://login.example.com", "https://login.example.com?x=1"},
	"DATABASE_URL":                 {"", "mysql://u@h/d", "postgres://u:" + secretText + "@db.example/c", "postgres://u:" + secretText + "@db.example/c?sslmode=require", "postgres://127.0.0.1/c?sslmode=disable"},
	"REDIS_URL":                    {"", "redis://redis.example:6379", "redis://127.0.0.1:6379", "http://redis.example", "rediss://redis.example:6379?skip_verify=true"},
	"NATS_URL":                     {"", "nats://nats.example:4222", "nats://127.0.0.1:4222", "nats.example:4222", "tls://a.example:4222,nats://b.example:4222"},
	"NATS_REPLICAS":                {"0", "6", "three"},
	"SEAL_KEYS":                    {"", "changeme", "secret", short(15), short(31), goodKey + ",changeme"},
	"DELIVERY_KEYS":                {"", "changeme", "secret", short(15), short(31), goodKey + "," + short(16)},
	"INDEX_KEY":                    {"", "changeme", short(15), goodKey + "," + goodKey},
	"GUESSES":                      {"0", "11", "-1", "many"},
	"GUESS_CAP":                    {"0", "101"},
	"SMS_CODE_LIFE":                {"0s", "10s", "11m", "5"},
	"SMS_CODE_TRIES":               {"0", "11"},
	"SMS_PER_SOURCE":               {"0", "-1"},
	"SMS_PER_BLOCK":                {"0", "1000001"},
	"SMS_PER_PREFIX":               {"0"},
	"SMS_PROVIDER":                 {"", "inbox", "vonage"},
	"SMS_WORKERS":                  {"0", "257", "x"},
	"TWILIO_ACCOUNT_SID":           {"", "AC123", "SK" + strings.Repeat("0", 32)},
	"TWILIO_FROM":                  {"", "+0151123", "A name that is too long"},
	"TWILIO_BASE_URL":              {"http://twilio.example", "twilio.example", "https://u:" + secretText + "@twilio.example"},
	"TWILIO_MESSAGING_SERVICE_SID": {"MG123"},
	"EMAIL_PROVIDER":               {"", "inbox", "sendgrid"},
	"SMTP_HOST":                    {"", "https://smtp.example", "smtp.example:587"},
	"SMTP_PORT":                    {"-1", "65536", "smtps"},
	"SMTP_TLS":                     {"none", "false"},
	"SMTP_FROM":                    {"", "nobody", "a@example.com, b@example.com"},
	"SMTP_PASSWORD":                {""},
	"SMTP_CONNECTIONS":             {"65", "-1"},
	"SMTP_RATE":                    {"-1"},
	"TRUSTED_PROXIES":              {"10.0.0.1", "10.0.0.0/8,x"},
	"LOG_LEVEL":                    {"loud"},
	"LOG_FORMAT":                   {"xml"},
	"DRAIN_NOTICE":                 {"5", "soon"},
	"INSECURE_DEV":                 {"maybe"},
	"SEAL_KEY":                     {goodKey}, // no setting: one letter is missing
	"SMS_FAKE_CODE":                {"000000"},
	"INBOX":                        {"true"},
}

func short(n int) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(secretText, 3))[:n])
}

// only says which service has a setting; the others' are known to it as well,
// because processes often share an environment, but not its business.
var only = map[string]string{
	"ADDR": "api", "DATABASE_URL": "api", "SEAL_KEYS": "api", "INDEX_KEY": "api", "GUESSES": "api", "GUESS_CAP": "api",
	"SMS_CODE_LIFE": "api", "SMS_CODE_TRIES": "api", "SMS_PER_SOURCE": "api", "SMS_PER_BLOCK": "api", "SMS_PER_PREFIX": "api", "TRUSTED_PROXIES": "api", "TLS_CERT_FILE": "api",
	"SMS_PROVIDER": "sms", "SMS_WORKERS": "sms", "TWILIO_ACCOUNT_SID": "sms", "TWILIO_FROM": "sms", "TWILIO_BASE_URL": "sms",
	"TWILIO_MESSAGING_SERVICE_SID": "sms",
	"EMAIL_PROVIDER":               "email", "SMTP_HOST": "email", "SMTP_PORT": "email", "SMTP_TLS": "email", "SMTP_FROM": "email",
	"SMTP_PASSWORD": "email", "SMTP_CONNECTIONS": "email", "SMTP_RATE": "email",
}

// tellsOf says which setting is missing where it is not the one that is wrong.
var tellsOf = map[string]string{"TLS_CERT_FILE": "TLS_KEY_FILE", "TWILIO_MESSAGING_SERVICE_SID": "TWILIO_FROM"}

// A wrong setting stops the start with the exit code 78, named, and without
// showing a secret. No key is missing, short or guessable without being told.
//
//
//
func TestStrongStart(t *testing.T) {
	t.Parallel()
	noAccountByDefault(t)
	type attempt struct {
		service, name, value string
	}
	var attempts []attempt
	for _, name := range slices.Sorted(maps.Keys(bad)) {
		for _, service := range []string{"api", "sms", "email", "serve"} {
			if owner := only[name]; owner != "" && owner != service && service != "serve" {
				continue
			}
			for _, value := range bad[name] {
				if service == "serve" && value == "" && (name == "REDIS_URL" || name == "NATS_URL") {
					continue // the one binary brings its own
				}
				if service == "sms" && name == "BASE_URL" && value != "http://login.example.com" && value != "ftp://login.example.com" {
					continue // the worker hands it to the provider as it is
				}
				if service == "email" && name == "BASE_URL" {
					continue // it is in the mails already
				}
				attempts = append(attempts, attempt{service, name, value})
			}
		}
	}
	if len(attempts) < 100 {
		t.Errorf("%d configurations were tried, want at least 100", len(attempts))
	}
	var slots sync.WaitGroup
	turn := make(chan struct{}, 4)
	for _, a := range attempts {
		turn <- struct{}{}
		slots.Go(func() {
			defer func() { <-turn }()
			settings := good()[a.service]
			settings[a.name] = a.value
			r := stage.Run(t, environment(settings), "countersign", a.service)
			told := strings.Contains(r.Stderr, "COUNTERSIGN_"+cmp.Or(tellsOf[a.name], a.name)+":") || strings.Contains(r.Stderr, "COUNTERSIGN_"+a.name+" (")
			if r.Code != 78 || !told {
				t.Errorf("%s with %s=%q: exit code %d, want 78 and the name: %s", a.service, a.name, a.value, r.Code, r.Stderr)
			}
			if said := r.Stdout + r.Stderr; strings.Contains(said, secretText) || strings.Contains(said, goodKey) {
				t.Errorf("%s with %s=%q shows a secret: %s", a.service, a.name, a.value, said)
			}
		})
	}
	slots.Wait()
	t.Logf("%d wrong configurations were refused", len(attempts))
}

// noAccountByDefault looks for accounts in a new database: the first one comes
// from the operator's command line.
func noAccountByDefault(t *testing.T) {
	t.Helper()
	env := environment(map[string]string{"DATABASE_URL": "sqlite:" + t.TempDir() + "/new.db", "SEAL_KEYS": goodKey})
	stage.Must(t, env, "countersign", "migrate")
	for _, account := range []string{"demo", "admin", "acme", "default"} {
		if r := stage.Run(t, env, "countersign", "key", "create", account); r.Code == 0 {
			t.Errorf("a new database has the account %s", account)
		}
	}
	stage.Must(t, env, "countersign", "account", "create", "acme")
	stage.Must(t, env, "countersign", "key", "create", "acme")
}

func environment(settings map[string]string) []string {
	env := stage.Env()
	for name, value := range settings {
		env = append(env, "COUNTERSIGN_"+name+"="+value)
	}
	return env
}

// All mistakes are told at once, so that nobody has to start five times.
func TestAllMistakesAtOnce(t *testing.T) {
	t.Parallel()
	for service, names := range map[string][]string{
		"api":   {"BASE_URL", "DATABASE_URL", "SEAL_KEYS", "DELIVERY_KEYS", "INDEX_KEY", "REDIS_URL", "NATS_URL", "GUESSES", "LOG_LEVEL", "UNHEARD_OF"},
		"sms":   {"REDIS_URL", "NATS_URL", "DELIVERY_KEYS", "SMS_PROVIDER", "LOG_LEVEL", "UNHEARD_OF"},
		"email": {"REDIS_URL", "NATS_URL", "DELIVERY_KEYS", "EMAIL_PROVIDER", "LOG_LEVEL", "UNHEARD_OF"},
		"serve": {"BASE_URL", "DATABASE_URL", "SEAL_KEYS", "DELIVERY_KEYS", "INDEX_KEY", "SMS_PROVIDER", "EMAIL_PROVIDER", "GUESSES", "LOG_LEVEL", "UNHEARD_OF"},
	} {
		settings := map[string]string{"LOG_LEVEL": "loud", "UNHEARD_OF": "x"}
		if service == "api" || service == "serve" {
			settings["GUESSES"] = "0"
		}
		r := stage.Run(t, environment(settings), "countersign", service)
		if r.Code != 78 {
			t.Errorf("%s: exit code %d, want 78", service, r.Code)
		}
		for _, name := range names {
			if strings.Count(r.Stderr, "COUNTERSIGN_"+name) == 0 {
				t.Errorf("%s does not name %s:\n%s", service, name, r.Stderr)
			}
		}
	}
}

// --check-config says what is in effect, without its secrets, and touches
// nothing: none of the hosts in it exist.
func TestCheckConfigShowsNoSecret(t *testing.T) {
	t.Parallel()
	for service, settings := range good() {
		r := stage.Run(t, environment(settings), "countersign", service, "--check-config")
		if r.Code != 0 || r.Stderr != "" {
			t.Errorf("%s: exit code %d: %s", service, r.Code, r.Stderr)
		}
		if strings.Contains(r.Stdout, secretText) || strings.Contains(r.Stdout, goodKey) {
			t.Errorf("%s shows a secret:\n%s", service, r.Stdout)
		}
		for name := range settings {
			if !strings.Contains(r.Stdout, "COUNTERSIGN_"+name+"=") {
				t.Errorf("%s does not show %s:\n%s", service, name, r.Stdout)
			}
		}
	}
}

// What shows codes or talks in plain text stays on the machine.
func TestInsecureStaysOnTheMachine(t *testing.T) {
	t.Parallel()
	local := map[string]string{
		"INSECURE_DEV": "true", "BASE_URL": "http://127.0.0.1:8080", "DATABASE_URL": "postgres://127.0.0.1/c?sslmode=disable",
		"REDIS_URL": "redis://127.0.0.1:6379", "NATS_URL": "nats://127.0.0.1:4222", "SEAL_KEYS": goodKey, "DELIVERY_KEYS": goodKey, "INDEX_KEY": goodKey,
	}
	if r := stage.Run(t, environment(local), "countersign", "api", "--check-config"); r.Code != 0 {
		t.Fatalf("on loopback it is refused too: %s", r.Stderr)
	}
	for name, value := range map[string]string{
		"ADDR": "0.0.0.0:8080", "BASE_URL": "http://login.example.com", "DATABASE_URL": "postgres://db.example/c?sslmode=disable",
		"REDIS_URL": "redis://redis.example:6379", "NATS_URL": "nats://nats.example:4222",
	} {
		settings := maps.Clone(local)
		settings[name] = value
		if r := stage.Run(t, environment(settings), "countersign", "api"); r.Code != 78 || !strings.Contains(r.Stderr, "COUNTERSIGN_"+name) {
			t.Errorf("%s=%s: exit code %d: %s", name, value, r.Code, r.Stderr)
		}
	}
	r := stage.Run(t, stage.Env("COUNTERSIGN_ADDR=0.0.0.0:8080"), "countersign", "dev", "--dir", t.TempDir())
	if r.Code != 78 || !strings.Contains(r.Stderr, "COUNTERSIGN_ADDR") {
		t.Errorf("dev on all interfaces: exit code %d: %s", r.Code, r.Stderr)
	}
}
