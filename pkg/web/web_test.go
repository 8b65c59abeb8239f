package web_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"countersign.dev/pkg/logs"
	"countersign.dev/pkg/web"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests; no test passes because of it.
const patience = 20 * time.Second

// sink is the output of a logger as a channel of its lines.
type sink chan string

func (s sink) Write(line []byte) (int, error) {
	s <- string(line)
	return len(line), nil
}

func newLog() (*slog.Logger, sink) {
	lines := make(sink, 10_000)
	return logs.New(lines, logs.Config{Level: slog.LevelDebug}), lines
}

// next waits for a line.
func (s sink) next(t *testing.T) string {
	t.Helper()
	select {
	case line := <-s:
		return line
	case <-time.After(patience):
		t.Fatal("nothing was logged")
		return ""
	}
}

// all returns what was logged so far.
func (s sink) all() string {
	var out strings.Builder
	for {
		select {
		case line := <-s:
			out.WriteString(line)
		default:
			return out.String()
		}
	}
}

// access waits for the access line and returns its fields.
func (s sink) access(t *testing.T) map[string]any {
	t.Helper()
	for {
		var line map[string]any
		if err := json.Unmarshal([]byte(s.next(t)), &line); err != nil {
			t.Fatal(err)
		}
		if line["msg"] == "request" {
			return line
		}
	}
}

// call runs one request through the house without a network.
func call(cfg web.Config, r *http.Request, handler http.HandlerFunc) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	web.House(cfg)(handler).ServeHTTP(w, r)
	return w
}

func get(t *testing.T, target string) *http.Request {
	t.Helper()
	return httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
}

// server is a real one.
type server struct {
	addr string
	stop context.CancelFunc
	done chan error // the result of Serve
	logs sink
}

func start(t *testing.T, cfg web.ServerConfig, handler http.Handler) *server {
	t.Helper()
	listener, err := web.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log, lines := newLog()
	ctx, stop := context.WithCancel(t.Context())
	s := &server{listener.Addr().String(), stop, make(chan error, 1), lines}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		s.done <- web.Serve(ctx, listener, web.House(web.Config{Log: log})(handler), cfg, log)
	}()
	t.Cleanup(func() {
		stop()
		<-finished
	})
	return s
}

// dial opens a connection that a test writes to byte by byte.
func (s *server) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// reply is an answer that was read to its end.
type reply struct {
	status int
	header http.Header
	body   string
	closed bool // the server says that it closes the connection
}

// raw sends text as it is and reads the answer to it.
func (s *server) raw(t *testing.T, text string) reply {
	t.Helper()
	conn := s.dial(t)
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return read(t, conn)
}

func read(t *testing.T, conn io.Reader) reply {
	t.Helper()
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{answer.StatusCode, answer.Header, string(body), answer.Close}
}

// client is one that keeps no connections, so that each test stands alone.
func client() *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
}
