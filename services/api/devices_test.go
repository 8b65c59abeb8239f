package api_test

import (
	"slices"
	"strings"
	"testing"
)

func (h *house) factors(user string) string {
	return "/api/v2/org/" + h.org + "/users/" + user + "/factors"
}

// listed are the factors of a user, by name.
func (h *house) listed(user string) map[string]map[string]any {
	h.t.Helper()
	out := map[string]map[string]any{}
	for _, item := range h.call("GET", h.factors(user)).want(200).body["data"].([]any) {
		f := item.(map[string]any)
		name, _ := f["name"].(string)
		out[name] = f
	}
	return out
}

// What somebody with the scope for it does to factors, and what the user hears
// of it.
// Covers R-038 for apps: enrolled, disabled, removed and reset.
func TestFactorsAreLookedAfter(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords()
		a := h.withApp("eva@acme.test", "device_name=Phone")
		h.withPassword("eva@acme.test", plain)
		second, _ := h.startApp(a.user, "device_name=Tablet")
		second.confirm()
		sms := h.call("POST", h.enrollment(a.user), "method=sms", "device_name=Number", "phone_number="+numbered(1)).want(201)
		h.call("PUT", h.enrollment("validation/"+a.user), "code="+h.code(sms)).want(200).wantSuccess(true)
		for range 3 {
			h.noticed("an enrolment", "notice_factor_changed", "eva@acme.test")
		}
		all := h.listed(a.user)
		if len(all) != 3 || all["Phone"]["method"] != "totp" || all["Phone"]["state"] != "active" || all["Phone"]["algorithm"] != "SHA1" || all["Number"]["phone_number"] == numbered(1) || all["Number"]["digits"] != nil {
			t.Fatalf("the factors are %v", all)
		}
		if raw := h.call("GET", h.factors(a.user)).want(200).raw; strings.Contains(raw, a.secret) || strings.Contains(raw, numbered(1)) {
			t.Errorf("the list shows %s", raw)
		}
		second.validate(second.code(1)).want(200).wantSuccess(true)
		if f := h.listed(a.user)["Tablet"]; f["drift_seconds"] != 30.0 && f["drift_seconds"] != 0.0 || f["last_used_at"] == nil {
			t.Errorf("the drift is reported as %v", f)
		}
		tablet := h.factors(a.user) + "/" + all["Tablet"]["id"].(string)
		if r := h.call("PUT", tablet, "name=Old tablet").want(200); r.text("name") != "Old tablet" {
			t.Errorf("renamed to %s", r.raw)
		}
		h.call("PUT", tablet, "name=").wantFault(422, "missing_parameter")
		h.call("PUT", tablet, "name=x", "state=disabled").wantFault(400, "unknown_parameter")

		if r := h.call("POST", tablet+"/disable").want(200); r.body["state"] != "disabled" || r.body["disabled_by"] != "administrator" {
			t.Errorf("disabled: %s", r.raw)
		}
		h.call("POST", tablet+"/disable").want(200) // again does nothing
		h.noticed("the disabled one", "notice_factor_changed", "eva@acme.test")
		h.again()
		second.validate(second.code(0)).want(200).wantSuccess(false)
		a.validate(a.code(0)).want(200).wantSuccess(true)
		h.call("DELETE", tablet).want(200)
		h.call("DELETE", tablet).wantFault(404, "not_found")
		h.noticed("the removed one", "notice_factor_changed", "eva@acme.test")

		// Where all are disabled a login still needs a factor.
		for _, name := range []string{"Phone", "Number"} {
			h.call("POST", h.factors(a.user)+"/"+all[name]["id"].(string)+"/disable").want(200)
		}
		a.validate(a.code(1)).wantFault(429, "factor_disabled")
		h.call("POST", h.challenge(a.user)).wantFault(429, "factor_disabled")
		if r := h.challengePassword("eva@acme.test", plain).want(200); r.body["code"] != nil || r.body["mfa_required"] != true {
			t.Errorf("with disabled factors a password alone answers %s", r.raw)
		}

		gone := h.call("DELETE", h.factors(a.user)).want(200)
		if items := gone.body["resource"].([]any); len(items) != 2 || gone.body["deleted"] != true {
			t.Errorf("a reset answers %s", gone.raw)
		}
		h.noticed("the reset", "notice_factors_reset", "eva@acme.test")
		a.validate(a.codes[0]).wantFault(404, "not_found")
		a.left(0)
		if r := h.challengePassword("eva@acme.test", plain).want(200); r.body["mfa_required"] != false {
			t.Errorf("without factors a password answers %s", r.raw)
		}
		next, _ := h.startApp(a.user)
		if next.confirm(); len(next.codes) != 5 {
			t.Error("after a reset there are no new recovery codes")
		}
	})
}

// Taking factors away is a scope of its own.
func TestTakingFactorsAwayIsAScopeOfItsOwn(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	a := h.withApp("eva@acme.test")
	one := h.factors(a.user) + "/" + h.listed(a.user)[""]["id"].(string)
	standard := h.as(h.signIn(h.key("acme", "sandbox")))
	standard.call("GET", h.factors(a.user)).want(200)
	standard.call("PUT", one, "name=Phone").want(200)
	for _, r := range []*reply{
		standard.call("DELETE", one), standard.call("POST", one+"/disable"), standard.call("DELETE", h.factors(a.user)),
		standard.call("POST", h.enrollment(a.user), "force_enroll=true"),
	} {
		r.wantFault(403, "insufficient_scope")
	}
	a.validate(a.code(1)).want(200).wantSuccess(true)
}

// Each thing that happens to factors and codes is recorded once, says who did
// it, and holds nothing that a person typed; the chains hold.
// Covers R-174 for second factors: one record of each action, in the transaction of its change.
func TestWhatHappensToFactorsIsRecorded(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p)
		a := h.withApp("eva@acme.test", "device_name=Phone")
		second, _ := h.startApp(a.user, "device_name=Tablet")
		second.confirm()
		a.validate(a.wrong()).want(200).wantSuccess(false)
		a.validate(a.code(1)).want(200).wantSuccess(true)
		a.validate(a.code(1)).want(200).wantSuccess(false)
		tablet := h.factors(a.user) + "/" + h.listed(a.user)["Tablet"]["id"].(string)
		h.call("PUT", tablet, "name=Old tablet").want(200)
		h.call("POST", tablet+"/disable").want(200)
		h.call("DELETE", tablet).want(200)
		a.validate(a.codes[0]).want(200).wantSuccess(true)
		next, _ := h.startApp(a.user)
		next.confirm()
		h.call("DELETE", h.factors(a.user)).want(200)

		var got []string
		listed := h.call("GET", "/api/v2/org/"+h.org+"/activity", "user="+a.user, "per_page=200").want(200)
		for _, item := range listed.body["data"].([]any) {
			record := item.(map[string]any)
			got = append(got, record["action"].(string)+" "+record["result"].(string))
			if actor := record["actor"].(string); !strings.HasPrefix(actor, "api_key:") || record["trace_id"] == nil || record["hash"] == "" || record["user_id"] != a.user {
				t.Errorf("a record says %v", record)
			}
		}
		want := []string{ // the newest first
			"factors.reset success", "factor.enrolled success", "enrolment.started success", "recovery_code.used success", "factor.removed success",
			"factor.disabled success", "factor.renamed success", "code.refused failure", "code.accepted success", "code.refused failure",
			"factor.enrolled success", "enrolment.started success", "recovery_codes.created success", "factor.enrolled success", "enrolment.started success",
		}
		// Of one moment the order is that of the ids, which is none.
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("recorded was\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		for _, typed := range []string{"Phone", "tablet", "eva@acme.test", a.secret, a.codes[0]} {
			if strings.Contains(listed.raw, typed) {
				t.Errorf("the activity holds %q", typed)
			}
		}
		report, err := h.admin.VerifyActivity(t.Context(), p.index, nil)
		if err != nil || !report.Sound() || report.Records < 15 {
			t.Errorf("the chains: %+v, %v", report, err)
		}
		if page := h.call("GET", "/api/v2/org/"+h.org+"/activity", "action=code.refused").want(200); page.body["total"] != 2.0 {
			t.Errorf("of one action: %s", page.raw)
		}
	})
}
