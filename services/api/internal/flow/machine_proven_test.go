package flow_test

import (
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/flow"
)

func (m *machine) saves() bool {
	v := m.visit(flow.StepCodes)
	if v == nil {
		return false
	}
	saved := m.upTo(2, "saved") > 0
	return m.form("save", v, []flow.Step{flow.StepCodes}, func(b flow.Browser) (flow.Outcome, error) {
		return m.Saved(m.t.Context(), v.token, b, saved)
	}, func() func(error) bool {
		if saved {
			v.saved, v.codes = true, nil
			m.onward(v)
		}
		return m.fine(saved)
	})
}

func (m *machine) renewsPassword() bool {
	v := m.visit(flow.StepRenew)
	if v == nil {
		return false
	}
	plain := weak
	if m.upTo(3, "strong") > 0 {
		plain = m.fresh("password")
	}
	return m.form("renew", v, []flow.Step{flow.StepRenew}, func(b flow.Browser) (flow.Outcome, error) {
		return m.Renew(m.t.Context(), v.token, b, secret.New(plain))
	}, func() func(error) bool {
		switch {
		case v.stale():
			v.forgets(flow.StepPassword)
			return m.fine(false)
		case plain == weak:
			return m.fine(false)
		}
		return func(err error) bool {
			v.renews, v.must, v.number = false, false, v.who.number
			m.onward(v)
			return m.fine(true)(err)
		}
	})
}

func (m *machine) consentsTo() bool {
	v := m.visit(flow.StepConsent)
	if v == nil {
		return false
	}
	given := m.upTo(4, "given") > 0
	var out flow.Outcome
	return m.form("consent", v, []flow.Step{flow.StepConsent}, func(b flow.Browser) (_ flow.Outcome, err error) {
		out, err = m.Consent(m.t.Context(), v.token, b, given)
		return out, err
	}, func() func(error) bool {
		if !given {
			v.gone = true
			return func(err error) bool {
				m.refusedWith(out)
				return m.fine(false)(err)
			}
		}
		if s := m.session(v.browser, m.org(v.app)); v.by != "" && (s == nil || s.ID != v.by) || !v.who.user.Active {
			return m.over404
		}
		v.allowed = true
		for _, scope := range v.scope {
			m.said[v.who.user.ID+m.apps[v.app].ID+scope] = true
		}
		m.onward(v)
		return m.fine(true)
	})
}
