package flow_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"countersign.dev/services/e2e/fakes/twilio"
	"countersign.dev/services/e2e/stage"
)

const (
	killUsers    = 200
	killTimes    = 3
	killInFlight = 2 // messages that one worker sends at once
	// redelivered is when everything a killed worker held has come again: the
	// bus waits 30 s for an acknowledgement, and the machine may be busy.
	redelivered = 90 * time.Second
)

// Two workers send codes and one after the other is killed in the middle of
// it. Nobody's code is lost, few come twice, and what comes twice is the same.
func TestKilledWorkersLoseNothing(t *testing.T) {
	t.Parallel()
	s := distributed(t, "COUNTERSIGN_SMS_PER_BLOCK=1000000", "COUNTERSIGN_SMS_PER_PREFIX=1000000") // the numbers are neighbours
	s.api("api")
	s.open("default")
	users := map[string]string{} // by number
	for i := range killUsers {
		number := fmt.Sprintf("+49151%08d", 20_000_000+i)
		users[number] = s.app.NewUser(fmt.Sprintf("user%d@acme.test", i), number)
	}
	s.twilio.Fail(slowly(2 * killUsers))

	busy := fmt.Sprintf("COUNTERSIGN_SMS_WORKERS=%d", killInFlight)
	workers := []*stage.Process{s.worker(busy), s.worker(busy)}
	var asking sync.WaitGroup
	asking.Go(func() {
		for _, user := range users {
			if r := s.app.Call("POST", s.app.Path("totp-enrollment/"+user), "method=sms"); r.Status != 201 {
				t.Errorf("status %d: %s", r.Status, r.Raw)
			}
		}
	})
	for i := range killTimes {
		enough := 30 * (i + 1)
		s.twilio.await(t, redelivered, fmt.Sprintf("%d messages", enough), func(log twilio.Log) bool { return len(log.Messages) >= enough })
		workers[i%2].Kill()
		workers[i%2] = s.worker(busy)
	}
	asking.Wait()
	s.twilio.await(t, redelivered, "a message for everybody", func(log twilio.Log) bool { return len(byNumber(log)) == killUsers })
	s.awaitEnded(killUsers)

	twice := 0
	for number, messages := range byNumber(s.twilio.Log()) {
		for _, again := range messages[1:] {
			twice++
			if again.Body != messages[0].Body {
				t.Errorf("%s got two different messages", number)
			}
		}
		s.app.Call("PUT", s.app.Path("totp-enrollment/validation/"+users[number]), "code="+stage.Code(t, messages[0].Body)).
			Want(200).WantSuccess(true)
	}
	t.Logf("%d codes, %d kills, 0 lost, %d sent twice", killUsers, killTimes, twice)
	if twice > killTimes*killInFlight {
		t.Errorf("%d messages too many after %d kills with %d in flight each", twice, killTimes, killInFlight)
	}
}

// slowly makes every message take a while, so that a kill meets some: one half
// waits before Twilio has taken it, the other half after.
func slowly(n int) twilio.Faults {
	var faults twilio.Faults
	for i := range n {
		faults.Next = append(faults.Next, twilio.Fault{StallMS: 40, Store: i%2 == 0})
	}
	return faults
}

func byNumber(log twilio.Log) map[string][]twilio.Message {
	out := map[string][]twilio.Message{}
	for _, m := range log.Messages {
		out[m.To] = append(out[m.To], m)
	}
	return out
}

// awaitEnded waits until no delivery is pending: whatever a killed worker held
// has come again and was decided.
func (s *scene) awaitEnded(want int) {
	s.t.Helper()
	stage.UntilWithin(s.t, redelivered, "every delivery is delivered", func() bool {
		states := map[any]int{}
		for page := 1; ; page++ {
			list := s.app.Call("GET", s.app.Path("deliveries"), fmt.Sprint("page=", page), "per_page=100").Want(200)
			for _, delivery := range list.Items() {
				states[delivery["state"]]++
			}
			if len(list.Items()) < 100 {
				return states["delivered"] == want
			}
		}
	})
}
