package flow_test

import (
	"testing"
	"time"

	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/flow"
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
