package api_test

import (
	"database/sql"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// watched is a database whose every row is known.
type watched struct {
	t    *testing.T
	db   *sql.DB
	p    *parts
	rows []row
}

func watch(t *testing.T, db *sql.DB, p *parts) *watched {
	t.Helper()
	settle(t, db)
	return &watched{t, db, p, dump(t, db, p)}
}

func (w *watched) wantUnchanged(what string) {
	w.t.Helper()
	settle(w.t, w.db)
	wantUnchanged(w.t, what, w.rows, dump(w.t, w.db, w.p))
}

// learn takes what has changed as it is.
func (w *watched) learn() {
	w.t.Helper()
	settle(w.t, w.db)
	w.rows = dump(w.t, w.db, w.p)
}

// changed returns what has come since the last time, in words that are the same
// whoever was named. All of it, and all that went, must be the caller's own or
// nobody's.
func (w *watched) changed(s situation) (came []string) {
	w.t.Helper()
	settle(w.t, w.db)
	now := dump(w.t, w.db, w.p)
	out, in := changes(w.rows, now)
	w.rows = now
	own := map[string]string{
		"account_id": s.own.sqlID(w.db, "accounts", s.own.account), "org_id": s.own.sqlID(w.db, "organizations", s.own.org), "environment": s.own.env,
	}
	for _, r := range slices.Concat(out, in) {
		for _, c := range r.cells {
			if own[c.column] != "" && c.value != own[c.column] {
				w.t.Errorf("a call of %s with an id of %s changes what is not its own: %.400q", s.own.org, s.name, r)
			}
		}
	}
	for _, r := range in {
		r.cells = slices.Clone(r.cells)
		for i, c := range r.cells {
			if onlyDigits.MatchString(c.value) { // an address may have been counted before
				r.cells[i].value = "<count>"
			}
		}
		came = append(came, s.anonymous(r.anonymous(nil)))
	}
	slices.Sort(came)
	return came
}

// random are the forms of what no answer has twice.
var random = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[a-z-]+_[0-9A-Za-z]{27}|\d{4}-\d\d-\d\dT[0-9:.]+|/[A-Za-z0-9_-]{43}"`)

// anonymous is a text without what is random in it, and without the address
// that was asked about.
func (s situation) anonymous(text string) string {
	for _, email := range []string{s.other["email"], s.none["email"]} {
		if email != "" {
			text = strings.ReplaceAll(text, email, "<asked>")
		}
	}
	return random.ReplaceAllString(text, "<random>")
}

// tells returns the kinds of the other's ids that an answer holds although
// nobody sent them.
func (s situation) tells(r *reply, sent []foreign) (kinds []string) {
	text := r.raw + r.header.Get("Location")
	for _, f := range sent {
		text = strings.ReplaceAll(text, s.other[f.kind], "")
	}
	for kind, id := range s.other {
		if id != s.own.ids[kind] && strings.Contains(text, id) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}
