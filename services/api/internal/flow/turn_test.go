package flow_test

import (
	"slices"
	"testing"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/flow"
	"countersign.dev/services/api/internal/id"
)

func (v *visitor) turns(to flow.Step) {
	v.t.Helper()
	_, err := v.Turn(v.t.Context(), v.flow, v.sends, to)
	v.must(err)
}

// Whoever turns to and fro begins one enrolment, of which there is one record,
// and finds the key that they have scanned. Where it is over, there is another.
func TestTurningToAndFroBeginsOneEnrolment(t *testing.T) {
	t.Parallel()
	v := visits(t, anyMethod)
	p := v.signsIn(ana)
	v.sees("no factor", flow.StepEnrolApp)
	first := p.waiting.ID
	for range 3 {
		v.turns(flow.StepEnrolPhone)
		v.sees("the phone", flow.StepEnrolPhone)
		v.turns(flow.StepEnrolApp)
		if view := v.sees("the app again", flow.StepEnrolApp); view.Enrolment.Secret.IsZero() {
			t.Error("the page has no key")
		}
		_, err := v.Enrol(t.Context(), v.flow, v.sends, factor.App, "")
		v.must(err)
	}
	if p.waiting.ID != first {
		t.Error("another enrolment was begun")
	}
	v.turns(flow.StepEnrolPhone)
	v.now = p.waiting.ExpiresAt.Add(time.Second)
	v.turns(flow.StepEnrolApp)
	if p.waiting.ID == first {
		t.Error("the page shows a key that is over")
	}
}

// At the second factor of somebody else, a person begins anew: nothing that was
// proven stays, nor the address.
func TestSomebodyElseBeginsAnewAtTheSecondFactor(t *testing.T) {
	t.Parallel()
	v := visits(t, anyMethod)
	p, err := v.lookup(tenantOf(acme), ana)
	v.must(err)
	p.factors = []factor.Factor{{ID: id.UUID(), Tenant: p.user.Tenant, UserID: p.user.ID, Method: factor.SMS, Phone: number, ConfirmedAt: v.now}}
	v.signsIn(ana)
	if view := v.sees("a phone", flow.StepCode); !slices.Contains(view.Others, flow.StepAddress) {
		t.Fatalf("the page offers %v", view.Others)
	}
	v.turns(flow.StepAddress)
	if view := v.sees("somebody else", flow.StepPassword); view.Address != "" || view.Said != "" {
		t.Errorf("it has the address %q and says %q", view.Address, view.Said)
	}
	_, err = v.Code(t.Context(), v.flow, v.sends, secret.New(p.text))
	v.must(err)
	v.sees("a code of before", flow.StepPassword)
	v.signsIn(ben)
	if view := v.sees("ben", flow.StepCode); view.Address != secret.MaskEmail(ben) {
		t.Errorf("it goes on as %q", view.Address)
	}
}
