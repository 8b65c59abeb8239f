package pages

import (
	"net/http"
	"strings"

	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/tenant"
)

// writePassword writes the page for a new password: once more, with advice,
// where the one that was typed is not taken.
func (l *Links) writePassword(w http.ResponseWriter, r *http.Request, status int, answer any) {
	page, _ := answer.(choosePage) // what the handlers return
	if page.to != nil {
		pipeline.Depart(w, r, status, *page.to)
		return
	}
	words := wordsFor(r, page.of.Org.Locale)
	does := words.Own.Choose
	var advice []string
	if page.advice != nil {
		status, advice = http.StatusUnprocessableEntity, page.advice.In(words.Lang)
	}
	data := look(map[string]any{
		"Scripted": true, "New": newPasswordFor(words.Lang, page.of.Address, page.of.Hint), "Words": words, "Lang": words.Lang, "Heading": does.Heading,
		"Text": strings.ReplaceAll(does.Text, "{org}", page.of.Org.Name), "Button": does.Button, "Advice": advice,
		"Address": page.of.Address, "Action": below(l.BaseURL, NewPasswordPath), "PageToken": page.token.Reveal(),
	}, page.of.Org)
	if advice != nil {
		data["Mistake"] = mistakeIn(words.Lang)
	}
	if err := send(w, r, status, linkTemplates.Lookup("new password"), "'self'", data); err != nil {
		l.writeFault(w, r, err)
	}
}

func (l *Links) writePasswordSet(w http.ResponseWriter, r *http.Request, status int, answer any) {
	page, _ := answer.(setPage) // what passwordSet returns
	words := wordsFor(r, page.org.Locale)
	l.writeNotice(w, r, status, noticePage{words.Own.Set, words, page.org, map[string]any{
		"Account": below(l.BaseURL, PlacesPath), "AccountWord": ownFactorWordsFor(words.Lang).Back,
	}})
}

// writeShown writes the page with the code of a link that was opened elsewhere.
func (l *Links) writeShown(w http.ResponseWriter, r *http.Request, status int, answer any) {
	page, _ := answer.(shownPage) // what shown returns
	words := wordsFor(r, page.org.Locale)
	l.writeNotice(w, r, status, noticePage{words.Own.Shown, words, page.org, map[string]any{"Code": page.code.Reveal()}})
}

// noticePage is a page that says how something went.
type noticePage struct {
	said  notice
	words *words
	org   tenant.Organization
	data  map[string]any
}

func (l *Links) writeNotice(w http.ResponseWriter, r *http.Request, status int, page noticePage) {
	page.data["Lang"], page.data["Heading"], page.data["Text"] = page.words.Lang, page.said.Heading, page.said.Text
	if err := send(w, r, status, linkTemplates.Lookup("link notice"), "'none'", named(page.data, page.org)); err != nil {
		l.writeFault(w, r, err)
	}
}
