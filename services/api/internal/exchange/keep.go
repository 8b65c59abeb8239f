package exchange

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/id"
)

// What is kept: requests, attempts, statuses and tracks. The kind is part of
// the key, so that no id of one kind opens what is of another.
const (
	keptRequest = "request"
	keptAttempt = "attempt" // by exchange id
	keptStatus  = "status"
	keptTrack   = "track"
)

// sealPurpose keeps it apart from all else that is sealed.
const sealPurpose = "exchange"

// held is what was found under a key, as it was read: what changes it must find
// it so.
type held[T any] struct {
	is     T
	key    string
	stored []byte
}

// keyOf is where what an id names is kept. A digest is all that the store has
// of the id: it has 128 random bits, and nobody can try candidates.
func keyOf(kind string, named secret.Text) string {
	sum := sha256.Sum256([]byte(named.Reveal()))
	return fmt.Sprintf("exchange.%s:{%x}", kind, sum)
}

// fetch reads what is under a key; ok is false where nothing is.
func fetch[T any](ctx context.Context, s *Service, key string) (h held[T], ok bool, err error) {
	h.key = key
	if h.stored, err = s.Store.Get(ctx, key); err != nil || h.stored == nil {
		return h, false, err
	}
	plain, err := s.Keys.Open(sealPurpose, key, h.stored)
	if err != nil {
		return h, false, fmt.Errorf("open %s: %w", key[:len("exchange.")], err)
	}
	if err := json.Unmarshal(plain, &h.is); err != nil {
		return h, false, fmt.Errorf("read a stage of a login: %w", err)
	}
	return h, true, nil
}

// find is fetch by the id itself, which must look like one.
func find[T any](ctx context.Context, s *Service, kind string, named secret.Text) (held[T], bool, error) {
	if !id.IsOpaque(named.Reveal()) {
		return held[T]{}, false, nil
	}
	return fetch[T](ctx, s, keyOf(kind, named))
}

// astray ends the login of an id that is shown as one of another kind: nobody
// who goes by the answers does that.
func (s *Service) astray(ctx context.Context, named secret.Text) error {
	if !id.IsOpaque(named.Reveal()) {
		return nil
	}
	if a, ok, err := fetch[attempt](ctx, s, keyOf(keptAttempt, named)); err != nil || ok {
		return orElse(err, s.kill(ctx, a))
	}
	if st, ok, err := fetch[status](ctx, s, keyOf(keptStatus, named)); err != nil || ok {
		return orElse(err, s.drop(ctx, st.is.Track, st.is.Attempt, st.key))
	}
	return s.drop(ctx, keyOf(keptTrack, named))
}

// put keeps a value under a key that was not there.
func put[T any](ctx context.Context, s *Service, key string, value T, ttl time.Duration) error {
	sealed, err := s.sealed(key, value)
	if err != nil {
		return err
	}
	return s.Store.Put(ctx, key, sealed, ttl)
}

func (s *Service) sealed(key string, value any) ([]byte, error) {
	plain, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encode a stage of a login: %w", err)
	}
	return s.Keys.Seal(sealPurpose, key, plain)
}

// errRaced answers where others change the same stage all the time.
var errRaced = fault.New(fault.Unavailable, "login_busy", "this login is being changed by other requests; try again").RetryIn(time.Second)

// rounds is how often a change is tried again that somebody came in between.
const rounds = 20

// change replaces what is under a key with what edit makes of it, by one
// conditional step. An error of edit is returned, and nothing is changed. Of
// what has ended meanwhile it reports gone.
func change[T any](ctx context.Context, s *Service, h *held[T], ttl time.Duration, edit func(*T) error) (gone bool, err error) {
	for range rounds {
		next := h.is
		if err := edit(&next); err != nil {
			return false, err
		}
		sealed, err := s.sealed(h.key, next)
		if err != nil {
			return false, err
		}
		swapped, err := s.Store.Swap(ctx, h.key, h.stored, sealed, ttl)
		if err != nil {
			return false, err
		}
		if swapped {
			h.is, h.stored = next, sealed
			return false, nil
		}
		again, ok, err := fetch[T](ctx, s, h.key)
		if err != nil || !ok {
			return !ok, err
		}
		*h = again
	}
	return false, errRaced
}

// take ends what is under a key: of many that try, one does.
func take[T any](ctx context.Context, s *Service, h held[T]) (bool, error) {
	for range rounds {
		taken, err := s.Store.Swap(ctx, h.key, h.stored, nil, 0)
		if err != nil || taken {
			return taken, err
		}
		again, ok, err := fetch[T](ctx, s, h.key)
		if err != nil || !ok {
			return false, err
		}
		h = again
	}
	return false, errRaced
}

// drop ends what is under a key, whatever it is and if it is there.
func (s *Service) drop(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if key == "" {
			continue
		}
		if _, err := s.Store.Delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}
