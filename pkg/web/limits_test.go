package web

import (
	"log/slog"
	"net/http"
	"testing"
	"time"
)

// It looks inside, because nobody wants to wait for 60 s in a test. That the
// server obeys is shown with connections in serve_test.go.
func TestServersHaveLimitsByDefault(t *testing.T) {
	t.Parallel()
	s := newServer(t.Context(), http.NotFoundHandler(), ServerConfig{}.withDefaults(), slog.New(slog.DiscardHandler))
	got := []any{s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.IdleTimeout, s.MaxHeaderBytes + serverSlop, s.HTTP2.MaxConcurrentStreams, BodyLimit}
	want := []any{5 * time.Second, 15 * time.Second, 30 * time.Second, 60 * time.Second, 16 << 10, 250, 64 << 10}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("limit %d is %v, want %v", i, got[i], want[i])
		}
	}
	own := ServerConfig{ReadHeaderTimeout: 1, ReadTimeout: 2, WriteTimeout: 3, IdleTimeout: 4, MaxHeaderBytes: 5, MaxStreams: 6, Grace: 7}
	if own.withDefaults() != own {
		t.Errorf("a limit of the operator was changed: %+v", own.withDefaults())
	}
}
