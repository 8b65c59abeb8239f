package flow_test

import (
	"net/http"
	"testing"
	"time"

	"countersign.dev/services/e2e/fakes/twilio"
	"countersign.dev/services/e2e/stage"
)

// Nothing is sent after its code is dead or replaced.
//
// Covers R-077 (with a life of 30 s in place of 6 minutes).
func TestNothingSentAfterDeath(t *testing.T) {
	t.Parallel()
	t.Run("replaced while the queue stood", replacedWhileTheQueueStood)
	t.Run("expired while the worker was stopped", expiredWhileStopped)
	t.Run("used before the second try", usedBeforeTheSecondTry)
}

// The sandbox: there the gap between two sends is short enough for a test.
func replacedWhileTheQueueStood(t *testing.T) {
	t.Parallel()
	s := distributed(t)
	s.api("api")
	s.open("sandbox")
	user := s.app.NewUser("ana@acme.test", phone)
	worker := s.worker()
	s.enrolInSandbox(user)
	worker.Stop()

	var asked []string
	for range 3 {
		var challenge *stage.Reply
		stage.Until(t, "the resend gap is over", func() bool {
			challenge = s.challenge(user)
			return challenge.Status == http.StatusCreated
		})
		asked = append(asked, challenge.Text("request_id"))
	}
	s.worker()
	s.app.AwaitState(asked[2], "delivered")
	s.app.AwaitState(asked[0], "superseded")
	s.app.AwaitState(asked[1], "superseded")
	inbox := s.app.Call("GET", s.app.Path("inbox")).Want(200).Items()
	if len(inbox) != 2 || inbox[0]["request_id"] != asked[2] {
		t.Errorf("the inbox holds %v, want the newest challenge and the enrolment", inbox)
	}
	if calls := s.twilio.Log().Calls; len(calls) != 0 {
		t.Errorf("the sandbox called the provider: %v", calls)
	}
}

func (s *scene) enrolInSandbox(user string) {
	s.t.Helper()
	started := s.app.Call("POST", s.app.Path("totp-enrollment/"+user), "method=sms").Want(201)
	id := started.Text("request_id")
	s.app.AwaitState(id, "delivered")
	items := s.app.Call("GET", s.app.Path("inbox"), "request_id="+id).Want(200).Items()
	if len(items) != 1 {
		s.t.Fatalf("%d messages in the inbox, want 1", len(items))
	}
	text, _ := items[0]["text"].(string)
	s.app.Call("PUT", s.app.Path("totp-enrollment/validation/"+user), "code="+stage.Code(s.t, text)).Want(200).WantSuccess(true)
}

func expiredWhileStopped(t *testing.T) {
	t.Parallel()
	s := distributed(t, "COUNTERSIGN_SMS_CODE_LIFE=30s")
	s.api("api")
	s.open("default")
	worker := s.worker()
	user := s.enrolled("ana@acme.test", phone)
	worker.Stop()

	challenge := s.challenge(user).Want(201)
	expires, err := time.Parse(apiTime, challenge.Text("expires_at"))
	if err != nil {
		t.Fatal(err)
	}
	over := time.NewTimer(time.Until(expires)) // the real clock of three processes: it can only be waited for
	<-over.C
	s.worker()
	delivery := map[string]any{}
	stage.UntilWithin(t, time.Minute, "the delivery is expired", func() bool {
		delivery = s.app.Delivery(challenge.Text("request_id"))
		return delivery["state"] == "expired"
	})
	if n := len(s.twilio.Log().Calls); n != 1 {
		t.Errorf("%d calls of the provider, want that of the enrolment alone", n)
	}
	if attempts, _ := delivery["attempts"].([]any); len(attempts) != 0 {
		t.Errorf("it was tried: %v", attempts)
	}
}

// The provider takes the message but its answer is lost, so that the worker
// would try again. The person has typed the code by then.
func usedBeforeTheSecondTry(t *testing.T) {
	t.Parallel()
	s := distributed(t)
	s.api("api")
	s.open("default")
	worker := s.worker()
	user := s.enrolled("ana@acme.test", phone)

	s.twilio.SetCallbacks(twilio.Callbacks{Off: true})
	s.twilio.Fail(twilio.Faults{ForTo: map[string][]twilio.Fault{phone: {{Drop: "after"}}}})
	challenge := s.challenge(user).Want(201)
	code := stage.Code(t, s.twilio.message(t, phone, 2).Body)
	s.validate(user, code).WantSuccess(true)

	id := s.app.Delivery(challenge.Text("request_id"))["id"]
	worker.AwaitLine("the second try", func(line map[string]any) bool {
		return line["msg"] == "sms handled" && line["delivery_id"] == id && line["result"] == "superseded"
	})
	if n := len(s.twilio.Log().To(phone)); n != 2 {
		t.Errorf("%d messages, want those of the enrolment and of the first try", n)
	}
}
