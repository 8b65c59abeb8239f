package rangeapi_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"countersign.dev/pkg/rig/rangeapi"
)

type scene struct {
	*testing.T
	fake *rangeapi.Server
	url  string
}

func newScene(t *testing.T) scene {
	t.Helper()
	fake := rangeapi.New(map[string]int{"password": 42})
	server := httptest.NewServer(fake)
	t.Cleanup(func() { fake.Close(); server.Close() })
	return scene{t, fake, server.URL}
}

func (s scene) call(method, path, body string, header ...string) (int, string) {
	s.Helper()
	req, err := http.NewRequestWithContext(s.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	alone := &http.Transport{DisableKeepAlives: true} // on a kept connection a dropped question is asked again
	res, err := alone.RoundTrip(req)
	if err != nil {
		return 0, ""
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, ""
	}
	return res.StatusCode, string(text)
}

const suffix = "1E4C9B93F3F0682250B6CF8331B7EE68FD8" // of "password"

// The answers are those of the real API, as its documentation describes them.
func TestAnswersLikeTheRealOne(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	status, text := s.call("GET", "/range/5baa6", "")
	if status != 200 || !strings.Contains(text, suffix+":42\r\n") && !strings.HasSuffix(text, suffix+":42") {
		t.Errorf("%d %q", status, text)
	}
	_, padded := s.call("GET", "/range/5BAA6", "", "Add-Padding", "true")
	rows := strings.Split(padded, "\r\n")
	if len(rows) < 800 || len(rows) > 1000 || !strings.Contains(padded, suffix+":42") || !strings.Contains(padded, ":0\r\n") {
		t.Errorf("%d rows", len(rows))
	}
	for _, row := range rows {
		if len(row) < 37 || row[35] != ':' {
			t.Fatalf("the row %q", row)
		}
	}
	if _, text := s.call("GET", "/range/00000", ""); text == "" {
		t.Error("a prefix without rows")
	}
	for path, want := range map[string]int{"/range/5BAA": 400, "/range/5BAA61": 400, "/range/5BAAX": 400, "/range/": 404} {
		if status, _ := s.call("GET", path, ""); status != want {
			t.Errorf("%s: %d", path, status)
		}
	}
	if status, _ := s.call("GET", "/range/5BAA6", "", "User-Agent", ""); status != 403 {
		t.Errorf("without a user agent: %d", status)
	}
}

func TestIsSteeredOverHTTP(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for body, want := range map[string]int{
		`[{"status":503,"times":2},{"drop":true},{"body":"x"},{"redirect":"/"},{"small_letters":true}]`: 204,
		`[{"status":99}]`: 422, `[{"times":2}]`: 422, `[{"stall_ms":-1}]`: 422, `[{"statsu":500}]`: 400, `{`: 400,
	} {
		if status, text := s.call("POST", "/_faults", body); status != want {
			t.Errorf("%s: %d %s", body, status, text)
		}
	}
	for i, want := range []int{503, 503, 0, 200, 307, 200, 200} {
		status, text := s.call("GET", "/range/5BAA6", "")
		if status != want || i == 3 && text != "x" || i == 5 && !strings.Contains(text, strings.ToLower(suffix)) {
			t.Errorf("call %d: %d %q", i, status, text)
		}
	}
	if status, _ := s.call("PUT", "/_passwords", `{"other":1}`); status != 204 {
		t.Errorf("%d", status)
	}
	if _, text := s.call("GET", "/range/5BAA6", "", "X-Seen", "yes"); strings.Contains(text, suffix) {
		t.Error("knows the old password")
	}
	_, log := s.call("GET", "/_log", "")
	if strings.Count(log, `"answer"`) != 8 || !strings.Contains(log, `"X-Seen":["yes"]`) || !strings.Contains(log, `"answer":"dropped"`) {
		t.Errorf("the log is %s", log)
	}
	s.call("DELETE", "/_log", "")
	if _, log := s.call("GET", "/_log", ""); log != "[]\n" {
		t.Errorf("the log is %s", log)
	}
	s.call("POST", "/_faults", `[{"status":500,"times":99}]`)
	s.call("DELETE", "/_faults", "")
	if status, _ := s.call("GET", "/range/5BAA6", ""); status != 200 {
		t.Errorf("%d", status)
	}
}

// Closing ends a stall, so that its server can be shut down.
func TestClosingEndsAStall(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.fake.Fail(rangeapi.Fault{StallMS: 600_000})
	ended := make(chan int)
	go func() { status, _ := s.call("GET", "/range/5BAA6", ""); ended <- status }()
	s.fake.Close()
	if status := <-ended; status != 0 {
		t.Errorf("%d", status)
	}
}
