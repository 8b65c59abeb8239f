package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/web"
)

// echo reads a body of at most ten bytes and answers its length.
func echo(w http.ResponseWriter, r *http.Request) {
	web.LimitBody(middleware{w}, r, 10)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		web.WriteFault(w, r, fmt.Errorf("read body: %w", err))
		return
	}
	web.WriteJSON(w, 200, len(body))
}

func TestBodiesAreReadUpToTheirLimit(t *testing.T) {
	t.Parallel()
	const tooLarge = `{"error":{"type":"body_too_large","message":"The body is larger than the 10 bytes that are read here."`
	const malformed = `{"error":{"type":"malformed_body"`
	cases := map[string]struct {
		request string
		status  int
		body    string
		closed  bool // the server does not wait for the rest
	}{
		"no body":                    {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 200, "0", false},
		"an empty body":              {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 200, "0", false},
		"as long as is allowed":      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789", 200, "10", false},
		"one byte more":              {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n0123456789a", 413, tooLarge, false},
		"announced, but never sent":  {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n", 413, tooLarge, true},
		"in chunks":                  {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n", 200, "10", false},
		"one chunk too many":         {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n1\r\na\r\n", 413, tooLarge, true},
		"a chunk that is no chunk":   {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n", 400, malformed, true},
		"a chunk of a negative size": {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\na\r\n", 400, malformed, true},
	}
	s := start(t, web.ServerConfig{}, http.HandlerFunc(echo))
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := s.raw(t, c.request)
			if got.status != c.status || !strings.HasPrefix(got.body, c.body) || got.closed != c.closed {
				t.Errorf("got %+v, want %+v", got, c)
			}
		})
	}
}

func TestABodyThatDoesNotCome(t *testing.T) {
	t.Parallel()
	s := start(t, web.ServerConfig{ReadTimeout: 100 * time.Millisecond}, http.HandlerFunc(echo))
	got := s.raw(t, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n01")
	if got.status != http.StatusBadRequest || !strings.HasPrefix(got.body, `{"error":{"type":"body_timeout"`) {
		t.Errorf("too slow: %+v", got)
	}
	s.logs.access(t)

	conn := s.dial(t)
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n01"); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	line := s.logs.access(t)
	// The server may see the end of the body or the end of the client first.
	if line["fault"] != "malformed_body" && line["fault"] != "client_gone" {
		t.Errorf("cut short: %v", line)
	}
}

func TestTheFaultComesThroughEveryReader(t *testing.T) {
	t.Parallel()
	readers := map[string]struct {
		contentType, body string
		read              func(*http.Request) error
	}{
		"JSON": {"application/json", `{"a":"0123456789"}`, func(r *http.Request) error {
			return json.NewDecoder(r.Body).Decode(&struct{}{})
		}},
		"a form": {"application/x-www-form-urlencoded", "a=0123456789", func(r *http.Request) error { return r.ParseForm() }},
		"multipart": {"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--x--\r\n", func(r *http.Request) error {
			return r.ParseMultipartForm(1 << 10)
		}},
	}
	for name, reader := range readers {
		for _, announced := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", announced: ", announced), func(t *testing.T) {
				t.Parallel()
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(reader.body))
				r.Header.Set("Content-Type", reader.contentType)
				if !announced {
					r.ContentLength = -1
				}
				web.LimitBody(httptest.NewRecorder(), r, 10)
				if err := web.BodyFailed(r); announced == (err == nil) {
					t.Errorf("before reading: %v", err)
				}
				err := reader.read(r)
				if name == "multipart" { // it makes an error of its own
					err = web.BodyFailed(r)
				}
				if fault.KindOf(err) != fault.TooLarge {
					t.Errorf("got %v", err)
				}
				if large, ok := errors.AsType[*http.MaxBytesError](err); !ok || large.Limit != 10 {
					t.Errorf("the cause is %v", err)
				}
				if _, again := r.Body.Read(make([]byte, 1)); fault.KindOf(again) != fault.TooLarge {
					t.Errorf("the next read gives %v", again)
				}
			})
		}
	}
}

func TestABodyThatWasReadHasNotFailed(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader("0123456789"))
	if err := web.BodyFailed(r); err != nil {
		t.Errorf("a body without a limit: %v", err)
	}
	web.LimitBody(httptest.NewRecorder(), r, 10)
	if body, err := io.ReadAll(r.Body); err != nil || len(body) != 10 || web.BodyFailed(r) != nil {
		t.Errorf("%d bytes, %v, %v", len(body), err, web.BodyFailed(r))
	}
}

func TestBodyFault(t *testing.T) {
	t.Parallel()
	own := fault.New(fault.Limited, "slow_down", "Wait.")
	cases := map[string]struct {
		err  error
		code string // "" when the error is to stay as it is
	}{
		"nothing":                {nil, ""},
		"the end":                {io.EOF, ""},
		"a fault":                {own, ""},
		"a wrapped fault":        {fmt.Errorf("read: %w", own), ""},
		"the client is gone":     {fmt.Errorf("read: %w", context.Canceled), ""},
		"our own deadline":       {context.DeadlineExceeded, ""},
		"too large":              {&http.MaxBytesError{Limit: 5}, "body_too_large"},
		"too large, wrapped":     {fmt.Errorf("multipart: %w", &http.MaxBytesError{Limit: 5}), "body_too_large"},
		"a deadline of the wire": {fmt.Errorf("read tcp: %w", os.ErrDeadlineExceeded), "body_timeout"},
		"cut short":              {io.ErrUnexpectedEOF, "malformed_body"},
		"anything else":          {errors.New("invalid byte in chunk length"), "malformed_body"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := web.BodyFault(c.err)
			if c.code == "" {
				if got != c.err { //nolint:errorlint // the very value
					t.Errorf("%v became %v", c.err, got)
				}
				return
			}
			f, ok := errors.AsType[*fault.Error](got)
			if !ok || f.Code != c.code || !errors.Is(got, c.err) {
				t.Errorf("got %v", got)
			}
		})
	}
}
