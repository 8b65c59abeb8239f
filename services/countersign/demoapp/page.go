package demoapp

import (
	"bytes"
	"crypto/rand"
	_ "embed"
	"html/template"
	"net/http"
)

//go:embed demo.html
var demoHTML string

var demo = template.Must(template.New("demo").Parse(demoHTML))

// page is what the app shows.
type page struct {
	Nonce           string
	Problem         string
	Email, Password string
	Inbox           string
	Who             string
	Claims          []claim // nil while nobody is signed in
}

// write renders the page. Its forms lead to the service, which is at the same
// address.
func write(w http.ResponseWriter, status int, p page) {
	p.Nonce = rand.Text()
	var out bytes.Buffer
	if err := demo.Execute(&out, p); err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+p.Nonce+"'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = out.WriteTo(w) // the browser is gone; nobody is left to tell
}
