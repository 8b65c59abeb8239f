// Package hashing bounds how many passwords are hashed at once.
//
// One evaluation of Argon2id takes 19 MiB and most of a core for 50 ms. A
// login storm without a bound takes all memory, and every other call waits
// behind it; so each evaluation has its turn in a [Pool]. Whoever waits too
// long, or finds the queue full, is refused and told to come back: memory
// stays flat and calls that hash nothing stay fast.
//
// The guard and the hasher take turns here. The pool runs no goroutine and
// knows neither passwords nor users: a job has an organization, for fairness,
// and a key, so that of the jobs of one user one runs at a time.
package hashing

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"countersign.dev/pkg/fault"
)

// ErrBusy is returned, with the time to wait, to who gets no turn.
var ErrBusy = fault.New(fault.Unavailable, "passwords_busy", "too many passwords are being checked at the moment; try again in a moment")

// Config bounds a pool. The zero value of each field is its default.
type Config struct {
	Slots   int           // jobs that run at once; one less than there are cores, at least one
	PerSlot int           // jobs that may wait, per slot; 16
	Wait    time.Duration // how long a job waits at most; 2 seconds
	Now     func() time.Time
	// Observe hears of every job when it begins or is refused; nil hears
	// nothing. It is called without a lock.
	Observe func(Turn)
}

// Turn is what became of one job.
type Turn struct {
	Waited  time.Duration
	Refused bool // the queue was full, the wait too long, or the caller gone
}

// Pool gives turns. Make it with New; it is safe for concurrent use.
type Pool struct {
	slots, places int
	wait          time.Duration
	now           func() time.Time
	observe       func(Turn)

	mu      sync.Mutex
	running int
	busy    map[string]bool // keys of the jobs that run
	queue   queue
}

// DefaultSlots is how many jobs run at once on this machine: a core is left for
// everything else.
func DefaultSlots() int { return max(1, runtime.GOMAXPROCS(0)-1) }

// New makes a pool.
func New(cfg Config) *Pool {
	p := &Pool{slots: cfg.Slots, wait: cfg.Wait, now: cfg.Now, observe: cfg.Observe, busy: map[string]bool{}}
	if p.slots < 1 {
		p.slots = DefaultSlots()
	}
	if cfg.PerSlot < 1 {
		cfg.PerSlot = 16
	}
	p.places = p.slots * cfg.PerSlot
	if p.wait <= 0 {
		p.wait = 2 * time.Second
	}
	if p.now == nil {
		p.now = time.Now
	}
	if p.observe == nil {
		p.observe = func(Turn) {}
	}
	return p
}

// Load is how many jobs run and how many wait.
func (p *Pool) Load() (running, waiting int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running, p.queue.length
}

// Do runs fn in the goroutine of the caller when it is its turn, and returns
// what fn returns. Organizations take turns, each in the order of its calls.
// Of the jobs with one key one runs at a time; an empty key is no key. It
// returns ErrBusy, and fn was not called, when the queue is full, the wait is
// too long, or ctx ends before the turn has come.
func (p *Pool) Do(ctx context.Context, org, key string, fn func(ctx context.Context) error) error {
	asked := p.now()
	j := &job{org: org, key: key, decided: make(chan struct{})}
	err := p.enter(ctx, j)
	p.observe(Turn{Waited: p.now().Sub(asked), Refused: err != nil})
	if err != nil {
		return ErrBusy.RetryIn(p.wait).Because(err)
	}
	defer p.leave(j)
	return fn(ctx)
}

// Why a job gets no turn; for logs.
var (
	errFull    = errors.New("the queue is full")
	errShare   = errors.New("the organization has its half of the queue")
	errYielded = errors.New("the place was given to an organization that waits with fewer")
	errTooLong = errors.New("waited too long")
)

// enter returns when the job's turn has come, or why it will not.
func (p *Pool) enter(ctx context.Context, j *job) error {
	if err := p.admit(ctx, j); err != nil {
		return err
	}
	timer := time.NewTimer(p.wait)
	defer timer.Stop()
	select {
	case <-j.decided:
	case <-timer.C:
	case <-ctx.Done():
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case j.state == yielded:
		return errYielded
	case j.state == begun && ctx.Err() != nil: // both came at once: nobody waits for it any more
		p.end(j)
		return context.Cause(ctx)
	case j.state == begun:
		return nil
	}
	p.queue.remove(j)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errTooLong
}

// admit starts a job at once or gives it a place in the queue.
func (p *Pool) admit(ctx context.Context, j *job) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	// While a slot is free nobody waits who could run.
	if p.running < p.slots && p.mayRun(j) {
		p.begin(j)
		return nil
	}
	if err := p.makeRoom(j.org); err != nil {
		return err
	}
	p.queue.add(j)
	return nil
}

// makeRoom refuses an organization that has half of the queue while others
// wait. It may have all of it while nobody else does; so when the queue is
// full, who waits with the most gives a place, the newest, to who has fewer.
func (p *Pool) makeRoom(org string) error {
	mine := p.queue.of(org)
	if mine >= max(1, p.places/2) && p.queue.length > mine {
		return errShare
	}
	if p.queue.length < p.places {
		return nil
	}
	longest := p.queue.longest()
	if longest == nil || len(longest.jobs) <= mine+1 {
		return errFull
	}
	last := longest.jobs[len(longest.jobs)-1]
	p.queue.remove(last)
	last.state = yielded
	close(last.decided)
	return nil
}

func (p *Pool) mayRun(j *job) bool { return !p.busy[j.key] }

// begin gives a job its turn.
func (p *Pool) begin(j *job) {
	p.running++
	if j.key != "" {
		p.busy[j.key] = true
	}
	j.state = begun
	close(j.decided)
}

func (p *Pool) leave(j *job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end(j)
}

// end frees the slot and the key of a job, and begins those that waited for
// one of them.
func (p *Pool) end(j *job) {
	p.running--
	delete(p.busy, j.key)
	for p.running < p.slots {
		next := p.queue.take(p.mayRun)
		if next == nil {
			return
		}
		p.begin(next)
	}
}
