package pages

import (
	"cmp"
	_ "embed"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/flow"
	"countersign.dev/services/api/internal/link"
)

//go:embed links.html
var linksHTML string

var linkTemplates = withLayout("links", linksHTML)

// linkPage is what the page of a link is made of.
type linkPage struct {
	view  link.View
	begun flow.Begun // of the sign-in that it belongs to
	token secret.Text
}

func (l *Links) writeLink(w http.ResponseWriter, r *http.Request, status int, answer any) {
	page, _ := answer.(linkPage) // what show returns
	view := page.view
	words := wordsFor(r, view.Org.Locale)
	app, leads := view.AppHost, "'self'"
	if app != "" {
		leads += " " + formTargets(app)
	} else if view.Purpose == link.Login {
		app, leads = cmp.Or(page.begun.App, view.Org.Name), strings.TrimSpace(leads+" "+originOf(page.begun.Back))
	}
	fill := strings.NewReplacer("{org}", view.Org.Name, "{app}", app)
	does := words.does(page)
	err := send(w, r, status, linkTemplates.Lookup("link"), leads, look(map[string]any{
		"SignsInTo": page.begun.App, "Begun": page.begun,
		"Words": words, "Lang": words.Lang, "Heading": fill.Replace(does.Heading), "Text": fill.Replace(does.Text), "Button": fill.Replace(does.Button),
		"View": view, "Asked": words.ago(l.Now().Sub(view.AskedAt)), "AskedAt": view.AskedAt.UTC().Format(time.RFC3339),
		"Action": l.path(), "PageToken": page.token.Reveal(),
	}, view.Org))
	if err != nil {
		l.writeFault(w, r, err)
	}
}

var plainHost = regexp.MustCompile(`^[A-Za-z0-9.-]+(?::[0-9]{1,5})?$`)

// formTargets is where the form may lead, beside here: browsers hold the
// redirect that answers it to the page's policy. A policy cannot name an IPv6
// address, so that the scheme alone stands for those.
func formTargets(appHost string) string {
	if !plainHost.MatchString(appHost) {
		return "https: http:"
	}
	return "https://" + appHost + " http://" + appHost
}

// writeFault renders a fault for a person, with the request id and what to do.
func (l *Links) writeFault(w http.ResponseWriter, r *http.Request, err error) {
	words := wordsFor(r)
	writeFault(w, r, err, func(f *fault.Error) said {
		about, again := words.says(f, r.Method, placeOf(err))
		out := said{notice: about, Lang: words.Lang, Reference: words.Reference}
		if again {
			out.Again = words.Again
		}
		return out
	})
}

// says picks the words for a fault, and says whether another try may help.
func (l *words) says(f *fault.Error, method string, at placed) (said notice, again bool) {
	switch f.Code {
	case link.ErrDead.Code:
		if method == http.MethodPost { // a moment ago it was good
			return l.Used, false
		}
		return l.Dead, false
	case flow.ErrOver.Code:
		if at.again != "" {
			return faultWordsFor(l.Lang).saysAt(f, at), false
		}
		return l.Own.Over, false
	case errUnopened.Code:
		return l.Unopened, false
	case "page_expired", "cross_site":
		return l.Expired, true
	}
	switch f.Kind {
	case fault.Misdirected:
		return l.Host, false
	case fault.Limited, fault.Unavailable:
		return l.Busy, true
	case fault.Internal:
		return l.Failed, true
	}
	return l.Refused, false
}

// ago says how long ago something was: links live for an hour at most, and
// nobody's clock but ours is known here.
func (l *words) ago(passed time.Duration) string {
	switch minutes := int(passed.Minutes()); {
	case minutes < 1:
		return l.JustNow
	case minutes == 1:
		return l.OneMinute
	default:
		return strings.ReplaceAll(l.Minutes, "{n}", strconv.Itoa(minutes))
	}
}
