package stage

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Browser is what a person opens links with: it keeps cookies and follows
// wherever it is sent, but never to the app.
type Browser struct {
	base string
	http *http.Client
	tb   testing.TB
}

// NewBrowser makes one for the pages of a service.
func NewBrowser(tb testing.TB, base string) *Browser {
	tb.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		tb.Fatal(err)
	}
	stay := func(next *http.Request, _ []*http.Request) error {
		if !strings.HasPrefix(next.URL.String(), base+"/") {
			return http.ErrUseLastResponse // the app is not there
		}
		return nil
	}
	return &Browser{base: base, http: &http.Client{Jar: jar, Timeout: time.Minute, CheckRedirect: stay}, tb: tb}
}

// Page is what a browser shows.
type Page struct {
	Status int
	Text   string
	To     *url.URL // where it is sent on, outside of the service
}

var pageToken = regexp.MustCompile(`name="page_token" value="([^"]+)"`)

// Open opens a link.
func (b *Browser) Open(link string) Page {
	b.tb.Helper()
	return b.visit(http.MethodGet, link, nil)
}

// Press presses the button of a link's page.
func (b *Browser) Press(p Page) Page {
	b.tb.Helper()
	token := pageToken.FindStringSubmatch(p.Text)
	if token == nil {
		b.tb.Fatalf("the page has no button: status %d: %s", p.Status, p.Text)
	}
	return b.visit(http.MethodPost, b.base+"/link", url.Values{"page_token": {token[1]}})
}

// Follow opens a link, presses its button, and returns the query with which
// the browser is sent on to the app.
func (b *Browser) Follow(link string) url.Values {
	b.tb.Helper()
	p := b.Press(b.Open(link))
	if p.To == nil {
		b.tb.Fatalf("the button leads nowhere: status %d: %s", p.Status, p.Text)
	}
	return p.To.Query()
}

func (b *Browser) visit(method, address string, form url.Values) Page {
	b.tb.Helper()
	req, err := http.NewRequestWithContext(b.tb.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.tb.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := b.http.Do(req)
	if err != nil {
		b.tb.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.tb.Fatal(err)
	}
	p := Page{Status: res.StatusCode, Text: string(text)}
	if res.StatusCode == http.StatusSeeOther {
		if p.To, err = res.Location(); err != nil {
			b.tb.Fatal(err)
		}
	}
	return p
}
