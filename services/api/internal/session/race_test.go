package session_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/session"
)

// Covers R-031 (of 32 step ups at once, over two processes, one has a token).
func TestOfManyThatRaiseASessionOneSucceeds(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for range 10 {
			old, of := w.begin()
			var raised atomic.Int32
			var last atomic.Value
			w.at32(func(s *session.Service, i int) error {
				if i%4 == 3 { // others look at it meanwhile
					_, err := s.Find(t.Context(), w.tenant, old)
					return err
				}
				token, _, err := s.Raise(t.Context(), of, grant.App)
				if err == nil {
					raised.Add(1)
					last.Store(token)
				}
				return err
			})
			if raised.Load() != 1 {
				t.Fatalf("%d raised it", raised.Load())
			}
			w.dead("the token of before", old)
			w.good("the token of the one", last.Load().(secret.Text))
		}
	})
}

// A session that ends while others raise and use it has ended.
func TestASessionThatEndsMeanwhileHasEnded(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for range 10 {
			old, of := w.begin()
			mine := w.grant(of.ID)
			var mu sync.Mutex
			tokens := []secret.Text{old}
			w.at32(func(s *session.Service, i int) error {
				switch i % 3 {
				case 0:
					return s.End(t.Context(), w.tenant, of.ID, closed())
				case 1:
					_, err := s.Find(t.Context(), w.tenant, old)
					return err
				}
				token, _, err := s.Raise(t.Context(), of, grant.App)
				mu.Lock()
				defer mu.Unlock()
				tokens = append(tokens, token)
				return err
			})
			for _, token := range tokens {
				w.dead("after its end", token)
			}
			w.lives("after its end", mine, false)
		}
	})
}

// at32 runs something 32 times at once, on both processes in turn. ErrNone is
// no surprise.
func (w *world) at32(do func(s *session.Service, i int) error) {
	w.t.Helper()
	var all sync.WaitGroup
	begin := make(chan struct{})
	for i := range 32 {
		all.Go(func() {
			<-begin
			s := w.one
			if i%2 == 1 {
				s = w.two
			}
			if err := do(s, i); err != nil && !errors.Is(err, session.ErrNone) {
				w.t.Error(err)
			}
		})
	}
	close(begin)
	all.Wait()
}
