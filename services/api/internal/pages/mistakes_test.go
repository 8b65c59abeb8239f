package pages

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/password"
)

// What somebody has typed wrong is said the same way on all pages: announced, of
// its field, and in the title. Where nothing was wrong, none of it is there.
func TestMistakesAreSaidAlikeEverywhere(t *testing.T) {
	t.Parallel()
	links := &Links{BaseURL: "https://login.acme.test", Now: func() time.Time { return asked }}
	account := &Account{BaseURL: "https://login.acme.test", Now: func() time.Time { return asked }}
	for name, page := range map[string]struct {
		field string
		write func(w http.ResponseWriter, r *http.Request, wrong bool)
	}{
		"the first code of a second factor": {"code", func(w http.ResponseWriter, r *http.Request, wrong bool) {
			said := map[bool]string{true: "wrong"}[wrong]
			account.writeWaiting(w, r, http.StatusOK, waitingPage{waiting: factor.Waiting{Method: factor.SMS}, said: said})
		}},
		"the address of an account": {"email", func(w http.ResponseWriter, r *http.Request, wrong bool) {
			account.writePlaces(w, r, http.StatusOK, placesPage{none: wrong})
		}},
		"a new password": {"password", func(w http.ResponseWriter, r *http.Request, wrong bool) {
			choose := choosePage{of: password.Chosen{Address: "ana@acme.test"}, token: secret.New("page")}
			if wrong {
				choose.advice = sentences{"It is short."}
			}
			links.writePassword(w, r, http.StatusOK, choose)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, wrong := range []bool{false, true} {
				w := httptest.NewRecorder()
				page.write(w, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil), wrong)
				wantMistake(t, w.Body.String(), page.field, wrong)
			}
		})
	}
}

// wantMistake fails unless a page says, or does not say, that a field was wrong.
func wantMistake(t *testing.T, page, field string, want bool) {
	t.Helper()
	alerts, about := map[string]bool{}, ""
	invalid := false
	for _, nodes := range elements(t, page) {
		for _, n := range nodes {
			id, _ := attr(n, "id")
			if role, _ := attr(n, "role"); role == "alert" && hasClass(n, "said") && hasClass(n, "bad") {
				alerts[id] = true
			}
			if id == field {
				_, invalid = attr(n, "aria-invalid")
				about, _ = attr(n, "aria-describedby")
			}
		}
	}
	described := false
	for id := range strings.FieldsSeq(about) {
		described = described || alerts[id]
	}
	if titled := strings.Contains(page, "<title>"+signInEnglish.Mistake+": "); titled != want || (len(alerts) == 1) != want || invalid != want || described != want {
		t.Errorf("wrong: %v; in the title: %v, announced: %v, of the field: %v %v: %s", want, titled, alerts, invalid, described, page)
	}
}

func hasClass(n *html.Node, name string) bool {
	class, _ := attr(n, "class")
	for c := range strings.FieldsSeq(class) {
		if c == name {
			return true
		}
	}
	return false
}
