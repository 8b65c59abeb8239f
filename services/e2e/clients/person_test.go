package clients_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

// person signs in with a browser without scripts, for clients that run where
// no browser is.
type person struct {
	id, email, password string
	app                 *authenticator

	tb   testing.TB
	base string // of the provider
	http *http.Client
}

// forget begins with an empty browser.
func (p *person) forget() {
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.tb.Fatal(err)
	}
	p.http = &http.Client{Jar: jar, Timeout: time.Minute, CheckRedirect: func(next *http.Request, _ []*http.Request) error {
		if !strings.HasPrefix(next.URL.String(), p.base+"/") {
			return http.ErrUseLastResponse // the client takes it from here
		}
		return nil
	}}
}

// mostPages bounds what a person fills in before losing patience.
const mostPages = 5

// visit opens an address of the provider, fills in what its pages ask for, and
// returns the address of the client to which the browser is sent at last, and
// the number of pages that there were.
func (p *person) visit(address string) (to string, pages int) {
	p.tb.Helper()
	shown := p.do(http.MethodGet, address, nil)
	for ; ; pages++ {
		if shown.location != "" {
			return shown.location, pages
		}
		f := p.form(shown)
		if pages == mostPages {
			p.tb.Fatalf("after %d pages %s still asks for %v", pages, address, f.values)
		}
		shown = p.do(http.MethodPost, f.action, p.fill(f))
	}
}

// fill writes what a person knows into the fields of a form.
func (p *person) fill(f form) url.Values {
	p.tb.Helper()
	for name := range f.values {
		switch name {
		case "email":
			f.values.Set(name, p.email)
		case "password":
			f.values.Set(name, p.password)
		case "code":
			f.values.Set(name, p.app.code())
		}
	}
	return f.values
}

// shown is what the browser has after its redirects.
type shown struct {
	at       *url.URL
	status   int
	text     string
	location string // of the client
}

func (p *person) do(method, address string, values url.Values) shown {
	p.tb.Helper()
	req, err := http.NewRequestWithContext(p.tb.Context(), method, address, strings.NewReader(values.Encode()))
	if err != nil {
		p.tb.Fatal(err)
	}
	if values != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", p.base)
	}
	res, err := p.http.Do(req)
	if err != nil {
		p.tb.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.tb.Fatal(err)
	}
	return shown{at: res.Request.URL, status: res.StatusCode, text: string(text), location: res.Header.Get("Location")}
}

// form is the first form of a page.
type form struct {
	action string
	values url.Values
}

func (p *person) form(page shown) form {
	p.tb.Helper()
	root, err := html.Parse(strings.NewReader(page.text))
	if err != nil {
		p.tb.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Data != "form" {
			continue
		}
		action, err := page.at.Parse(attribute(n, "action"))
		if err != nil {
			p.tb.Fatal(err)
		}
		f := form{action: action.String(), values: url.Values{}}
		for field := range n.Descendants() {
			if name := attribute(field, "name"); field.Data == "input" && name != "" {
				f.values.Set(name, attribute(field, "value"))
			}
		}
		return f
	}
	p.tb.Fatalf("%s answers %d with a page that has no form:\n%s", page.at.Path, page.status, page.text)
	return form{}
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
