package soak_test

import (
	"os"
	"testing"
	"time"
)

// Five hundred mails wait on the bus, and some of them were sent by a worker
// that did not live to report it, when the bus dies with all that it stored.
// The api publishes them again by itself, as often as it does in earnest. None
// is lost, and what comes twice is the same mail.
//
// Covers R-070 over processes.
func TestLostStoreOfTheBus(t *testing.T) {
	t.Parallel()
	s := mailScene(t)
	mails := size() / 4
	c := s.crowd()
	c.users(mails)
	c.await(c.each(mails, c.askForLink))
	s.awaitQueued(mails)
	s.dawdle(mails, 60*time.Millisecond)
	first := s.startWorker("email")
	s.awaitMails(mails / 10)
	first.Kill()
	s.nats.Kill()
	early := s.mails.Taken()
	if err := os.RemoveAll(s.natsStore); err != nil {
		t.Fatal(err)
	}
	lost := time.Now()
	s.startNATS()
	for range workers {
		s.startWorker("email")
	}
	v := c.letters(inFlight).check()
	t.Logf("%d of %d mails were sent before the store was lost, all at rest %v after it\n%s", early, mails, time.Since(lost).Round(time.Second), v)
	if !v.ok() {
		t.Error("the history is broken")
	}
	if v.accepted != mails || v.states["accepted"] != mails {
		t.Errorf("%d of %d requests were accepted, and the deliveries are %v", v.accepted, mails, v.states)
	}
	if early >= mails {
		t.Error("all were sent before: this shows nothing")
	}
}
