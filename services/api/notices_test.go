package api_test

import (
	"database/sql"
	"strings"
	"testing"
)

// change changes the SQLite database of a house behind its back.
func (p *parts) change(t *testing.T, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+strings.TrimPrefix(p.database, "sqlite:")+"?_busy_timeout=30000")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func (h *house) noticed(what, template, to string) {
	h.t.Helper()
	h.courier.nextLetter(h.t, "about "+what, func(l letter) bool {
		return l.content.Template == template && l.content.To == to
	})
}

// Every change of a credential, a factor or an address is told to its user.
// Covers R-038 for passwords, SMS factors and addresses.
func TestChangesAreTold(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords()
		h.withPassword("ana@acme.test", plain)
		h.noticed("a first password", "notice_password_changed", "ana@acme.test")
		h.withPassword("ana@acme.test", plain+"2")
		h.noticed("another password", "notice_password_changed", "ana@acme.test")
		eva := h.enrolled("eva@acme.test", numbered(1))
		h.noticed("a factor", "notice_factor_changed", "eva@acme.test")
		h.call("PUT", "/api/v2/org/"+h.org+"/users/"+eva, "email=eve@acme.test").want(200)
		h.noticed("another address", "notice_email_changed", "eva@acme.test")
		h.noticed("another address", "notice_email_changed", "eve@acme.test")
	})
}

// Three wrong codes after a right password are one mail to the user.
// Covers R-014 for passwords with SMS codes.
func TestFailingAtTheSecondFactorIsTold(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords()
		eva := h.enrolled("eva@acme.test", numbered(1))
		h.withPassword("eva@acme.test", plain)
		failing := func(request ...string) {
			code := h.code(h.call("POST", h.challenge(eva)).want(201))
			for range 3 {
				h.call("POST", h.challenge("validation/"+eva), append([]string{"code=" + other(code)}, request...)...).want(200).wantSuccess(false)
			}
			h.call("POST", h.challenge("validation/"+eva), "code="+code).want(200).wantSuccess(true)
		}
		failing("request_id=" + h.challengePassword("eva@acme.test", plain).want(200).text("request_id"))
		h.noticed("failures", "notice_second_factor_failing", "eva@acme.test")
		// A second time within the hour is no news, and neither is what
		// follows no right password.
		failing("request_id=" + h.challengePassword("eva@acme.test", plain).want(200).text("request_id"))
		failing()
		// What would have been sent was sent before this.
		h.withPassword("eva@acme.test", plain+"2")
		told := 0
		for {
			select {
			case l := <-h.courier.letters:
				h.courier.read = append(h.courier.read, l)
				continue
			default:
			}
			break
		}
		for _, l := range h.courier.read {
			if l.content.Template == "notice_second_factor_failing" {
				told++
			}
		}
		if told > 0 {
			t.Errorf("told %d times more, want once in all", told)
		}
	})
}

// A hundred wrong passwords in a row shut a password until a link sets a new
// one, and its user is told.
// Covers R-005 for passwords.
func TestAShutPasswordIsOpenedByALink(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	h := start(t, p).passwords()
	h.withPassword("ana@acme.test", plain)
	h.challengePassword("ana@acme.test", plain+"?").want(200)
	p.change(t, "UPDATE password_budgets SET in_a_row = 99") // instead of a month of pauses
	h.challengePassword("ana@acme.test", plain+"?").want(200)
	h.noticed("the password", "notice_password_disabled", "ana@acme.test")
	h.challengePassword("ana@acme.test", plain).wantFault(429, "password_disabled")
	h.withPassword("ana@acme.test", plain+"2")
	if r := h.challengePassword("ana@acme.test", plain+"2").want(200); r.body["valid?"] != true {
		t.Errorf("after a new password: %s", r.raw)
	}
}
