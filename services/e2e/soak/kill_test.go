package soak_test

import (
	"testing"
	"time"

	"countersign.dev/services/e2e/fakes/twilio"
	"countersign.dev/services/e2e/stage"
)

// redelivery is when a message of a killed worker is in another's hands: the
// bus waits 30 s for an acknowledgement.
const redelivery = 35 * time.Second

// Two workers send codes and are killed at random moments, one in two
// hundred messages. Nobody's code is lost, no more come twice than the killed had in
// their hands, and what comes twice is the same. Every other look into the
// provider's list fails, so that both ways on from an uncertain send are gone.
//
// Covers R-068 for ten kills at random moments.
func TestKillNine(t *testing.T) {
	t.Parallel()
	s := newScene(t, 50)
	kills := size() / 200
	s.slowly(2*size(), 60*time.Millisecond)
	c := s.crowd()
	done := c.begin(0, size()/codesEach)
	for i := range kills {
		// In a random place of its share of the messages, and a little later.
		step := size() * 9 / 10 / kills
		s.awaitCalls(i*step + s.draw(step))
		s.pause(time.Duration(s.draw(60_000)) * time.Microsecond)
		victim := s.draw(workers)
		s.workers[victim].Kill()
		s.workers[victim] = s.startWorker("sms")
	}
	c.await(done)
	v := c.texts(kills * inFlight).check()
	slowest, again := redeliveries(s.twilio.Log())
	t.Logf("%d kills with %d in flight each, %d sends cut off, the next try at most %v later\n%s", kills, inFlight, again, slowest, v)
	if !v.ok() {
		t.Error("the history is broken")
	}
	// Who was left without a code does not ask for the next one.
	if want := size() - c.unasked; v.accepted != want || v.refused != 0 {
		t.Errorf("%d accepted and %d refused, want %d and 0: the bus and the api were well", v.accepted, v.refused, want)
	}
	if c.unknown > kills/2 {
		t.Errorf("%d messages were cut off twice while the list was down; that many is no bad luck", c.unknown)
	}
	if again == 0 {
		t.Error("no kill met a worker at work: this shows nothing")
	}
	if slowest > redelivery {
		// Two kills in a row can meet one message, so this is told and not held.
		t.Logf("a killed worker's message was in another's hands after %v, usually %v", slowest, redelivery)
	}
}

// awaitCalls waits until the provider has been called so often.
func (s *scene) awaitCalls(n int) {
	s.t.Helper()
	stage.UntilWithin(s.t, restWithin, "the load goes on", func() bool { return s.twilio.calls.Load() >= int64(n) })
}

// redeliveries finds the sends whose worker died, and the longest time until
// another one looked the message up or sent it.
func redeliveries(log twilio.Log) (slowest time.Duration, cut int) {
	next := func(to string, after time.Time) (first time.Time) {
		earlier := func(at time.Time) bool { return at.After(after) && (first.IsZero() || at.Before(first)) }
		for _, look := range log.Looks {
			if look.To == to && earlier(look.At) {
				first = look.At
			}
		}
		for _, call := range log.Calls {
			if call.To == to && earlier(call.At) {
				first = call.At
			}
		}
		return first
	}
	for _, call := range log.Calls {
		if call.Answer != "abandoned" {
			continue
		}
		cut++
		// None comes when the code was used in the meantime.
		if at := next(call.To, call.At); !at.IsZero() {
			slowest = max(slowest, at.Sub(call.At))
		}
	}
	return slowest.Round(time.Millisecond), cut
}
