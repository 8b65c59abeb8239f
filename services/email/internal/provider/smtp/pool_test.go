package smtp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/courier"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/rig/smtpsink"
)

// A server that takes its time for the final dot has one mail at the end, not
// two, and nobody waits for it but the one whose mail it is.
//
// Covers R-076 for the SMTP provider's slow dot.
func TestASlowDotIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := stage(t)
	hold := make(chan struct{})
	s.fail(t, smtpsink.Fault{At: smtpsink.Dot, To: "slow@example.com", Hold: hold})
	told := make(chan error, 1)
	go func() {
		_, err := s.provider.Send(t.Context(), to("slow@example.com"))
		told <- err
	}()
	s.await(t, smtpsink.Dot)
	for i := range 20 {
		s.mustSend(t, to(fmt.Sprintf("quick%d@example.com", i)))
	}
	select {
	case err := <-told:
		t.Fatalf("it did not wait: %v", err)
	default:
	}
	close(hold)
	if err := <-told; err != nil {
		t.Error(err)
	}
	if log := s.sink.Log(); len(log.To("slow@example.com")) != 1 || len(log.Mails) != 21 || len(log.Connections) != 2 {
		t.Errorf("%d mails to the slow one, %d in all, on %d connections", len(log.To("slow@example.com")), len(log.Mails), len(log.Connections))
	}
}

// Ten of twelve connections wait for a server that says nothing: the mails of
// the others go out over the two that are left, and who finds none at all
// gives up when its own time is over, with nothing sent.
//
// Covers R-076 for the SMTP provider's stalled connections.
func TestStalledConnectionsBlockNobodyElse(t *testing.T) {
	t.Parallel()
	s := stage(t, func(o *options) { o.config.Connections = 12 })
	hold := make(chan struct{})
	s.fail(t, smtpsink.Fault{At: smtpsink.Dot, To: "slow@example.com", Hold: hold, Times: 12})
	told := make(chan error, 12)
	stall := func() {
		go func() {
			_, err := s.provider.Send(t.Context(), to("slow@example.com"))
			told <- err
		}()
		s.await(t, smtpsink.Dot)
	}
	for range 10 {
		stall()
	}
	var quick sync.WaitGroup
	for worker := range 2 {
		quick.Go(func() {
			for i := range 50 {
				if err := s.send(t, to(fmt.Sprintf("quick%d.%d@example.com", worker, i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	quick.Wait()
	if log := s.sink.Log(); len(log.Mails) != 100 || s.sink.Open() > 12 {
		t.Errorf("%d mails on %d connections, want 100 on 12", len(log.Mails), s.sink.Open())
	}
	drain(s.reached)
	stall()
	stall()

	ctx, leave := context.WithCancel(t.Context())
	blocked := make(chan error, 1)
	go func() {
		_, err := s.provider.Send(ctx, message)
		blocked <- err
	}()
	leave()
	if err := <-blocked; instruction(err) != "again busy" || !errors.Is(err, context.Canceled) {
		t.Errorf("told %s: %v", instruction(err), err)
	}
	close(hold)
	for range 12 {
		if err := <-told; err != nil {
			t.Error(err)
		}
	}
	if log := s.sink.Log(); len(log.To("slow@example.com")) != 12 || len(log.To(reader)) != 0 {
		t.Errorf("%d mails to the slow one, %d to who gave up", len(log.To("slow@example.com")), len(log.To(reader)))
	}
}

func drain(c <-chan smtpsink.At) {
	for {
		select {
		case <-c:
		default:
			return
		}
	}
}

// The limit that waits longest ends a silence after the dot, and only that one
// leaves open whether there is a mail.
func TestLimitsFollowRFC5321(t *testing.T) {
	t.Parallel()
	limits := Config{}.withDefaults().Timeouts
	for at, want := range map[point]time.Duration{
		atConnect: 10 * time.Second, atHandshake: 10 * time.Second, atGreeting: time.Minute, atMail: time.Minute, atRcpt: time.Minute,
		atData: time.Minute, atBody: 3 * time.Minute, atDot: 10 * time.Minute, atQuit: 2 * time.Second,
	} {
		if got := limits.of(at); got != want {
			t.Errorf("%s: %s, want %s", at, got, want)
		}
	}
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	t.Parallel()
	s := stage(t)
	for range 5 {
		s.mustSend(t, message)
	}
	if log := s.sink.Log(); len(log.Connections) != 1 || log.Count("AUTH") != 1 || log.Count("RSET")+log.Count("NOOP") != 0 || len(log.Mails) != 5 {
		t.Errorf("%+v", log.Connections)
	}
}

// A refused mail leaves the connection as it was; the next one says RSET
// first, and only then.
func TestAConnectionSurvivesARefusal(t *testing.T) {
	t.Parallel()
	s := stage(t)
	for _, p := range []smtpsink.Point{smtpsink.MailFrom, smtpsink.Rcpt, smtpsink.Data, smtpsink.Dot} {
		s.fail(t, smtpsink.Fault{At: p, Code: 550})
		if told := instruction(s.send(t, message)); told != "permanent refused:550" {
			t.Fatalf("%s: %s", p, told)
		}
		s.mustSend(t, message)
	}
	if log := s.sink.Log(); len(log.Connections) != 1 || log.Count("RSET") != 4 || len(log.Mails) != 4 {
		t.Errorf("%+v", log.Connections)
	}
}

// A connection that the server closed while it was at rest, or closes at the
// next command, costs no try: the mail goes over a new one.
func TestADeadConnectionCostsNoTry(t *testing.T) {
	t.Parallel()
	for name, kill := range map[string]func(*testing.T, *scene){
		"closed at rest":   func(_ *testing.T, s *scene) { s.sink.HangUp() },
		"421 at MAIL":      func(t *testing.T, s *scene) { s.fail(t, smtpsink.Fault{At: smtpsink.MailFrom, Code: 421}) },
		"closed at DATA":   func(t *testing.T, s *scene) { s.fail(t, smtpsink.Fault{At: smtpsink.Data, Close: true}) },
		"421 to the dot":   func(t *testing.T, s *scene) { s.fail(t, smtpsink.Fault{At: smtpsink.Dot, Code: 421}) },
		"closed at RSET":   func(t *testing.T, s *scene) { s.refuseOne(t); s.sink.HangUp() },
		"nothing happened": func(*testing.T, *scene) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := stage(t)
			s.mustSend(t, message)
			kill(t, s)
			s.mustSend(t, to("second@example.com"))
			want := 2
			if name == "nothing happened" {
				want = 1
			}
			if log := s.sink.Log(); len(log.Connections) != want || len(log.To("second@example.com")) != 1 || len(log.Mails) != 2 {
				t.Errorf("%d connections, %+v", len(log.Connections), log.Mails)
			}
		})
	}
}

func (s *scene) refuseOne(t *testing.T) {
	t.Helper()
	s.fail(t, smtpsink.Fault{At: smtpsink.Rcpt, Code: 550})
	if told := instruction(s.send(t, message)); told != "permanent refused:550" {
		t.Fatal(told)
	}
}

// A mail whose end is unknown is not sent again behind the worker's back.
func TestALostAnswerOnAUsedConnectionIsTheWorkersBusiness(t *testing.T) {
	t.Parallel()
	s := stage(t)
	s.mustSend(t, message)
	s.fail(t, smtpsink.Fault{At: smtpsink.Dot, Close: true})
	if told := instruction(s.send(t, to("second@example.com"))); told != "ambiguous no_answer" {
		t.Error(told)
	}
	if log := s.sink.Log(); log.Count("DATA") != 2 {
		t.Errorf("%+v", log)
	}
}

func TestRestEndsWithAGoodbye(t *testing.T) {
	t.Parallel()
	s := stage(t, func(o *options) { o.config.Idle = time.Millisecond })
	s.mustSend(t, message)
	s.await(t, smtpsink.Quit)
	s.mustSend(t, message)
	s.await(t, smtpsink.Quit)
	s.provider.Close()
	if log := s.sink.Log(); len(log.Connections) != 2 {
		t.Errorf("%+v", log)
	}
}

// Close ends what is at rest, and what is in use once its mail is done.
func TestCloseFinishesTheMailInHand(t *testing.T) {
	t.Parallel()
	s := stage(t)
	hold := make(chan struct{})
	s.fail(t, smtpsink.Fault{At: smtpsink.Dot, Hold: hold})
	told := make(chan error, 1)
	go func() {
		_, err := s.provider.Send(t.Context(), message)
		told <- err
	}()
	s.await(t, smtpsink.Dot)
	s.provider.Close()
	close(hold)
	if err := <-told; err != nil {
		t.Error(err)
	}
	s.await(t, smtpsink.Quit)
}

// Many workers on few connections: each mail once, and never more connections
// than allowed.
func TestManyWorkersShareFewConnections(t *testing.T) {
	t.Parallel()
	s := stage(t, func(o *options) { o.config.Connections = 3 })
	s.fail(t, smtpsink.Fault{At: smtpsink.Rcpt, Close: true, Times: 5}, smtpsink.Fault{At: smtpsink.MailFrom, Code: 421, Times: 5})
	var workers sync.WaitGroup
	for worker := range 8 {
		workers.Go(func() {
			for i := range 25 {
				m := to(fmt.Sprintf("w%d.%d@example.com", worker, i))
				for err := s.send(t, m); err != nil; err = s.send(t, m) {
					if fault.IsPermanent(err) || fault.IsAmbiguous(err) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	workers.Wait()
	log := s.sink.Log()
	if len(log.Mails) != 200 || len(log.Connections) > 13 {
		t.Errorf("%d mails on %d connections, want 200 on at most 13", len(log.Mails), len(log.Connections))
	}
	for worker := range 8 {
		for i := range 25 {
			if n := len(log.To(fmt.Sprintf("w%d.%d@example.com", worker, i))); n != 1 {
				t.Errorf("mail %d of worker %d is there %d times", i, worker, n)
			}
		}
	}
}

// The clock is read but decides nothing here: the second mail of an hour is
// due in one.
func TestTheRateIsKept(t *testing.T) {
	t.Parallel()
	p := pace{every: time.Hour}
	if err := p.wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := p.wait(ctx)
	wait, ok := fault.RetryTime(err)
	if !ok || wait < 50*time.Minute || wait > time.Hour {
		t.Errorf("told %s: %v", instruction(err), err)
	}
	left, leave := context.WithCancel(t.Context())
	leave()
	if err := p.wait(left); instruction(err) != "again busy" || !errors.Is(err, context.Canceled) {
		t.Errorf("told %s", instruction(err))
	}
	free := pace{every: time.Nanosecond}
	for range 100 {
		if err := free.wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheRateIsTakenFromTheSettings(t *testing.T) {
	t.Parallel()
	s := stage(t, func(o *options) { o.config.Rate = 500 })
	if s.provider.pace.every != 2*time.Millisecond {
		t.Error(s.provider.pace.every)
	}
	s.mustSend(t, message)
}

var _ courier.Provider = (*Provider)(nil)
