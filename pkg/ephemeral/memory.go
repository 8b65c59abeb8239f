package ephemeral

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"sync"
	"time"
)

// maxEntries bounds the memory of a [Memory]. A full store refuses, like a
// Redis that does not evict: forgetting a live entry would hand out a fresh
// budget.
const maxEntries = 1 << 20

// Memory is the Store of the one binary: exact, in this process, gone when it
// ends. It runs no goroutine; every write clears away a few entries whose time
// is up, so it never holds more than what is alive plus what nobody has
// written since.
type Memory struct {
	now func() time.Time
	max int

	mu      sync.Mutex
	entries map[string]*entry
	ends    endings // the same entries, the next to end first
}

var _ Store = (*Memory)(nil)

// entry is one key: a value, a code or a rate limit.
type entry struct {
	key  string
	ends time.Time
	at   int // its place in Memory.ends

	value []byte     // not nil: a value
	code  *armedCode // not nil: a code
	due   int64      // otherwise: a rate limit, unix microseconds
}

type armedCode struct {
	Code
	used bool // the tombstone of a code: it tells the late ones that they were right
}

// NewMemory makes an empty store on the given clock, time.Now when it is nil.
func NewMemory(now func() time.Time) *Memory {
	if now == nil {
		now = time.Now
	}
	return &Memory{now: now, max: maxEntries, entries: map[string]*entry{}}
}

// Get implements Store.
func (m *Memory) Get(ctx context.Context, key string) ([]byte, error) {
	if err := alive(ctx, "get"); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	value, err := m.value(key)
	if err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	return bytes.Clone(value), nil
}

// Put implements Store.
func (m *Memory) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := alive(ctx, "put"); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.write("put", key, ttl, entry{value: kept(value)})
}

// Swap implements Store.
func (m *Memory) Swap(ctx context.Context, key string, old, next []byte, ttl time.Duration) (bool, error) {
	if err := alive(ctx, "swap"); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	value, err := m.value(key)
	if err != nil {
		return false, fmt.Errorf("swap: %w", err)
	}
	if (old == nil) != (value == nil) || !bytes.Equal(old, value) {
		return false, nil
	}
	if next == nil {
		m.remove(m.entries[key])
		return true, nil
	}
	err = m.write("swap", key, ttl, entry{value: kept(next)})
	return err == nil, err
}

// Delete implements Store.
func (m *Memory) Delete(ctx context.Context, key string) (bool, error) {
	if err := alive(ctx, "delete"); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.live(key)
	m.remove(e)
	return e != nil, nil
}

// Arm implements Store.
func (m *Memory) Arm(ctx context.Context, key string, code Code, ttl time.Duration) (*Code, error) {
	if err := alive(ctx, "arm"); err != nil {
		return nil, err
	}
	if err := code.check(); err != nil {
		return nil, fmt.Errorf("arm: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	before, err := m.code(key)
	if err != nil {
		return nil, fmt.Errorf("arm: %w", err)
	}
	code.Digest = bytes.Clone(code.Digest)
	code.IssuedAt, code.ExpiresAt = whole(code.IssuedAt), whole(code.ExpiresAt)
	if err := m.write("arm", key, ttl, entry{code: &armedCode{Code: code}}); err != nil {
		return nil, err
	}
	if before == nil || before.used {
		return nil, nil
	}
	return before.seen(m.now()), nil
}

// Armed implements Store.
func (m *Memory) Armed(ctx context.Context, key string) (*Code, error) {
	if err := alive(ctx, "armed"); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	code, err := m.code(key)
	if err != nil {
		return nil, fmt.Errorf("armed: %w", err)
	}
	if code == nil || code.used {
		return nil, nil
	}
	out := code.seen(m.now())
	out.Digest = nil
	return out, nil
}

// Disarm implements Store.
func (m *Memory) Disarm(ctx context.Context, key, id string) (bool, error) {
	if err := alive(ctx, "disarm"); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	code, err := m.code(key)
	if err != nil {
		return false, fmt.Errorf("disarm: %w", err)
	}
	if code == nil || code.used || code.ID != id {
		return false, nil
	}
	m.remove(m.entries[key])
	return true, nil
}

// Consume implements Store.
func (m *Memory) Consume(ctx context.Context, key string, digest []byte, now time.Time) (Verdict, error) {
	if err := alive(ctx, "consume"); err != nil {
		return Verdict{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	code, err := m.code(key)
	if err != nil {
		return Verdict{}, fmt.Errorf("consume: %w", err)
	}
	if code == nil || code.used && past(now, code.ExpiresAt) {
		return Verdict{Outcome: None}, nil
	}
	v := Verdict{Outcome: code.guess(digest, now), ID: code.ID, Ref: code.Ref, IssuedAt: code.IssuedAt}
	if v.Outcome == Wrong && !code.used {
		v.TriesLeft = code.Tries
	}
	return v, nil
}

// guess counts before it compares.
func (c *armedCode) guess(digest []byte, now time.Time) Outcome {
	switch {
	case c.used:
		if equal(c.Digest, digest) {
			return Used
		}
		return Wrong
	case past(now, c.ExpiresAt):
		return Expired
	case c.Tries < 1:
		return Spent
	}
	c.Tries--
	if !equal(c.Digest, digest) {
		return Wrong
	}
	c.used = true
	return Right
}

func equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

// Allow implements Store.
func (m *Memory) Allow(ctx context.Context, key string, rate Rate) (Allowance, error) {
	if err := alive(ctx, "allow"); err != nil {
		return Allowance{}, err
	}
	p, err := rate.pace()
	if err != nil {
		return Allowance{}, fmt.Errorf("allow: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var due int64
	if e := m.live(key); e != nil {
		if e.value != nil || e.code != nil {
			return Allowance{}, fmt.Errorf("allow: %w", errKind)
		}
		due = e.due
	}
	now := m.now().UnixMicro()
	next, wait := p.take(due, now)
	if wait > 0 {
		return Allowance{RetryAfter: wait}, nil
	}
	err = m.write("allow", key, time.Duration(next-now)*time.Microsecond, entry{due: next})
	return Allowance{OK: err == nil}, err
}

// Ping implements Store.
func (m *Memory) Ping(ctx context.Context) error { return alive(ctx, "ping") }

// alive refuses work for a caller who has gone, as a network would.
func alive(ctx context.Context, doing string) error {
	if err := ctx.Err(); err != nil {
		return unavailable(doing, err)
	}
	return nil
}

var errFull = errors.New("the store is full")

// kept copies a value, and keeps an empty one apart from none.
func kept(value []byte) []byte { return append([]byte{}, value...) }

// whole cuts a time to milliseconds, as Redis keeps it.
func whole(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()) }
