package api_test

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"countersign.dev/services/api/internal/pipeline"
)

// situation is a caller and somebody else's ids.
type situation struct {
	name  string
	own   *realm // the caller, with what belongs to it
	owner *realm // of the ids, nil where there is none any more
	other map[string]string
	lives bool // there is something of these ids
	none  map[string]string
}

// nobodys is the id in the place of the other's that never existed. It stays
// the same, so that it gathers the same history, and an address is as long as
// the other's, since answers repeat it.
func (s situation) nobodys(t *testing.T, kind string) string {
	t.Helper()
	if s.none[kind] == "" {
		s.none[kind] = never(t, kind)
		if kind == "email" {
			s.none[kind] = strings.Split(s.none[kind], "@")[0] + "@" + strings.Split(s.other[kind], "@")[1]
		}
	}
	return s.none[kind]
}

// reachable are the ids that a caller may tell from ones that never existed,
// with the reason. An entry that no route needs any more fails the test.
var reachable = []struct {
	situation, kind string
	routes          func(pipeline.Route) bool
	why             string
}{
	{"the other environment", "org", every, "an organization holds both environments; what is in them is apart"},
	{"the other environment", "domain", every, "an organization claims its domains for both environments"},
	{"the other environment", "account", every, "an account holds both environments"},
	{"another organization", "account", every, "the account is the caller's own"},
	{"a deleted one", "account", every, "the account is the caller's own"},
	{"a deleted one", "key", identified, "a revoked key stays listed; revoking it again keeps the time of the first"},
	{"another account", "org", publishing, "tokens of an organization can be verified by whoever gets one"},
	{"another account", "account", publishing, "tokens of an account can be verified by whoever gets one"},
	{"another organization", "org", publishing, "tokens of an organization can be verified by whoever gets one"},
	{"a deleted one", "user", recorded, "what was done to a user stays recorded, for the organization it was in"},
	{"a deleted one", "second flow", inFlow, "the flow is the browser's own and lives on; without its user it asks for address and password again"},
	{"a deleted one", "org", remembered, "the account's own deleted organization can be read as deleted"},
}

func every(pipeline.Route) bool { return true }

func identified(route pipeline.Route) bool { return route.Credential == pipeline.APIKey }

func publishing(route pipeline.Route) bool { return strings.Contains(route.Path, "{issuer}") }

func recorded(route pipeline.Route) bool { return strings.HasSuffix(route.Path, "/activity") }

func inFlow(route pipeline.Route) bool { return strings.HasPrefix(route.Path, "/login/") }

// saves reports whether a route is about recovery codes that a sign-in has made.
func saves(route pipeline.Route) bool { return route.Path == "/login/recovery-codes.txt" }

func remembered(route pipeline.Route) bool { return route.Reach == pipeline.Remembered }

// Another account's object, another organization's, the other environment's, a
// deleted one and one that never existed answer with the same bytes, and none
// of them changes: every route, every id that its path or its input takes,
// alone and all at once. What is done for an address that is nobody's, so that
// nobody learns whose it is, is done for another's too, and touches nothing but
// what is the caller's own.
//
// Covers R-119 for organizations named in the path, and for keys narrowed to one.
func TestForeignIdsAnswerLikeNone(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		p.inbox = true
		h := open(t, p)
		db := p.openSQL(t)
		all, realms := situations(h)
		settle(t, db)
		seen := readings(realms)
		used := map[int]bool{}
		rows := watch(t, db, p)
		for _, route := range h.service.Routes() {
			compared := 0
			for _, s := range all {
				for _, cell := range s.cells(t, route, used) {
					s.compare(t, route, cell, rows)
					compared++
				}
				s.listing(t, route, rows)
			}
			rows.wantUnchanged(title(route))
			if saves(route) {
				seen = readings(realms) // with the users whose sign-ins had to be begun anew
				rows.learn()
			}
			if compared < len(belonging(t, route)) {
				t.Errorf("%s was compared in %d ways only", title(route), compared)
			}
		}
		for what, after := range readings(realms) {
			if seen[what] != after {
				t.Errorf("%s read %s before and %s after", what, seen[what], after)
			}
		}
		for i, entry := range reachable {
			if !used[i] {
				t.Errorf("no route lets %s of %q be told apart: take the entry out (%s)", entry.kind, entry.situation, entry.why)
			}
		}
	})
}

// situations furnishes two accounts.
func situations(h *house) ([]situation, []*realm) {
	h.t.Helper()
	l := newLedger()
	ours := h.realm(l, "acme", "sandbox", "").full()
	beside := h.realm(l, "acme", "sandbox", "").full()
	live := h.realm(l, "acme", "default", ours.org).full()
	theirs := h.realm(l, "rival", "sandbox", "").full()
	gone := ours.graveyard()
	nowhere := map[string]string{}
	for _, kind := range kinds {
		nowhere[kind] = never(h.t, kind)
	}
	return []situation{
		{"another account", ours, theirs, theirs.ids, true, map[string]string{}},
		{"another organization", ours.narrowed().full(), beside, beside.ids, true, map[string]string{}},
		{"the other environment", live, ours, ours.ids, true, map[string]string{}},
		{"a deleted one", ours, nil, gone, false, map[string]string{}},
		{"one that never existed", ours, nil, nowhere, false, map[string]string{}},
	}, []*realm{ours, beside, live, theirs}
}

// graveyard returns ids of what the realm's account had once.
func (r *realm) graveyard() map[string]string {
	r.t.Helper()
	lost := r.realm(r.ledger, r.account, r.env, "").full()
	r.call("DELETE", "/api/v2/api-keys/"+lost.ids["key"]).want(200)
	r.call("DELETE", "/api/v2/organizations/"+lost.org).want(200)
	// Of the user, one that was in an organization that lives.
	there := *r
	there.ids = maps.Clone(r.ids)
	there.codes = map[string]string{}
	copied := *r.house
	there.house = &copied
	for _, kind := range ofUsers {
		delete(there.ids, kind)
	}
	for _, kind := range ofUsers {
		lost.ids[kind] = there.id(kind)
	}
	r.call("DELETE", "/api/v2/org/"+r.org+"/users/"+there.ids["user"]).want(200)
	return lost.ids
}

// foreign is one id that a request names.
type foreign struct {
	place string // "path org", or "input request_id"
	name  string // of the parameter
	kind  string
	form  string // name in the form, for one of the input
}

// bearers are kinds of ids that are credentials themselves, with the reason why
// nobody asks who has them.
var bearers = map[string]string{
	"state": "whatever a client puts into the path for itself; nobody looks at it",
	"link":  "whoever holds a link may open it, and finds out behind the page whether it is good; nobody guesses 256 bits",
	"app":   "the id of an app is public: it stands in the address of every login, and what it lets somebody do is what the app has registered",
	"step":  "whoever holds an id of 128 random bits is whom the step before was answered; what it is bound to is compared by the rules",

	"ticket": "whoever has one may look at pages about nobody for half an hour; it is sealed, so that nobody else can make one",

	"language of a page": "the tag of a language",
	"page of a preview":  "the name of a page, which every preview has",

	"method":        "the name of a method",
	"page language": "the name of a language",
	"logo":          "the digest of a picture that stands on pages which everybody can open",
	"org of an app": "the contract's paths say it beside the app, which tells it alone",
}

// belonging are the parameters of a path that belong to somebody.
func belonging(t *testing.T, route pipeline.Route) []string {
	t.Helper()
	return slices.DeleteFunc(inPath(t, route), func(name string) bool { return bearers[objects[name][0]] != "" })
}

// cells are the sets of ids to replace: each alone, and all together. What may
// be reached is left out.
func (s situation) cells(t *testing.T, route pipeline.Route, used map[int]bool) (cells [][]foreign) {
	t.Helper()
	var all []foreign
	add := func(f foreign) {
		for i, entry := range reachable {
			if entry.situation == s.name && entry.kind == f.kind && entry.routes(route) {
				used[i] = true
				return
			}
		}
		cells = append(cells, []foreign{f})
		if !slices.ContainsFunc(all, func(o foreign) bool { return o.name == f.name }) {
			all = append(all, f)
		}
	}
	for _, name := range belonging(t, route) {
		for _, kind := range objects[name] {
			add(foreign{"path", name, kind, ""})
		}
	}
	for _, p := range inInput(route) {
		if kind := reference(route, p); kind != "" {
			add(foreign{"input", p.name, kind, p.form()})
		}
	}
	if len(all) > 1 {
		cells = append(cells, all)
	}
	return cells
}

// compare asks for somebody else's and for nobody's.
func (s situation) compare(t *testing.T, route pipeline.Route, cell []foreign, rows *watched) {
	t.Helper()
	s.beginFlows(route)
	sent := s.own.shot(route)
	if inEnvelopes(route) || saves(route) {
		rows.learn() // what the steps before have changed
	}
	sent.bare = s.lives && !ofFlow(cell) // a proof that covers the id would make it one's own
	with := func(ids func(kind string) string) *reply {
		for _, f := range cell {
			if f.place == "path" {
				sent.ids[f.name] = ids(f.kind)
			} else {
				sent.form.Set(f.form, ids(f.kind))
			}
		}
		return s.own.fire(sent)
	}
	theirs := with(func(kind string) string { return s.other[kind] })
	succeeds := theirs.status < http.StatusBadRequest && route.Method != http.MethodGet
	var did []string
	if succeeds {
		did = rows.changed(s)
	}
	nobodys := with(func(kind string) string { return s.nobodys(t, kind) })
	what := fmt.Sprintf("%s with %v of %s", title(route), cell, s.name)
	got, want := theirs.print(), nobodys.print()
	if succeeds {
		got, want = s.anonymous(got), s.anonymous(want)
		wantEffect(t, what, did, rows.changed(s))
		for _, kind := range s.tells(theirs, cell) {
			t.Errorf("%s tells the %s: %s", what, kind, theirs.raw)
		}
	}
	if got != want {
		t.Errorf("%s answers\n%s\nand with one that never existed\n%s", what, got, want)
	}
	inside := !slices.ContainsFunc(cell, func(f foreign) bool { return f.place == "path" })
	if theirs.status < http.StatusBadRequest && !inside {
		t.Errorf("%s succeeds: %s", what, theirs.raw)
	}
}

// print is all by which a caller can tell two answers apart.
func (r *reply) print() string {
	var out strings.Builder
	fmt.Fprintln(&out, r.status)
	for _, name := range sortedKeys(r.header) {
		if name != "Date" && name != "X-Request-Id" {
			fmt.Fprintln(&out, name, r.header[name])
		}
	}
	out.WriteString(mask(r))
	return out.String()
}

// shows are routes whose answers hold what belongs to others, with the reason.
var shows = map[string]string{
	"/inbox": "the page of dev shows the messages of all tenants, on loopback only",
}

// listing calls a route that reads, with the caller's own ids: what it answers
// names nothing of the other's.
func (s situation) listing(t *testing.T, route pipeline.Route, rows *watched) {
	t.Helper()
	if route.Method != http.MethodGet || shows[route.Path] != "" {
		return
	}
	s.beginFlows(route)
	sent := s.own.shot(route)
	if inEnvelopes(route) || saves(route) {
		rows.learn()
	}
	r := s.own.fire(sent).want(success(route))
	for kind, id := range s.other {
		if s.own.ids[kind] != id && strings.Contains(r.raw, id) {
			for _, entry := range reachable {
				if entry.kind == kind && entry.situation == s.name {
					id = ""
				}
			}
			if id != "" {
				t.Errorf("%s shows the %s of %s: %s", title(route), kind, s.name, r.raw)
			}
		}
	}
}

var lastUsed = regexp.MustCompile(`"last_used_at":"[^"]+",`)

// readings is all that the owners can read of what is theirs.
func readings(realms []*realm) map[string]string {
	out := map[string]string{}
	for i, r := range realms {
		for _, route := range r.service.Routes() {
			if route.Method == http.MethodGet && route.Credential != pipeline.None && !route.Page { // no page is the same twice
				read := r.fire(r.shot(route)).want(success(route)).raw
				if strings.HasSuffix(route.Path, "/sessions") {
					read = lastUsed.ReplaceAllString(read, "") // by the owner, whose browser asks for pages meanwhile
				}
				out[fmt.Sprint(i, " ", title(route))] = read
			}
		}
	}
	return out
}

// One address and one number in two organizations, in the two environments and
// in two accounts are four people: guesses and codes of one are nothing to the
// others.
// Covers R-122 for guesses and codes of one address in four places.
func TestOneAddressInFourPlacesIsFourPeople(t *testing.T) {
	t.Parallel()
	h, l := open(t, embedded(t)), newLedger()
	first := h.realm(l, "acme", "sandbox", "")
	places := []*realm{first, h.realm(l, "acme", "sandbox", ""), h.realm(l, "acme", "default", first.org), h.realm(l, "rival", "sandbox", "")}
	const email = "ana@example.test"
	phone := l.phone()
	codes := make([]string, len(places))
	for i, r := range places {
		r.enrolled(email, phone)
		codes[i] = r.code(r.call("POST", r.challenge(email)).want(201))
	}
	for range 5 {
		first.call("POST", first.challenge("validation/"+email), "code="+other(codes[0])).want(200).wantSuccess(false)
	}
	first.call("POST", first.challenge("validation/"+email), "code="+codes[0]).wantFault(429, "too_many_attempts")
	for i, r := range places[1:] {
		for _, code := range codes {
			if code != codes[i+1] {
				r.call("POST", r.challenge("validation/"+email), "code="+code).want(200).wantSuccess(false)
			}
		}
		r.call("POST", r.challenge("validation/"+email), "code="+codes[i+1]).want(200).wantSuccess(true)
	}
}
