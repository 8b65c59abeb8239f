package pages

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// speak sends a request byte by byte as it is given.
func (s *site) speak(request string) *seen {
	s.t.Helper()
	conn, err := (&net.Dialer{Timeout: 30 * time.Second}).DialContext(s.t.Context(), "tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, request); err != nil {
		s.t.Fatal(err)
	}
	line, _, _ := strings.Cut(request, "\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		s.t.Fatalf("%s: %v", line, err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return &seen{s.t, line, res.StatusCode, res.Header, string(body)}
}

func (s *seen) plain() string {
	head := s.header.Clone()
	for _, name := range []string{"Date", "X-Request-Id"} {
		head.Del(name)
	}
	var out strings.Builder
	_ = head.Write(&out)
	return strings.ReplaceAll(out.String()+s.body, s.header.Get("X-Request-Id"), "")
}

// Whatever a request says of the host that it was sent to, by whatever header,
// the pages lead to the same places, or nowhere.
// Covers R-099 for the pages of links.
func TestNoHeaderMovesThePages(t *testing.T) {
	t.Parallel()
	s := newSite(t, "https://login.acme.test")
	token := s.with("one", nil)
	const good = "Host: login.acme.test\r\n"
	variants := map[string]struct {
		target, head string
		refused      bool
	}{
		"another host":                    {"", "Host: evil.test\r\n", true},
		"no host":                         {"", "", true},
		"an empty host":                   {"", "Host: \r\n", true},
		"two hosts":                       {"", good + "Host: evil.test\r\n", true},
		"two hosts, the other way":        {"", "Host: evil.test\r\n" + good, true},
		"a list of hosts":                 {"", "Host: login.acme.test, evil.test\r\n", true},
		"a subdomain of ours":             {"", "Host: evil.login.acme.test\r\n", true},
		"ours as a subdomain":             {"", "Host: login.acme.test.evil.test\r\n", true},
		"ours before an at":               {"", "Host: login.acme.test@evil.test\r\n", true},
		"ours after an at":                {"", "Host: evil.test@login.acme.test\r\n", true},
		"ours with another port":          {"", "Host: login.acme.test:8443\r\n", true},
		"a port that is none":             {"", "Host: login.acme.test:@evil.test\r\n", true},
		"ours with a dot":                 {"", "Host: login.acme.test.\r\n", true},
		"ours with a path":                {"", "Host: login.acme.test/evil\r\n", true},
		"ours with a fragment":            {"", "Host: evil.test#login.acme.test\r\n", true},
		"ours with a blank":               {"", "Host: evil.test login.acme.test\r\n", true},
		"an address":                      {"", "Host: 203.0.113.7\r\n", true},
		"a whole address as the target":   {"http://evil.test", good, true},
		"a target over https":             {"https://evil.test", good, true},
		"a target with a name in it":      {"http://login.acme.test@evil.test", good, true},
		"ours as the target":              {"http://login.acme.test", "Host: evil.test\r\n", false},
		"X-Forwarded-Host":                {"", good + "X-Forwarded-Host: evil.test\r\n", false},
		"X-Forwarded-Host twice":          {"", good + "X-Forwarded-Host: login.acme.test\r\nX-Forwarded-Host: evil.test\r\n", false},
		"X-Forwarded-Proto":               {"", good + "X-Forwarded-Proto: http\r\nX-Forwarded-Scheme: evil\r\n", false},
		"X-Forwarded-Port":                {"", good + "X-Forwarded-Port: 8443\r\n", false},
		"X-Forwarded-Prefix":              {"", good + "X-Forwarded-Prefix: /evil\r\nX-Script-Name: /evil\r\n", false},
		"X-Forwarded-Server":              {"", good + "X-Forwarded-Server: evil.test\r\nX-Host: evil.test\r\n", false},
		"X-Original-URL":                  {"", good + "X-Original-URL: /evil\r\nX-Rewrite-URL: /evil\r\n", false},
		"Forwarded":                       {"", good + "Forwarded: for=203.0.113.9;host=evil.test;proto=http\r\n", false},
		"a folded Forwarded":              {"", good + "Forwarded: by=x,\r\n host=evil.test\r\n", false},
		"Origin and Referer":              {"", good + "Origin: https://evil.test\r\nReferer: https://evil.test/\r\n", false},
		"Via, True-Client-IP and friends": {"", good + "Via: 1.1 evil.test\r\nTrue-Client-IP: evil\r\nX-Real-IP: evil\r\nX-HTTP-Host-Override: evil.test\r\n", false},
		"capital letters":                 {"", "Host: LOGIN.Acme.Test\r\n", false},
		"the port of https":               {"", "Host: login.acme.test:443\r\n", false},
	}
	if len(variants) < 24 {
		t.Fatalf("only %d variants", len(variants))
	}
	for _, path := range []string{"/magic-link/verify/" + token, "/callback?token=" + token, "/link"} {
		ask := func(target, head string) *seen {
			return s.speak("GET " + target + path + " HTTP/1.1\r\n" + head + "Cookie: __Host-cs_link=" + token + "\r\nConnection: close\r\n\r\n")
		}
		want := ask("", good)
		if want.status != 303 && want.status != 200 {
			t.Fatalf("%s: status %d", path, want.status)
		}
		for name, v := range variants {
			got := ask(v.target, v.head)
			if refused := got.status == http.StatusMisdirectedRequest || got.status == http.StatusBadRequest; refused != v.refused {
				t.Errorf("%s with %s: status %d: %s", path, name, got.status, got.body)
			}
			if !v.refused && got.plain() != want.plain() {
				t.Errorf("%s with %s answers\n%s\nand without\n%s", path, name, got.plain(), want.plain())
			}
			if strings.Contains(got.plain(), "evil") {
				t.Errorf("%s with %s: the host comes back: %s", path, name, got.plain())
			}
		}
	}
	if len(s.followed) != 0 {
		t.Errorf("followed by %v", s.followed)
	}
}

// On this machine itself the pages open under its own names, which no other
// machine's name can be made to look like.
func TestOnThisMachineItsNamesDo(t *testing.T) {
	t.Parallel()
	s := newSite(t, "https://login.acme.test")
	token := s.with("one", nil)
	for host, status := range map[string]int{
		"localhost": 200, "localhost:8080": 200, "LOCALHOST": 200, "127.0.0.1": 200, "127.0.0.1:1": 200, "127.1.2.3": 200, "[::1]": 200, "[::1]:8080": 200,
		"localhost.evil.test": 421, "127.0.0.1.evil.test": 421, "10.0.0.1": 421, "[2001:db8::1]:80": 421, "0.0.0.0": 421, "evil.test": 421,
	} {
		got := s.ask("GET", "/link", "", s.cookie(token), func(r *http.Request) { r.Host = host })
		if got.status != status {
			t.Errorf("%s: status %d, want %d", host, got.status, status)
		}
	}
}
