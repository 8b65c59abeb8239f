package exchange_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/exchange"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/mailcode"
)

// anybody is whom a stranger may name.
var anybody = map[string]exchange.Who{
	"somebody with a password": named(ana), "somebody with an app": named(ben), "somebody with all": named(dan), "nobody": named(nobody),
	"no address": named(malformed), "a number": {Other: "+4915112345678"}, "a name": {Other: "ana"},
}

func methodsOf(list []exchange.Configured) (out []exchange.Method) {
	for _, c := range list {
		out = append(out, c.Method)
	}
	return out
}

// Covers R-065 for the verification flow: before a first proof everybody is
// shown the same methods, and starting one says the same.
func TestAStrangerLearnsNoMethods(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, who := range anybody {
		requestID := w.generate(t, 0)
		list, err := w.Methods(t.Context(), requestID, who)
		if err != nil || !slices.Equal(methodsOf(list), []exchange.Method{exchange.TOTP, exchange.SMS, exchange.Email, exchange.Password, exchange.BackupCode}) {
			t.Fatalf("%s: %v, %v", name, methodsOf(list), err)
		}
		seen := map[string]bool{}
		for i, c := range list {
			text := []string{"Authenticator app", "Text message", "E-mail", "Password", "Recovery code"}[i]
			if len(c.Mediums) != 1 || c.Mediums[0].Text != text || !id.IsUUID(c.Mediums[0].ID) || seen[c.Mediums[0].ID] {
				t.Errorf("%s: %s with %+v", name, c.Method, c.Mediums)
			}
			seen[c.Mediums[0].ID] = true
			step, err := w.Initiate(t.Context(), from, exchange.Initiation{RequestID: requestID, Usage: exchange.Passwordless, Method: c.Method, Who: exchange.Who{Medium: c.Mediums[0].ID}})
			if err != nil || !id.IsOpaque(step.ExchangeID.Reveal()) || !id.IsOpaque(step.StatusID.Reveal()) || !id.IsOpaque(step.Sub) || step.Needs != exchange.Nothing || !step.TrackID.IsZero() {
				t.Errorf("%s: %s is started with %+v, %v", name, c.Method, step, err)
			}
			if c.Method != exchange.Email && step.MediumText != text {
				t.Errorf("%s: %s is sent to %q", name, c.Method, step.MediumText)
			}
			_, err = w.Verify(t.Context(), from, exchange.Verification{ExchangeID: step.ExchangeID, Method: c.Method, Code: secret.New(wrongCode(c.Method))})
			if !errors.Is(err, exchange.ErrCode) {
				t.Errorf("%s: a wrong proof by %s is answered by %v", name, c.Method, err)
			}
		}
		again, err := w.Methods(t.Context(), requestID, who)
		if err != nil || !slices.Equal(methodsOf(again), methodsOf(list)) || again[0].Mediums[0] != list[0].Mediums[0] {
			t.Errorf("%s: the list does not stay: %v", name, err)
		}
	}
}

// Covers R-065 for targets of codes: masked, and after a first proof alone.
func TestWhatAUserHasIsShownAfterAProof(t *testing.T) {
	t.Parallel()
	for address, want := range map[string][]exchange.Method{
		ana: {exchange.Email}, ben: {exchange.TOTP}, cleo: {exchange.SMS}, dan: {exchange.TOTP, exchange.SMS, exchange.BackupCode},
	} {
		w := newWorld(t)
		requestID := w.generate(t, 0)
		proven := w.first(t, requestID, exchange.Password, address)
		list, err := w.Methods(t.Context(), requestID, exchange.Who{Sub: proven.Sub})
		if err != nil || !slices.Equal(methodsOf(list), want) {
			t.Fatalf("%s has %v, want %v: %v", address, methodsOf(list), want, err)
		}
		for _, c := range list {
			text := c.Mediums[0].Text
			if strings.Contains(text, address) || strings.Contains(text, "112345") {
				t.Errorf("%s is shown as %q", c.Method, text)
			}
			if c.Method == exchange.SMS && text != secret.MaskPhone("+4915112345678") || c.Method == exchange.Email && text != secret.MaskEmail(address) {
				t.Errorf("%s is shown as %q", c.Method, text)
			}
		}
		others, err := w.Methods(t.Context(), requestID, named(fay))
		if err != nil || len(others) != 5 {
			t.Errorf("others' methods in this request: %v, %v", methodsOf(others), err)
		}
		elsewhere, err := w.Methods(t.Context(), w.generate(t, 0), named(address))
		if err != nil || len(elsewhere) != 5 {
			t.Errorf("the same user's in another request: %v, %v", methodsOf(elsewhere), err)
		}
	}
}

// Nobody names users without end, and no id of ours or of another request.
func TestARequestNamesFewUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requestID := w.generate(t, 0)
	for i := range 10 {
		if _, err := w.Methods(t.Context(), requestID, exchange.Who{Other: strings.Repeat("x", i+1)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Methods(t.Context(), requestID, named(ana)); !errors.Is(err, exchange.ErrPeople) {
		t.Errorf("the eleventh: %v", err)
	}
	other := w.start(t, w.generate(t, 0), exchange.Initial, exchange.Password, ana)
	for name, who := range map[string]exchange.Who{
		"another request's": {Sub: other.Sub}, "an id of ours": {Sub: w.userOf(ana).user.ID}, "nothing": {}, "a medium of nobody": {Medium: id.UUID()},
	} {
		if _, err := w.Methods(t.Context(), requestID, who); !errors.Is(err, exchange.ErrSub) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Covers R-009 for the verification flow: what signs in by a code alone is
// paused, and second factors go on.
func TestSprayingPausesCodesAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requestID := w.generate(t, 0)
	started := map[exchange.Method]exchange.Step{}
	codes := []exchange.Method{exchange.TOTP, exchange.SMS, exchange.Email, exchange.BackupCode}
	for _, m := range codes {
		started[m] = w.start(t, requestID, exchange.Passwordless, m, dan)
	}
	w.sprayed = true
	for _, m := range codes {
		for name, who := range map[string]exchange.Who{"somebody": named(dan), "nobody": named(nobody)} {
			if _, err := w.Initiate(t.Context(), from, exchange.Initiation{RequestID: requestID, Usage: exchange.Passwordless, Method: m, Who: who}); !errors.Is(err, errSprayed) {
				t.Errorf("%s starts %s: %v", name, m, err)
			}
		}
		v := exchange.Verification{ExchangeID: started[m].ExchangeID, Method: m, Code: secret.New(w.rightFor(dan, m))}
		if _, err := w.Verify(t.Context(), from, v); !errors.Is(err, errSprayed) {
			t.Errorf("a right code by %s, started before: %v", m, err)
		}
	}
	w.first(t, requestID, exchange.Password, dan)
	if done := w.second(t, requestID, exchange.SMS, dan); done.Needs != exchange.Nothing {
		t.Errorf("after a password and a code a login needs %q", done.Needs)
	}
}

func TestWithoutTheOptInAPasswordIsFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requestID := w.generate(t, 2)
	for name, who := range anybody {
		list, err := w.Methods(t.Context(), requestID, who)
		if err != nil || !slices.Equal(methodsOf(list), []exchange.Method{exchange.Password}) {
			t.Errorf("%s: %v, %v", name, methodsOf(list), err)
		}
		for _, m := range []exchange.Method{exchange.TOTP, exchange.SMS, exchange.Email, exchange.BackupCode} {
			for _, u := range []exchange.Usage{exchange.Initial, exchange.Passwordless} {
				if _, err := w.Initiate(t.Context(), from, exchange.Initiation{RequestID: requestID, Usage: u, Method: m, Who: who}); !errors.Is(err, exchange.ErrInactive) {
					t.Errorf("%s starts %s: %v", name, m, err)
				}
			}
		}
	}
	// It may be withdrawn between two steps.
	requestID = w.generate(t, 0)
	step := w.start(t, requestID, exchange.Initial, exchange.TOTP, ben)
	w.organization("acme", false)
	v := exchange.Verification{ExchangeID: step.ExchangeID, Method: exchange.TOTP, Code: secret.New(w.rightFor(ben, exchange.TOTP))}
	if _, err := w.Verify(t.Context(), from, v); !errors.Is(err, exchange.ErrInactive) {
		t.Errorf("a right code after the opt-in was withdrawn: %v", err)
	}
}

// Covers R-065 for the limit of tries, which is the same for who has an account
// and who has none, over all requests and methods.
func TestTriesAtAnAddressAreFewForEverybody(t *testing.T) {
	t.Parallel()
	for name, who := range anybody {
		w := newWorld(t)
		try := func(i int) error {
			m := []exchange.Method{exchange.TOTP, exchange.SMS, exchange.Email, exchange.BackupCode}[i%4]
			step, err := w.Initiate(t.Context(), from, exchange.Initiation{RequestID: w.generate(t, 0), Usage: exchange.Passwordless, Method: m, Who: who})
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.Verify(t.Context(), from, exchange.Verification{ExchangeID: step.ExchangeID, Method: m, Code: secret.New(wrongCode(m))})
			return err
		}
		for i := range 5 {
			if err := try(i); !errors.Is(err, exchange.ErrCode) {
				t.Errorf("%s, try %d: %v", name, i+1, err)
			}
		}
		for i := range 4 {
			err := try(i)
			f, ok := errors.AsType[*fault.Error](err)
			if !errors.Is(err, guard.ErrSpent) || !ok || fault.KindOf(err) != fault.Limited || f.After != 3*time.Minute {
				t.Errorf("%s, try %d: %v", name, i+6, err)
			}
		}
		if step := w.start(t, w.generate(t, 0), exchange.Passwordless, exchange.TOTP, eve); step.Sub != "" {
			w.prove(t, step, exchange.TOTP, eve) // others are not held up
		}
		w.pass(3 * time.Minute)
		if err := try(0); !errors.Is(err, exchange.ErrCode) {
			t.Errorf("%s, three minutes later: %v", name, err)
		}
	}
}

// guessless are factors and mailed codes of users who have no guess left.
type guessless struct {
	exchange.Factors
	exchange.Mails
	why error
}

func (g guessless) Validate(context.Context, factor.Whose, factor.Code) (factor.Checked, error) {
	return factor.Checked{}, g.why
}

func (g guessless) Check(context.Context, mailcode.Whose, secret.Text) (mailcode.Checked, error) {
	return mailcode.Checked{}, g.why
}

// Covers R-065 for budgets that only users have: before a first proof nobody is
// told that one is spent.
func TestASpentBudgetTellsStrangersNothing(t *testing.T) {
	t.Parallel()
	for _, why := range []error{guard.ErrSpent.RetryIn(time.Hour), guard.ErrShut, factor.ErrWait.RetryIn(time.Hour)} {
		w := newWorld(t)
		limited := guessless{w.Factors, w.Mails, why}
		requestID := w.generate(t, 0)
		for _, m := range []exchange.Method{exchange.TOTP, exchange.SMS, exchange.Email, exchange.BackupCode} {
			step := w.start(t, requestID, exchange.Passwordless, m, dan)
			w.Factors, w.Mails = limited, limited
			_, err := w.Verify(t.Context(), from, exchange.Verification{ExchangeID: step.ExchangeID, Method: m, Code: secret.New(w.rightFor(dan, m))})
			if !errors.Is(err, exchange.ErrCode) {
				t.Errorf("%s, %v: %v", m, why, err)
			}
			w.Factors, w.Mails = limited.Factors, limited.Mails
		}
		w.first(t, requestID, exchange.Password, dan)
		step := w.start(t, requestID, exchange.MultiFactor, exchange.TOTP, dan)
		w.Factors = limited
		_, err := w.Verify(t.Context(), from, exchange.Verification{ExchangeID: step.ExchangeID, Method: exchange.TOTP, Code: secret.New(w.rightFor(dan, exchange.TOTP))})
		if !errors.Is(err, why) {
			t.Errorf("after a password, %v: %v", why, err)
		}
	}
}
