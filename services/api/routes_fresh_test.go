package api_test

import (
	"database/sql"
	"net/http"
	"testing"

	"countersign.dev/services/api/internal/pipeline"
)

// credentials are the tables of what people are known and prove themselves by.
var credentials = []string{"users", "factors", "recovery_sets", "passwords", "password_history"}

func credentialRows(t *testing.T, db *sql.DB) (all []row) {
	t.Helper()
	for _, table := range credentials {
		all = append(all, read(t, db, table, `SELECT * FROM `+table)...)
	}
	return all
}

// poor are sessions and tokens of people who may not change what they prove
// with, by what makes them so and what takes it back. The sessions of these
// tests are of an hour to come, their grants of now.
var poor = map[string][2][]string{
	"a proof of six minutes ago": {
		{`UPDATE sessions SET auth_time = auth_time - 3960000`, `UPDATE grants SET auth_time = auth_time - 360000`},
		{`UPDATE sessions SET auth_time = auth_time + 3960000`, `UPDATE grants SET auth_time = auth_time + 360000`},
	},
	"one factor of two": {
		{`UPDATE sessions SET acr = 'aal1'`, `UPDATE grants SET acr = 'aal1'`},
		{`UPDATE sessions SET acr = 'aal2'`, `UPDATE grants SET acr = 'aal2'`},
	},
}

// Every route that people call by themselves, with a browser's session or an
// app's token: what they prove with is changed only by who has just proven all
// of it. Whatever a route changes of it for such a one, it changes nothing and
// answers 403 where the proof is old, or is of less than the user has.
//
func TestCredentialsAreChangedByAFreshProofOfAllAlone(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	h, l := open(t, p), newLedger()
	db := p.openSQL(t)
	changing := 0
	for _, route := range h.service.Routes() {
		if route.Credential != pipeline.Browser && route.Credential != pipeline.UserToken {
			continue
		}
		r := h.realm(l, "acme", "sandbox", "")
		r.id("password code") // a new password ends sessions
		r.id("factor")
		s := r.shot(route)
		if inEnvelopes(route) {
			s.token = r.freshToken(r.stepper("keeping")) // who has a second factor
		}
		answers := map[string]int{}
		for what, sql := range poor {
			for _, statement := range sql[0] {
				h.behind(statement)
			}
			before := credentialRows(t, db)
			answers[what] = r.fire(s).status
			wantUnchanged(t, title(route)+" with "+what, before, credentialRows(t, db))
			for _, statement := range sql[1] {
				h.behind(statement)
			}
		}
		before := credentialRows(t, db)
		r.fire(s).want(success(route))
		went, came := changes(before, credentialRows(t, db))
		if len(went)+len(came) > 0 {
			changing++
		}
		for what, status := range answers {
			if (route.Fresh || len(went)+len(came) > 0) && status != http.StatusForbidden {
				t.Errorf("%s with %s: status %d, want 403", title(route), what, status)
			}
		}
	}
	if changing < 8 {
		t.Errorf("only %d routes change anything", changing)
	}
}
