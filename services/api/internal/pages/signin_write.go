package pages

import (
	_ "embed"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"countersign.dev/services/api/internal/flow"
	"countersign.dev/services/api/internal/pipeline"
)

//go:embed signin.html
var signInHTML string

var signInTemplates = withLayout("sign in", signInHTML)

func (p *SignIn) write(w http.ResponseWriter, r *http.Request, status int, answer any) {
	page, _ := answer.(signInPage) // what show returns
	view := page.view
	if view.Step == flow.StepLeave {
		pipeline.Depart(w, r, http.StatusSeeOther, p.onward(view.Outcome))
		return
	}
	words := signInWordsFor(r, page.lang, view.Org.Locale)
	fill := strings.NewReplacer("{org}", view.Org.Name, "{app}", view.App, "{user}", view.Address, "{phone}", view.Phone)
	heading, text := words.First.Heading, words.First.Text
	if view.Step == flow.StepCode {
		heading, text = words.Second.Heading, words.Second.Text
	}
	err := send(w, r, status, signInTemplates.Lookup("sign in"), "'self' "+originOf(view.Back), map[string]any{
		"Words": words, "Lang": words.Lang, "Color": view.Org.Color, "Heading": fill.Replace(heading), "Text": fill.Replace(text),
		"SendText": fill.Replace(words.SendText), "Said": words.about(view.Said, view.Until.Sub(p.Now())),
		"View": view, "Second": view.Step == flow.StepCode, "Request": page.request.Reveal(), "PageToken": page.token.Reveal(),
		"PasswordAction": p.path(SignInPath), "CodeAction": p.path(CodePath), "SendAction": p.path(SendPath),
	})
	if err != nil {
		WriteFault(w, r, err)
	}
}

// writeFile hands out the recovery codes.
func (p *SignIn) writeFile(w http.ResponseWriter, _ *http.Request, status int, answer any) {
	file, _ := answer.(recoveryFile) // what save returns
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="recovery-codes.txt"`)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, strings.Join(file.view.Recovery, "\r\n")+"\r\n") // the client is gone, if anything
}

// originOf is where a form's answer may lead beside here: browsers hold the
// redirect that answers it to the page's policy. A policy cannot name an IPv6
// address, and knows apps on the user's machine by their scheme alone.
func originOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" {
		return ""
	}
	if (u.Scheme == "https" || u.Scheme == "http") && plainHost.MatchString(u.Host) {
		return u.Scheme + "://" + u.Host
	}
	return u.Scheme + ":"
}

// about says what became of the last try, and for how long to wait. It is empty
// where there is nothing to say.
func (l *signInWords) about(said flow.Said, wait time.Duration) string {
	text := l.Said[said]
	if wait <= 0 {
		return text
	}
	if minutes := int((wait + time.Minute - 1) / time.Minute); minutes > 1 {
		return text + " " + strings.ReplaceAll(l.WaitMinutes, "{n}", strconv.Itoa(minutes))
	}
	return text + " " + l.WaitMinute
}
