package api_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"countersign.dev/pkg/bus/bustest"
	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/rig"
	"countersign.dev/pkg/run"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api"
)

// inFlight is how many calls the benchmarks keep going at once.
const inFlight = 32

// bench is a running service with enrolled users, for load.
type bench struct {
	*testing.B
	base   string
	token  string
	org    string
	users  []string
	client *http.Client
	// code returns the code that a request sent, as soon as it was delivered.
	code func(requestID string) string
}

func newBench(b *testing.B, base string) *bench {
	b.Helper()
	return &bench{B: b, base: base, client: &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: inFlight, MaxConnsPerHost: inFlight},
	}}
}

// benchOn starts a service on the parts, in the sandbox, with wide budgets.
func benchOn(b *testing.B, database string, short ephemeral.Store) *bench {
	b.Helper()
	ctx := context.Background()
	keys := benchKeys{seal.NewKey(), seal.NewKey(), seal.NewKey()}
	admin, err := api.Operator(ctx, api.OperatorConfig{DatabaseURL: secret.New(database), SealKeys: keys.seal, InsecureDev: true})
	must(b, err)
	must(b, admin.Migrate(ctx))
	must(b, admin.Close())
	h, service := serveBench(b, database, short, keys)
	must(b, service.Admin().CreateAccount(ctx, "acme", ""))
	key, err := service.Admin().CreateKey(ctx, "acme", "sandbox", "bench", []string{api.AllScopes})
	must(b, err)
	h.furnish(key.ClientID, key.ClientSecret.Reveal())
	return h
}

type benchKeys struct{ seal, delivery, index secret.Text }

// serveBench serves a database that is migrated.
func serveBench(b *testing.B, database string, short ephemeral.Store, with benchKeys) (*bench, *api.Service) {
	b.Helper()
	ctx := context.Background()
	log := slog.New(slog.DiscardHandler)
	nats := bustest.Server(b)
	conn := bustest.Bus(b, nats)
	service, err := api.New(ctx, api.Config{
		Addr: "127.0.0.1:0", BaseURL: "http://127.0.0.1:8080", DatabaseURL: secret.New(database), SealKeys: with.seal, DeliveryKeys: with.delivery,
		IndexKey: with.index, Guesses: 5, GuessCap: 100, SMSCodeLife: 5 * time.Minute, SMSCodeTries: 5, InsecureDev: true,
		Argon2Memory: 64, Argon2Passes: 1, Argon2Threads: 1, // each enrolment hashes five recovery codes, and none is measured
	}, api.Parts{Ephemeral: short, Bus: conn, Log: log})
	must(b, err)
	h := newBench(b, "http://"+service.Addr())
	keys, err := seal.Parse("delivery keys", with.delivery)
	must(b, err)
	codes := &courier{keys: keys, mail: make(chan parcel, 1<<20), held: map[string]event.SMS{}}
	h.code = codes.next
	group := &run.Group{Log: log}
	service.Add(group)
	group.Add("courier", func(ctx context.Context) error { return codes.serve(ctx, conn) })
	stopped, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- group.Run(stopped) }()
	b.Cleanup(func() {
		stop()
		must(b, <-done)
		must(b, service.Close())
	})
	return h, service
}

// next returns the code of a request, as often as it is asked for.
func (c *courier) next(requestID string) string {
	for {
		if content, ok := c.held[requestID]; ok {
			return content.Code
		}
		p := <-c.mail
		c.held[p.request.RequestID] = p.content
	}
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// furnish makes an organization and as many users as calls are in flight, so
// that no two of them replace each other's code.
func (h *bench) furnish(clientID, clientSecret string) {
	h.Helper()
	h.token = field(h.post("/oauth/token", "grant_type", "client_credentials", "client_id", clientID, "client_secret", clientSecret), "access_token")
	h.org = field(h.post("/api/v2/organizations", "name", "Bench"), "domain")
	h.call(http.MethodPut, "/api/v2/org/"+h.org+"/totp-connection", "active", "true", "sms_per_hour", "1000000", "sms_per_day", "10000000")
	for i := range 8 * inFlight {
		user := field(h.post("/api/v2/org/"+h.org+"/users", "email", fmt.Sprintf("user%d@acme.test", i), "phone_number", numbered(1000*i)), "id")
		started := field(h.post("/api/v2/org/"+h.org+"/totp-enrollment/"+user, "method", "sms"), "request_id")
		h.call(http.MethodPut, "/api/v2/org/"+h.org+"/totp-enrollment/validation/"+user, "code", h.code(started))
		h.users = append(h.users, user)
	}
}

func (h *bench) post(path string, pairs ...string) string {
	return h.call(http.MethodPost, path, pairs...)
}

func (h *bench) call(method, path string, pairs ...string) string {
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	req, err := http.NewRequestWithContext(context.Background(), method, h.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		h.Error(err)
		return ""
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Bearer "+h.token)
	res, err := h.client.Do(req)
	if err != nil {
		h.Error(err)
		return ""
	}
	defer res.Body.Close()
	var body strings.Builder
	if _, err := fmt.Fprint(&body, readAll(res)); err != nil || res.StatusCode >= http.StatusBadRequest {
		h.Errorf("%s %s: %d %s", method, path, res.StatusCode, body.String())
	}
	return body.String()
}

func readAll(res *http.Response) string {
	var out strings.Builder
	buffer := make([]byte, 4096)
	for {
		n, err := res.Body.Read(buffer)
		out.Write(buffer[:n])
		if err != nil {
			return out.String()
		}
	}
}

// field reads one text of a flat JSON answer, without the cost of decoding it.
func field(body, name string) string {
	_, rest, _ := strings.Cut(body, `"`+name+`":"`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// lap is what a number of calls took: time, and CPU with that of the databases.
type lap struct {
	calls     int
	took, cpu float64 // seconds
}

func (l *lap) add(more lap) {
	l.calls, l.took, l.cpu = l.calls+more.calls, l.took+more.took, l.cpu+more.cpu
}

func (l lap) perSecond() float64 { return float64(l.calls) / l.took }

// cpuEach is the CPU of one call in milliseconds.
func (l lap) cpuEach() float64 { return 1000 * l.cpu / float64(l.calls) }

// load runs do n times, inFlight at once, each lane with users of its own.
func (h *bench) load(n int, do func(i int)) lap {
	var next atomic.Int64
	var lanes sync.WaitGroup
	before, begun := cpuSeconds(), time.Now()
	for range inFlight {
		lanes.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				do(i)
			}
		})
	}
	lanes.Wait()
	return lap{calls: n, took: time.Since(begun).Seconds(), cpu: cpuSeconds() - before}
}

// cpuSeconds is the CPU that this process and its children (the databases)
// have used. Where there is no /proc it is this process's alone.
func cpuSeconds() float64 {
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		return 0
	}
	total := time.Duration(own.Utime.Nano() + own.Stime.Nano()).Seconds()
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	parents, ticks := map[int]int{}, map[int]float64{}
	for _, path := range stats {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		head, tail, _ := strings.Cut(string(raw), ") ")
		fields := strings.Fields(tail)
		pid, _ := strconv.Atoi(strings.Fields(head)[0])
		parents[pid], _ = strconv.Atoi(fields[1])
		user, _ := strconv.ParseFloat(fields[11], 64)
		system, _ := strconv.ParseFloat(fields[12], 64)
		ticks[pid] = (user + system) / 100
	}
	for pid := range parents {
		for up := parents[pid]; up > 1; up = parents[up] {
			if up == os.Getpid() {
				total += ticks[pid]
				break
			}
		}
	}
	return total
}

// benchParts runs a benchmark on embedded parts, on distributed ones, and with
// each service in a process of its own, the worker at work.
func benchParts(b *testing.B, do func(b *testing.B, h *bench, floor *floor)) {
	b.Helper()
	b.Run("embedded", func(b *testing.B) {
		database, short := "sqlite:"+filepath.Join(b.TempDir(), "bench.db"), ephemeral.NewMemory(time.Now)
		do(b, benchOn(b, database, short), newFloor(b, "sqlite:"+filepath.Join(b.TempDir(), "floor.db"), short, bustest.Bus(b, bustest.Server(b))))
	})
	b.Run("distributed", func(b *testing.B) {
		short, err := ephemeral.NewRedis(ephemeral.RedisConfig{URL: secret.New(rig.Redis(b).URL)})
		must(b, err)
		b.Cleanup(func() { _ = short.Close() })
		ours, theirs := rig.Postgres(b), rig.Postgres(b)
		h, floor := benchOn(b, ours, short), newFloor(b, theirs, short, bustest.Bus(b, bustest.Server(b)))
		rig.Analyze(b, ours)
		rig.Analyze(b, theirs)
		do(b, h, floor)
	})
	b.Run("processes", func(b *testing.B) {
		redis, ours, theirs := rig.Redis(b).URL, rig.Postgres(b), rig.Postgres(b)
		short, err := ephemeral.NewRedis(ephemeral.RedisConfig{URL: secret.New(redis)})
		must(b, err)
		b.Cleanup(func() { _ = short.Close() })
		h := benchProcesses(b, ours, redis, startNATS(b))
		floor := newFloor(b, theirs, short, bustest.Bus(b, &bustest.NATS{URL: startNATS(b)})) // its own: the worker would take its messages
		rig.Analyze(b, ours)
		rig.Analyze(b, theirs)
		do(b, h, floor)
	})
}

// compare reports a benchmark beside its floor, from the same run.
func (h *bench) compare(floor, ours lap) {
	h.ReportMetric(0, "ns/op")
	h.ReportMetric(floor.perSecond(), "floor/s")
	h.ReportMetric(ours.perSecond(), "ours/s")
	h.ReportMetric(100*ours.perSecond()/floor.perSecond(), "%floor")
	h.ReportMetric(floor.cpuEach(), "floor-cpu-ms/op")
	h.ReportMetric(ours.cpuEach(), "ours-cpu-ms/op")
}

// BenchmarkChallenge asks for codes over HTTP. Its floor is what nothing can
// do without: the same statements in one transaction, the claim and the code
// in the ephemeral store, one publication.
func BenchmarkChallenge(b *testing.B) {
	benchParts(b, func(b *testing.B, h *bench, floor *floor) {
		b.Helper()
		n := max(b.N, 2*inFlight)
		theirs := h.load(n, floor.challenge)
		ours := h.load(n, func(i int) { h.post("/api/v2/org/" + h.org + "/totp-challenge/" + h.users[i%len(h.users)]) })
		h.compare(theirs, ours)
	})
}

// BenchmarkValidation checks right codes over HTTP. Its floor: the count of
// the guess, the comparison, and the clearing of the count and of the gap.
// Every user has one live code, so it goes in rounds, the floor's and ours in
// turn: whatever else the machine does falls on both.
func BenchmarkValidation(b *testing.B) {
	benchParts(b, func(b *testing.B, h *bench, floor *floor) {
		b.Helper()
		var theirs, ours lap
		for left := max(b.N, 2*inFlight); left > 0; left -= len(h.users) {
			n := min(left, len(h.users))
			floor.arm(n)
			codes := make([]string, n+1)
			for i := range n {
				codes[i+1] = field(h.post("/api/v2/org/"+h.org+"/totp-challenge/"+h.users[i]), "request_id")
			}
			for i, requestID := range codes[1:] {
				codes[i+1] = h.code(requestID)
			}
			theirs.add(h.load(n, floor.validate))
			ours.add(h.load(n, func(i int) {
				if answer := h.post("/api/v2/org/"+h.org+"/totp-challenge/validation/"+h.users[i-1], "code", codes[i]); !strings.Contains(answer, `"success":true`) {
					h.Errorf("a right code was refused: %s", answer)
				}
			}))
		}
		h.compare(theirs, ours)
	})
}
