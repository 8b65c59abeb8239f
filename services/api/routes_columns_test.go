package api_test

import (
	"cmp"
	"database/sql"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"countersign.dev/services/api/internal/pipeline"
)

// claims are names by which a caller may try to say whose data is meant, beside
// the names of the columns.
var claims = []string{"org", "org_domain", "organization", "tenant", "tenant_id", "account", "env", "role", "roles", "amr", "is_admin"}

// ours are columns that no caller fills, so that no route may declare one as a
// parameter. They also keep the list of the schema's columns from being empty.
var ours = []string{
	"email_verified", "phone_verified", "phone_sealed", "email_canonical", "org_id", "account_id", "environment", "fails", "in_a_row", "level",
	"confirmed_at", "disabled_at", "disabled_by", "last_step", "drift", "obliged", "renewals", "tags", "result", "actor", "seal", "secret_digest", "revoked_at", "deleted_at", "state", "user_id", "id", "created_at", "updated_at", "used",
	"hash", "must_change", "changed_at", "hashed_at", "reminded_age", "digest", "code_digest", "token_digest", "device_digest", "purpose", "slot", "proofs", "used_at", "proven_at",
	"amr", "acr", "auth_time", "grant_id", "code_challenge", "successor", "payload", "due_at",
}

// standard are parameters of OAuth 2 that are called as a column is, and mean
// something else.
var standard = map[string]bool{"state": true}

// ways are the places where a request can hold parameters that nobody asked
// for: beside the declared ones, in each map that the route declares and in one
// called profile, in JSON, in the query and in headers.
func ways(route pipeline.Route) map[string]func(s *shot, extra map[string]string) {
	all := map[string]func(s *shot, extra map[string]string){
		"a form":        func(s *shot, extra map[string]string) { s.add("", extra) },
		"JSON":          func(s *shot, extra map[string]string) { s.add("", extra); s.json = true },
		"a map in JSON": func(s *shot, extra map[string]string) { s.add("profile", extra); s.json = true },
		"a query": func(s *shot, extra map[string]string) {
			own := s.form
			s.form = url.Values{}
			s.add("", extra)
			s.form, s.query = own, s.form
		},
		"headers": func(s *shot, extra map[string]string) {
			for name, value := range extra {
				s.header.Set("X-"+strings.ReplaceAll(name, "_", "-"), value)
			}
		},
	}
	if formsAlone(route) { // what JSON says is not read
		delete(all, "JSON")
		delete(all, "a map in JSON")
	}
	for _, p := range append(inInput(route), parameter{name: "profile."}) {
		if inside, _, nested := strings.Cut(p.name, "."); nested {
			all["a map called "+inside] = func(s *shot, extra map[string]string) { s.add(inside, extra) }
		}
	}
	return all
}

// add adds parameters, in a map of that name unless it is empty, that the input
// does not declare.
func (s *shot) add(inside string, extra map[string]string) {
	prefix := ""
	if inside != "" {
		prefix = inside + "."
	}
	declared := map[string]bool{}
	for _, p := range inInput(s.route) {
		for _, name := range p.names {
			head, _, nested := strings.Cut(name, ".")
			declared[name] = true
			if nested {
				declared[head] = true
			}
		}
	}
	for name, value := range extra {
		if !declared[prefix+name] {
			s.form.Set(bracketed(prefix+name, false), value)
		}
	}
	if inside != "" {
		s.form.Del(inside) // it cannot be a map and a text
	}
}

// No parameter that a route does not declare changes a row, whatever it is
// called and wherever it stands. Every column there is, is tried at once: the
// request with them must do to its tenant exactly what the same request without
// them does to a twin. Routes that refuse unknown parameters must refuse each.
//
// Covers R-119 for organizations named in the body, the query and headers.
func TestNoParameterReachesAColumn(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	p.inbox = true
	for _, route := range open(t, p).service.Routes() {
		for _, parameter := range inInput(route) {
			for _, name := range parameter.names {
				// An app says such of its own request, which goes into no row.
				if slices.Contains(ours, name[strings.LastIndex(name, ".")+1:]) && !slices.Contains(startPaths, route.Path) && !inEnvelopes(route) && !standard[name] {
					t.Errorf("%s declares the parameter %s, which no caller may set", title(route), name)
				}
			}
		}
		if route.Method == http.MethodGet {
			continue
		}
		// Each has a house of its own: every row of it is compared at every
		// request.
		t.Run(title(route), func(t *testing.T) {
			t.Parallel()
			p := embedded(t)
			p.inbox = true
			h, l := open(t, p), newLedger()
			db := p.openSQL(t)
			extra := undeclared(t, p, db, h.realm(l, "rival", "default", "").full())
			for _, variant := range variantsOf(route) {
				trial{p, db, func() *realm { return h.realm(l, "acme", "sandbox", "") }, extra}.reachesNoColumn(t, route, variant)
			}
		})
	}
}

// trial is what a request is tried with.
type trial struct {
	p     *parts
	db    *sql.DB
	fresh func() *realm
	extra map[string]string
}

// reachesNoColumn compares what a request does with what it does with more in
// it, in every way in which there can be more.
func (f trial) reachesNoColumn(t *testing.T, route pipeline.Route, variant string) {
	t.Helper()
	p, db, fresh, extra := f.p, f.db, f.fresh, f.extra
	twin := fresh()
	like := twin.variant(route, variant)
	plain, answer := effect(t, p, db, twin, like)
	answer.want(success(route))
	// What is refused leaves everything as it was, so that one realm serves
	// for all of it.
	untouched := fresh()
	for way, add := range ways(route) {
		refused := way != "headers" && route.Strict || way == "a query" && route.BodyOnly
		for some := range portions(extra) {
			r := untouched
			if !refused {
				r = fresh()
			}
			s := r.variant(route, variant)
			add(s, some)
			what := strings.TrimSpace(title(route) + " " + variant + " with " + way)
			got, answer := effect(t, p, db, r, s)
			if refused {
				answer.want(http.StatusBadRequest)
				wantEffect(t, what, got, nil)
				continue
			}
			if answer.status != success(route) {
				t.Errorf("%s: status %d: %s", what, answer.status, answer.raw)
			}
			wantEffect(t, what, got, plain)
		}
	}
	if route.Strict {
		refusesEach(t, fresh().full(), p, db, like, extra)
	}
}

// portions are few enough names for one request beside its own: it may have 200.
func portions(extra map[string]string) iter.Seq[map[string]string] {
	return func(yield func(map[string]string) bool) {
		for names := range slices.Chunk(slices.Sorted(maps.Keys(extra)), 150) {
			some := map[string]string{}
			for _, name := range names {
				some[name] = extra[name]
			}
			if !yield(some) {
				return
			}
		}
	}
}

// refusesEach sends one name at a time: together only the first is refused.
func refusesEach(t *testing.T, r *realm, p *parts, db *sql.DB, like *shot, extra map[string]string) {
	t.Helper()
	settle(t, db)
	before := dump(t, db, p)
	for name, value := range extra {
		s := r.shot(like.route)
		sent := len(s.form)
		s.add("", map[string]string{name: value})
		if len(s.form) > sent {
			r.fire(s).wantFault(http.StatusBadRequest, "unknown_parameter")
		}
	}
	wantUnchanged(t, title(like.route), before, dump(t, db, p))
}

// undeclared is a value for every column of the schema, read at this moment,
// that would do harm if it arrived there.
func undeclared(t *testing.T, p *parts, db *sql.DB, victim *realm) map[string]string {
	t.Helper()
	extra := map[string]string{}
	for column, kind := range columns(t, db, p) {
		switch {
		case strings.Contains(kind, "BOOL"):
			extra[column] = "true"
		case strings.Contains(kind, "INT"):
			extra[column] = "77"
		default:
			extra[column] = "assigned"
		}
	}
	for _, column := range ours {
		if extra[column] == "" {
			t.Errorf("the schema has no column %s any more: name its successor here", column)
		}
	}
	for _, name := range claims {
		extra[name] = victim.ids["org"]
	}
	ids := map[string]string{
		"account_id": victim.sqlID(db, "accounts", victim.account), "org_id": victim.sqlID(db, "organizations", victim.ids["org"]),
		"user_id": victim.ids["user"], "id": victim.ids["user"], "environment": "default", "env": "default", "account": "rival",
		"organizations": victim.ids["org"], "state": "delivered", "delivery_id": victim.ids["delivery"], "request_id": victim.ids["request"],
	}
	maps.Copy(extra, ids)
	return extra
}

// sqlID is the id that a row with this domain has in the database.
func (r *realm) sqlID(db *sql.DB, table, domain string) string {
	r.t.Helper()
	var found string
	if err := db.QueryRowContext(r.t.Context(), `SELECT id FROM `+table+` WHERE domain = $1`, domain).Scan(&found); err != nil {
		r.t.Fatal(err)
	}
	return found
}

// effect is what a request does to the database, in words that are the same for
// twins.
func effect(t *testing.T, p *parts, db *sql.DB, r *realm, s *shot) ([]string, *reply) {
	t.Helper()
	// What says who is who is read before the request may delete it.
	names := map[string]string{r.sqlID(db, "organizations", r.org): "<own org>", r.sqlID(db, "accounts", r.account): "<own account>"}
	for kind, id := range r.ids {
		names[id] = "<own " + kind + ">"
	}
	settle(t, db)
	before := dump(t, db, p)
	answer := r.fire(s)
	settle(t, db)
	went, came := changes(before, dump(t, db, p))
	var out []string
	for sign, rows := range map[string][]row{"- ": went, "+ ": came} {
		for _, row := range rows {
			text := sign + row.anonymous(names)
			// All browsers of these tests are at one address: what is counted
			// there is no realm's. And the first record of a chain takes no
			// other one's place at its end.
			if elsewhere := strings.Contains(text, "budget_key=source:") && s.route.Credential != pipeline.APIKey; !elsewhere && !strings.HasPrefix(text, "- activity_ends ") {
				out = append(out, text)
			}
		}
	}
	slices.Sort(out)
	return out, answer
}

// varying are the forms of what differs from one request to the next.
var varying = []struct {
	form *regexp.Regexp
	name string
}{
	{regexp.MustCompile(marker + `[a-z0-9]{14}(@example\.test)?`), "<sample>"},
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "<uuid>"},
	{regexp.MustCompile(`[a-z-]+_[0-9A-Za-z]{27}`), "<request>"},
	{regexp.MustCompile(`\+\d\d•••••\d\d`), "<number>"},
	{regexp.MustCompile(`\b[0-9a-f]{32}\b`), "<digest>"},
	{regexp.MustCompile(`\b1[0-9]{12}\b`), "<time>"},
	{regexp.MustCompile(`\$argon2id\$v=19\$m=64,t=1,p=1(,keyid=[0-9A-Za-z+/]+)?(\$[0-9A-Za-z+/]+){1,2}$`), "<hash>"},
	{regexp.MustCompile(`\b[A-Z2-7]{26}\b`), "<trace>"},
}

// ofTheMoment are columns that depend on when and for whom something was done.
var ofTheMoment = map[string][]string{
	"activity": {"chain", "number", "hash"}, "activity_ends": {"chain", "number", "hash", "seal"}, "factors": {"last_step", "drift"},
}

var onlyDigits = regexp.MustCompile(`^[0-9]+$`)

// anonymous is a row without what differs between twins. What a table that
// knows no tenant counts, it counts for both.
func (r row) anonymous(names map[string]string) string {
	anonymous := row{table: r.table}
	shared := !slices.ContainsFunc(r.cells, func(c cell) bool { return c.column == "account_id" || containsAny(c.value, names) })
	for _, c := range r.cells {
		if slices.Contains(ofTheMoment[r.table], c.column) {
			c.value = "<" + c.column + ">"
		}
		if strings.ContainsFunc(c.value, func(r rune) bool { return r == unicode.ReplacementChar || r < ' ' }) {
			c.value = "<bytes>" // sealed, or a digest
		}
		for _, id := range longestFirst(names) { // an address holds a domain
			c.value = replaceWhole(c.value, id, names[id])
		}
		for _, v := range varying {
			c.value = v.form.ReplaceAllLiteralString(c.value, v.name)
		}
		if shared && onlyDigits.MatchString(c.value) {
			c.value = "<count>"
		}
		anonymous.cells = append(anonymous.cells, c)
	}
	return anonymous.String()
}

// replaceWhole replaces an id where it stands by itself: random texts hold
// short ones by chance.
func replaceWhole(text, id, name string) string {
	if !strings.Contains(text, id) {
		return text
	}
	return regexp.MustCompile(`(^|\W)`+regexp.QuoteMeta(id)+`\b`).ReplaceAllString(text, "${1}"+name)
}

func longestFirst(names map[string]string) []string {
	return slices.SortedFunc(maps.Keys(names), func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
}

func containsAny(text string, names map[string]string) bool {
	for id := range names {
		if strings.Contains(text, id) {
			return true
		}
	}
	return false
}

func wantEffect(t *testing.T, what string, got, want []string) {
	t.Helper()
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("%s also does\n%q, beside\n%q", what, line, want)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s changes %d rows, want %d: %q, want %q", what, len(got), len(want), got, want)
	}
}

// The same names in a query change nothing either; there they may be refused.
func TestNoQueryReachesAColumn(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	h, l := open(t, p), newLedger()
	db := p.openSQL(t)
	victim := h.realm(l, "rival", "default", "").full()
	query := url.Values{}
	for name, value := range undeclared(t, p, db, victim) {
		query.Set(name, value)
	}
	r := h.realm(l, "acme", "sandbox", "").full()
	for _, route := range h.service.Routes() {
		if route.Method != http.MethodGet {
			continue
		}
		s := r.shot(route)
		settle(t, db)
		before := dump(t, db, p)
		for name := range s.form {
			query.Del(name)
		}
		got := h.observe(s.raw(t, h.base, query.Encode(), "", nil))
		if strings.Contains(got.raw, victim.ids["org"]) || strings.Contains(got.raw, victim.ids["user"]) {
			t.Errorf("%s shows what is another's: %s", title(route), got.raw)
		}
		wantUnchanged(t, title(route), before, dump(t, db, p))
	}
}
