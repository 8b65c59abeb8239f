package pages

import (
	"io"
	"net/http"
	"strconv"
	"strings"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/qr"
)

// ownFactor is a second factor as the page shows it.
type ownFactor struct {
	ID, Name, Kind string
	Added          moment
	Used           *moment // nil: not yet
	Takes, Spare   bool
}

// ownFactors are all of them, with the words for them; nil where the
// organization asks for none.
type ownFactors struct {
	Words   *ownFactorWords
	All     []ownFactor
	Phone   bool // there is one already
	Left    string
	Unsaved bool
	Codes   bool // new ones may be made
}

func shownFactors(page accountPage, lang string) *ownFactors {
	self, words := page.self, ownFactorWordsFor(lang)
	if !self.Connection.Active {
		return nil
	}
	out := &ownFactors{Words: words, Phone: self.Phone().ID != "", Unsaved: page.unsaved, Left: words.left(self.Recovery.Left())}
	for _, f := range self.Factors {
		out.All = append(out.All, words.shown(f, self.Spare(f.ID)))
		out.Codes = out.Codes || f.Takes()
	}
	return out
}

func (l *ownFactorWords) shown(f factor.Factor, spare bool) ownFactor {
	out := ownFactor{ID: f.ID, Name: f.Name, Kind: l.App, Added: momentOf(f.ConfirmedAt), Takes: f.Takes(), Spare: spare}
	if f.Method == factor.SMS {
		out.Kind = l.Phone + " " + secret.MaskPhone(f.Phone)
	}
	if out.Name == "" {
		out.Name = l.App
		if f.Method == factor.SMS {
			out.Name = l.Phone
		}
	}
	if !f.UsedAt.IsZero() {
		used := momentOf(f.UsedAt)
		out.Used = &used
	}
	return out
}

// left says how many recovery codes are left.
func (l *ownFactorWords) left(n int) string {
	switch n {
	case 0:
		return l.LeftNone
	case 1:
		return l.LeftOne
	}
	return strings.ReplaceAll(l.Left, "{n}", strconv.Itoa(n))
}

func (a *Account) writeWaiting(w http.ResponseWriter, r *http.Request, status int, answer any) {
	page, _ := answer.(waitingPage) // what waiting returns
	words := ownFactorWordsFor(accountWordsFor(r, page.lang).Lang)
	of, data := words.Scan, map[string]any{}
	if page.waiting.Method == factor.SMS {
		of = words.Sent
	} else {
		picture, err := qr.Encode(page.waiting.URI)
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		data["Picture"] = picture
		data["Secret"] = grouped(page.waiting.Secret.Reveal())
	}
	data["Words"], data["Lang"], data["Heading"] = words, words.Lang, of.Heading
	data["Text"] = strings.ReplaceAll(of.Text, "{phone}", page.waiting.Phone)
	data["Path"], data["PageToken"] = page.path, page.token.Reveal()
	mistake(data, words.Said[page.said])
	if err := send(w, r, status, accountTemplates.Lookup("own enrolment"), "'self'", look(data, page.org)); err != nil {
		a.refuse(w, r, err)
	}
}

func (a *Account) writeCodes(w http.ResponseWriter, r *http.Request, status int, answer any) {
	page, _ := answer.(codesPage) // what codes returns
	words := ownFactorWordsFor(accountWordsFor(r, page.lang).Lang)
	if err := send(w, r, status, accountTemplates.Lookup("own codes"), "'self'", look(map[string]any{
		"Scripted": true, "Words": words, "Lang": words.Lang, "Heading": words.NewCodes.Heading, "Text": words.NewCodes.Text,
		"Lines": page.lines, "Path": page.path, "PageToken": page.token.Reveal(),
	}, page.org)); err != nil {
		a.refuse(w, r, err)
	}
}

// writeCodesFile hands the codes out as a file.
func writeCodesFile(w http.ResponseWriter, _ *http.Request, status int, answer any) {
	page, _ := answer.(codesPage) // what codes returns
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="recovery-codes.txt"`)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, strings.Join(page.lines, "\r\n")+"\r\n") // the client is gone, if anything
}
