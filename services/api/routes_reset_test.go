package api_test

import (
	"net/http"
	"strings"

	"countersign.dev/services/api/internal/pipeline"
)

// What the steps of a password reset need is made here, for the tests of the
// route table.

// resetsPassword reports whether a route is one of those steps, and says which.
func resetsPassword(route pipeline.Route) (step string, ok bool) {
	step, ok = strings.CutPrefix(route.Path, "/users-srv/resetpassword/")
	if route.Path == "/password-srv/resetpassword" {
		return "action", true
	}
	return step, ok
}

// formsLeave reports whether a route sends a browser on that has sent a form, and
// answers all others.
func formsLeave(route pipeline.Route) bool {
	step, _ := resetsPassword(route)
	return step == "validatecode" || step == "accept"
}

// resetScene is what a step is asked with. It is about a user of its own: the
// links of others lead elsewhere, and mails to one address are few.
func (r *realm) resetScene(step string) map[string]string {
	r.t.Helper()
	r.id("connection")
	email := r.word("email") + "@" + r.ids["domain"]
	r.call("POST", "/api/v2/org/"+r.org+"/users", "email="+email).want(http.StatusCreated)
	given := map[string]string{"resetMedium": "EMAIL", "processingType": "LINK", "email": email, "requestId": r.loginRequest()}
	switch step {
	case "initiate":
		return given
	case "action":
		given["action"] = "initiatereset"
		return given
	}
	const path = "/users-srv/resetpassword/"
	id := said(r.step(path+"initiate", given), "resetRequestId")
	mail := r.courier.nextLetter(r.t, "to "+email, func(l letter) bool { return l.content.To == email })
	click := r.click(r.note("mailed link", mail.Link[strings.LastIndexByte(mail.Link, '/')+1:]))
	clicked := r.fire(click).want(success(click.route))
	r.learn(clicked)
	given = map[string]string{"resetRequestId": id, "code": leadsTo(clicked).Get("password_code")}
	if step == "validatecode" {
		return given
	}
	password := r.word("password")
	exchangeID := said(r.step(path+"validatecode", given), "exchangeId")
	return map[string]string{"resetRequestId": id, "exchangeId": exchangeID, "password": password, "confirmPassword": password}
}
