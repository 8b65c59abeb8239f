package web_test

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"countersign.dev/pkg/rig"
	"countersign.dev/pkg/web"
)

func TestListenSaysWhatToDo(t *testing.T) {
	t.Parallel()
	taken, err := web.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	addr := taken.Addr().String()
	_, port, _ := net.SplitHostPort(addr)

	if _, err := web.Listen(addr); !errors.Is(err, syscall.EADDRINUSE) ||
		!strings.HasPrefix(err.Error(), fmt.Sprintf("listen on %s: port %s is taken: stop the process that has it, or choose another port: ", addr, port)) {
		t.Errorf("a port that is taken: %v", err)
	}
	if _, err := web.Listen("192.0.2.1:0"); err == nil || !strings.Contains(err.Error(), "this machine does not have that address") {
		t.Errorf("an address of others: %v", err)
	}
	if _, err := web.Listen("8080"); err == nil || !strings.HasPrefix(err.Error(), `listen on "8080" (host:port is expected)`) {
		t.Errorf("no host:port: %v", err)
	}
}

func TestAStopFinishesTheRequestInHand(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	s := start(t, web.ServerConfig{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-release
		web.WriteJSON(w, 200, fmt.Sprint("done, ", r.Context().Err()))
	}))
	conn := s.dial(t)
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-entered
	s.stop()
	refused := func() bool {
		other, err := net.Dial("tcp", s.addr)
		if err == nil {
			_ = other.Close()
		}
		return err != nil
	}
	for tick := time.Tick(time.Millisecond); !refused(); <-tick { // nothing signals a closed port
		select {
		case err := <-s.done:
			t.Fatalf("Serve returned %v with a request in hand", err)
		default:
		}
	}
	close(release)
	if got := read(t, conn); got.body != `"done, <nil>"` {
		t.Errorf("got %+v", got)
	}
	if err := <-s.done; err != nil {
		t.Errorf("Serve returned %v", err)
	}
}

func TestARequestThatDoesNotEndIsCutOff(t *testing.T) {
	t.Parallel()
	entered, ended := make(chan struct{}), make(chan struct{})
	s := start(t, web.ServerConfig{Grace: 50 * time.Millisecond}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done() // ends when the connection is cut
		close(ended)
	}))
	conn := s.dial(t)
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-entered
	s.stop()
	if err := <-s.done; !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "requests were cut off that ran for 50ms after the stop") {
		t.Errorf("Serve returned %v", err)
	}
	<-ended
}

func TestServeReportsABrokenListener(t *testing.T) {
	t.Parallel()
	listener, err := web.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	err = web.Serve(t.Context(), listener, http.NotFoundHandler(), web.ServerConfig{}, slog.New(slog.DiscardHandler))
	if !errors.Is(err, net.ErrClosed) || !strings.HasPrefix(err.Error(), "serve on 127.0.0.1:") {
		t.Errorf("got %v", err)
	}
}

func TestHeadersAreReadUpToTheirLimit(t *testing.T) {
	t.Parallel()
	s := start(t, web.ServerConfig{}, router())
	for size, want := range map[int]int{15 << 10: 200, 16<<10 + 512: 431} {
		answer := s.raw(t, "GET /ok HTTP/1.1\r\nHost: x\r\nX-Fill: "+strings.Repeat("x", size)+"\r\n\r\n")
		if answer.status != want {
			t.Errorf("%d bytes of headers: %d, want %d", size, answer.status, want)
		}
	}
}

func TestAPanicOutsideOfTheHouseShowsNoValue(t *testing.T) {
	t.Parallel()
	listener, err := web.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log, lines := newLog()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- web.Serve(ctx, listener, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("canary\nand canary") }), web.ServerConfig{}, log)
	}()
	if answer, err := client().Get("http://" + listener.Addr().String()); err == nil {
		_ = answer.Body.Close()
		t.Error("a panic was answered")
	}
	line := lines.next(t)
	if strings.Contains(line, "canary") || !strings.Contains(line, "panic outside of the house") || !strings.Contains(line, "serve_test.go") {
		t.Errorf("got %s", line)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// certificate borrows the one that httptest makes.
func certificate(t *testing.T) (*tls.Config, *http.Client) {
	t.Helper()
	other := httptest.NewUnstartedServer(http.NotFoundHandler())
	other.EnableHTTP2 = true
	other.StartTLS()
	t.Cleanup(other.Close)
	return &tls.Config{Certificates: other.TLS.Certificates, MinVersion: tls.VersionTLS12}, other.Client()
}

func TestHTTP2AllowsAFixedNumberOfStreams(t *testing.T) {
	t.Parallel()
	server, friend := certificate(t)
	s := start(t, web.ServerConfig{TLS: server}, router())
	answer, err := friend.Get("https://" + s.addr + "/ok")
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.ProtoMajor != 2 || answer.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%s %v", answer.Proto, answer.Header)
	}
	friend.CloseIdleConnections()

	config := friend.Transport.(*http.Transport).TLSClientConfig.Clone()
	config.NextProtos = []string{"h2"}
	conn, err := tls.Dial("tcp", s.addr, config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	emptySettings := "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	if _, err := io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+emptySettings); err != nil {
		t.Fatal(err)
	}
	// The server's first frame is its settings (RFC 9113, 3.4 and 6.5).
	head := make([]byte, 9)
	if _, err := io.ReadFull(conn, head); err != nil {
		t.Fatal(err)
	}
	if head[3] != 4 {
		t.Fatalf("the first frame is of type %d", head[3])
	}
	settings := make([]byte, binary.BigEndian.Uint32(head)>>8)
	if _, err := io.ReadFull(conn, settings); err != nil {
		t.Fatal(err)
	}
	const maxConcurrentStreams = 3
	found := map[uint16]uint32{}
	for pair := range slices.Chunk(settings, 6) {
		found[binary.BigEndian.Uint16(pair)] = binary.BigEndian.Uint32(pair[2:])
	}
	if found[maxConcurrentStreams] != 250 {
		t.Errorf("%d streams are allowed", found[maxConcurrentStreams])
	}
}

func TestAFailedHandshakeIsOnlyDebug(t *testing.T) {
	t.Parallel()
	server, _ := certificate(t)
	s := start(t, web.ServerConfig{TLS: server}, router())
	conn := s.dial(t)
	if _, err := io.WriteString(conn, "\x16\x03\x01\x00\x05hello"); err != nil {
		t.Fatal(err)
	}
	if line := s.logs.next(t); !strings.Contains(line, `"level":"DEBUG"`) || !strings.Contains(line, "TLS handshake") {
		t.Errorf("got %s", line)
	}
}

// A slow client costs a connection, not the service: 2,000 of them drip their
// headers while another client is served, and each is cut after the 5 s that
// headers may take.
func TestSlowClientsAreCutAndHarmNobody(t *testing.T) {
	t.Parallel()
	rig.Long(t, "it takes the 5 s of the timeout")
	s := start(t, web.ServerConfig{}, router())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const slow = 2000
	var all sync.WaitGroup
	var cut, early atomic.Int32
	begin := time.Now()
	for range slow {
		all.Go(func() {
			if drip(ctx, s.addr) != nil {
				return
			}
			cut.Add(1)
			if time.Since(begin) < 4*time.Second {
				early.Add(1)
			}
		})
	}
	served, slowest := 0, time.Duration(0)
	for range time.Tick(20 * time.Millisecond) { // an ordinary client, all the while
		if cut.Load() == slow || time.Since(begin) > patience {
			break
		}
		asked := time.Now()
		answer, err := client().Get("http://" + s.addr + "/ok")
		if err != nil {
			t.Fatalf("another client is refused after %d answers: %v", served, err)
		}
		_ = answer.Body.Close()
		served, slowest = served+1, max(slowest, time.Since(asked))
	}
	cancel()
	all.Wait()
	if cut.Load() != slow || early.Load() != 0 {
		t.Errorf("%d of %d slow clients were cut, %d of them too early", cut.Load(), slow, early.Load())
	}
	if slowest > 3*time.Second {
		t.Errorf("another client waited %v", slowest)
	}
	t.Logf("%d answers to another client meanwhile, the slowest after %v; all cut after %v", served, slowest, time.Since(begin))
}

// drip sends a header every half second until the server cuts the connection.
func drip(ctx context.Context, addr string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if _, err := io.WriteString(conn, "GET /ok HTTP/1.1\r\nHost: x\r\n"); err != nil {
		return err
	}
	gone := make(chan struct{})
	var reader sync.WaitGroup
	defer reader.Wait()
	reader.Go(func() {
		_, _ = io.Copy(io.Discard, conn)
		close(gone)
	})
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-gone:
			return nil
		case <-tick.C:
			_, _ = io.WriteString(conn, "X-Slow: 1\r\n")
		}
	}
}
