package ephemeral

import (
	"container/heap"
	"fmt"
	"time"
)

// sweep is how many ended entries one write clears away. More than one, so
// that a store which was flooded shrinks while it is written to.
const sweep = 8

// The methods below want m.mu held.

// live returns the entry of key, nil when there is none or its time is up.
func (m *Memory) live(key string) *entry {
	e := m.entries[key]
	if e == nil || m.now().Before(e.ends) {
		return e
	}
	m.remove(e)
	return nil
}

func (m *Memory) value(key string) ([]byte, error) {
	e := m.live(key)
	if e == nil {
		return nil, nil
	}
	if e.value == nil {
		return nil, errKind
	}
	return e.value, nil
}

func (m *Memory) code(key string) (*armedCode, error) {
	e := m.live(key)
	if e == nil {
		return nil, nil
	}
	if e.code == nil {
		return nil, errKind
	}
	return e.code, nil
}

// write makes e the entry of key and clears away what has ended.
func (m *Memory) write(doing, key string, ttl time.Duration, e entry) error {
	ms, err := millis(ttl)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	now := m.now()
	for range sweep {
		if len(m.ends) == 0 || now.Before(m.ends[0].ends) {
			break
		}
		m.remove(m.ends[0])
	}
	e.key, e.ends = key, now.Add(time.Duration(ms)*time.Millisecond)
	if there := m.entries[key]; there != nil {
		e.at = there.at
		*there = e
		heap.Fix(&m.ends, e.at)
		return nil
	}
	if len(m.entries) >= m.max {
		return unavailable(doing, errFull)
	}
	m.entries[key] = &e
	heap.Push(&m.ends, &e)
	return nil
}

func (m *Memory) remove(e *entry) {
	if e == nil {
		return
	}
	delete(m.entries, e.key)
	heap.Remove(&m.ends, e.at)
}

// endings orders entries by their end; each knows its place.
type endings []*entry

func (h endings) Len() int           { return len(h) }
func (h endings) Less(i, j int) bool { return h[i].ends.Before(h[j].ends) }
func (h endings) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

// Push implements heap.Interface.
func (h *endings) Push(x any) {
	e := x.(*entry)
	e.at = len(*h)
	*h = append(*h, e)
}

// Pop implements heap.Interface.
func (h *endings) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}
