package flow

import (
	"errors"
	"testing"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/id"
)

// Covers R-028 (flows end after half an hour, and when another browser shows them).
func TestAFlowEndsWithItsTimeAndInAnotherBrowser(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	keys, err := seal.Parse("KEYS", seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	s := &Service{Store: ephemeral.NewMemory(clock), Keys: keys, Now: clock}
	browser := id.Token()
	begin := func() secret.Text {
		token, err := s.put(t.Context(), Flow{Browser: digest(browser), At: now})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}

	token := begin()
	now = now.Add(Life - time.Millisecond)
	if _, err := s.find(t.Context(), token, browser); err != nil {
		t.Errorf("a moment before its end: %v", err)
	}
	now = now.Add(time.Millisecond)
	if _, err := s.find(t.Context(), token, browser); !errors.Is(err, ErrOver) {
		t.Errorf("after half an hour: %v", err)
	}

	for name, other := range map[string]secret.Text{"another browser": id.Token(), "a browser without the cookie": {}} {
		token := begin()
		if _, err := s.find(t.Context(), token, other); !errors.Is(err, ErrOver) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.find(t.Context(), token, browser); !errors.Is(err, ErrOver) {
			t.Errorf("its own browser after %s: %v", name, err)
		}
	}

	seen := map[string]bool{}
	for range 1000 {
		token := begin().Reveal()
		if len(token) != 43 || seen[token] {
			t.Fatalf("an id of %d characters, or one that was there before", len(token))
		}
		seen[token] = true
	}
}
