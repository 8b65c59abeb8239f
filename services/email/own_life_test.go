package email

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/courier"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/rig/smtpsink"
)

// What no try has brought out is told of at each try, with the reason, and at
// its end. Here the test asks again when the worker has said so, as the relay
// does.
func TestAMailThatItsServerNeverTakesEndsInSight(t *testing.T) {
	t.Parallel()
	for reason, spoil := range map[string]func(*smtpsink.Server, *event.MailServer){
		courier.ReasonCredentials: func(_ *smtpsink.Server, by *event.MailServer) { by.Password = "wrong canary" },
		courier.ReasonUnreachable: func(sink *smtpsink.Server, _ *event.MailServer) { sink.Close() },
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			s := newStreet(t, "127.0.0.1/32")
			sink, by := s.move("org_a", nil)
			spoil(sink, &by)
			until := time.Now().Add(time.Hour)
			tries := s.live("a_1", by, until)
			last := tries[len(tries)-1]
			if last.Result != event.Expired || len(tries) < 8 {
				t.Errorf("it ended %s after %d reports", last.Result, len(tries))
			}
			for i, o := range tries[:len(tries)-1] {
				// Those that follow each other at once may not be tried at all.
				named := o.Reason == reason || i > 0 && i < courierTries && o.Reason == courier.ReasonPaused
				if want := map[bool]event.Result{true: event.Retrying, false: event.Deferred}[i < courierTries-1]; o.Result != want || o.Attempt != i+1 || !named || o.Provider != "own_smtp" {
					t.Errorf("report %d is of attempt %d: %s because of %q by %s, want %s because of %s", i+1, o.Attempt, o.Result, o.Reason, o.Provider, want, reason)
				}
			}
			if told, _ := json.Marshal(tries); strings.Contains(string(told), "canary") {
				t.Errorf("the reports say %s", told)
			}
			if n := len(sink.Log().Mails) + len(s.shared.Log().Connections); n != 0 {
				t.Errorf("%d mails went out, or meant to", n)
			}
		})
	}
}

// courierTries are made before a mail goes back to the api.
const courierTries = 3

// live publishes a mail, and again whenever the worker has said so, until
// another word of it comes. Then the clock stands where the life of the mail is
// over. It returns all that was reported.
func (s *street) live(id string, by event.MailServer, until time.Time) (tries []event.Outcome) {
	s.t.Helper()
	s.sendUntil(id, 1, by, until)
	for n := 2; ; {
		o := s.outcome()
		tries = append(tries, o)
		switch o.Result {
		case event.Retrying:
			continue
		case event.Deferred:
		default:
			return tries
		}
		at := time.UnixMilli(o.RetryAt)
		if until.Sub(at) < time.Minute { // the bus keeps what has so little life
			at = until.Add(time.Second)
		}
		s.forward.Store(int64(time.Until(at)))
		s.sendUntil(id, n, by, until)
		n++
	}
}
