package api_test

import (
	"net/http"
	"strings"
	"testing"
)

// A password that is sent once the first half is proven, from a tab of before,
// undoes nothing, right or wrong. Where the first half counts no more the page
// asks for a password again, and takes it.
func TestAPasswordUndoesNothing(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords()
		h.withPassword("ana@acme.test", plain)
		h.enrolPhone()
		a, b := h.shop(), h.browser()
		page := b.ana(a, "/login/code")
		typed := func(password string) *reply {
			form := b.fill(page, "/login/code", "email=ana@acme.test", "password="+password)
			form.Del("code")
			return b.next(b.visit(http.MethodPost, "/login", form))
		}
		for _, password := range []string{"wrong", plain} {
			if got := typed(password); !strings.Contains(got.raw, `action="/login/code"`) || strings.Contains(got.raw, "wrong") {
				t.Errorf("after the password %s: %s", password, got.raw)
			}
		}
		user := "/api/v2/org/" + h.org + "/users/" + h.user
		h.call("PUT", user, "active=false").want(http.StatusOK)
		at := "/login?requestId=" + b.fill(page, "/login/code").Get("requestId")
		if got := b.visit(http.MethodGet, at, nil).want(http.StatusOK); !strings.Contains(got.raw, "Too much time has passed") {
			t.Errorf("of a user who is not active: %s", got.raw)
		}
		if got := typed(plain); !strings.Contains(got.raw, "The address or the password is wrong") {
			t.Errorf("the password of a user who is not active: %s", got.raw)
		}
		h.call("PUT", user, "active=true").want(http.StatusOK)
		if got := typed(plain); !strings.Contains(got.raw, `action="/login/code"`) {
			t.Errorf("the password, once more: %s", got.raw)
		}
	})
}
