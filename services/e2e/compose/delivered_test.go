package compose_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"countersign.dev/services/e2e/fakes/twilio"
	"countersign.dev/services/e2e/stage"
)

// Everything that docker-compose.yml starts, as it starts it, with two
// workers; and a code that goes to a phone and back, over TLS all the way.
func TestComposeDelivers(t *testing.T) {
	s := newStack(t) // not parallel: the configuration of NATS reads this process's environment
	s.nats()
	s.redis()
	s.postgres()
	s.open("fake-twilio:9911", "0.0.0.0:9911")
	s.open("fake-smtp:1587", "0.0.0.0:1587")
	s.open("0.0.0.0:9912")
	s.open("fake-breach:9913", "0.0.0.0:9913")
	s.open("api:8443", "0.0.0.0:8443")
	s.start("fake-twilio").Await("fake Twilio for account")
	s.start("fake-smtp").Await("fake mail server on")
	s.start("fake-breach").Await("fake range API on")
	stage.Must(t, s.env("migrate"), "countersign", s.args("migrate")...)

	for _, name := range []string{"api", "sms", "sms", "email"} {
		s.open("0.0.0.0:9090") // each container has one of its own
		p := s.start(name)
		ops := "http://127.0.0.1:" + s.ports["0.0.0.0:9090"]
		stage.Until(t, name+" is ready, with nothing degraded", func() bool {
			select {
			case <-p.Exited():
				t.Fatalf("%s ended", name)
			default:
			}
			status, body := s.get(ops + "/readyz")
			return status == http.StatusOK && !strings.Contains(body, "degraded")
		})
	}

	// docker compose run --rm api account create acme, and so on.
	stage.Must(t, s.env("api"), "countersign", "account", "create", "acme")
	key := stage.Values(stage.Must(t, s.env("api"), "countersign", "key", "create", "acme", "--env", "default", "--scope", "all"))
	app := stage.NewApp(t, "https://localhost:"+s.ports["api:8443"])
	app.HTTP = s.client()
	app.SignIn(key)
	app.Furnish("Acme Test Ltd")
	const phone = "+4915112345678"
	user := app.NewUser("ana@acme.test", phone)

	started := app.Call("POST", app.Path("totp-enrollment/"+user), "method=sms").Want(201)
	app.AwaitState(started.Text("request_id"), "delivered")
	app.Call("PUT", app.Path("totp-enrollment/validation/"+user), "code="+stage.Code(t, s.sent(phone, 1))).Want(200).WantSuccess(true)

	challenge := app.Call("POST", app.Path("totp-challenge/"+user)).Want(201)
	delivery := app.AwaitState(challenge.Text("request_id"), "delivered")
	if delivery["receipt"] != "delivered" {
		t.Errorf("no status callback arrived: %v", delivery)
	}
	app.Call("POST", app.Path("totp-challenge/validation/"+user), "code="+stage.Code(t, s.sent(phone, 2))).Want(200).WantSuccess(true)
}

func (s *stack) get(url string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := s.client().Do(req)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, ""
	}
	return res.StatusCode, string(body)
}

// sent is the text of the n-th message that the stand-in took for a number.
func (s *stack) sent(number string, n int) string {
	s.t.Helper()
	_, body := s.get("https://localhost:" + s.ports["fake-twilio:9911"] + "/_log")
	var log twilio.Log
	if err := json.Unmarshal([]byte(body), &log); err != nil {
		s.t.Fatalf("the log of the stand-in: %v: %s", err, body)
	}
	if messages := log.To(number); len(messages) == n {
		return messages[n-1].Body
	}
	s.t.Fatalf("the stand-in took %v, want %d to %s", log.Messages, n, number)
	return ""
}
