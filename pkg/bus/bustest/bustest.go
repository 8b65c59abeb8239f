// Package bustest gives tests a real bus: a NATS server inside the test
// process that can be stopped, started again and robbed of its store, and a
// connected bus.Bus whose streams are kept by a running Run.
package bustest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"countersign.dev/pkg/bus"
)

// limit is how long a step may take on a busy machine before the test fails.
const limit = 20 * time.Second

// NATS is a server with JetStream on a free port of the loopback address.
type NATS struct {
	URL string

	tb    testing.TB
	store string
	port  int

	mu  sync.Mutex
	srv *server.Server
}

// Server starts a server that lives until the test ends.
func Server(tb testing.TB) *NATS {
	tb.Helper()
	n := &NATS{tb: tb, store: filepath.Join(tb.TempDir(), "nats"), port: server.RANDOM_PORT}
	tb.Cleanup(n.Stop)
	n.Start()
	return n
}

// Start brings a stopped server back, on the same port and store.
func (n *NATS) Start() {
	n.tb.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.srv != nil {
		return
	}
	srv, err := server.NewServer(&server.Options{
		Host:              "127.0.0.1",
		Port:              n.port,
		NoSigs:            true,
		NoLog:             true,
		JetStream:         true,
		StoreDir:          n.store,
		JetStreamMaxStore: 1 << 30,
	})
	if err != nil {
		n.tb.Fatalf("new nats server: %v", err)
	}
	go srv.Start() // Stop waits for its end
	n.srv = srv
	if !srv.ReadyForConnections(limit) {
		n.tb.Fatal("the nats server did not start")
	}
	n.URL = srv.ClientURL()
	if _, err := fmt.Sscanf(n.URL, "nats://127.0.0.1:%d", &n.port); err != nil {
		n.tb.Fatalf("port of %s: %v", n.URL, err)
	}
}

// Stop ends the server; its store stays.
func (n *NATS) Stop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.srv == nil {
		return
	}
	n.srv.Shutdown()
	n.srv.WaitForShutdown()
	n.srv = nil
}

// InProcessConn connects without a socket, so that the server can stand in
// for the one inside the one binary (bus.Config.Conn).
func (n *NATS) InProcessConn() (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.srv == nil {
		return nil, errors.New("the nats server is stopped")
	}
	return n.srv.InProcessConn()
}

// Wipe deletes the store of a stopped server.
func (n *NATS) Wipe() {
	n.tb.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.srv != nil {
		n.tb.Fatal("wipe: stop the server first")
	}
	if err := os.RemoveAll(n.store); err != nil {
		n.tb.Fatalf("wipe: %v", err)
	}
}

// Bus connects to the server, keeps the streams in the background and waits
// until they are ready. The bus is closed when the test ends.
func Bus(tb testing.TB, n *NATS, mutate ...func(*bus.Config)) *bus.Bus {
	tb.Helper()
	b := Connect(tb, n, mutate...)
	ctx, cancel := context.WithTimeout(tb.Context(), limit)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := b.Ready(ctx)
		if err == nil {
			return b
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			tb.Fatalf("the bus did not become ready: %v", err)
		}
	}
}

// Connect is Bus for tests in which the bus is not to become ready: it does
// not wait.
func Connect(tb testing.TB, n *NATS, mutate ...func(*bus.Config)) *bus.Bus {
	tb.Helper()
	cfg := bus.Config{
		URL:           n.URL,
		Name:          "test",
		Log:           slog.New(slog.NewTextHandler(tb.Output(), nil)),
		ReconnectWait: 20 * time.Millisecond,
	}
	for _, m := range mutate {
		m(&cfg)
	}
	b, err := bus.Connect(cfg)
	if err != nil {
		tb.Fatalf("connect: %v", err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	var running sync.WaitGroup
	running.Go(func() { _ = b.Run(ctx) })
	tb.Cleanup(func() {
		cancel()
		running.Wait()
		b.Close()
	})
	return b
}
