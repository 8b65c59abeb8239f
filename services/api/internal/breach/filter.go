package breach

import (
	"sync"

	"countersign.dev/pkg/breachset"
)

// Filter is the set that is asked at present. It can be replaced while it is
// asked; no question fails for that.
type Filter struct {
	mu    sync.RWMutex
	set   *breachset.Set
	close func() error
	// Broken is told the error of a question that the file did not answer, once
	// until one is answered again. It may be nil and must not block.
	Broken func(error)

	told sync.Mutex
	down bool
}

// Replace has another set asked from now on, waits for the questions to the
// old one, and closes that.
func (f *Filter) Replace(set *breachset.Set, closeSet func() error) error {
	f.mu.Lock()
	old := f.close
	f.set, f.close = set, closeSet
	f.mu.Unlock()
	if old == nil {
		return nil
	}
	return old()
}

// Close ends the filter. Whoever asks it then gets no answer.
func (f *Filter) Close() error { return f.Replace(nil, nil) }

func (f *Filter) ask(hash breachset.Hash) Result {
	found, err := f.has(hash)
	f.tell(err)
	switch {
	case err != nil:
		return Failed
	case found:
		return Found
	}
	return Clean
}

func (f *Filter) has(hash breachset.Hash) (bool, error) {
	f.mu.RLock() // while it is held, nobody closes the file
	defer f.mu.RUnlock()
	if f.set == nil {
		return false, breachset.ErrDamaged
	}
	return f.set.Has(hash)
}

// tell says once that the file fails.
func (f *Filter) tell(err error) {
	f.told.Lock()
	changed := (err != nil) != f.down
	f.down = err != nil
	f.told.Unlock()
	if changed && err != nil && f.Broken != nil {
		f.Broken(err)
	}
}
