package flow_test

import (
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"countersign.dev/pkg/bus/bustest"
	"countersign.dev/pkg/rig"
	"countersign.dev/services/e2e/fakes/twilio"
	"countersign.dev/services/e2e/stage"
)

var update = flag.Bool("update", false, "write the generated documents instead of comparing them")

const (
	operations = "docs/operations.md"
	tableBegin = "<!-- degradation: written by the test that tries it, `make docs` -->\n"
	tableEnd   = "<!-- /degradation -->\n"
)

// The table in docs/operations.md is what happens: each dependency is stopped
// in turn, and every kind of call is tried.
//
//
func TestDegradationTable(t *testing.T) {
	t.Parallel()
	postgres := rig.PostgresServer(t)
	s := &scene{t: t, redis: rig.Redis(t), nats: bustest.Server(t)}
	s.configure([]string{
		"COUNTERSIGN_DATABASE_URL=" + postgres.DSN, "COUNTERSIGN_REDIS_URL=" + s.redis.URL, "COUNTERSIGN_NATS_URL=" + s.nats.URL,
	})
	s.api("api")
	s.worker()
	s.trade("email")
	s.open("sandbox")
	s.allowLinks()

	down := []struct {
		name        string
		stop, start func()
	}{
		{"nothing down", func() {}, func() {}},
		{"Redis down", s.redis.Kill, s.redis.Start},
		{"NATS down", s.nats.Stop, s.nats.Start},
		{"database down", postgres.Kill, postgres.Start},
	}
	var rows [][]string
	for i, d := range down {
		calls := s.calls(i) // what they need is prepared before the stop
		if rows == nil {
			rows = make([][]string, len(calls))
		}
		d.stop()
		if i > 0 {
			stage.Until(t, "readiness tells of "+d.name, func() bool { return !s.well() })
		}
		for j, call := range calls {
			if i == 0 {
				rows[j] = []string{call.name}
			}
			rows[j] = append(rows[j], standing(t, d.name, call))
		}
		d.start()
		stage.Until(t, "all is well again after "+d.name, s.well)
	}
	var table strings.Builder
	fmt.Fprintf(&table, "| call | Redis down | NATS down | database down |\n|---|---|---|---|\n")
	for _, row := range rows {
		if row[1] != "works" {
			t.Errorf("%s does not work with nothing down: %s", row[0], row[1])
		}
		fmt.Fprintf(&table, "| %s | %s |\n", row[0], strings.Join(row[2:], " | "))
	}
	compareTable(t, table.String())
}

// well reports whether readiness complains of nothing.
func (s *scene) well() bool {
	_, body := get(s.t, s.ops+"/readyz")
	return strings.HasPrefix(body, `{"status":"ok"`)
}

type call struct {
	name string
	do   func() int // returns the HTTP status
}

// calls prepares every kind of call for the i-th dependency, with users of its
// own: a code that was asked for keeps the next one waiting.
func (s *scene) calls(i int) []call {
	s.t.Helper()
	enrolling := s.app.NewUser(fmt.Sprintf("e%d@acme.test", i), fmt.Sprintf("+49151%08d", 30_000_000+i))
	user := s.app.NewUser(fmt.Sprintf("u%d@acme.test", i), fmt.Sprintf("+49151%08d", 40_000_000+i))
	s.enrolInSandbox(user)
	delivery := s.app.Call("GET", s.app.Path("deliveries")).Want(200).Items()[0]["id"].(string)
	as := func(method, path string, params ...string) func() int {
		return func() int { return s.app.Call(method, path, params...).Status }
	}
	return slices.Concat([]call{
		{"`POST /api/v2/oauth/token`", as("POST", "/api/v2/oauth/token", "grant_type=client_credentials",
			"client_id="+s.key["COUNTERSIGN_CLIENT_ID"], "client_secret="+s.key["COUNTERSIGN_CLIENT_SECRET"])},
		{"organizations, users, connections, API keys: read", as("GET", s.app.Path("users/"+user))},
		{"organizations, users, connections, API keys: change", as("PUT", s.app.Path("totp-connection"), "sms_per_hour=1000")},
		{"`POST …/totp-enrollment/{user}`", as("POST", s.app.Path("totp-enrollment/"+enrolling), "method=sms")},
		{"`POST …/totp-challenge/{user}`", as("POST", s.app.Path("totp-challenge/"+user))},
		{"`POST …/totp-challenge/validation/{user}`", as("POST", s.app.Path("totp-challenge/validation/"+user), "code=000000")},
	}, s.linkCalls(i), []call{
		{"`GET …/deliveries`, `GET …/inbox`", as("GET", s.app.Path("deliveries"))},
		{"`POST /callback/twilio/{delivery}`", func() int { return s.callback(delivery) }},
		{"`/readyz`", func() int { status, _ := get(s.t, s.ops+"/readyz"); return status }},
		{"`/livez`", func() int { status, _ := get(s.t, s.ops+"/livez"); return status }},
	})
}

// callback posts a receipt as Twilio does. The sandbox has none of its own.
func (s *scene) callback(delivery string) int {
	s.t.Helper()
	address := s.base + "/callback/twilio/" + delivery
	form := url.Values{"MessageSid": {"SM" + strings.Repeat("0", 32)}, "MessageStatus": {"sent"}}
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Twilio-Signature", twilio.Sign(twilio.AuthToken, address, form))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

func standing(t *testing.T, when string, c call) string {
	t.Helper()
	switch status := c.do(); {
	case status == http.StatusServiceUnavailable:
		return "503"
	case status >= 200 && status < 300:
		return "works"
	default:
		t.Errorf("%s with %s answers %d", c.name, when, status)
		return fmt.Sprint(status)
	}
}

func compareTable(t *testing.T, table string) {
	t.Helper()
	path := filepath.Join(stage.Root(t), operations)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(text), tableBegin)
	have, after, ends := strings.Cut(rest, tableEnd)
	if !begins || !ends {
		t.Fatalf("%s has no place for the table", operations)
	}
	if *update {
		if err := os.WriteFile(path, []byte(before+tableBegin+table+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have != table {
		t.Errorf("%s says\n%s\nbut what happens is\n%s\nrun `make docs`", operations, have, table)
	}
}

// Every metric that the document tells to watch exists.
func TestDocumentedMetricsExist(t *testing.T) {
	t.Parallel()
	made := map[string]bool{}
	for _, module := range []string{"pkg", "services/api", "services/sms", "services/email"} {
		err := filepath.WalkDir(filepath.Join(stage.Root(t), module), func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, match := range regexp.MustCompile(`"(countersign_[a-z_]+)"`).FindAllSubmatch(text, -1) {
				made[string(match[1])] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(stage.Root(t), operations))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(countersign_[a-z_]+_[a-z]+)`").FindAllSubmatch(text, -1)
	for _, match := range named {
		if !made[string(match[1])] {
			t.Errorf("%s names the metric %s, which nobody makes", operations, match[1])
		}
	}
	if len(named) < 10 {
		t.Errorf("%d metrics were found in %s", len(named), operations)
	}
}
