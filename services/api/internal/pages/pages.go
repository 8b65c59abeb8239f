// Package pages renders what a browser sees: the documentation of the API, the
// pages of the links that are sent by e-mail, and the page of dev that shows
// messages as they arrive. No page asks anybody but this service for anything.
package pages

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"countersign.dev/pkg/web"
	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/pipeline"
)

//go:embed layout.html
var layoutHTML string

// withLayout makes the templates of a page, with what all of them have.
func withLayout(name, page string) *template.Template {
	return template.Must(template.Must(template.New(name).Parse(layoutHTML)).Parse(page))
}

// Messages is where the inbox page gets its content.
type Messages interface {
	Newest(ctx context.Context, most int) ([]delivery.Message, error)
}

// Inbox is the page /inbox. It needs no credential and shows every code, so
// the wiring mounts it in dev on loopback only.
type Inbox struct {
	Messages Messages
	// BaseURL is what the links of our own messages start with: those can be
	// clicked. Other addresses are shown as text.
	BaseURL string
}

const mostMessages = 50

// Routes is the table of this page.
func (i *Inbox) Routes() []pipeline.Route {
	return []pipeline.Route{{
		Method: http.MethodGet, Path: "/inbox", Summary: "Show the messages of the sandbox (dev only)",
		Credential: pipeline.None, Reach: pipeline.Nobody, Rate: pipeline.RateAPI,
		Page: true, Handler: pipeline.Handle(i.show), Write: i.render,
	}}
}

func (i *Inbox) show(ctx context.Context, _ pipeline.Call, _ pipeline.Nothing) ([]delivery.Message, error) {
	return i.Messages.Newest(ctx, mostMessages)
}

//go:embed inbox.html
var inboxHTML string

var inbox = template.Must(template.New("inbox").Parse(inboxHTML))

// shown is a message as the page shows it: its text, never its HTML.
type shown struct {
	delivery.Message
	Text []piece
}

func (i *Inbox) render(w http.ResponseWriter, r *http.Request, status int, answer any) {
	messages, _ := answer.([]delivery.Message) // what show returns
	var all []shown
	for _, m := range messages {
		all = append(all, shown{m, pieces(m.Content.Text, i.BaseURL)})
	}
	if err := send(w, r, status, inbox, "'none'", map[string]any{"Messages": all}); err != nil {
		web.WriteFault(w, r, err)
	}
}

// piece is a part of a text, or an address of ours in it.
type piece struct {
	Text string
	Link bool
}

// pieces finds the addresses below a base URL in a text.
func pieces(text, base string) (out []piece) {
	for base != "" {
		at := strings.Index(text, base+"/")
		if at < 0 {
			break
		}
		end := at + len(base)
		for end < len(text) && strings.IndexByte(inAddress, text[end]) >= 0 {
			end++
		}
		end -= len(text[at:end]) - len(strings.TrimRight(text[at:end], ".,:;!?"))
		out = append(out, piece{Text: text[:at]}, piece{text[at:end], true})
		text = text[end:]
	}
	return append(out, piece{Text: text})
}

// inAddress are the characters that our addresses are made of.
const inAddress = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/?=&%+:;,!"

// below is where a page of ours is, below the base URL's own path.
func below(baseURL, path string) string {
	base, err := url.Parse(baseURL)
	if err != nil {
		return path
	}
	return base.EscapedPath() + path
}

// plainColor is all that may stand where a page has a colour: anything else
// could name an address there.
var plainColor = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

// send renders a page. It is styled by our own file and, where its data say that
// it is Scripted, runs our own script; nothing else is loaded or run. Its forms
// may lead where forms says. Nothing is sent when it returns an error.
func send(w http.ResponseWriter, r *http.Request, status int, page *template.Template, forms string, data map[string]any) error {
	data["Root"], data["StylePath"], data["ScriptPath"] = root(r), stylePath, scriptPath
	if color, _ := data["Color"].(string); !plainColor.MatchString(color) {
		data["Color"] = ""
	}
	script := ""
	if logo, _ := data["Logo"].(string); logo != "" {
		script = " img-src 'self';"
	}
	if data["Scripted"] == true {
		script = " script-src 'self'; connect-src 'self'; img-src 'self' data:;"
	}
	var out bytes.Buffer
	if err := page.Execute(&out, data); err != nil {
		return fmt.Errorf("render page: %w", err)
	}
	if f := frameOf(r); f != nil {
		out, forms = *bytes.NewBuffer(f.around(out.Bytes())), "'self'"
	}
	w.Header().Set("Content-Security-Policy",
		"default-src 'none'; style-src 'self';"+script+" base-uri 'none'; form-action "+forms+"; frame-ancestors 'none'")
	w.Header().Set("Content-Type", textHTML)
	w.WriteHeader(status)
	_, _ = out.WriteTo(w) // the client is gone; nobody is left to tell
	return nil
}
