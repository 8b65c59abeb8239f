package pages

import (
	_ "embed"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"countersign.dev/services/api/internal/flow"
	"countersign.dev/services/api/internal/pipeline"
)

//go:embed signin.html
var signInHTML string

//go:embed signin_steps.html
var signInStepsHTML string

var signInTemplates = withLayout("sign in", signInHTML+signInStepsHTML)

func (p *SignIn) write(w http.ResponseWriter, r *http.Request, status int, answer any) {
	page, _ := answer.(signInPage) // what show returns
	view := page.view
	if view.Step == flow.StepLeave {
		pipeline.Depart(w, r, http.StatusSeeOther, p.onward(view.Outcome))
		return
	}
	data, err := p.data(page, signInWordsFor(r, page.lang, view.Org.Locale))
	if err == nil {
		err = send(w, r, status, signInTemplates.Lookup("sign in"), strings.TrimSpace("'self' "+originOf(view.Back)), data)
	}
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
	_, _ = io.WriteString(w, strings.Join(file.codes, "\r\n")+"\r\n") // the client is gone, if anything
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

// mailSteps are those at which all that is sent is a mail, and the one code there
// may be is that of a link that was opened in another browser.
var mailSteps = []flow.Step{flow.StepPassword, flow.StepLink, flow.StepLinkSent, flow.StepForgot, flow.StepForgotSent}

// about says what became of the last try, and for how long to wait. It is empty
// where there is nothing to say.
func (l *signInWords) about(view flow.View, wait time.Duration) string {
	text := l.Said[view.Said]
	if own, ok := l.ByMail[view.Said]; ok && slices.Contains(mailSteps, view.Step) {
		text = own
	}
	if wait <= 0 {
		return text
	}
	if minutes := int((wait + time.Minute - 1) / time.Minute); minutes > 1 {
		return text + " " + strings.ReplaceAll(l.WaitMinutes, "{n}", strconv.Itoa(minutes))
	}
	return text + " " + l.WaitMinute
}
