package flow_test

import (
	"strings"
	"testing"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/flow"
	"countersign.dev/services/api/internal/id"
)

// visitor is a browser at the page of an app.
type visitor struct {
	*world
	t     *testing.T
	flow  secret.Text
	sends flow.Browser
}

func visits(t *testing.T, app int) *visitor {
	t.Helper()
	v := &visitor{world: newWorld(t), t: t}
	out, err := v.Start(t.Context(), flow.Asked{Parameters: map[string]string{
		"client_id": v.apps[app].ID, "redirect_uri": back, "response_type": "code", "scope": "openid", "code_challenge": strings.Repeat("c", 43), "code_challenge_method": "S256",
	}}, flow.Browser{})
	v.flow, v.sends = out.Flow, flow.Browser{Cookie: out.Cookie}
	v.must(err)
	return v
}

func (v *visitor) must(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
}

// sees fails unless the page shows a step.
func (v *visitor) sees(what string, want flow.Step) flow.View {
	v.t.Helper()
	view, err := v.Look(v.t.Context(), v.flow, v.sends)
	v.must(err)
	if view.Step != want {
		v.t.Errorf("%s: the page shows %s, want %s", what, view.Step, want)
	}
	return view
}

func (v *visitor) signsIn(address string) *someone {
	v.t.Helper()
	p, err := v.lookup(tenantOf(acme), address)
	v.must(err)
	_, err = v.Password(v.t.Context(), v.flow, v.sends, address, secret.New(p.password))
	v.must(err)
	return p
}

// Who has got a second factor since a sign-in began has to prove it, whatever it
// is: nobody who knows the password alone enrols another one in its place.
// Covers R-036 (an enrolment of a sign-in while the user enrols elsewhere).
func TestNobodyEnrolsInPlaceOfAFactor(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]func(v *visitor, p *someone) error{
		"begun anew": func(v *visitor, _ *someone) error {
			_, err := v.Enrol(v.t.Context(), v.flow, v.sends, factor.App, "")
			return err
		},
		"confirmed": func(v *visitor, p *someone) error {
			_, err := v.Confirm(v.t.Context(), v.flow, v.sends, secret.New(p.app))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := visits(t, appsAlone)
			p := v.signsIn(ana)
			v.sees("no factor", flow.StepEnrolApp)
			p.factors = []factor.Factor{{ID: id.UUID(), Tenant: p.user.Tenant, UserID: p.user.ID, Method: factor.SMS, Phone: number, ConfirmedAt: v.now}}
			p.waiting = factor.Factor{} // was replaced by that
			v.must(step(v, p))
			if view := v.sees("a phone by now", flow.StepPassword); view.Said != flow.Late {
				t.Errorf("it says %q", view.Said)
			}
			if p.waiting.ID != "" || len(p.factors) != 1 {
				t.Errorf("something was enrolled: %+v", p)
			}
		})
	}
}
