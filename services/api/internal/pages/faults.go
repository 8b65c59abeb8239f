package pages

import (
	"context"
	"errors"
	"net/http"

	"golang.org/x/text/language"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/web"
)

// said is a fault in the words of one language.
type said struct {
	notice
	Lang      string
	Reference string // the word for it
	Again     string // the word for another try; empty where none helps
}

var faultPage = withLayout("faults", "")

// writeFault renders a fault for a person, with the request id and what to do.
func writeFault(w http.ResponseWriter, r *http.Request, err error, say func(f *fault.Error) said) {
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		web.WriteFault(w, r, err) // nobody is left to read a page
		return
	}
	noteFault(r, err)
	f := web.Public(err)
	web.FaultHeaders(w.Header(), f)
	s := say(f)
	at := placeOf(err)
	if err := send(w, r, web.Status(f.Kind), faultPage.Lookup("fault"), "'none'", named(map[string]any{
		"Lang": s.Lang, "Heading": s.Heading, "Text": s.Text, "AgainWord": s.Again, "ReferenceWord": s.Reference,
		"Start": at.again, "StartWord": faultWordsFor(s.Lang).Start,
		"Code": f.Code, "RequestID": w.Header().Get("X-Request-Id"),
	}, at.org)); err != nil {
		web.WriteFault(w, r, err)
	}
}

// WriteFault renders a fault on whatever page has no words of its own for it.
func WriteFault(w http.ResponseWriter, r *http.Request, err error) {
	_, i := language.MatchStrings(faultLanguages, r.Header["Accept-Language"]...)
	words := &faultsSpoken[i]
	writeFault(w, r, err, func(f *fault.Error) said {
		return said{notice: words.saysAt(f, placeOf(err)), Lang: words.Lang, Reference: words.Reference}
	})
}

var faultLanguages = func() language.Matcher {
	var tags []language.Tag
	for _, l := range faultsSpoken {
		tags = append(tags, language.MustParse(l.Lang))
	}
	return language.NewMatcher(tags)
}()

// faultWordsFor are those of a language of the pages.
func faultWordsFor(lang string) *faultWords {
	_, i := language.MatchStrings(faultLanguages, lang)
	return &faultsSpoken[i]
}

// faultWords are faults in one language: by their code, and by their kind
// where the code has no row.
type faultWords struct {
	Lang, Reference             string
	Codes                       map[string]notice
	Start                       string            // the link to where to begin anew
	Anew                        map[string]notice // in place of Codes, above that link
	Busy, Host, Refused, Failed notice
}

// saysAt is says of a fault on a page that may lead to where to begin anew: that
// need not be an app.
func (l *faultWords) saysAt(f *fault.Error, at placed) notice {
	if said, known := l.Anew[f.Code]; known && at.again != "" {
		return said
	}
	return l.says(f)
}

func (l *faultWords) says(f *fault.Error) notice {
	if said, known := l.Codes[f.Code]; known {
		return said
	}
	switch f.Kind {
	case fault.Misdirected:
		return l.Host
	case fault.Limited, fault.Unavailable:
		return l.Busy
	case fault.Internal:
		return l.Failed
	}
	return l.Refused
}
