package bus_test

import (
	"testing"
	"time"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/bus/bustest"
	"countersign.dev/pkg/event"
)

// back requests until the bus takes it and tells how long that took since the
// server was back.
func back(t *testing.T, b *bus.Bus, r event.Requested) {
	t.Helper()
	start := time.Now()
	eventually(t, "the bus takes requests again", func() bool { return b.Request(t.Context(), r) == nil })
	t.Logf("the bus was back after %s", time.Since(start))
}

func TestServeGoesOnByItself(t *testing.T) {
	t.Parallel()
	type setting struct {
		srv *bustest.NATS
		t   *testing.T
	}
	cases := map[string]func(setting){
		"after a restart of the server": func(s setting) {
			s.srv.Stop()
			s.srv.Start()
		},
		"after a restart with its store lost": func(s setting) {
			s.srv.Stop()
			s.srv.Wipe()
			s.srv.Start()
		},
		"after the stream was deleted": func(s setting) {
			if err := admin(s.t, s.srv).DeleteStream(s.t.Context(), bus.StreamChallenges); err != nil {
				s.t.Fatal(err)
			}
		},
		"after the consumer was deleted": func(s setting) {
			if err := admin(s.t, s.srv).DeleteConsumer(s.t.Context(), bus.StreamChallenges, durable); err != nil {
				s.t.Fatal(err)
			}
		},
		"after its pending requests were lost with the streams": func(s setting) {
			js := admin(s.t, s.srv)
			for name := range subjects {
				if err := js.DeleteStream(s.t.Context(), name); err != nil {
					s.t.Fatal(err)
				}
			}
		},
	}
	for name, happen := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := bustest.Server(t)
			b := bustest.Bus(t, srv)
			calls, outcomes := make(chan call, 100), make(chan event.Outcome, 100)
			serve(t, b, 3, into(calls, nil))
			serveOutcomes(t, b, outcomesInto(outcomes))
			mustRequest(t, b, challenge("dlv_before"))
			next(t, calls, "the message from before")
			for range 3 {
				happen(setting{srv, t})
				r := challenge("dlv_after")
				r.N = int(time.Now().UnixNano())
				back(t, b, r)
				start := time.Now()
				for next(t, calls, "the message from after").N != r.N {
					t.Log("an earlier one came again")
				}
				if err := b.Report(t.Context(), event.Outcome{DeliveryID: "dlv_after", Result: event.Accepted, Attempt: r.N, At: 1}); err != nil {
					t.Errorf("report: %v", err)
				}
				next(t, outcomes, "the outcome from after")
				t.Logf("the workers were back after %s", time.Since(start))
			}
		})
	}
}

func TestAWorkerRestoresTheStreamThatItMisses(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b, js := bustest.Bus(t, srv), admin(t, srv)
	serve(t, b, 1, into(nil, nil))
	there := func() bool {
		_, err := js.Consumer(t.Context(), bus.StreamChallenges, durable)
		return err == nil
	}
	eventually(t, "the consumer is there", there)
	if err := js.DeleteStream(t.Context(), bus.StreamChallenges); err != nil {
		t.Fatal(err)
	}
	eventually(t, "stream and consumer are there again", there)
}

func TestMessagesThatWaitSurviveARestart(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b := bustest.Bus(t, srv)
	all := challenges(50)
	mustRequest(t, b, all...)
	srv.Stop()
	srv.Start()
	calls := make(chan call, 100)
	serve(t, b, 4, into(calls, nil))
	for range all {
		next(t, calls, "a message")
	}
	empty(t, admin(t, srv), bus.StreamChallenges)
}
