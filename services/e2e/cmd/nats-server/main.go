// Command nats-server runs a NATS server with JetStream, so that tests have
// one that can be killed: a process of its own.
//
// It listens without a password and is for tests on one machine only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// ready is what it prints when clients may come.
const ready = "ready for connections on"

func main() {
	port := flag.Int("port", 4222, "port of 127.0.0.1 to listen on")
	store := flag.String("store", "", "directory of the streams")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, *port, *store); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "nats-server:", err)
		os.Exit(1) //nolint:gocritic // the signals go back with the process
	}
}

// serve runs the server until ctx ends.
func serve(ctx context.Context, port int, store string) error {
	if store == "" {
		return errors.New("-store is missing")
	}
	srv, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: store, JetStreamMaxStore: 1 << 30,
	})
	if err != nil {
		return fmt.Errorf("new server: %w", err)
	}
	srv.Start()
	if !srv.ReadyForConnections(20 * time.Second) {
		return errors.New("it did not become ready: is the port free?")
	}
	_, _ = fmt.Println(ready, srv.Addr())
	<-ctx.Done()
	srv.Shutdown()
	srv.WaitForShutdown()
	return nil
}
