package api_test

import (
	"maps"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/session"
)

// does sends one of the forms of the page, with its token.
func (s *stage) does(b *browser, what string, params ...string) *reply {
	s.t.Helper()
	form := fieldsOfPage(s.page(b).want(http.StatusOK))
	maps.Copy(form, formOf(params...))
	return b.visit(http.MethodPost, s.account()+what, form)
}

// twoFactors signs a user in with all that they have.
func (s *stage) twoFactors(app, user string) login {
	s.t.Helper()
	l := s.signIn(s.browser(), app, user)
	token, of, err := s.sessions.Raise(s.t.Context(), l.session, grant.App)
	if err != nil {
		s.t.Fatal(err)
	}
	l.keep(l.set().With(session.Realm(s.org, s.env), token))
	l.session = of
	return l
}

// devices are the ids of a user's factors by their method.
func (h *house) devices(user string) map[string]string {
	h.t.Helper()
	out := map[string]string{}
	for _, f := range h.listed(user) {
		out[f["method"].(string)] = f["id"].(string)
	}
	return out
}

var ownSecret = regexp.MustCompile(`<dd class="secret">([A-Z2-7]{4}(?: [A-Z2-7]{4}){7})</dd>`)

// ownKey reads the key to type off the page of an enrolment.
func ownKey(t *testing.T, page *reply) string {
	t.Helper()
	match := ownSecret.FindStringSubmatch(page.raw)
	if match == nil {
		t.Fatalf("the page shows no key in groups of four: %s", page.raw)
	}
	return strings.ReplaceAll(match[1], " ", "")
}

// People see their second factors, rename them, add others and remove those
// that they can do without.
// Covers R-037 for changes of one's own second factors on the account page.
func TestPeopleChangeTheirOwnFactors(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		s := newStage(t, start(t, p))
		s.enrolPhone()
		s.noticed("a first factor", "notice_factor_changed", "ana@acme.test")
		me := s.twoFactors(s.app(), s.user)
		phone := s.devices(s.user)["sms"]
		page := s.page(me.browser).want(http.StatusOK)
		if strings.Contains(page.raw, "5112345678") || !strings.Contains(page.raw, "It cannot be removed") || !strings.Contains(page.raw, "5 recovery codes are left") {
			t.Errorf("the page of one phone: %s", page.raw)
		}
		s.does(me.browser, "/factors/rename", "factor="+phone, "name=Old phone").wantTo(s.account())
		if page = s.page(me.browser); !strings.Contains(page.raw, `<h3 id="factor-`+phone+`">Old phone</h3>`) {
			t.Errorf("renamed: %s", page.raw)
		}
		s.does(me.browser, "/factors/remove", "factor="+phone).wantFault(http.StatusConflict, "last_factor")
		s.does(me.browser, "/factors", "method=totp").wantFault(http.StatusUnprocessableEntity, "missing_parameter")

		s.does(me.browser, "/factors", "method=totp", "name=Tablet").wantTo(s.account() + "/enrolment")
		page = me.visit(http.MethodGet, s.account()+"/enrolment", nil).want(http.StatusOK)
		again := me.visit(http.MethodGet, s.account()+"/enrolment", nil).want(http.StatusOK)
		a := &authenticator{h: s.house, user: s.user, secret: ownKey(t, page)}
		if ownKey(t, again) != a.secret || !strings.Contains(again.raw, "<svg ") {
			t.Errorf("the page of the enrolment, once more: %s", again.raw)
		}
		// Another browser of the same user does not see it.
		other := s.twoFactors(s.app("Other"), s.user)
		other.visit(http.MethodGet, s.account()+"/enrolment", nil).wantFault(http.StatusNotFound, "not_found")
		s.does(other.browser, "/enrolment", "code="+a.code(0)).wantFault(http.StatusNotFound, "not_found")
		for typed, said := range map[string]string{a.wrong(): "said=wrong", "12 34": "said=malformed"} {
			to := s.does(me.browser, "/enrolment", "code="+typed).want(http.StatusSeeOther).header.Get("Location")
			if to != s.account()+"/enrolment?"+said {
				t.Errorf("%s leads to %s", typed, to)
			}
			if got := me.visit(http.MethodGet, to, nil).want(http.StatusOK); !strings.Contains(got.raw, `role="alert"`) {
				t.Errorf("%s says nothing: %s", typed, got.raw)
			}
		}
		s.does(me.browser, "/enrolment", "code="+a.code(0)).wantTo(s.account())
		s.noticed("another factor", "notice_factor_changed", "ana@acme.test")
		me.visit(http.MethodGet, s.account()+"/enrolment", nil).wantFault(http.StatusNotFound, "not_found")

		app := s.devices(s.user)["totp"]
		s.does(me.browser, "/factors/remove", "factor="+phone).wantTo(s.account())
		s.noticed("a removed factor", "notice_factor_changed", "ana@acme.test")
		s.does(me.browser, "/factors/remove", "factor="+app).wantFault(http.StatusConflict, "last_factor")
		if got := s.devices(s.user); len(got) != 1 || got["totp"] != app {
			t.Errorf("left are %v", got)
		}
	})
}

// Nothing of it is anybody else's.
func TestOthersFactorsAreNotFound(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		s := newStage(t, start(t, p))
		s.enrolPhone()
		ben := s.enrolled("ben@acme.test", "+4915112345679")
		theirs := s.devices(ben)["sms"]
		me := s.twoFactors(s.app(), s.user)
		for _, what := range []string{"/factors/rename", "/factors/remove"} {
			got := s.does(me.browser, what, "factor="+theirs, "name=Mine")
			if what == "/factors/remove" {
				got = s.does(me.browser, what, "factor="+theirs)
			}
			got.wantFault(http.StatusNotFound, "not_found")
		}
		if got := s.listed(ben); len(got) != 1 || got["Mine"] != nil {
			t.Errorf("the other's phone is %v", got)
		}
	})
}

// What somebody proves with is changed by nobody whose proof is old or of less
// than the user has: from there a button leads to another sign-in.
// Covers R-037 for stale and weak sessions on the account page.
func TestFactorsAreChangedWithAFreshProof(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		s := newStage(t, start(t, p))
		a, _ := s.startApp(s.user)
		a.confirm()
		app, device := s.app(), s.devices(s.user)["totp"]
		s.now = time.Now().Add(-6 * time.Minute)
		stale := s.twoFactors(app, s.user)
		s.now = time.Time{}
		weak := s.signIn(s.browser(), app, s.user)
		for who, l := range map[string]login{"an old proof": stale, "a password alone": weak} {
			for what, params := range map[string][]string{
				"/factors": {"method=totp", "name=Thief"}, "/factors/rename": {"factor=" + device, "name=Thief"}, "/factors/remove": {"factor=" + device},
				"/enrolment": {"code=123456"}, "/recovery-codes": {},
			} {
				got := s.does(l.browser, what, params...).wantFault(http.StatusForbidden, session.ErrReauth.Code)
				if !strings.Contains(got.raw, `action="`+s.account()+`/sign-in"`) || !strings.Contains(got.raw, "page_token") {
					t.Errorf("%s of %s offers no way on: %s", what, who, got.raw)
				}
			}
			for _, page := range []string{"/enrolment", "/recovery-codes", "/recovery-codes.txt"} {
				l.visit(http.MethodGet, s.account()+page, nil).wantFault(http.StatusForbidden, session.ErrReauth.Code)
			}
		}
		if got := s.listed(s.user); len(got) != 1 || got["Thief"] != nil {
			t.Errorf("the factors are %v", got)
		}
	})
}

var codeInList = regexp.MustCompile(`<li>([0-9A-Z]{4}(?:-[0-9A-Z]{4}){3})</li>`)

// shownCodes are the recovery codes that a page shows.
func (r *reply) shownCodes() (codes []string) {
	for _, found := range codeInList.FindAllStringSubmatch(r.raw, -1) {
		codes = append(codes, found[1])
	}
	return codes
}

// New recovery codes are shown until they are saved, to whom has made them, and
// the ones from before are void.
// Covers R-037 for recovery codes on the account page.
func TestRecoveryCodesAreReplaced(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		s := newStage(t, start(t, p))
		a, _ := s.startApp(s.user)
		a.confirm()
		me, other := s.twoFactors(s.app(), s.user), s.twoFactors(s.app("Other"), s.user)
		codes := s.account() + "/recovery-codes"
		me.visit(http.MethodGet, codes, nil).wantFault(http.StatusNotFound, "recovery_codes_gone")
		s.does(me.browser, "/recovery-codes").wantTo(codes)
		s.noticed("new codes", "notice_recovery_codes_replaced", "ana@acme.test")
		page := me.visit(http.MethodGet, codes, nil).want(http.StatusOK)
		lines := page.shownCodes()
		if len(lines) != 5 {
			t.Fatalf("%d codes: %s", len(lines), page.raw)
		}
		if !strings.Contains(page.raw, `data-copy="codes"`) || !strings.Contains(page.raw, "data-print") || !strings.Contains(page.raw, "<script src=") {
			t.Errorf("the codes can be neither copied nor printed: %s", page.raw)
		}
		file := me.visit(http.MethodGet, codes+".txt", nil).want(http.StatusOK)
		if file.raw != strings.Join(lines, "\r\n")+"\r\n" || !strings.HasPrefix(file.header.Get("Content-Disposition"), "attachment") {
			t.Errorf("the file: %q", file.raw)
		}
		other.visit(http.MethodGet, codes, nil).wantFault(http.StatusNotFound, "recovery_codes_gone")
		s.does(other.browser, "/recovery-codes").wantTo(codes)
		me.visit(http.MethodGet, codes, nil).wantFault(http.StatusNotFound, "recovery_codes_gone") // they are void
		s.does(me.browser, "/recovery-codes").wantTo(codes)
		page = me.visit(http.MethodGet, codes, nil).want(http.StatusOK)
		fresh := page.shownCodes()
		s.does(me.browser, "/recovery-codes/saved").wantTo(s.account())
		me.visit(http.MethodGet, codes, nil).wantFault(http.StatusNotFound, "recovery_codes_gone")
		for _, old := range []string{a.codes[0], lines[0]} {
			a.validate(old).want(http.StatusOK).wantSuccess(false)
		}
		a.validate(fresh[0]).want(http.StatusOK).wantSuccess(true)
		s.does(me.browser, "/recovery-codes").wantFault(http.StatusForbidden, "reenrolment_required")
		if page = s.page(me.browser); !strings.Contains(page.raw, "4 recovery codes are left") {
			t.Errorf("after one was used: %s", page.raw)
		}
	})
}

// Who has no second factor sets one up, gets recovery codes with it, and is
// signed in with both from then on.
func TestAFirstFactorIsSetUpOnTheAccountPage(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		s := newStage(t, start(t, p))
		me := s.signIn(s.browser(), s.app(), s.user)
		before := me.set().Text().Reveal()
		s.does(me.browser, "/factors", "method=totp").wantTo(s.account() + "/enrolment")
		page := me.visit(http.MethodGet, s.account()+"/enrolment", nil).want(http.StatusOK)
		a := &authenticator{h: s.house, user: s.user, secret: ownKey(t, page)}
		s.does(me.browser, "/enrolment", "code="+a.code(0)).wantTo(s.account() + "/recovery-codes")
		if me.set().Text().Reveal() == before {
			t.Error("the browser has what it had before")
		}
		me.visit(http.MethodGet, s.account()+"/recovery-codes", nil).want(http.StatusOK)
		s.does(me.browser, "/factors/rename", "factor="+s.devices(s.user)["totp"], "name=Mine").wantTo(s.account())
		s.does(me.browser, "/factors", "method=sms", "name=Phone", "phone=+4915112345678").wantTo(s.account() + "/enrolment")
		if page = me.visit(http.MethodGet, s.account()+"/enrolment", nil).want(http.StatusOK); strings.Contains(page.raw, "5112345678") {
			t.Errorf("the number is on the page: %s", page.raw)
		}
	})
}
