package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// ServerConfig holds the limits of a server. A zero field takes the figure in
// its comment.
type ServerConfig struct {
	ReadHeaderTimeout time.Duration // 5 s from the first byte to the end of the headers
	ReadTimeout       time.Duration // 15 s for the whole request
	WriteTimeout      time.Duration // 30 s until the answer is written
	IdleTimeout       time.Duration // 60 s between two requests
	MaxHeaderBytes    int           // 16 KiB of request line and headers
	MaxStreams        int           // 250 requests at a time on one HTTP/2 connection
	Grace             time.Duration // 20 s for the requests in hand when the server stops

	// TLS serves https, with HTTP/2. Nil serves plain HTTP/1.1, for loopback
	// and for a proxy that ends TLS.
	TLS *tls.Config
}

// serverSlop is what net/http adds to MaxHeaderBytes of an HTTP/1 request.
const serverSlop = 4 << 10

func (c ServerConfig) withDefaults() ServerConfig {
	set := func(d *time.Duration, seconds int) {
		if *d == 0 {
			*d = time.Duration(seconds) * time.Second
		}
	}
	set(&c.ReadHeaderTimeout, 5)
	set(&c.ReadTimeout, 15)
	set(&c.WriteTimeout, 30)
	set(&c.IdleTimeout, 60)
	set(&c.Grace, 20)
	if c.MaxHeaderBytes == 0 {
		c.MaxHeaderBytes = 16 << 10
	}
	if c.MaxStreams == 0 {
		c.MaxStreams = 250
	}
	return c
}

// Listen opens a TCP listener, so that a start that cannot serve fails before
// anything else is told that it could. The error says what to do about a port
// that is taken or not allowed and an address that is not here.
func Listen(addr string) (net.Listener, error) {
	listener, err := net.Listen("tcp", addr)
	if err == nil {
		return listener, nil
	}
	_, port, _ := net.SplitHostPort(addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("listen on %s: port %s is taken: stop the process that has it, or choose another port: %w", addr, port, err)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("listen on %s: port %s needs a privilege that this process does not have: choose one from 1024 up: %w", addr, port, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("listen on %s: this machine does not have that address: use one it has, or 127.0.0.1: %w", addr, err)
	}
	return nil, fmt.Errorf("listen on %q (host:port is expected): %w", addr, err)
}

// Serve answers requests on the listener until ctx is done, then takes no more
// and returns when the ones in hand are finished: nil, or an error when they
// took longer than cfg.Grace and were cut off. Their contexts do not end with
// ctx. The listener is closed in every case.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, cfg ServerConfig, log *slog.Logger) error {
	defer func() { _ = listener.Close() }()
	cfg = cfg.withDefaults()
	server := newServer(ctx, handler, cfg, log)
	addr := listener.Addr().String()
	ended := make(chan error, 1)
	go func() { // always received from below
		if cfg.TLS != nil {
			ended <- server.ServeTLS(listener, "", "")
			return
		}
		ended <- server.Serve(listener)
	}()
	select {
	case err := <-ended:
		return errors.Join(fmt.Errorf("serve on %s: %w", addr, err), server.Close())
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.Grace)
	defer cancel()
	err := server.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("serve on %s: requests were cut off that ran for %v after the stop: %w", addr, cfg.Grace, err)
	}
	err = errors.Join(err, server.Close())
	if why := <-ended; !errors.Is(why, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serve on %s: %w", addr, why))
	}
	return err
}

func newServer(ctx context.Context, handler http.Handler, cfg ServerConfig, logger *slog.Logger) *http.Server {
	base := context.WithoutCancel(ctx)
	return &http.Server{
		Handler:           handler,
		TLSConfig:         cfg.TLS,
		ReadHeaderTimeout: cfg.ReadHeaderTimeout,
		ReadTimeout:       cfg.ReadTimeout,
		WriteTimeout:      cfg.WriteTimeout,
		IdleTimeout:       cfg.IdleTimeout,
		MaxHeaderBytes:    max(1, cfg.MaxHeaderBytes-serverSlop),
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: cfg.MaxStreams},
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          log.New(serverLog{logger}, "", 0),

		DisableGeneralOptionsHandler: true, // OPTIONS * gets our headers too
	}
}

// serverLog takes what net/http has to say. Its lines hold addresses of peers
// and, for a panic outside of the house, the value of the panic.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	switch {
	case strings.Contains(text, "panic serving"):
		_, stack, _ := strings.Cut(text, "\ngoroutine ")
		l.log.Error("panic outside of the house", "stack", "goroutine "+stack)
	case strings.Contains(text, "TLS handshake error"):
		l.log.Debug("TLS handshake", "detail", text) // scanners and health checks
	default:
		text, _, _ = strings.Cut(text, "\n")
		l.log.Warn("HTTP server", "detail", text)
	}
	return len(line), nil
}
