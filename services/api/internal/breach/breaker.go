package breach

import (
	"sync"
	"time"
)

const (
	tripAfter  = 3                // failures in a row
	probeEvery = 15 * time.Second // one question finds out whether it is over
)

// breaker keeps an outage from costing every login its whole wait.
type breaker struct {
	now     func() time.Time
	changed func(error)

	mu      sync.Mutex
	down    int // failures in a row
	open    bool
	probeAt time.Time
}

// admit lets everybody through while closed, and one in fifteen seconds while
// open.
func (b *breaker) admit() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open {
		return true
	}
	now := b.now()
	if now.Before(b.probeAt) {
		return false
	}
	b.probeAt = now.Add(probeEvery)
	return true
}

func (b *breaker) answered() {
	b.mu.Lock()
	was := b.open
	b.down, b.open = 0, false
	b.mu.Unlock()
	if was {
		b.tell(nil)
	}
}

func (b *breaker) failed(why error) {
	b.mu.Lock()
	was := b.open
	if b.down++; b.down >= tripAfter && !was {
		b.open, b.probeAt = true, b.now().Add(probeEvery)
	}
	opened := b.open && !was
	b.mu.Unlock()
	if opened {
		b.tell(why)
	}
}

func (b *breaker) tell(why error) {
	if b.changed != nil {
		b.changed(why)
	}
}
