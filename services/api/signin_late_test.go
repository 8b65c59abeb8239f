package api_test

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/services/api"
	"countersign.dev/services/api/internal/session"
)

// late is what the page says where the first half was too long ago.
const late = "Too much time has passed"

// A page that is opened again when its first half is too old says so, and its
// forms lead on from there, whatever the flow was at.
func TestALatePageLeadsOn(t *testing.T) {
	t.Parallel()
	t.Run("at the code of a sign-in by link", func(t *testing.T) {
		t.Parallel()
		var ahead atomic.Int64
		p := embedded(t)
		p.short = func(*testing.T) ephemeral.Store {
			return ephemeral.NewMemory(func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
		}
		h := start(t, p)
		h.call("PUT", "/api/v2/org/"+h.org+"/magic-link-connection", "active=true").want(200)
		h.enrolPhone()
		a := h.shop(func(in *api.NewApp) { in.Methods = &[]string{"email", "totp", "sms"} })
		b := h.browser()
		page := b.signInPage(wanted(a))
		b.next(b.step(page, "/login/link", "email=ana@acme.test"))
		b.at(b.click(b.open(h.linkTo("ana@acme.test")).want(http.StatusOK)), "/login/code")
		ahead.Store(int64(12 * time.Minute)) // a first half waits for ten
		page = b.visit(http.MethodGet, "/login?requestId="+b.fill(page, "/login/link").Get("requestId"), nil).want(http.StatusOK)
		if !strings.Contains(page.raw, late) {
			t.Errorf("the page: %s", page.raw)
		}
		page = b.next(b.submit(page, "/login/link", "email=ana@acme.test"))
		if strings.Contains(page.raw, late) || !strings.Contains(page.raw, "Look into your mailbox") {
			t.Errorf("another link was asked for: %s", page.raw)
		}
	})
	t.Run("at an enrolment whose session has ended", func(t *testing.T) {
		t.Parallel()
		h := start(t, embedded(t)).passwords()
		h.withPassword("ana@acme.test", plain)
		a := h.second(false).shop()
		b := h.signedIn(a)
		h.second(true)
		started := h.call("POST", h.enrollment(h.user), "method=sms").want(201)
		done := h.call("PUT", h.enrollment("validation/"+h.user), "code="+h.code(started)).want(200)
		code, _, _ := strings.Cut(done.text("recovery_codes"), "\n")
		page := b.at(b.submit(b.signInPage(wanted(a)), "/login/turn", "to=recovery"), "/login/recovery")
		page = b.at(b.submit(page, "/login/recovery", "code="+code), "/login/confirm")
		b.keep(session.Set{})
		page = b.visit(http.MethodGet, "/login?requestId="+b.fill(page, "/login/confirm").Get("requestId"), nil).want(http.StatusOK)
		if !strings.Contains(page.raw, late) || !strings.Contains(page.raw, "I have forgotten my password") {
			t.Errorf("the page: %s", page.raw)
		}
		b.at(b.submit(page, "/login", "email=ana@acme.test", "password="+plain), "/login/code")
	})
}

// A sign-in is as old as its proofs, however long its last page stays open: what
// needs a recent one, here or at an app, must not take the consent for it.
// Covers R-037 for pages after the last proof.
func TestASignInIsAsOldAsItsProofs(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).passwords()
	h.withPassword("ana@acme.test", plain)
	a, b := h.second(false).anothers(), h.browser()
	for _, change := range []string{"prompt=login", "prompt=login consent"} { // a session that begins, and one that goes on
		page := b.at(b.submit(b.signInPage(wanted(a, change)), "/login", "email=ana@acme.test", "password="+plain), "/login/consent")
		proven := time.Now()
		b.submit(page, "/login/consent", "allow=yes").wantCode(http.StatusSeeOther)
		h.behind("DELETE FROM sessions WHERE auth_time > " + strconv.FormatInt(proven.UnixMilli(), 10))
		b.authorize(wanted(a, "prompt=none")).wantCode(http.StatusFound)
	}
}
