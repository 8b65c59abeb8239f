package flow_test

import (
	"strings"
	"testing"
	"time"

	"countersign.dev/services/e2e/stage"
)

const (
	phone   = "+4915112345678"
	apiTime = "2006-01-02T15:04:05.000000" // how the API writes moments, in UTC
)

// Request, challenge, event, worker, provider: three processes on Postgres,
// Redis and NATS, with the production environment and its provider.
func TestFiveSteps(t *testing.T) {
	t.Parallel()
	s := distributed(t)
	api, first, second := s.api("api"), s.worker(), s.worker()
	s.open("default")
	code := fiveSteps(t, s)

	s.twilio.Settle()
	for name, p := range map[string]*stage.Process{"api": api, "first worker": first, "second worker": second} {
		log := p.Stderr()
		if !strings.Contains(log, `"level":"INFO"`) {
			t.Errorf("the %s wrote no log", name)
		}
		for what, secret := range map[string]string{"code": code, "number": phone, "number without its plus": phone[1:]} {
			if strings.Contains(log, secret) {
				t.Errorf("the log of the %s holds the %s", name, what)
			}
		}
		if exit := p.Stop(); exit != 0 {
			t.Errorf("the %s ended with exit code %d", name, exit)
		}
	}
}

// The same way inside one process on SQLite and embedded NATS.
func TestOneBinary(t *testing.T) {
	t.Parallel()
	s := embedded(t)
	all := s.api("serve")
	s.open("default")
	fiveSteps(t, s)
	if exit := all.Stop(); exit != 0 {
		t.Errorf("exit code %d", exit)
	}
	// What lasts, lasts: the same data after a restart.
	s.api("serve")
	if users := s.app.Call("GET", s.app.Path("users")).Want(200).Items(); len(users) != 1 {
		t.Errorf("%d users after the restart, want 1", len(users))
	}
}

// fiveSteps goes from a new user to a used code, and returns the code.
func fiveSteps(t *testing.T, s *scene) string {
	t.Helper()
	user := s.enrolled("ana@acme.test", phone)

	begun := time.Now()
	challenge := s.challenge(user).Want(201)
	if challenge.Body["code"] != nil || challenge.Body["sent_at"] != nil {
		t.Errorf("the answer tells too much or too early: %s", challenge.Raw)
	}
	message := s.twilio.message(t, phone, 2)
	if took := message.At.Sub(begun); took > 30*time.Second {
		t.Errorf("the message took %v from the request to the provider", took)
	}
	code := stage.Code(t, message.Body)
	if message.From != "+15005550006" || message.ValidityPeriod < 1 || message.ValidityPeriod > 300 {
		t.Errorf("sent from %q, valid for %d s; want the configured sender and at most the code's life", message.From, message.ValidityPeriod)
	}

	// The provider's status callback, signed, reaches the api.
	id := challenge.Text("request_id")
	delivery, attempts := s.attempted(id, "delivered")
	if len(attempts) != 1 || delivery["provider_id"] != message.SID || delivery["receipt"] != "delivered" || delivery["to"] == phone {
		t.Errorf("the delivery is %v", delivery)
	} else if attempt, _ := attempts[0].(map[string]any); attempt["provider"] != "twilio" || attempt["answer"] != "accepted" {
		t.Errorf("the attempt is %v", attempt)
	}

	s.validate(user, stage.Other(code)).WantSuccess(false)
	right := s.validate(user, code).WantSuccess(true)
	if right.Text("request_id") != id {
		t.Errorf("validated %s, asked for %s", right.Text("request_id"), id)
	}
	sent, err := time.Parse(apiTime, right.Text("sent_at"))
	if err != nil || sent.Before(begun.Add(-time.Second)) || sent.After(time.Now().Add(time.Second)) {
		t.Errorf("sent_at is %q, the message went out at %v: %v", right.Text("sent_at"), message.At, err)
	}
	s.validate(user, code).WantSuccess(false)
	if n := len(s.twilio.Log().Messages); n != 2 {
		t.Errorf("%d messages for an enrolment and a challenge", n)
	}
	return code
}

// attempted returns the delivery of a request when it is in the state and the
// worker's report is there too: the callback may overtake it.
func (s *scene) attempted(requestID, state string) (delivery map[string]any, attempts []any) {
	s.t.Helper()
	stage.Until(s.t, "the delivery is "+state+" after an attempt", func() bool {
		delivery = s.app.Delivery(requestID)
		attempts, _ = delivery["attempts"].([]any)
		return delivery["state"] == state && len(attempts) > 0
	})
	return delivery, attempts
}

// One id is in the api's line of the request, in the event that the worker
// takes, in the worker's line of the message and in the result that comes
// back. The callback names the delivery, which those lines name as well.
//
// Covers R-178 (from the request to the result; the callback by its delivery).
func TestRequestIDFollows(t *testing.T) {
	t.Parallel()
	s := distributed(t)
	api, worker := s.api("api"), s.worker()
	s.open("default")
	user := s.enrolled("ana@acme.test", phone)
	challenge := s.challenge(user).Want(201)
	trace := challenge.Header.Get("X-Request-Id")
	delivery := s.app.AwaitState(challenge.Text("request_id"), "delivered")
	if trace == "" {
		t.Fatal("the answer has no X-Request-Id")
	}

	api.AwaitLine("the request", func(line map[string]any) bool {
		return line["msg"] == "request" && line["request_id"] == trace
	})
	about := func(message string) func(map[string]any) bool {
		return func(line map[string]any) bool {
			return line["msg"] == message && line["trace_id"] == trace && line["delivery_id"] == delivery["id"]
		}
	}
	worker.AwaitLine("the event", about("bus message"))
	handled := worker.AwaitLine("the provider's answer", about("sms handled"))
	if handled["request_id"] != challenge.Text("request_id") {
		t.Errorf("the worker's line is about %v", handled["request_id"])
	}
	api.AwaitLine("the result", about("bus message"))
	if url := s.twilio.message(t, phone, 2).StatusCallback; !strings.HasSuffix(url, "/"+delivery["id"].(string)) {
		t.Errorf("the callback %s does not name the delivery %v", url, delivery["id"])
	}
}
