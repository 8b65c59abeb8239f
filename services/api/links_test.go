package api_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// asked sends the request of a link to the house, byte by byte: with a target
// and a head that no client would write.
func (h *house) asked(target, head, body string) *reply {
	h.t.Helper()
	conn, err := (&net.Dialer{Timeout: 30 * time.Second}).DialContext(h.t.Context(), "tcp", strings.TrimPrefix(h.base, "http://"))
	if err != nil {
		h.t.Fatal(err)
	}
	defer conn.Close()
	text := fmt.Sprintf("POST %s/api/v2/password-request HTTP/1.1\r\n%sAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		target, head, h.token, form, len(body), body)
	if _, err := io.WriteString(conn, text); err != nil {
		h.t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	r := &reply{t: h.t, what: "password-request", status: res.StatusCode, header: res.Header, raw: string(raw)}
	_ = json.Unmarshal(raw, &r.body) // a refusal of the server itself is no JSON
	return r
}

// Whatever the request of a link says of the host that it was sent to, the
// link in the mail leads to the configured one.
//
func TestLinksComeFromTheConfigurationAlone(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).passwords()
	good := "Host: " + strings.TrimPrefix(h.public, "http://") + "\r\n"
	variants := map[string]struct{ target, head string }{
		"another host":             {"", "Host: evil.test\r\n"},
		"another host with a port": {"", "Host: evil.test:8080\r\n"},
		"an empty host":            {"", "Host: \r\n"},
		"no host":                  {"", ""},
		"two hosts":                {"", good + "Host: evil.test\r\n"},
		"two, the other way":       {"", "Host: evil.test\r\n" + good},
		"ours as a subdomain":      {"", "Host: 127.0.0.1.evil.test\r\n"},
		"ours before an at":        {"", "Host: 127.0.0.1:8080@evil.test\r\n"},
		"ours with a path":         {"", "Host: 127.0.0.1:8080/evil.test\r\n"},
		"ours with a dot":          {"", "Host: 127.0.0.1.:8080\r\n"},
		"a list":                   {"", "Host: 127.0.0.1:8080, evil.test\r\n"},
		"a whole address":          {"http://evil.test", good},
		"one over https":           {"https://evil.test", good},
		"one with a name in it":    {"http://127.0.0.1:8080@evil.test", good},
		"X-Forwarded-Host":         {"", good + "X-Forwarded-Host: evil.test\r\n"},
		"X-Forwarded-Host twice":   {"", good + "X-Forwarded-Host: 127.0.0.1:8080\r\nX-Forwarded-Host: evil.test\r\n"},
		"X-Forwarded-Proto":        {"", good + "X-Forwarded-Proto: evil\r\n"},
		"X-Forwarded-Port":         {"", good + "X-Forwarded-Port: 6666\r\n"},
		"X-Forwarded-Prefix":       {"", good + "X-Forwarded-Prefix: /evil\r\n"},
		"X-Forwarded-Server":       {"", good + "X-Forwarded-Server: evil.test\r\n"},
		"X-Host":                   {"", good + "X-Host: evil.test\r\nX-HTTP-Host-Override: evil.test\r\n"},
		"X-Original-URL":           {"", good + "X-Original-URL: https://evil.test/\r\nX-Rewrite-URL: https://evil.test/\r\n"},
		"Forwarded":                {"", good + "Forwarded: for=203.0.113.9;host=evil.test;proto=https\r\n"},
		"a folded Forwarded":       {"", good + "Forwarded: by=x,\r\n host=evil.test\r\n"},
		"Origin and Referer":       {"", good + "Origin: https://evil.test\r\nReferer: https://evil.test/\r\n"},
		"all at once":              {"http://evil.test", "Host: evil.test\r\nX-Forwarded-Host: evil.test\r\nForwarded: host=evil.test\r\n"},
	}
	if len(variants) < 24 {
		t.Fatalf("only %d variants", len(variants))
	}
	made := 0
	body := url.Values{"user_email": {"ana@acme.test"}, "redirect_uri": {appURL}, "org_domain": {h.org}}.Encode()
	for name, v := range variants {
		r := h.asked(v.target, v.head, body)
		if strings.Contains(r.raw, "evil") {
			t.Errorf("%s: the answer names the host: %s", name, r.raw)
		}
		if r.status >= http.StatusBadRequest && r.status < http.StatusInternalServerError {
			continue
		}
		made++
		mail := h.courier.letterFor(t, r.want(http.StatusCreated).text("request_id"))
		if rest, ours := strings.CutPrefix(mail.Link, h.public+"/magic-link/verify/"); !ours || len(rest) != secretSize || mail.Host != "127.0.0.1" {
			t.Errorf("%s: the link is %s, on %s", name, mail.Link, mail.Host)
		}
	}
	if made < 12 {
		t.Errorf("only %d requests were answered: the others prove nothing", made)
	}
}

// Scanners of several addresses open a link in every way that changes nothing;
// it is as good as before. Whoever comes after the reader is told that it is
// used.
// Covers R-100 for the service, without a browser.
// Covers R-103 for the service's log.
func TestScannersUseNoLinkUp(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		log := &lockedBuffer{}
		p.log = log
		h := start(t, p).passwords()
		link := h.courier.letterFor(t, h.requestPassword("ana@acme.test").want(201).text("request_id")).Link
		token := link[strings.LastIndexByte(link, '/')+1:]
		for range 5 {
			scanner := h.browser()
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions} {
				for _, address := range []string{link, h.public + "/callback?token=" + token, "/link"} {
					if r := scanner.visit(method, address, nil); r.status != http.StatusMethodNotAllowed && r.status >= http.StatusBadRequest {
						t.Errorf("%s %s: status %d: %s", method, address, r.status, r.raw)
					}
				}
			}
		}
		reader := h.browser()
		page := reader.open(link).want(http.StatusOK)
		if strings.Contains(page.raw, token) || !strings.Contains(page.raw, "Acme Test Ltd") || strings.Contains(page.raw, "ana@acme.test") {
			t.Errorf("the page is %s", page.raw)
		}
		there, err := url.Parse(reader.click(page).want(http.StatusSeeOther).header.Get("Location"))
		if err != nil || !strings.HasPrefix(there.String(), appURL+"?") {
			t.Fatalf("the click leads to %v: %v", there, err)
		}
		code := there.Query().Get("password_code")
		h.setPassword(code, plain).want(200)
		if late := reader.open(link); late.status != http.StatusNotFound || !strings.Contains(late.raw, "no longer valid") {
			t.Errorf("the used link shows %d: %s", late.status, late.raw)
		}
		if said := log.String(); strings.Contains(said, token) || strings.Contains(said, code) || !strings.Contains(said, "/magic-link/verify/{token}") {
			t.Errorf("the log has the link or its code: %s", said)
		}
	})
}
