package courier

import (
	"context"
	"slices"
	"testing"
	"time"

	"countersign.dev/pkg/fault"
)

// fuse is a breaker over a provider with a script.
type fuse struct {
	*Breaker
	clock    *clock
	provider *provider
	changes  []string
}

func newFuse() *fuse {
	f := &fuse{clock: &clock{at: time.UnixMilli(1_700_000_000_000)}, provider: &provider{}}
	f.Breaker = &Breaker{Next: f.provider, Now: f.clock.now, Changed: func(reason string) { f.changes = append(f.changes, reason) }}
	return f
}

func (f *fuse) send(t *testing.T, n int, answer answerFunc) (paused int) {
	t.Helper()
	f.provider.script = []answerFunc{answer}
	for range n {
		if _, err := f.Send(t.Context(), Message{}); reasonOfNil(err) == ReasonPaused {
			if instruction(err) != "again" {
				t.Errorf("a paused message: %s", instruction(err))
			}
			paused++
		}
	}
	return paused
}

func reasonOfNil(err error) string {
	if err == nil {
		return ""
	}
	return reasonOf(err)
}

func (f *fuse) calls() int { return len(f.provider.list()) }

func TestBreakerOpensAfterTwentyFailuresInARow(t *testing.T) {
	t.Parallel()
	f := newFuse()
	if paused := f.send(t, 19, fail(unknown)); paused != 0 {
		t.Fatalf("%d paused", paused)
	}
	f.send(t, 1, take)
	f.send(t, 19, fail(offline))
	if f.Check(t.Context()) != nil {
		t.Fatal("open after 19 in a row")
	}
	f.send(t, 1, fail(offline))
	if f.Check(t.Context()) == nil {
		t.Fatal("closed after 20 in a row")
	}
	if paused := f.send(t, 100, take); paused != 100 || f.calls() != 40 {
		t.Errorf("%d paused, %d calls", paused, f.calls())
	}
	if !slices.Equal(f.changes, []string{ReasonUnreachable}) {
		t.Errorf("changes %q", f.changes)
	}
}

func TestBreakerOpensAtOnceWhenTheProviderDoesNotKnowUs(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{ReasonCredentials, ReasonRedirected} {
		f := newFuse()
		f.send(t, 1, fail(fault.Permanent(&Failure{Reason: reason})))
		if paused := f.send(t, 10, take); paused != 10 || f.calls() != 1 {
			t.Errorf("%s: %d paused, %d calls", reason, paused, f.calls())
		}
	}
}

func TestBreakerProbesEveryFiveSecondsAndCloses(t *testing.T) {
	t.Parallel()
	f := newFuse()
	f.send(t, 20, fail(unknown))
	for range 3 {
		f.clock.pass(4 * time.Second)
		if paused := f.send(t, 10, fail(unknown)); paused != 10 {
			t.Errorf("%d of 10 paused before the time", paused)
		}
		f.clock.pass(time.Second)
		if paused := f.send(t, 10, fail(unknown)); paused != 9 {
			t.Errorf("%d of 10 paused at the time", paused)
		}
	}
	f.clock.pass(5 * time.Second)
	if paused := f.send(t, 10, take); paused != 0 || f.Check(t.Context()) != nil {
		t.Errorf("%d of 10 paused after a good probe", paused)
	}
	if !slices.Equal(f.changes, []string{ReasonNoAnswer, ""}) {
		t.Errorf("changes %q", f.changes)
	}
}

func TestBreakerLooksAtTheProviderAndNotAtTheMessage(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]answerFunc{
		"refused numbers": fail(refused),
		"too many":        fail(tooMany),
		"our own hang-up": fail(&Failure{Reason: ReasonUnreachable, Cause: context.Canceled}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFuse()
			if paused := f.send(t, 100, answer); paused != 0 || len(f.changes) != 0 {
				t.Errorf("%d paused, %q", paused, f.changes)
			}
		})
	}
}

func TestPausedMessageIsTriedLaterAndCostsNoSend(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	breaker := &Breaker{Next: b.provider, Now: b.clock.now}
	b.Provider = breaker
	b.provider.script = []answerFunc{fail(fault.Permanent(&Failure{Reason: ReasonCredentials})), take}
	b.handle(b.request("first"))
	second := b.request("second")
	for range 5 {
		if got := b.handle(second); got != "again" {
			t.Errorf("paused: %s", got)
		}
	}
	b.clock.pass(probeEvery)
	if got := b.handle(second); got != "ack" {
		t.Errorf("after the pause: %s", got)
	}
	if last := b.reports.last(); last.Result != "accepted" || last.Attempt != 6 {
		t.Errorf("reported %+v", last)
	}
	if err := breaker.Check(t.Context()); err != nil {
		t.Error(err)
	}
}
