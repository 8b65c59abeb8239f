package exchange_test

import (
	"context"
	"testing"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/exchange"
)

// passed fails unless one of many was let through, and returns its index.
// Others must have been refused, or told to try again.
func passed(t *testing.T, errs []error) int {
	t.Helper()
	won := -1
	for i, err := range errs {
		switch {
		case err == nil && won >= 0:
			t.Fatal("two of many passed")
		case err == nil:
			won = i
		case fault.KindOf(err) != fault.Malformed && fault.KindOf(err) != fault.Unavailable:
			t.Fatalf("one of many: %v", err)
		}
	}
	if won < 0 {
		t.Fatalf("none of many passed: %v", errs[0])
	}
	return won
}

// Covers R-029 for steps that many take at once.
func TestOneOfManyParallelProofsPasses(t *testing.T) {
	t.Parallel()
	for range 100 {
		w := newWorld(t)
		requestID := w.generate(t, 0)
		step := w.start(t, requestID, exchange.Initial, exchange.Password, ben)
		v, steps := exchange.Verification{ExchangeID: step.ExchangeID, Method: exchange.Password, Code: secret.New("ben's")}, make([]exchange.Step, 32)
		verify := func(ctx context.Context, i int) (err error) {
			steps[i], err = w.Verify(ctx, from, v)
			return err
		}
		w.compares = newCrowd(5) // as many as are compared
		first := steps[passed(t, together(t, 32, verify))]
		step = w.start(t, requestID, exchange.MultiFactor, exchange.TOTP, ben)
		v = exchange.Verification{ExchangeID: step.ExchangeID, Method: exchange.TOTP, Code: secret.New(w.rightFor(ben, exchange.TOTP))}
		w.compares = newCrowd(5)
		second := steps[passed(t, together(t, 32, verify))]
		if w.compared > 10 || second.TrackID.Reveal() != first.TrackID.Reveal() {
			t.Fatalf("%d proofs were compared for two exchange ids", w.compared)
		}
		if _, err := w.Finish(t.Context(), from, exchange.Finish{RequestID: requestID, StatusID: second.StatusID}); err != nil {
			t.Fatalf("the one that passed cannot be finished: %v", err)
		}
	}
}

// Covers R-003 for codes of the verification flow: the tries of an exchange id.
func TestManyParallelWrongProofsAreFive(t *testing.T) {
	t.Parallel()
	for range 100 {
		w := newWorld(t)
		step := w.start(t, w.generate(t, 0), exchange.Initial, exchange.Password, ben)
		w.Store = crowded{w.store, newCrowd(32)}
		for _, err := range together(t, 32, func(ctx context.Context, _ int) error {
			_, err := w.Verify(ctx, from, exchange.Verification{ExchangeID: step.ExchangeID, Method: exchange.Password, Code: secret.New("wrong")})
			return err
		}) {
			if err == nil {
				t.Fatal("a wrong password is right")
			}
		}
		if w.compared != 5 {
			t.Fatalf("%d proofs were compared for one exchange id, want 5", w.compared)
		}
		_, err := w.Verify(t.Context(), from, exchange.Verification{ExchangeID: step.ExchangeID, Method: exchange.Password, Code: secret.New("ben's")})
		if err == nil {
			t.Fatal("after five wrong proofs a right one passes")
		}
	}
}

func TestOneOfManyParallelEndsGetsACode(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*world, context.Context, secret.Text, exchange.Step) error{
		"finish": func(w *world, ctx context.Context, requestID secret.Text, step exchange.Step) error {
			_, err := w.Finish(ctx, from, exchange.Finish{RequestID: requestID, StatusID: step.StatusID, Sub: step.Sub})
			return err
		},
		"continue": func(w *world, ctx context.Context, _ secret.Text, step exchange.Step) error {
			_, err := w.Continue(ctx, from, step.TrackID, secret.Text{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 100 {
				w := newWorld(t)
				requestID := w.generate(t, 0)
				step := w.first(t, requestID, exchange.Password, ana)
				w.Store = crowded{w.store, newCrowd(32)}
				passed(t, together(t, 32, func(ctx context.Context, _ int) error { return end(w, ctx, requestID, step) }))
				if w.made() != 1 {
					t.Fatalf("%d codes were made", w.made())
				}
			}
		})
	}
}

// A status id is good for one finish, although this one says no more than what
// is missing.
func TestOneOfManyParallelFinishesIsAnswered(t *testing.T) {
	t.Parallel()
	for range 100 {
		w := newWorld(t)
		requestID := w.generate(t, 0)
		step := w.first(t, requestID, exchange.Password, ben)
		w.Store = crowded{w.store, newCrowd(32)}
		passed(t, together(t, 32, func(ctx context.Context, _ int) error {
			_, err := w.Finish(ctx, from, exchange.Finish{RequestID: requestID, StatusID: step.StatusID, Sub: step.Sub})
			return err
		}))
	}
}

// Of all logins that a request has, one ends in a code, whoever's they are.
func TestOneOfManyLoginsOfARequestGetsACode(t *testing.T) {
	t.Parallel()
	for range 100 {
		w := newWorld(t)
		requestID := w.generate(t, 0)
		logins := []exchange.Step{w.first(t, requestID, exchange.Password, ana), w.first(t, requestID, exchange.TOTP, ben), w.first(t, requestID, exchange.TOTP, eve)}
		w.Store = crowded{w.store, newCrowd(32)}
		passed(t, together(t, 32, func(ctx context.Context, i int) error {
			_, err := w.Continue(ctx, from, logins[i%len(logins)].TrackID, requestID)
			return err
		}))
		if w.made() != 1 {
			t.Fatalf("%d codes were made", w.made())
		}
	}
}

// Two ways to prove a second factor at once are one second proof.
func TestTwoSecondProofsAtOnceAreOne(t *testing.T) {
	t.Parallel()
	for range 100 {
		w := newWorld(t)
		requestID := w.generate(t, 0)
		first := w.first(t, requestID, exchange.Password, dan)
		methods := []exchange.Method{exchange.TOTP, exchange.SMS}
		tries := make([]exchange.Verification, len(methods))
		for i, m := range methods {
			step := w.start(t, requestID, exchange.MultiFactor, m, dan)
			tries[i] = exchange.Verification{ExchangeID: step.ExchangeID, Method: m, Code: secret.New(w.rightFor(dan, m))}
		}
		w.compares = newCrowd(2)
		passed(t, together(t, len(tries), func(ctx context.Context, i int) error {
			_, err := w.Verify(ctx, from, tries[i])
			return err
		}))
		if _, err := w.Continue(t.Context(), from, first.TrackID, requestID); err != nil || len(w.grants) != 1 || len(w.grants[0].AMR) != 2 {
			t.Fatalf("the login ends in %v with %v", err, w.grants)
		}
	}
}

// The way back in after a recovery code is one enrolment, and proves one factor.
func TestOneOfManyParallelConfirmationsPasses(t *testing.T) {
	t.Parallel()
	for range 100 {
		w := newWorld(t)
		requestID := w.generate(t, 0)
		w.first(t, requestID, exchange.Password, dan)
		second := w.second(t, requestID, exchange.BackupCode, dan)
		if second.Needs != exchange.NewFactor {
			t.Fatalf("after a recovery code a login needs %q", second.Needs)
		}
		enrolling, err := w.EnrolInLogin(t.Context(), from, second.TrackID, exchange.Enrolment{Method: exchange.TOTP})
		if err != nil {
			t.Fatal(err)
		}
		v := exchange.Verification{ExchangeID: enrolling.ExchangeID, Method: exchange.TOTP, Code: secret.New(w.rightFor(dan, exchange.TOTP))}
		errs := together(t, 32, func(ctx context.Context, _ int) error {
			_, err := w.Confirm(ctx, from, v)
			return err
		})
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			}
		}
		w.pass(time.Second)
		if _, err := w.Continue(t.Context(), from, second.TrackID, requestID); won != 1 || err != nil || len(w.grants) != 1 || len(w.grants[0].AMR) != 3 {
			t.Fatalf("%d of 32 pass, and the login ends in %v with %v", won, err, w.grants)
		}
	}
}
