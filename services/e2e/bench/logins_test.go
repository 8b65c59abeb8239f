package bench_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"countersign.dev/services/e2e/stage"
)

const (
	loginsAccepted = 200
	hashesBare     = 100
	// What is cheap is called at this pace, so many times each.
	probes        = 400
	betweenProbes = 25 * time.Millisecond
)

// loginScene is a scene whose users have passwords, in the sandbox. The caller
// sends links and codes by itself, so that no worker is needed.
func loginScene(b *testing.B) (s *scene, people []string) {
	b.Helper()
	s = newScene(b, "sandbox")
	s.app.Call(http.MethodPost, s.app.Path("password-connection"), "delivery=caller").Want(http.StatusCreated)
	s.app.Call(http.MethodPut, s.app.Path("totp-connection"), "delivery=caller").Want(http.StatusOK)
	return s, s.people("ana", clients)
}

const password = "2vK79^41aokzi6lc8"

// withPasswords gives everybody one, by the way of a link.
func (s *scene) withPasswords(people []string) {
	s.Helper()
	lanes(len(people), 4, func(i int) { // as many as find a turn to hash
		asked := s.app.Call(http.MethodPost, "/api/v2/password-request",
			"user_email="+people[i], "redirect_uri=http://localhost:3000/welcome", "org_domain="+s.app.Org).Want(http.StatusCreated)
		code := stage.NewBrowser(s.B, s.app.Base).Follow(asked.Text("magic_link")).Get("password_code")
		s.app.Call(http.MethodPost, "/api/v2/password", "plain_text="+password, "password_code="+code).Want(http.StatusOK)
	})
}

// storm is many persons who log in with the right password over and over.
type storm struct {
	*scene
	people []string
	// wait makes who finds no room come back when the answer says so.
	wait bool

	over     chan struct{}
	running  sync.WaitGroup
	accepted atomic.Int64

	mu      sync.Mutex
	served  []time.Duration
	refused []time.Duration // there was no room for another hash
	limited int             // by the rate of the key, before that
}

func (s *scene) storm(people []string, wait bool) *storm {
	r := &storm{scene: s, people: people, wait: wait, over: make(chan struct{})}
	for _, email := range people {
		r.running.Go(func() { r.person(email) })
	}
	return r
}

func (r *storm) person(email string) {
	for {
		select {
		case <-r.over:
			return
		default:
		}
		begun := time.Now()
		answer := r.app.Call(http.MethodPost, "/api/v2/password-challenge", "user_email="+email, "org_domain="+r.app.Org, "plain_text="+password)
		r.note(answer, time.Since(begun))
		if !r.wait || answer.Status == http.StatusOK {
			continue
		}
		seconds, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
		select {
		case <-r.over:
		case <-time.After(time.Duration(seconds) * time.Second):
		}
	}
}

func (r *storm) note(answer *stage.Reply, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case answer.Status == http.StatusOK && answer.Body["valid?"] == true:
		r.accepted.Add(1)
		r.served = append(r.served, took)
	case answer.Status == http.StatusServiceUnavailable:
		r.refused = append(r.refused, took)
	case answer.Status == http.StatusTooManyRequests:
		r.limited++
	default:
		r.Errorf("status %d: %s", answer.Status, answer.Raw)
	}
}

func (r *storm) end() {
	close(r.over)
	r.running.Wait()
}

// counts reports what became of all calls.
func (r *storm) counts() {
	r.ReportMetric(float64(len(r.served)), "accepted")
	r.ReportMetric(float64(len(r.refused)), "refused")
	r.ReportMetric(float64(r.limited), "rate-limited")
}

// BenchmarkLogins measures right passwords a second, with 64 persons who log
// in over and over. Its floor is Argon2id alone, in as many goroutines as the
// api has turns. Who finds no room comes back when the answer says so, or at
// once.
func BenchmarkLogins(b *testing.B) {
	s, people := loginScene(b)
	s.withPasswords(people)
	b.Run("come-back-later", func(b *testing.B) { s.with(b).logins(people, true) })
	b.Run("come-back-at-once", func(b *testing.B) { s.with(b).logins(people, false) })
}

func (s *scene) logins(people []string, wait bool) {
	before := hashes(hashesBare)
	storm := s.storm(people, wait)
	stage.UntilWithin(s.B, time.Minute, "the queue is full", func() bool { return storm.accepted.Load() >= clients/4 })
	first, used, begun := storm.accepted.Load(), s.usage(), time.Now()
	stage.UntilWithin(s.B, 2*time.Minute, "the logins are accepted", func() bool { return storm.accepted.Load() >= first+loginsAccepted })
	n, took := int(storm.accepted.Load()-first), time.Since(begun)
	s.spent("logins", n, took, used, s.usage())
	storm.end()
	s.compare(float64(n)/took.Seconds(), (before+hashes(hashesBare))/2)
	storm.counts()
	s.ReportMetric(percentile(storm.served, 0.99), "accepted-p99-ms")
	s.ReportMetric(percentile(storm.refused, 0.99), "refused-p99-ms")
}

// hashes makes hashes as the api does and returns how many in a second.
func hashes(n int) float64 {
	slots := max(1, runtime.GOMAXPROCS(0)-1)
	begun := time.Now()
	lanes(n, slots, func(int) { argon2.IDKey([]byte(password), make([]byte, 16), 2, 19456, 1, 32) })
	return float64(n) / time.Since(begun).Seconds()
}

// BenchmarkStorm measures what a storm of logins does to everything else: how
// long the right code of a text message and the sign of life take while 64
// persons log in over and over, beside the same with nobody there, and how
// much memory the api has then.
func BenchmarkStorm(b *testing.B) {
	s, people := loginScene(b)
	idle := s.heap() // before any hash
	s.withPasswords(people)
	codes := s.codes(3 * probes)
	calm := s.probe(codes[:probes])
	for i, name := range []string{"come-back-later", "come-back-at-once"} {
		b.Run(name, func(b *testing.B) { s.with(b).rough(people, i == 0, codes[(i+1)*probes:][:probes], calm, idle) })
	}
}

func (s *scene) rough(people []string, wait bool, codes []code, calm probed, idle int64) {
	storm := s.storm(people, wait)
	stage.UntilWithin(s.B, time.Minute, "the queue is full", func() bool { return storm.accepted.Load() >= clients/4 })
	used, begun := s.usage(), time.Now()
	rough := s.probe(codes)
	s.spent("probes", probes, time.Since(begun), used, s.usage())
	storm.end()

	s.ReportMetric(0, "ns/op")
	s.ReportMetric(percentile(rough.codes, 0.99), "code-p99-ms")
	s.ReportMetric(percentile(calm.codes, 0.99), "calm-code-p99-ms")
	s.ReportMetric(percentile(rough.lives, 0.99), "livez-p99-ms")
	s.ReportMetric(percentile(calm.lives, 0.99), "calm-livez-p99-ms")
	s.ReportMetric(float64(rough.heap-idle)/(1<<20), "heap-above-idle-MiB")
	storm.counts()
}

// code is a live one of a user.
type code struct{ user, value string }

// codes makes users with a phone and a live code each.
func (s *scene) codes(n int) []code {
	s.Helper()
	all := make([]code, n)
	lanes(n, inFlight, func(i int) {
		user := s.app.NewUser(fmt.Sprintf("bob%d@acme.test", i), fmt.Sprintf("+49151%08d", 10_000_000+1000*i))
		started := s.app.Call(http.MethodPost, s.app.Path("totp-enrollment/"+user), "method=sms").Want(http.StatusCreated)
		s.app.Call(http.MethodPut, s.app.Path("totp-enrollment/validation/"+user), "code="+started.Text("code")).WantSuccess(true)
		asked := s.app.Call(http.MethodPost, s.app.Path("totp-challenge/"+user)).Want(http.StatusCreated)
		all[i] = code{user, asked.Text("code")}
	})
	return all
}

// probed is how long the cheap calls took, and the most memory seen meanwhile.
type probed struct {
	codes, lives []time.Duration
	heap         int64
}

// probe makes cheap calls at a steady pace. A call that is late does not hold
// up the next one.
func (s *scene) probe(codes []code) (p probed) {
	s.Helper()
	p.codes, p.lives = make([]time.Duration, len(codes)), make([]time.Duration, len(codes))
	tick := time.NewTicker(betweenProbes)
	defer tick.Stop()
	var calls sync.WaitGroup
	for i, c := range codes {
		<-tick.C
		calls.Go(func() {
			begun := time.Now()
			s.app.Call(http.MethodPost, s.app.Path("totp-challenge/validation/"+c.user), "code="+c.value).WantSuccess(true)
			p.codes[i] = time.Since(begun)
		})
		calls.Go(func() {
			begun := time.Now()
			if _, err := s.get(s.ops + "/livez"); err != nil {
				s.Error(err)
			}
			p.lives[i] = time.Since(begun)
		})
		if i%20 == 0 {
			p.heap = max(p.heap, s.heap())
		}
	}
	calls.Wait()
	return p
}

// heap is the memory that the api's heap takes, in bytes.
func (s *scene) heap() int64 {
	s.Helper()
	text, err := s.get(s.ops + "/metrics")
	s.must(err)
	_, rest, _ := strings.Cut(text, "\ngo_memstats_heap_inuse_bytes ")
	value, _, _ := strings.Cut(rest, "\n")
	bytes, err := strconv.ParseFloat(value, 64)
	s.must(err)
	return int64(bytes)
}
