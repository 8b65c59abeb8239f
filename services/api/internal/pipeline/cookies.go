package pipeline

import (
	"net/http"
	"strings"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/device"
	"countersign.dev/services/api/internal/session"
)

// Cookies makes the cookies of people's browsers. Over https they are bound to
// the host by the prefix __Host- (RFC 6265bis 4.1.3.2); none has a domain, and
// all but that of devices end with the browser.
type Cookies struct{ Secure bool }

// CookiesOf are those of a base URL.
func CookiesOf(baseURL string) Cookies {
	return Cookies{Secure: strings.HasPrefix(baseURL, "https:")}
}

// Name is that of a cookie of ours.
func (c Cookies) Name(bare string) string {
	if c.Secure {
		return "__Host-" + bare
	}
	return bare
}

// BrowserName is that of the cookie that flows and forms are bound to.
func (c Cookies) BrowserName() string { return c.Name("cs_browser") }

// SessionsName is that of the cookie of sessions.
func (c Cookies) SessionsName() string { return c.Name("cs_sessions") }

// Browser makes the cookie that flows and forms are bound to.
func (c Cookies) Browser(token secret.Text) *http.Cookie {
	return c.Make(c.BrowserName(), token, 0)
}

// Sessions makes the cookie of sessions; that of an empty set deletes it.
func (c Cookies) Sessions(set session.Set) *http.Cookie {
	if set.Text().IsZero() {
		return c.Make(c.SessionsName(), secret.Text{}, -1)
	}
	return c.Make(c.SessionsName(), set.Text(), 0)
}

// DeviceName is that of the cookie that a browser is known by.
func (c Cookies) DeviceName() string { return c.Name("cs_device") }

// Device makes the cookie that a browser is known by.
func (c Cookies) Device(token secret.Text) *http.Cookie {
	return c.Make(c.DeviceName(), token, int(device.Life.Seconds()))
}

// Make makes a cookie by its full name. It lives for so many seconds; zero ends
// it with the browser, and less deletes it.
func (c Cookies) Make(name string, value secret.Text, seconds int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure is off where the base URL is http, which only a development server has
		Name: name, Value: value.Reveal(), Path: "/", MaxAge: seconds,
		Secure: c.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// Departure sends a browser elsewhere, with cookies or without.
type Departure struct {
	To      secret.Text
	Cookies []*http.Cookie
}

// Depart writes a Departure, as Route.Write. It has no body, which would be one
// more place where the address stands.
func Depart(w http.ResponseWriter, _ *http.Request, status int, answer any) {
	d, _ := answer.(Departure) // what such handlers return
	for _, cookie := range d.Cookies {
		http.SetCookie(w, cookie)
	}
	w.Header().Set("Location", d.To.Reveal())
	w.WriteHeader(status)
}
