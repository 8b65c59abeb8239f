package soak_test

import (
	"testing"
	"time"
)

// Two workers send links by mail and are killed at random moments, one in two
// hundred mails. No mail is lost, no more come twice than the killed had in
// their hands, and what comes twice has the same Message-ID, link and words.
//
// Covers R-068 for mails and ten kills at random moments.
func TestKilledMailWorkers(t *testing.T) {
	t.Parallel()
	s := mailScene(t)
	for range workers {
		s.workers = append(s.workers, s.startWorker("email"))
	}
	c := s.crowd()
	c.users(size())
	s.dawdle(2*size(), 60*time.Millisecond)
	kills, begun := size()/200, time.Now()
	done := c.each(size(), c.askForLink)
	for i := range kills {
		step := size() * 9 / 10 / kills
		s.awaitMails(i*step + s.draw(step))
		s.pause(time.Duration(s.draw(60_000)) * time.Microsecond)
		victim := s.draw(workers)
		s.workers[victim].Kill()
		s.workers[victim] = s.startWorker("email")
	}
	c.await(done)
	load := time.Since(begun)
	v := c.letters(kills * inFlight).check()
	t.Logf("%d kills with %d in flight each, the last one %v after the first request, all at rest after %v\n%s",
		kills, inFlight, load.Round(time.Second), time.Since(begun).Round(time.Second), v)
	if !v.ok() {
		t.Error("the history is broken")
	}
	if v.accepted != size() || v.refused != 0 {
		t.Errorf("%d accepted and %d refused, want %d and 0: the bus and the api were well", v.accepted, v.refused, size())
	}
	if v.duplicates == 0 {
		t.Error("no kill met a worker at work: this shows nothing")
	}
	// What met two kills is not sent a third time, and its delivery says so.
	if v.states["accepted"]+v.states["unknown"] != size() || v.states["unknown"] > kills/2 {
		t.Errorf("the deliveries are %v", v.states)
	}
}
