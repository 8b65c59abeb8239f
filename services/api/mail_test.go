package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/event"
)

// letter is a mail that the courier would send.
type letter struct {
	request event.Requested
	content event.Mail
}

// serveMail takes what the mail worker would take, and reports it as sent.
func (c *courier) serveMail(ctx context.Context, conn *bus.Bus) error {
	envs := []string{event.EnvSandbox, event.EnvDefault}
	if c.sandbox {
		envs = envs[:1]
	}
	var running sync.WaitGroup
	failed := make(chan error, 4)
	for _, class := range []string{"link", "notice"} {
		for _, env := range envs {
			running.Go(func() {
				if err := conn.Serve(ctx, c.mailWork(conn, class, env)); err != nil {
					failed <- err
				}
			})
		}
	}
	running.Wait()
	close(failed)
	return <-failed
}

func (c *courier) mailWork(conn *bus.Bus, class, env string) bus.Work {
	return bus.Work{Channel: event.ChannelEmail, Class: class, Env: env, Workers: 2, Handle: func(ctx context.Context, r event.Requested, _ bus.Try) error {
		plain, err := c.keys.Open(event.SealContent, r.DeliveryID, r.Sealed)
		if err != nil {
			return err
		}
		var content event.Mail
		if err := json.Unmarshal(plain, &content); err != nil {
			return err
		}
		c.letters <- letter{r, content}
		shown := event.Message{}
		if c.reports {
			shown = event.Message{To: content.To, Subject: content.Brand, Text: content.Template + "\n" + content.Link + content.Code, HTML: `<a href="` + content.Link + `">`}
		}
		return c.report(ctx, conn, r, shown)
	}}
}

// letterFor waits for the mail of a request. One test uses it at a time.
func (c *courier) letterFor(t *testing.T, requestID string) event.Mail {
	t.Helper()
	return c.nextLetter(t, "of "+requestID, func(l letter) bool { return l.request.RequestID == requestID })
}

// nextLetter waits for the first mail that fits, of those that have come and
// those that come.
func (c *courier) nextLetter(t *testing.T, what string, fits func(letter) bool) event.Mail {
	t.Helper()
	for i, l := range c.read {
		if fits(l) {
			c.read = append(c.read[:i], c.read[i+1:]...)
			return l.content
		}
	}
	limit := time.After(30 * time.Second)
	for {
		select {
		case l := <-c.letters:
			if fits(l) {
				return l.content
			}
			c.read = append(c.read, l)
		case <-limit:
			t.Fatalf("no mail %s", what)
		}
	}
}

// browser is a person's browser: it keeps cookies and shows every step.
type browser struct {
	h   *house
	jar http.CookieJar
}

func (h *house) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return &browser{h, jar}
}

// visit asks for one page, without following where it leads.
func (b *browser) visit(method, address string, form url.Values) *reply {
	b.h.t.Helper()
	target, err := url.Parse(b.h.here(address))
	if err != nil {
		b.h.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(b.h.t.Context(), method, target.String(), strings.NewReader(form.Encode()))
	if err != nil {
		b.h.t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for _, cookie := range b.jar.Cookies(target) {
		req.AddCookie(cookie)
	}
	r := b.h.plainly(req)
	b.jar.SetCookies(target, (&http.Response{Header: r.header}).Cookies())
	return r
}

// here is an address under the name that the service is configured to have,
// where it really listens.
func (h *house) here(address string) string {
	if rest, ok := strings.CutPrefix(address, h.public); ok {
		return h.base + rest
	}
	if strings.HasPrefix(address, "/") {
		return h.base + address
	}
	return address
}

var pageToken = regexp.MustCompile(`name="page_token" value="([^"]+)"`)

// open goes to where a link leads and returns the clean page.
func (b *browser) open(link string) *reply {
	b.h.t.Helper()
	first := b.visit(http.MethodGet, link, nil).want(http.StatusSeeOther)
	return b.visit(http.MethodGet, first.header.Get("Location"), nil)
}

// click presses the page's button.
func (b *browser) click(page *reply) *reply {
	b.h.t.Helper()
	match := pageToken.FindStringSubmatch(page.raw)
	if match == nil {
		b.h.t.Fatalf("the page has no form: %d %s", page.status, page.raw)
	}
	return b.visit(http.MethodPost, "/link", url.Values{"page_token": {match[1]}})
}

// follow opens a link, presses the button, and returns the query of where the
// browser is sent.
func (b *browser) follow(link string) url.Values {
	b.h.t.Helper()
	sent := b.click(b.open(link)).want(http.StatusSeeOther)
	to, err := url.Parse(sent.header.Get("Location"))
	if err != nil {
		b.h.t.Fatal(err)
	}
	return to.Query()
}
