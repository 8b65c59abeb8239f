package pages

import (
	"context"
	_ "embed"
	"net/http"
	"slices"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/preview"
	"countersign.dev/services/api/internal/tenant"
)

// Preview shows operators how the pages look to the people of an organization:
// every page, in every language, by the templates and words that people see, with
// its name and colour and with sample data. It knows nobody and asks no rule;
// whoever has the address sees what the sign-in page shows to everybody. Forms
// and links lead from page to page, and nothing that is typed is sent.
type Preview struct {
	Tickets Tickets
	BaseURL string
	Now     func() time.Time
}

// Tickets opens addresses of previews; preview.Service implements it.
type Tickets interface {
	// Open returns preview.ErrOver.
	Open(ctx context.Context, ticket secret.Text) (tenant.Organization, error)
}

var _ Tickets = (*preview.Service)(nil)

// The paths.
const (
	PreviewPath     = preview.Path + "{ticket}"
	PreviewPagePath = preview.Path + "{ticket}/{language}/{preview_page}"
)

// Routes is the table of the preview.
func (p *Preview) Routes() []pipeline.Route {
	page := func(path, summary string) pipeline.Route {
		return pipeline.Route{
			Method: http.MethodGet, Path: path, Summary: summary, Success: http.StatusOK, Page: true,
			Credential: pipeline.None, Reach: pipeline.Nobody, Rate: ratePreview, WriteFault: WriteFault,
		}
	}
	all := page(PreviewPath, "List the pages of an organization, to look at with sample data")
	all.Handler, all.Write = pipeline.Handle(p.all), p.writeAll
	one := page(PreviewPagePath, "Show a page of an organization with sample data")
	one.Handler, one.Write = pipeline.Handle(p.one), p.writeOne
	return []pipeline.Route{all, one}
}

// ratePreview is counted apart: who looks through the pages must not keep people
// who share an address from signing in.
var ratePreview = pipeline.Rate{Class: "page_preview", Rate: pipeline.RatePages.Rate}

// previewPage is one of the pages, or all of them.
type previewPage struct {
	ticket secret.Text
	org    tenant.Organization
	lang   string
	at     int // in samples
}

func (p *Preview) all(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (previewPage, error) {
	ticket := secret.New(c.Path("ticket"))
	org, err := p.Tickets.Open(ctx, ticket)
	return previewPage{ticket: ticket, org: org}, err
}

func (p *Preview) one(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (previewPage, error) {
	page, err := p.all(ctx, c, pipeline.Nothing{})
	if err != nil {
		return page, err
	}
	page.lang = c.Path("language")
	page.at = slices.IndexFunc(samples, func(s sample) bool { return s.name == c.Path("preview_page") })
	if page.at < 0 || !slices.ContainsFunc(previewSpoken, func(l previewWords) bool { return l.Lang == page.lang }) {
		return page, preview.ErrOver
	}
	return page, nil
}

// path is that of a page: all of them without a name.
func (p *Preview) path(page previewPage, lang, name string) string {
	path := below(p.BaseURL, preview.Path) + page.ticket.Reveal()
	if name == "" {
		return path
	}
	return path + "/" + lang + "/" + name
}

//go:embed preview.html
var previewHTML string

var previewTemplates = withLayout("preview", previewHTML)

// previewLink leads to a page of the preview.
type previewLink struct{ Path, Text, Lang string }

// previewRow is a page in the list, with its languages.
type previewRow struct {
	Name  string
	Links []previewLink
}

type previewGroup struct {
	Heading string
	Rows    []previewRow
}

func (p *Preview) writeAll(w http.ResponseWriter, r *http.Request, status int, answer any) {
	page, _ := answer.(previewPage) // what all returns
	words := previewWordsFor(signInWordsFor(r, "", page.org.Locale).Lang)
	var groups []previewGroup
	for _, s := range samples {
		if heading := words.Groups[s.group]; len(groups) == 0 || groups[len(groups)-1].Heading != heading {
			groups = append(groups, previewGroup{Heading: heading})
		}
		row := previewRow{Name: words.Pages[s.name]}
		for _, l := range previewSpoken {
			row.Links = append(row.Links, previewLink{p.path(page, l.Lang, s.name), l.Name, l.Lang})
		}
		last := &groups[len(groups)-1]
		last.Rows = append(last.Rows, row)
	}
	if err := send(w, r, status, previewTemplates.Lookup("preview"), "'none'", look(map[string]any{
		"Lang": words.Lang, "Heading": words.Title.Heading, "Text": words.Title.Text, "Org": page.org.Name, "Groups": groups,
	}, page.org)); err != nil {
		WriteFault(w, r, err)
	}
}

// writeOne has the page written by what writes it for people, within a frame.
func (p *Preview) writeOne(w http.ResponseWriter, r *http.Request, status int, answer any) {
	page, _ := answer.(previewPage) // what one returns
	words, s := previewWordsFor(page.lang), samples[page.at]
	f, err := p.frame(page, words)
	if err != nil {
		WriteFault(w, r, err)
		return
	}
	of := staged{
		org: page.org, lang: page.lang, base: p.BaseURL, now: p.Now(), app: words.App,
	}
	s.show(of, framedWriter{w, status}, f.request(r, page.lang))
}
