package exchange_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/exchange"
)

// walk is a login of dan's through all steps that there are: a password, a
// recovery code, an enrolment, and the code. It stops before the step with this
// number, does what is wanted there, and reports how the step was answered. It
// returns the names of the steps that it took.
func walk(t *testing.T, w *world, before int, then func()) (steps []string, err error) {
	t.Helper()
	var requestID secret.Text
	var step, proven exchange.Step
	var enrolling exchange.Enrolling
	prove := func(m exchange.Method) (exchange.Step, error) {
		v := exchange.Verification{ExchangeID: step.ExchangeID, Method: m, RequestID: requestID, Sub: step.Sub, Code: secret.New(w.rightFor(dan, m))}
		return w.Verify(t.Context(), from, v)
	}
	for i, next := range []struct {
		name string
		take func() error
	}{
		{"generate", func() (err error) { requestID, _, err = w.Generate(t.Context(), w.asks(0)); return err }},
		{"begin", func() (err error) {
			step, err = w.Initiate(t.Context(), from, exchange.Initiation{RequestID: requestID, Usage: exchange.Initial, Method: exchange.Password, Who: named(dan)})
			return err
		}},
		{"verify", func() (err error) { proven, err = prove(exchange.Password); return err }},
		{"go on", func() (err error) {
			step, err = w.Initiate(t.Context(), from, exchange.Initiation{RequestID: requestID, Usage: exchange.MultiFactor, Method: exchange.BackupCode, TrackID: proven.TrackID})
			return err
		}},
		{"verify the second proof", func() (err error) { proven, err = prove(exchange.BackupCode); return err }},
		{"enrol", func() (err error) {
			enrolling, err = w.EnrolInLogin(t.Context(), from, proven.TrackID, exchange.Enrolment{Method: exchange.SMS})
			return err
		}},
		{"confirm", func() (err error) {
			v := exchange.Verification{ExchangeID: enrolling.ExchangeID, Method: exchange.SMS, Code: secret.New(w.rightFor(dan, exchange.SMS))}
			_, err = w.Confirm(t.Context(), from, v)
			return err
		}},
		{"continue", func() (err error) { _, err = w.Continue(t.Context(), from, proven.TrackID, requestID); return err }},
	} {
		if i == before {
			then()
		}
		err := next.take()
		if steps = append(steps, next.name); i == before || err != nil {
			return steps, err
		}
	}
	return steps, nil
}

// Covers R-040 for the verification flow: users, apps and organizations that
// are gone between two steps.
func TestWhoIsGoneTakesNoStep(t *testing.T) {
	t.Parallel()
	all, err := walk(t, newWorld(t), -1, nil)
	if err != nil || len(all) != 8 {
		t.Fatalf("a login that nothing happens to ends after %v: %v", all, err)
	}
	gone := map[string]func(*world){
		"user": func(w *world) { w.userOf(dan).user.Active = false },
		"app":  func(w *world) { w.apps[0].Active = false },
		"organization": func(w *world) {
			org := w.orgs["acme"]
			org.DeletedAt = w.now
			w.orgs["acme"] = org
		},
		"organization, and there is another one of its name": func(w *world) {
			org := w.orgs["acme"]
			org.ID = "another-id"
			w.orgs["acme"] = org
		},
	}
	for name, goes := range gone {
		for i, step := range all {
			// Whether there is such a user nobody learns before a proof.
			if name == "user" && i < 2 {
				continue
			}
			t.Run(fmt.Sprint(name, " before ", step), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				if _, err := walk(t, w, i, func() { goes(w) }); err == nil {
					t.Error("the step was taken")
				}
				if w.made() != 0 {
					t.Error("there is a code")
				}
			})
		}
	}
}

// Whoever is deactivated is nobody to a login that begins.
func TestADeactivatedUserBeginsLikeNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.userOf(ben).user.Active = false
	requestID := w.generate(t, 0)
	for _, m := range []exchange.Method{exchange.TOTP, exchange.Password} {
		step := w.start(t, requestID, exchange.Initial, m, ben)
		v := exchange.Verification{ExchangeID: step.ExchangeID, Method: m, Code: secret.New(w.rightFor(ben, m))}
		if _, err := w.Verify(t.Context(), from, v); err == nil {
			t.Errorf("a right proof by %s passes", m)
		}
	}
}

// reader is the store, with all that it is ever given.
type reader struct {
	*ephemeral.Memory
	mu           sync.Mutex
	keys, values strings.Builder
}

func (r *reader) note(key string, value []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys.WriteString(key + " ")
	r.values.Write(append(slices.Clone(value), ' '))
}

func (r *reader) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	r.note(key, value)
	return r.Memory.Put(ctx, key, value, ttl)
}

func (r *reader) Swap(ctx context.Context, key string, old, next []byte, ttl time.Duration) (bool, error) {
	r.note(key, next)
	return r.Memory.Swap(ctx, key, old, next, ttl)
}

func (r *reader) Allow(ctx context.Context, key string, rate ephemeral.Rate) (ephemeral.Allowance, error) {
	r.note(key, nil)
	return r.Memory.Allow(ctx, key, rate)
}

// Nobody reads an id, a name or a code in the store, and with what is read
// there nobody can go on.
func TestTheStoreKeepsNoSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := &reader{Memory: w.store}
	w.Store = r
	u := w.userOf(dan)
	secrets := map[string]string{"address": dan, "user id": u.user.ID, "phone": "15112345678", "recovery code": u.papers[0], "app code": u.app, "password": u.password}

	requestID := w.generate(t, 0)
	secrets["request id"] = requestID.Reveal()
	keep := func(name string, step exchange.Step) exchange.Step {
		secrets[name+" exchange id"], secrets[name+" status id"], secrets[name+" sub"] = step.ExchangeID.Reveal(), step.StatusID.Reveal(), step.Sub
		if !step.TrackID.IsZero() {
			secrets[name+" track id"] = step.TrackID.Reveal()
		}
		return step
	}
	for _, m := range []exchange.Method{exchange.Email, exchange.SMS, exchange.TOTP} {
		step := keep("first "+string(m), w.start(t, requestID, exchange.Passwordless, m, dan))
		secrets[string(m)+" code"] = w.rightFor(dan, m)
		keep("proven "+string(m), w.prove(t, step, m, dan))
	}
	keep("password", w.first(t, requestID, exchange.Password, dan))
	second := keep("second", w.second(t, requestID, exchange.BackupCode, dan))
	enrolling, err := w.EnrolInLogin(t.Context(), from, second.TrackID, exchange.Enrolment{Method: exchange.SMS})
	if err != nil {
		t.Fatal(err)
	}
	keep("enrolment", enrolling.Step)
	secrets["enrolment code"] = w.rightFor(dan, exchange.SMS)
	done, err := w.Confirm(t.Context(), from, exchange.Verification{ExchangeID: enrolling.ExchangeID, Method: exchange.SMS, Code: secret.New(w.rightFor(dan, exchange.SMS))})
	if err != nil {
		t.Fatal(err)
	}
	keep("confirmed", done.Step)
	redirect, err := w.Continue(t.Context(), from, second.TrackID, requestID)
	if err != nil {
		t.Fatal(err)
	}
	secrets["code"] = answers(t, redirect).Get("code")
	keys, values := r.keys.String(), r.values.String()
	if len(keys) < 1000 || len(values) < 1000 || len(secrets) < 30 {
		t.Fatalf("%d secrets were looked for in %d bytes", len(secrets), len(keys)+len(values))
	}
	for name, value := range secrets {
		// Six digits may be in any digest.
		if value == "" || strings.Contains(values, value) || len(value) > 6 && strings.Contains(keys, value) {
			t.Errorf("the store was given the %s", name)
		}
	}
}
