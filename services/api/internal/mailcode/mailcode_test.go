package mailcode_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/claim"
	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/secret"
	"countersign.dev/pkg/wording"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/mailcode"
	"countersign.dev/services/api/internal/template"
	"countersign.dev/services/api/internal/tenant"
)

// In both environments: nobody but us can send it.
func TestACodeIsMailedAndWorksOnce(t *testing.T) {
	t.Parallel()
	for _, env := range []string{tenant.Default, tenant.Sandbox} {
		r := newRoom(t)
		w := r.somebody(env, "ana@acme.test")
		mail := r.send(w)
		if mail.Requested.Kind != event.KindMagicLink || mail.RequestID != w.RequestID || mail.Channel != event.ChannelEmail || mail.Env != env ||
			mail.Requested.ExpiresAt != r.clock().Add(mailcode.Life).UnixMilli() {
			t.Errorf("%s: requested %+v", env, mail.Requested)
		}
		if mail.Mail.Template != event.TemplateCode || mail.To != "ana@acme.test" || mail.LifeMinutes != 5 || mail.Brand != w.Org.Name || mail.Link != "" || len(mail.Code) != 6 {
			t.Errorf("%s: the mail is %+v", env, mail.Mail)
		}
		d := r.deliveries(w)
		if len(d) != 1 || d[0].State != delivery.Pending || d[0].UserID != w.User.ID || d[0].ID != mail.DeliveryID {
			t.Errorf("%s: the deliveries are %+v", env, d)
		}
		if got := r.check(w, other(mail.Code)); !got.Wrong() || got.InARow != 1 {
			t.Errorf("%s: a wrong code is %+v", env, got)
		}
		if got := r.check(w, mail.Code); !got.OK() {
			t.Errorf("%s: the right code is %+v", env, got)
		}
		r.wants(w, mail.Code, ephemeral.None)
		accepted := slices.DeleteFunc(r.happened(w), func(e activity.Entry) bool { return e.Action != event.TypeCodeAccepted })
		if len(accepted) != 1 || accepted[0].Data["method"] != "email" || accepted[0].UserID != w.User.ID || accepted[0].Actor != activity.User {
			t.Errorf("%s: recorded %+v", env, accepted)
		}
	}
}

func TestACodeIsInTheOrganizationsWords(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	w := r.somebody(tenant.Default, "ana@acme.test")
	locale, active := "en", true
	w.Org.Templated = true // as it is read once it has a template
	caller := template.Caller{Tenant: w.Tenant, Org: w.Org, By: w.By}
	_, err := r.Templates.Create(t.Context(), caller, event.TemplateCode, template.Change{
		Locale: &locale, Active: &active, Words: wording.Source{Subject: "Hi", Text: "Yours: {{code}}, for {{minutes}} minutes", HTML: "<p>{{code}}</p>"},
	})
	r.must(err)
	if mail := r.send(w); mail.Words == nil || !strings.Contains(mail.Words.Text, "Yours") {
		t.Errorf("the words are %+v", mail.Words)
	}
}

// Covers R-021 for codes by e-mail.
func TestACodeLivesFiveMinutesAndFiveTries(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	w := r.somebody(tenant.Default, "ana@acme.test")
	mail := r.send(w)
	r.pass(mailcode.Life)
	r.wants(w, mail.Code, ephemeral.Right)
	mail = r.send(w)
	r.pass(mailcode.Life + time.Second)
	r.wants(w, mail.Code, ephemeral.Expired)
	mail = r.send(w)
	r.Guard.Policy.Guesses = 10 // so that it is the code that ends
	for range 5 {
		r.wants(w, other(mail.Code), ephemeral.Wrong)
	}
	r.wants(w, mail.Code, ephemeral.Spent)
}

func TestANewCodeReplacesTheOneBefore(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	w := r.somebody(tenant.Default, "ana@acme.test")
	first := r.send(w)
	r.must(r.claims.Open(t.Context(), first.DeliveryID, r.clock().Add(mailcode.Life)))
	r.must(r.Send(t.Context(), w))
	r.pass(time.Minute)
	r.must(r.Send(t.Context(), w)) // the relay has not looked in between
	second := r.letters()
	if len(second) != 1 {
		t.Fatalf("%d mails are due, want the last", len(second))
	}
	if c, err := r.claims.Take(t.Context(), first.DeliveryID, time.Second); err != nil || c.State != claim.Gone {
		t.Errorf("the claim of a replaced code is %v, %v", c.State, err)
	}
	for _, d := range r.deliveries(w) {
		if want := map[bool]delivery.State{true: delivery.Pending, false: "superseded"}[d.ID == second[0].DeliveryID]; d.State != want {
			t.Errorf("a delivery is %s, want %s", d.State, want)
		}
	}
	if first.Code != second[0].Code {
		r.wants(w, first.Code, ephemeral.Wrong)
	}
	r.wants(w, second[0].Code, ephemeral.Right)
}

// Covers R-021 for codes by e-mail, bound to their user and address.
func TestACodeIsBoundToWhomItWasSentTo(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	w := r.somebody(tenant.Default, "ana@acme.test")
	namesake := r.nobody(tenant.Default, "ana@acme.test")
	same := *w.User
	same.Tenant = namesake.Tenant
	r.must(r.store.CreateUser(t.Context(), same))
	namesake.User = &same

	mail := r.send(w)
	r.wants(namesake, mail.Code, ephemeral.None)
	theirs := r.send(namesake)
	if theirs.Code != mail.Code {
		r.wants(namesake, mail.Code, ephemeral.Wrong)
	}
	moved, sandbox := w, w
	moved.Address = r.nobody(tenant.Default, "eve@acme.test").Address
	r.wants(moved, mail.Code, ephemeral.Wrong)
	sandbox.Tenant.Env = tenant.Sandbox
	r.wants(sandbox, mail.Code, ephemeral.None)
	r.wants(w, mail.Code, ephemeral.Right)
	r.wants(namesake, theirs.Code, ephemeral.Right)
}

// Covers R-022 for codes by e-mail.
func TestOneOfManyParallelCallsGetsIn(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	w := r.somebody(tenant.Sandbox, "ana@acme.test") // as many mails as it takes
	r.Guard.Policy.Guesses = 32                      // so that all of them are compared
	for range 100 {
		code, right := secret.New(r.send(w).Code), make(chan struct{}, 32)
		errs := together(t, 32, func(ctx context.Context) error {
			checked, err := r.Check(ctx, w, code)
			if checked.OK() {
				right <- struct{}{}
			}
			return err
		})
		for _, err := range errs {
			r.must(err)
		}
		if len(right) != 1 {
			t.Fatalf("%d of 32 got in", len(right))
		}
		r.pass(time.Hour)
	}
}

// Covers R-018 for codes by e-mail.
func TestWhatIsNoCodeIsNoGuess(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	w := r.somebody(tenant.Default, "ana@acme.test")
	mail := r.send(w)
	void := w
	void.User = nil
	for _, typed := range []string{"", "12345", "1234567", "12345678", " " + mail.Code, mail.Code + "\n", "１２３４５６"} {
		for name, who := range map[string]mailcode.Whose{"somebody": w, "nobody": void} {
			if _, err := r.Check(t.Context(), who, secret.New(typed)); !errors.Is(err, factor.ErrMalformed) {
				t.Errorf("%s, %q: %v", name, typed, err)
			}
		}
	}
	if got := r.check(w, other(mail.Code)); got.InARow != 1 {
		t.Errorf("the first wrong code is number %d", got.InARow)
	}
}

// Covers R-002 for codes by e-mail as a first factor.
func TestACodeForgivesOnlyWhatItFinishes(t *testing.T) {
	t.Parallel()
	for finishes, want := range map[bool]error{false: guard.ErrSpent, true: nil} {
		r := newRoom(t)
		w := r.somebody(tenant.Default, "ana@acme.test")
		w.Finishes = finishes
		mail := r.send(w)
		for range 4 {
			r.wants(w, other(mail.Code), ephemeral.Wrong)
		}
		r.wants(w, mail.Code, ephemeral.Right)
		mail = r.send(w)
		r.wants(w, other(mail.Code), ephemeral.Wrong)
		if _, err := r.Check(t.Context(), w, secret.New(other(mail.Code))); !errors.Is(err, want) {
			t.Errorf("finishes %v: the second wrong code after a right one: %v, want %v", finishes, err, want)
		}
	}
}

// Covers R-005 for codes by e-mail.
func TestTheLastWrongCodeStopsTheFactors(t *testing.T) {
	t.Parallel()
	for name, dies := range map[string]bool{"at once": false, "with the call after it": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lastWrongCode(t, dies)
		})
	}
}

func lastWrongCode(t *testing.T, dies bool) {
	t.Helper()
	r := newRoom(t)
	w := r.somebody(tenant.Default, "ana@acme.test")
	f := factor.Factor{
		ID: "factor", Tenant: w.Tenant, UserID: w.User.ID, Method: factor.SMS, Phone: "+4915112345678", Mode: factor.First,
		CreatedAt: r.clock(), ExpiresAt: r.clock().Add(time.Hour),
	}
	r.must(r.store.PutWaiting(t.Context(), f, nil))
	tags := slices.Repeat([][]byte{bytes.Repeat([]byte{1}, 32)}, 5)
	set := factor.Set{ID: "set", Made: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2Fs", Tags: tags, CreatedAt: r.clock()}
	r.must(r.store.Confirm(t.Context(), factor.Confirmation{Factor: f, Set: set, At: r.clock()}))
	r.Guard.Policy.Cap = 3
	mail := r.send(w)
	stopped := func() (n int) {
		for _, e := range r.happened(w) {
			if e.Action == event.TypeFactorsDisabled {
				n++
			}
		}
		return n
	}
	for range 2 {
		r.wants(w, other(mail.Code), ephemeral.Wrong)
	}
	if stopped() != 0 {
		t.Error("the factors were stopped too early")
	}
	living, want := r.Factors, error(nil)
	if dies {
		r.Factors, want = dying{}, errDown
	}
	if _, err := r.Check(t.Context(), w, secret.New(other(mail.Code))); !errors.Is(err, want) {
		t.Errorf("the last one: %v, want %v", err, want)
	}
	if r.Factors = living; (stopped() == 1) == dies {
		t.Errorf("%d records after the last one", stopped())
	}
	for range 2 { // if they are not stopped yet, the next one does it
		if _, err := r.Check(t.Context(), w, secret.New(mail.Code)); !errors.Is(err, guard.ErrShut) {
			t.Errorf("the right code after it: %v", err)
		}
	}
	if told := r.letters(); stopped() != 1 || len(told) != 1 || told[0].Mail.Template != event.TemplateNoticeFactorsDisabled {
		t.Errorf("after the last one: %d records, mails %v", stopped(), len(told))
	}
}

// dying stands for a process that ends at the last wrong code.
type dying struct{}

func (dying) Exhausted(context.Context, factor.Whose) error { return errDown }

// Nobody but the person reads the code: not who reads logs, deliveries, the
// activity or the database.
func TestACodeIsNowhereElse(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	w := r.somebody(tenant.Default, "ana@acme.test")
	mail := r.send(w)
	r.wants(w, other(mail.Code), ephemeral.Wrong)
	r.wants(w, mail.Code, ephemeral.Right)
	places := map[string]any{"deliveries": r.deliveries(w), "activity": r.happened(w), "bus": mail.Requested}
	for name, place := range places {
		text, err := json.Marshal(place)
		r.must(err)
		if bytes.Contains(text, []byte(mail.Code)) {
			t.Errorf("the code is in the %s: %s", name, text)
		}
	}
	if strings.Contains(r.log.String(), mail.Code) || bytes.Contains(mail.payload, []byte(mail.Code)) {
		t.Errorf("the code is in the log or the outbox:\n%s", r.log.String())
	}
}
