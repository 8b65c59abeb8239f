package guard_test

import (
	"errors"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/hashing"
	"countersign.dev/services/api/internal/password"
)

// Covers R-110 for memory.
//
// 500 callers log in over and over, with hashes of the real size: memory stays
// where the slots put it, and who gets no turn is told when to come back. It is
// not parallel: others would use memory, too.
func TestAStormOfLoginsTakesNoMoreMemory(t *testing.T) {
	cost := password.DefaultParameters()
	cost.Passes = 1 // the time is not what is measured
	g := open(t, settings{cost: cost})
	g.Turns = hashing.New(hashing.Config{}) // as in production
	people := make([]guard.Whose, 500)
	for i := range people {
		people[i] = g.nobody()
	}
	debug.FreeOSMemory()
	baseline := heap()
	const enough = 30 // evaluations
	var peak uint64
	var busy, served atomic.Int64
	var callers sync.WaitGroup
	for _, w := range people {
		callers.Go(func() {
			for g.evaluated.Load() < enough {
				_, err := g.tries(w, wrong, g.phc)
				f, ok := errors.AsType[*fault.Error](err)
				switch {
				case err == nil:
					served.Add(1)
				case ok && f.Kind == fault.Unavailable && f.After > 0:
					busy.Add(1)
				case !errors.Is(err, guard.ErrPaused):
					t.Error(err)
					return
				}
				runtime.Gosched()
			}
		})
	}
	done := make(chan struct{})
	go func() { callers.Wait(); close(done) }()
	for ticker := time.NewTicker(5 * time.Millisecond); ; {
		peak = max(peak, heap())
		select {
		case <-ticker.C:
			continue
		case <-done:
		}
		ticker.Stop()
		break
	}
	growth := int64(peak) - int64(baseline)
	t.Logf("%d logins served, %d refused, %d MiB above the baseline at most", served.Load(), busy.Load(), growth>>20)
	if growth > 256<<20 {
		t.Errorf("the heap grew by %d MiB, more than 256", growth>>20)
	}
	if served.Load() < enough || busy.Load() == 0 {
		t.Errorf("%d logins were served and %d refused: there was no storm", served.Load(), busy.Load())
	}
}

func heap() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapInuse
}

// BenchmarkPassword measures logins per second through the guard and its pool
// beside the bare Argon2id in as many goroutines as there are slots, in turns
// of one run. `of_bare` is the share; performance.md asks for 0.9.
func BenchmarkPassword(b *testing.B) {
	for _, engine := range engines {
		b.Run(engine, func(b *testing.B) {
			slots := max(1, runtime.GOMAXPROCS(0)-1)
			g := open(b, settings{dsn: database(b, engine), pool: hashing.Config{Slots: slots, PerSlot: 64, Wait: time.Minute}, cost: password.DefaultParameters()})
			people := make([]guard.Whose, atOnce)
			for i := range people {
				people[i] = g.known()
			}
			var through, bare time.Duration
			rounds := 0
			for b.Loop() {
				rounds++
				bare += took(func() { g.evaluateBare(slots) })
				through += took(func() { g.logIn(people, rounds) })
			}
			all := float64(rounds * atOnce)
			b.ReportMetric(all/through.Seconds(), "logins/s")
			b.ReportMetric(all/bare.Seconds(), "bare/s")
			b.ReportMetric(bare.Seconds()/through.Seconds(), "of_bare")
		})
	}
}

// atOnce is how many logins one round of the benchmark has.
const atOnce = 24

func took(fn func()) time.Duration {
	began := time.Now()
	fn()
	return time.Since(began)
}

// logIn lets all of the people log in at once, every fourth of them, others in
// every round, with a wrong password.
func (g *gate) logIn(people []guard.Whose, round int) {
	var callers sync.WaitGroup
	for i, w := range people {
		callers.Go(func() {
			typed, ok := right, (i+round)%4 != 0
			if !ok {
				typed = wrong
			}
			got, err := g.tries(w, typed, g.phc)
			if err != nil || got.OK != ok {
				g.tb.Errorf("%+v, %v", got, err)
			}
		})
	}
	callers.Wait()
}

// evaluateBare makes as many hashes, in so many goroutines.
func (g *gate) evaluateBare(slots int) {
	var left atomic.Int64
	left.Store(atOnce)
	cost := password.DefaultParameters()
	var workers sync.WaitGroup
	for range slots {
		workers.Go(func() {
			for left.Add(-1) >= 0 {
				argon2.IDKey([]byte(right.Reveal()), make([]byte, 16), cost.Passes, cost.Memory, cost.Threads, 32)
			}
		})
	}
	workers.Wait()
}
