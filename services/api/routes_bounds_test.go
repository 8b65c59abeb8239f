package api_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/rig"
	"countersign.dev/pkg/web"
)

// inTime is how long the refusal of an input may take on a machine that has
// much else to do. What is refused before it is worked on takes a few
// milliseconds; what is worked on by a bad rule takes minutes.
const inTime = 20 * time.Second

// Every route refuses what is larger, deeper or more than it reads, before it
// changes anything.
// Covers R-053 for bodies, and for the depth of JSON.
// Covers R-113 for the size of bodies.
func TestInputsAreBounded(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	p.inbox = true
	h := open(t, p)
	shots := h.realm(newLedger(), "acme", "sandbox", "").full().shots()
	db := p.openSQL(t)
	settle(t, db)
	before := dump(t, db, p)
	for _, route := range h.service.Routes() {
		s := shots[title(route)]
		if s.inQuery() {
			s.form = nil
		}
		most := int(bodyLimit(route))
		for name, c := range map[string]struct {
			mediaType, body string
			status          int
		}{
			"a form of one byte too many":  {form, filled("x=", most+1, ""), 413},
			"JSON of one byte too many":    {asJSON, filled(`{"x":"`, most+1, `"}`), 413},
			"a form of a MiB":              {form, filled("x=", 1<<20, ""), 413},
			"the most that is read":        {form, filled("%zz=", most, ""), 400},
			"the most JSON that is read":   {asJSON, filled(`{"x":"`, most, `"`), 400},
			"JSON 17 deep":                 {asJSON, strings.Repeat(`{"a":`, 17) + "1" + strings.Repeat("}", 17), 400},
			"lists 17 deep":                {asJSON, `{"a":` + strings.Repeat("[", 17) + strings.Repeat("]", 17) + "}", 400},
			"a name 17 deep":               {form, "a" + strings.Repeat("[a]", 17) + "=1", 400},
			"brackets without an end":      {asJSON, `{"a":` + strings.Repeat("[", 30_000), 400},
			"100,000 parameters":           {form, many(100_000, "a%d=&"), 413},
			"as many as the body can hold": {form, many(most/12, "a%d=&"), 400},
			"as many as JSON can hold":     {asJSON, `{"a":[` + strings.Repeat("1,", most/3) + `1]}`, 400},
			"201 parameters":               {form, many(201, "a%d=&"), 400},
		} {
			for _, announced := range []bool{true, false} {
				var body io.Reader = strings.NewReader(c.body)
				if !announced {
					body = struct{ io.Reader }{body} // sent in chunks
				}
				begun := time.Now()
				got := h.observe(s.raw(t, h.base, "", c.mediaType, body))
				if took := time.Since(begun); got.status != c.status || took > inTime {
					t.Errorf("%s with %s (announced: %v): status %d after %v, want %d: %s", title(route), name, announced, got.status, took, c.status, got.raw)
				}
			}
		}
		if got := h.observe(s.raw(t, h.base, many(1500, "a%d=&"), "", nil)); got.status != http.StatusBadRequest {
			t.Errorf("%s with 1500 parameters in the query: status %d: %s", title(route), got.status, got.raw)
		}
	}
	wantUnchanged(t, "refused inputs", before, dump(t, db, p))
}

const (
	form   = "application/x-www-form-urlencoded"
	asJSON = "application/json"
)

// filled is a text of a size.
func filled(begin string, size int, end string) string {
	return begin + strings.Repeat("a", size-len(begin)-len(end)) + end
}

func many(n int, pattern string) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, pattern, i)
	}
	return out.String()
}

// More than 16 KiB of headers are not read on any route.
// Covers R-113 for the size of headers.
func TestHeadersAreBounded(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	p.inbox = true
	h := open(t, p)
	r := h.realm(newLedger(), "acme", "sandbox", "").full()
	for _, route := range h.service.Routes() {
		s := r.shot(route)
		head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", route.Method, s.path())
		for name, text := range map[string]string{
			"one header":    head + "X-Fill: " + strings.Repeat("x", 17<<10) + "\r\n\r\n",
			"many headers":  head + many(2000, "X-%d: x\r\n") + "\r\n",
			"the path":      strings.Replace(head, " HTTP", "?"+strings.Repeat("x", 17<<10)+" HTTP", 1) + "\r\n",
			"authorization": head + "Authorization: Bearer " + strings.Repeat("x", 17<<10) + "\r\n\r\n",
		} {
			if status, _ := speak(t, strings.TrimPrefix(h.base, "http://"), text); status != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("%s with too much in %s: status %d, want 431", title(route), name, status)
			}
		}
	}
}

// speak writes a request byte by byte as it is given, and reads the head of its
// answer.
func speak(t *testing.T, addr, text string) (status int, header http.Header) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(60 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, text) // the server may answer before it has read all
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode, answer.Header
}

// The service itself gives headers five seconds.
// Covers R-113 for the time that headers may take.
func TestSlowHeadersHaveFiveSeconds(t *testing.T) {
	t.Parallel()
	rig.Long(t, "it takes the five seconds")
	h := open(t, embedded(t))
	begun := time.Now()
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(begun.Add(60 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /api/v2/organizations HTTP/1.1\r\nHost: x\r\n"); err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(io.Discard, conn)
	if took := time.Since(begun); err != nil || took < 4900*time.Millisecond || took > 9500*time.Millisecond {
		t.Errorf("cut after %v (%v), want 5 s", took, err)
	}
}

// Two hundred clients that send their headers or bodies slowly are cut when
// their time is over, and one that does not notices nothing. The server has
// the service's surface and a tenth of its time; that the real one gives five
// seconds is pkg/web's test.
// Covers R-113 for slow clients, at a tenth of the time and of their number.
func TestSlowClientsAreCut(t *testing.T) {
	t.Parallel()
	h := open(t, embedded(t))
	r := h.realm(newLedger(), "acme", "sandbox", "").full()
	listener, err := web.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	const headers, all = 500 * time.Millisecond, 1500 * time.Millisecond
	background(t, func(ctx context.Context) error {
		return web.Serve(ctx, listener, h.service.Handler(), web.ServerConfig{ReadHeaderTimeout: headers, ReadTimeout: all}, slog.New(slog.DiscardHandler))
	})
	begun := time.Now()
	const head = "POST /api/v2/oauth/token HTTP/1.1\r\nHost: x\r\n"
	var slow sync.WaitGroup
	for i := range 200 {
		text, least := head, headers
		if i%2 == 1 {
			text, least = head+"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{", all
		}
		slow.Go(func() {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, text); err != nil {
				t.Error(err)
			}
			if err := conn.SetReadDeadline(time.Now().Add(60 * time.Second)); err != nil {
				t.Error(err)
			}
			if _, err := io.Copy(io.Discard, conn); err != nil {
				t.Errorf("a slow client was not cut after %v: %v", time.Since(begun), err)
			}
			if took := time.Since(begun); took < least {
				t.Errorf("a slow client was cut after %v already", took)
			}
		})
	}
	cut := make(chan struct{})
	go func() { slow.Wait(); close(cut) }()
	quick := r.as(r.token)
	quick.base = "http://" + addr
	for served := 0; ; served++ {
		select {
		case <-cut:
			if served == 0 {
				t.Error("nobody else was served meanwhile")
			}
			return
		default:
		}
		asked := time.Now()
		quick.call("GET", "/api/v2/org/"+r.org+"/users/"+r.ids["user"]).want(200)
		if took := time.Since(asked); took > inTime {
			t.Errorf("another client waited %v", took)
		}
	}
}
