package breach_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"countersign.dev/pkg/breachset"
	"countersign.dev/pkg/rig/rangeapi"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/breach"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	bad  = "lantern orchid 42 vexing" // in a breach
	good = "marble teacup 17 drifting"
)

// scene is a service with the fake behind it.
type scene struct {
	*testing.T
	fake    *rangeapi.Server
	server  *httptest.Server
	service *breach.Service

	mu      sync.Mutex
	now     time.Time
	results []string
	changes []error
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{T: t, fake: rangeapi.New(map[string]int{bad: 3, "seen never": 0}), now: time.Unix(1_800_000_000, 0)}
	s.server = httptest.NewUnstartedServer(s.fake)
	s.server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	s.server.StartTLS()
	roots := x509.NewCertPool()
	roots.AddCert(s.server.Certificate())
	asked := breach.NewRange(breach.RangeConfig{
		BaseURL: s.server.URL + "/", UserAgent: "Countersign/test", Roots: roots, Now: s.clock,
		Changed: func(err error) { s.note(func() { s.changes = append(s.changes, err) }) },
	})
	t.Cleanup(func() { asked.Close(); s.fake.Close(); s.server.Close() })
	s.service = &breach.Service{Range: asked, Observe: func(source breach.Source, result breach.Result) {
		s.note(func() { s.results = append(s.results, string(source)+" "+string(result)) })
	}}
	return s
}

func (s *scene) note(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
}

func (s *scene) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *scene) pass(d time.Duration) { s.note(func() { s.now = s.now.Add(d) }) }

// want asks about a password and compares the answer.
func (s *scene) want(plain string, found, checked bool, results ...string) {
	s.Helper()
	s.note(func() { s.results = nil })
	f, c := s.service.Breached(s.Context(), secret.New(plain))
	if f != found || c != checked || !slices.Equal(s.results, results) {
		s.Errorf("%q: found %v, checked %v, %v; want %v, %v, %v", plain, f, c, s.results, found, checked, results)
	}
}

// filter makes the service have one with these passwords.
func (s *scene) filter(passwords ...string) {
	s.Helper()
	s.service.Filter = &breach.Filter{}
	if err := s.service.Filter.Replace(set(s, passwords...), nil); err != nil {
		s.Fatal(err)
	}
}

func set(tb testing.TB, passwords ...string) *breachset.Set {
	tb.Helper()
	var hashes []breachset.Hash
	for _, p := range passwords {
		hashes = append(hashes, sha1.Sum([]byte(p)))
	}
	slices.SortFunc(hashes, func(a, b breachset.Hash) int { return bytes.Compare(a[:], b[:]) })
	file := &memory{}
	b := breachset.NewBuilder(file, 1, time.Unix(0, 0))
	for _, h := range hashes {
		if err := b.Add(h); err != nil {
			tb.Fatal(err)
		}
	}
	if _, err := b.Finish(); err != nil {
		tb.Fatal(err)
	}
	made, err := breachset.Open(bytes.NewReader(file.text), int64(len(file.text)))
	if err != nil {
		tb.Fatal(err)
	}
	return made
}

// memory is a file in memory.
type memory struct{ text []byte }

func (m *memory) WriteAt(text []byte, at int64) (int, error) {
	if missing := int(at) + len(text) - len(m.text); missing > 0 {
		m.text = append(m.text, make([]byte, missing)...)
	}
	return copy(m.text[at:], text), nil
}

// What leaves the house is five digits of a hash: nothing else of the password
// and nothing of its user.
//
// Covers R-057 for what the range API learns.
func TestTheRangeAPILearnsFiveDigits(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.want(bad, true, true, "range found")
	s.want(good, false, true, "range clean")
	s.want("seen never", false, true, "range clean") // rows with a count of zero are padding
	s.fake.Fail(rangeapi.Fault{SmallLetters: true})
	s.want(bad, true, true, "range found")
	calls := s.fake.Calls()
	if len(calls) != 4 {
		t.Fatalf("%d calls", len(calls))
	}
	for _, call := range calls {
		digits, ok := strings.CutPrefix(call.URL, "/range/")
		if !ok || len(digits) != 5 || strings.Trim(digits, "0123456789ABCDEF") != "" || call.Body != 0 {
			t.Errorf("asked %q with a body of %d", call.URL, call.Body)
		}
		for name, values := range call.Header {
			switch {
			case name == "Add-Padding" && values[0] == "true", name == "User-Agent" && values[0] == "Countersign/test":
			default:
				t.Errorf("it also learns %s: %v", name, values)
			}
		}
		if call.Header.Get("Add-Padding") == "" || call.Header.Get("User-Agent") == "" {
			t.Errorf("asked with %v", call.Header)
		}
	}
}

// What is no answer leaves the password unchecked, and is never taken for one.
func TestNoAnswerIsNotClean(t *testing.T) {
	t.Parallel()
	text := func(s string) *string { return &s }
	row := "1E4C9B93F3F0682250B6CF8331B7EE68FD8"
	for name, fault := range map[string]rangeapi.Fault{
		"a status of 500":          {Status: 500},
		"a status of 404":          {Status: 404},
		"a status with rows":       {Status: 429, Body: text(row + ":1\r\n")},
		"a status of 204":          {Status: 204},
		"a redirect":               {Redirect: "/range/00000"},
		"no answer":                {Drop: true},
		"no rows":                  {Body: text("")},
		"a page":                   {Body: text("<html>please log in</html>\n")},
		"a row without its count":  {Body: text(row + ":1\r\n" + row)},
		"a row that is cut":        {Body: text(row + ":1\r\n" + row[:9])},
		"a whole hash for its end": {Body: text("5BAA6" + row + ":1")},
		"an answer without end":    {Body: text(strings.Repeat(row+":00000000000000000000000001\r\n", 10_000))}, // cut behind a row
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			fault.Times = 2
			s.fake.Fail(fault)
			s.want(bad, false, false, "range failed")
			s.want(good, false, false, "range failed")
			s.want(bad, true, true, "range found")
		})
	}
}

// A certificate of somebody else is no answer either.
func TestTheCertificateIsVerified(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	strange := breach.NewRange(breach.RangeConfig{BaseURL: s.server.URL, UserAgent: "Countersign/test", Now: s.clock})
	defer strange.Close()
	s.service.Range = strange
	s.want(bad, false, false, "range failed")
	if calls := s.fake.Calls(); len(calls) != 0 {
		t.Errorf("it was asked: %v", calls)
	}
}

// An outage is asked about three times, and then once in fifteen seconds,
// whatever the logins. Each end of it is told once, without a digit of a hash.
func TestAnOutageIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.fake.Fail(rangeapi.Fault{Drop: true, Times: 4})
	for range 3 {
		s.want(bad, false, false, "range failed")
	}
	for range 50 {
		s.want(bad, false, false, "range paused")
	}
	s.pass(15 * time.Second)
	s.want(bad, false, false, "range failed") // one finds out
	s.want(bad, false, false, "range paused")
	if n := len(s.fake.Calls()); n != 4 {
		t.Errorf("asked %d times", n)
	}
	s.pass(15 * time.Second)
	s.want(bad, true, true, "range found")
	s.want(good, false, true, "range clean")
	if len(s.changes) != 2 || s.changes[0] == nil || s.changes[1] != nil {
		t.Fatalf("told %v", s.changes)
	}
	if digits := strings.TrimPrefix(s.fake.Calls()[0].URL, "/range/"); strings.Contains(s.changes[0].Error(), digits) {
		t.Errorf("%v tells %s", s.changes[0], digits)
	}
}

// Failures that are not in a row are none of an outage.
func TestSomeFailuresAreNoOutage(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for range 5 {
		s.fake.Fail(rangeapi.Fault{Status: 503, Times: 2})
		s.want(bad, false, false, "range failed")
		s.want(bad, false, false, "range failed")
		s.want(bad, true, true, "range found")
	}
	if s.changes != nil {
		t.Errorf("told %v", s.changes)
	}
}

// A slow API is left before the user has waited two seconds. The fake says
// who hung up.
//
// Covers R-057 for the wait.
func TestASlowAPIIsLeft(t *testing.T) {
	t.Parallel()
	if breach.Within > 2*time.Second {
		t.Fatalf("waits %v", breach.Within)
	}
	s := newScene(t)
	gone := make(chan string, 1)
	s.fake.Asked = func(call rangeapi.Call) { gone <- call.Answer }
	s.fake.Fail(rangeapi.Fault{StallMS: 600_000})
	s.want(bad, false, false, "range failed")
	if answer := <-gone; answer != "abandoned" {
		t.Errorf("the fake has %s", answer)
	}
}

// Callers that leave say nothing about the API.
func TestCallersThatLeaveOpenNoBreaker(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.fake.Fail(rangeapi.Fault{Status: 503, Times: 2}) // the next failure would be the third
	s.want(bad, false, false, "range failed")
	s.want(bad, false, false, "range failed")
	ctx, leave := context.WithCancel(t.Context())
	arrived := s.arrivals(func() { leave() })
	s.fake.Fail(rangeapi.Fault{StallMS: 600_000})
	s.service.Breached(ctx, secret.New(bad))
	if arrived.Load() != 1 || s.changes != nil {
		t.Errorf("%d arrived, told %v", arrived.Load(), s.changes)
	}
	s.want(bad, true, true, "range found")
}

// arrivals does something when the next question arrives, and counts them.
func (s *scene) arrivals(do func()) *atomic.Int32 {
	n, next := new(atomic.Int32), s.server.Config.Handler
	s.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 1 {
			do()
		}
		next.ServeHTTP(w, r)
	})
	return n
}

// At most sixteen questions are open, and who finds no turn in time is not
// checked.
func TestQuestionsAreBounded(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	var mu sync.Mutex
	open, most := 0, 0
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		open++
		most = max(most, open)
		mu.Unlock()
		s.fake.ServeHTTP(w, r)
		mu.Lock()
		open--
		mu.Unlock()
	}))
	defer slow.Close()
	asked := breach.NewRange(breach.RangeConfig{BaseURL: slow.URL, UserAgent: "Countersign/test", Now: s.clock})
	defer asked.Close()
	s.service.Range = asked
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() { s.service.Breached(t.Context(), secret.New(bad)) })
	}
	all.Wait()
	mu.Lock()
	defer mu.Unlock() // a question that was given up is answered all the same
	if most > 16 || len(s.results) != 200 {
		t.Errorf("%d were open at once; %d results", most, len(s.results))
	}
}

// The filter goes first and what it finds stays here; what it does not find
// may be in a newer list. Each stands in for the other.
func TestTheFilterGoesFirst(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.filter(good)
	s.want(good, true, true, "filter found")
	if calls := s.fake.Calls(); len(calls) != 0 {
		t.Errorf("the range API was asked too: %v", calls)
	}
	s.want(bad, true, true, "filter clean", "range found")
	s.want("another one", false, true, "filter clean", "range clean")

	s.fake.Fail(rangeapi.Fault{Status: 503})
	s.want(bad, false, true, "filter clean", "range failed") // the filter's word stands

	s.service.Filter = &breach.Filter{}
	s.want(bad, true, true, "filter failed", "range found")
	s.fake.Fail(rangeapi.Fault{Status: 503})
	s.want(bad, false, false, "filter failed", "range failed")

	s.service.Range = nil
	s.filter(good)
	s.want(good, true, true, "filter found")
	s.want(bad, false, true, "filter clean")

	s.service.Filter = nil
	s.want(bad, false, false)
}

// The file that fails is told once, until it answers again.
func TestABrokenFilterIsToldOnce(t *testing.T) {
	t.Parallel()
	told := 0
	f := &breach.Filter{Broken: func(error) { told++ }}
	service := &breach.Service{Filter: f}
	ask := func(times int) {
		for range times {
			service.Breached(t.Context(), secret.New(bad))
		}
	}
	ask(5)
	if err := f.Replace(set(t, bad), nil); err != nil {
		t.Fatal(err)
	}
	ask(5)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	ask(5)
	if told != 2 {
		t.Errorf("told %d times", told)
	}
}

// A filter is replaced while it is asked: every question gets its answer from
// the old or the new one, and the old one is closed when nobody reads it.
func TestNoQuestionFailsWhileTheFilterIsReplaced(t *testing.T) {
	t.Parallel()
	one, other := set(t, bad, "one"), set(t, bad, "other")
	f := &breach.Filter{}
	service := &breach.Service{Filter: f}
	replace := func(i int) {
		current := one
		if i%2 == 1 {
			current = other
		}
		if err := f.Replace(current, func() error { return nil }); err != nil {
			t.Error(err)
		}
	}
	replace(0)
	over := make(chan struct{})
	var asking sync.WaitGroup
	for range 32 {
		asking.Go(func() {
			for {
				if found, checked := service.Breached(t.Context(), secret.New(bad)); !found || !checked {
					t.Errorf("found %v, checked %v", found, checked)
				}
				select {
				case <-over:
					return
				default:
				}
			}
		})
	}
	for i := range 100 {
		replace(i)
	}
	close(over)
	asking.Wait()
	failing := errors.New("close")
	if err := errors.Join(f.Replace(one, func() error { return failing }), f.Close()); !errors.Is(err, failing) {
		t.Errorf("%v", err)
	}
}

func TestCheckBase(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		"https://api.example.com": true, "https://api.example.com/v3/": true, "http://127.0.0.1:9913": true,
		"": false, "api.example.com": false, "ftp://api.example.com": false, "https://u:p@api.example.com": false,
		"https://api.example.com/?x=1": false, "https://api.example.com/#x": false, "https://": false, "://": false,
	} {
		if (breach.CheckBase(text) == "") != ok {
			t.Errorf("%q: %q", text, breach.CheckBase(text))
		}
	}
}
