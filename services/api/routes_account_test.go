package api_test

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"countersign.dev/services/api/internal/pipeline"
)

// What users have begun on the account page, for the tests of the route table.

// addSpare enrols an app beside the user's phone, so that one of them may go.
func (r *realm) addSpare() {
	r.t.Helper()
	r.startApp()
	r.learn(r.call("PUT", r.enrollment("validation/"+r.id("user")), "code="+r.appCode(0)).want(200).wantSuccess(true))
	r.ids["spare factor"] = "made"
}

// ownPage asks for a page below the account page, or sends its form.
func (r *realm) ownPage(name string, form url.Values) *reply {
	r.t.Helper()
	route := r.route(name)
	if route.Form {
		form.Set(pipeline.TokenParameter, r.formToken(r.id("sessions")))
	}
	return r.fire(&shot{
		route: route, ids: map[string]string{"realm": r.id("realm")}, form: form, header: http.Header{}, base: r.public,
		cookie: route.Cookie + "=" + r.id("sessions"),
	}).want(success(route))
}

// addOwnEnrolment begins to add an app on the account page.
func (r *realm) addOwnEnrolment() {
	r.t.Helper()
	r.id("request") // the browser's session has two factors
	r.ownPage("POST /account/{realm}/factors", url.Values{"method": {"totp"}, "name": {r.word("label")}})
	page := r.ownPage("GET /account/{realm}/enrolment", url.Values{})
	r.codes["own"] = r.note("app secret", ownKey(r.t, page))
	r.ids["own enrolment"] = "made"
}

// ownCode is what that app shows.
func (r *realm) ownCode() string {
	r.t.Helper()
	r.id("own enrolment")
	return r.note("code", codeOf(r.t, r.codes["own"], time.Now()))
}

// addOwnCodes makes new recovery codes on the account page.
func (r *realm) addOwnCodes() {
	r.t.Helper()
	r.id("factor")
	r.ownPage("POST /account/{realm}/recovery-codes", url.Values{})
	page := r.ownPage("GET /account/{realm}/recovery-codes", url.Values{})
	lines := page.shownCodes()
	for _, code := range lines {
		r.note("recovery code", code)
		r.note("recovery code", strings.ReplaceAll(code, "-", ""))
	}
	r.codes["recovery"], r.ids["own codes"] = lines[0], "made"
}
