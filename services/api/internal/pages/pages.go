// Package pages renders what a browser sees. So far: the documentation of the
// API, and the page of dev that shows messages as they arrive.
package pages

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"html/template"
	"net/http"

	"countersign.dev/pkg/web"
	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/pipeline"
)

// Messages is where the inbox page gets its content.
type Messages interface {
	Newest(ctx context.Context, most int) ([]delivery.Message, error)
}

// Inbox is the page /inbox. It needs no credential and shows every code, so
// the wiring mounts it in dev on loopback only.
type Inbox struct{ Messages Messages }

const mostMessages = 50

// Routes is the table of this page.
func (i *Inbox) Routes() []pipeline.Route {
	return []pipeline.Route{{
		Method: http.MethodGet, Path: "/inbox", Summary: "Show the messages of the sandbox (dev only)",
		Credential: pipeline.None, Reach: pipeline.Nobody, Rate: pipeline.RateAPI,
		Handler: pipeline.Handle(i.show), Write: render,
	}}
}

func (i *Inbox) show(ctx context.Context, _ pipeline.Call, _ pipeline.Nothing) ([]delivery.Message, error) {
	return i.Messages.Newest(ctx, mostMessages)
}

//go:embed inbox.html
var inboxHTML string

var inbox = template.Must(template.New("inbox").Parse(inboxHTML))

func render(w http.ResponseWriter, r *http.Request, status int, answer any) {
	nonce := rand.Text()
	var page bytes.Buffer
	if err := inbox.Execute(&page, map[string]any{"Nonce": nonce, "Messages": answer}); err != nil {
		web.WriteFault(w, r, err)
		return
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+nonce+"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = page.WriteTo(w) // the client is gone; nobody is left to tell
}
