package exchange_test

import (
	"errors"
	"testing"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/exchange"
	"countersign.dev/services/api/internal/id"
)

// trip is a login on its way: ben's in acme, after a password and before the
// code of his app.
type trip struct {
	*world
	t         *testing.T
	requestID secret.Text
	before    exchange.Step // of the password: its ids are used
	proven    exchange.Step // the ids that took their place, with the track id
	step      exchange.Step // of the second proof, which has been started
}

func newTrip(t *testing.T) *trip {
	t.Helper()
	w := newWorld(t)
	r := &trip{world: w, t: t, requestID: w.generate(t, 0)}
	r.before = w.start(t, r.requestID, exchange.Initial, exchange.Password, ben)
	r.proven = w.prove(t, r.before, exchange.Password, ben)
	r.step = w.start(t, r.requestID, exchange.MultiFactor, exchange.TOTP, ben)
	return r
}

func (r *trip) verify(v exchange.Verification) error {
	_, err := r.Verify(r.t.Context(), from, v)
	return err
}

func (r *trip) finish(f exchange.Finish) error {
	_, err := r.Finish(r.t.Context(), from, f)
	return err
}

func (r *trip) goOn(trackID, requestID secret.Text) error {
	_, err := r.Continue(r.t.Context(), from, trackID, requestID)
	return err
}

// right is the right second proof.
func (r *trip) right() exchange.Verification {
	return exchange.Verification{ExchangeID: r.step.ExchangeID, Method: exchange.TOTP, Code: secret.New(r.rightFor(ben, exchange.TOTP))}
}

// lead is how far the login still leads, by whatever way there is: to a code,
// or to nothing.
func (r *trip) lead() bool {
	_ = r.verify(r.right())
	step, err := r.Initiate(r.t.Context(), from, exchange.Initiation{
		RequestID: r.requestID, Usage: exchange.MultiFactor, Method: exchange.TOTP, Who: exchange.Who{Sub: r.step.Sub},
	})
	if err == nil {
		_ = r.verify(exchange.Verification{ExchangeID: step.ExchangeID, Method: exchange.TOTP, Code: r.right().Code})
		_ = r.finish(exchange.Finish{RequestID: r.requestID, StatusID: step.StatusID})
	}
	for _, statusID := range []secret.Text{r.before.StatusID, r.step.StatusID} {
		_ = r.finish(exchange.Finish{RequestID: r.requestID, StatusID: statusID})
	}
	_ = r.goOn(r.proven.TrackID, secret.Text{})
	return r.made() > 0
}

// misuses are all ways to show an id of the trip where it does not belong. They
// return how that was refused.
func misuses(r *trip) map[string]func() error {
	elsewhere, ofClient := r.generate(r.t, 2), r.generate(r.t, 1)
	digits := secret.New("123456")
	cases := map[string]func() error{
		"(a) a used exchange id, late": func() error { return r.late(r.verify, r.before.ExchangeID, exchange.Password) },
		"(a) a used exchange id, to end": func() error {
			r.pass(11 * time.Second)
			return r.Cancel(r.t.Context(), exchange.Password, r.before.ExchangeID)
		},
		"(a) a proven exchange id": func() error {
			return r.verify(exchange.Verification{ExchangeID: r.proven.ExchangeID, Method: exchange.Password, Code: digits})
		},
		"(b) a login's at an enrolment": func() error { _, err := r.Confirm(r.t.Context(), from, r.right()); return err },
		"(b) by another method": func() error {
			return r.verify(exchange.Verification{ExchangeID: r.step.ExchangeID, Method: exchange.SMS, Code: digits})
		},
		"(b) ended by another method":     func() error { return r.Cancel(r.t.Context(), exchange.SMS, r.step.ExchangeID) },
		"(b) a status id, not proven yet": func() error { return r.finish(exchange.Finish{RequestID: r.requestID, StatusID: r.step.StatusID}) },
		"(b) a status id of another method": func() error {
			return r.finish(exchange.Finish{RequestID: r.requestID, StatusID: r.before.StatusID, Method: exchange.TOTP})
		},
		"(f) an exchange id with another's sub": func() error { v := r.right(); v.Sub = r.other(); return r.verify(v) },
		"(f) a status id with another's sub": func() error {
			return r.finish(exchange.Finish{RequestID: r.requestID, StatusID: r.before.StatusID, Sub: r.other()})
		},
		"(f) a track id with another's sub": func() error {
			_, err := r.Initiate(r.t.Context(), from, exchange.Initiation{
				RequestID: r.requestID, Usage: exchange.MultiFactor, Method: exchange.TOTP, TrackID: r.proven.TrackID, Who: exchange.Who{Sub: r.other()},
			})
			return err
		},
	}
	for name, requestID := range map[string]secret.Text{"(c) of another organization's request": elsewhere, "(d) of another client's request": ofClient} {
		cases[name+": an exchange id"] = func() error { v := r.right(); v.RequestID = requestID; return r.verify(v) }
		cases[name+": a status id"] = func() error {
			return r.finish(exchange.Finish{RequestID: requestID, StatusID: r.before.StatusID, Sub: r.before.Sub})
		}
		cases[name+": a track id"] = func() error { return r.goOn(r.proven.TrackID, requestID) }
		cases[name+": a track id to go on"] = func() error {
			_, err := r.Initiate(r.t.Context(), from, exchange.Initiation{RequestID: requestID, Usage: exchange.MultiFactor, Method: exchange.TOTP, TrackID: r.proven.TrackID})
			return err
		}
	}
	kinds := map[string]secret.Text{"exchange": r.step.ExchangeID, "used exchange": r.before.ExchangeID, "status": r.before.StatusID, "open status": r.step.StatusID, "track": r.proven.TrackID}
	for name, stray := range kinds {
		cases["(b) a request id: "+name] = func() error { _, err := r.Methods(r.t.Context(), stray, named(ben)); return err }
		if stray.Reveal() != r.step.ExchangeID.Reveal() && stray.Reveal() != r.before.ExchangeID.Reveal() {
			cases["(b) an exchange id: "+name] = func() error { v := r.right(); v.ExchangeID = stray; return r.verify(v) }
			cases["(b) an exchange id of an enrolment: "+name] = func() error {
				v := r.right()
				v.ExchangeID = stray
				_, err := r.Confirm(r.t.Context(), from, v)
				return err
			}
			cases["(b) an exchange id to end: "+name] = func() error { return r.Cancel(r.t.Context(), exchange.TOTP, stray) }
		}
		if stray.Reveal() != r.before.StatusID.Reveal() && stray.Reveal() != r.step.StatusID.Reveal() {
			cases["(b) a status id: "+name] = func() error { return r.finish(exchange.Finish{RequestID: r.requestID, StatusID: stray}) }
		}
		if stray.Reveal() != r.proven.TrackID.Reveal() {
			cases["(b) a track id: "+name] = func() error { return r.goOn(stray, secret.Text{}) }
			cases["(b) a track id to look: "+name] = func() error { _, err := r.Precheck(r.t.Context(), stray); return err }
		}
	}
	return cases
}

// other is the masked id of somebody else in the same request.
func (r *trip) other() string {
	return r.start(r.t, r.requestID, exchange.Initial, exchange.Password, ana).Sub
}

// late shows an id when nobody sends twice by accident any more.
func (r *trip) late(show func(exchange.Verification) error, exchangeID secret.Text, m exchange.Method) error {
	r.pass(10*time.Second + time.Millisecond)
	return show(exchange.Verification{ExchangeID: exchangeID, Method: m, Code: secret.New(r.rightFor(ben, m))})
}

// What is left of it, the browser that a flow was begun in, is of flows that
// begin at /authz, and in package flow: pages that use this flow have no cookie
// of ours.
//
// Covers R-028 for the verification flow: ids that are shown twice, for another
// purpose, at another organization's or client's request or beside another's
// masked id are refused, and their login is dead.
func TestAnIDThatIsMisusedEndsItsLogin(t *testing.T) {
	t.Parallel()
	if r := newTrip(t); !r.lead() {
		t.Fatal("a login that nothing happened to leads to no code")
	}
	for name := range misuses(newTrip(t)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTrip(t)
			if err := misuses(r)[name](); fault.KindOf(err) != fault.Malformed || errors.Is(err, exchange.ErrCode) {
				t.Errorf("it is answered by %v", err)
			}
			if r.lead() {
				t.Error("the login goes on to a code")
			}
		})
	}
}

// A status id is used by a finish, whether that led to a code or to what is
// missing. Shown once more, late, it ends the login.
func TestAUsedStatusIDEndsItsLogin(t *testing.T) {
	t.Parallel()
	r := newTrip(t)
	again := exchange.Finish{RequestID: r.requestID, StatusID: r.before.StatusID, Sub: r.before.Sub}
	redirect, err := r.Finish(t.Context(), from, again)
	if err != nil || answers(t, redirect).Get("error") != "interaction_required" {
		t.Fatalf("a finish before the second proof: %v", err)
	}
	r.pass(10*time.Second + time.Millisecond)
	if err := r.finish(again); !errors.Is(err, exchange.ErrStatus) {
		t.Errorf("a second finish: %v", err)
	}
	if r.lead() {
		t.Error("the login goes on to a code")
	}
}

// A page that sends twice is no thief.
func TestAPlainRepeatIsRefusedAndHarmsNothing(t *testing.T) {
	t.Parallel()
	r := newTrip(t)
	first := exchange.Finish{RequestID: r.requestID, StatusID: r.before.StatusID, Sub: r.before.Sub}
	for name, repeat := range map[string]func() error{
		"a proof": func() error {
			return r.verify(exchange.Verification{ExchangeID: r.before.ExchangeID, Method: exchange.Password, Code: secret.New("ben's")})
		},
		"a cancel": func() error { return r.Cancel(t.Context(), exchange.Password, r.before.ExchangeID) },
	} {
		if err := repeat(); !errors.Is(err, exchange.ErrExchange) {
			t.Errorf("%s once more: %v", name, err)
		}
	}
	if err := r.finish(first); err != nil {
		t.Fatal(err)
	}
	r.pass(10 * time.Second)
	if err := r.finish(first); !errors.Is(err, exchange.ErrStatus) {
		t.Errorf("a finish once more: %v", err)
	}
	if !r.lead() {
		t.Error("the login is dead")
	}
}

//
func TestAnExchangeIDChangesAndEnds(t *testing.T) {
	t.Parallel()
	r := newTrip(t)
	if want := r.clock().Add(5 * time.Minute).Truncate(time.Millisecond); !r.step.ExpiresAt.Equal(want) || !r.proven.ExpiresAt.Equal(want) {
		t.Errorf("an exchange id ends %s, want %s", r.step.ExpiresAt, want)
	}
	after, err := r.Verify(t.Context(), from, r.right())
	if err != nil || after.ExchangeID.Reveal() == r.step.ExchangeID.Reveal() || !id.IsOpaque(after.ExchangeID.Reveal()) {
		t.Fatalf("after a proof the exchange id is as before: %v", err)
	}
	if err := r.verify(r.right()); !errors.Is(err, exchange.ErrExchange) {
		t.Errorf("the id of the step before: %v", err)
	}

	for name, c := range map[string]struct {
		after time.Duration
		want  error
	}{
		"a moment before its end":  {5*time.Minute - time.Millisecond, nil},
		"at its end":               {5 * time.Minute, exchange.ErrExpired},
		"a second after it":        {5*time.Minute + time.Second, exchange.ErrExpired},
		"when nobody remembers it": {10 * time.Minute, exchange.ErrExchange},
	} {
		w := newWorld(t)
		step := w.start(t, w.generate(t, 0), exchange.Initial, exchange.Password, ana)
		w.pass(c.after)
		_, err := w.Verify(t.Context(), from, exchange.Verification{ExchangeID: step.ExchangeID, Method: exchange.Password, Code: secret.New("ana's")})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r = newTrip(t)
	r.pass(5 * time.Minute)
	if err := r.finish(exchange.Finish{RequestID: r.requestID, StatusID: r.before.StatusID}); !errors.Is(err, exchange.ErrStatus) {
		t.Errorf("a status id after five minutes: %v", err)
	}
}

func TestALoginAndItsRequestEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requestID := w.generate(t, 0)
	w.pass(exchange.RequestLife - exchange.TrackLife)
	proven := w.first(t, requestID, exchange.Password, ana)
	w.pass(exchange.TrackLife - time.Millisecond)
	if _, err := w.Precheck(t.Context(), proven.TrackID); err != nil {
		t.Errorf("a moment before its end: %v", err)
	}
	w.pass(time.Millisecond)
	if _, err := w.Continue(t.Context(), from, proven.TrackID, secret.Text{}); !errors.Is(err, exchange.ErrTrack) {
		t.Errorf("a login after ten minutes: %v", err)
	}
	if _, err := w.Methods(t.Context(), requestID, named(ana)); !errors.Is(err, exchange.ErrRequest) {
		t.Errorf("a request after half an hour: %v", err)
	}
}
