package pages

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/tenant"
)

// look puts into the data of a page what its organization has said about how its
// pages look: colour, logo, and the text at the foot. The heading is there
// already: the logo says nothing that the heading says.
func look(data map[string]any, org tenant.Organization) map[string]any {
	lang, _ := data["Lang"].(string)
	heading, _ := data["Heading"].(string)
	data["Color"], data["Logo"], data["Help"] = org.Color, org.LogoPath(), textOf(org.Help(lang), lang)
	if !strings.Contains(heading, org.Name) {
		data["LogoAlt"] = org.Name
	}
	return data
}

// textOf is a text as the templates show it; its language is said where it is
// not the page's.
func textOf(said tenant.Said, page string) tenant.Said {
	if said.Lang == page {
		said.Lang = ""
	}
	return said
}

// Logos serves the logos of organizations. Their addresses are made of what is
// there, so that browsers keep them for a year, and another logo is fetched at
// once.
type Logos struct{ Logos LogoReader }

// LogoReader finds logos; tenant.Service implements it.
type LogoReader interface {
	// Logo returns tenant.ErrNotFound where no organization shows it.
	Logo(ctx context.Context, hash string) (tenant.Logo, error)
}

var _ LogoReader = (*tenant.Service)(nil)

// Routes is the table of the logos.
func (l *Logos) Routes() []pipeline.Route {
	return []pipeline.Route{{
		Method: http.MethodGet, Path: tenant.LogoPath + "{hash}", Summary: "Get a logo of the pages",
		Credential: pipeline.None, Reach: pipeline.Nobody, Rate: pipeline.RateAPI, CacheFor: aYear,
		Handler: pipeline.Handle(func(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (tenant.Logo, error) {
			return l.Logos.Logo(ctx, c.Path("hash"))
		}),
		Write: writeLogo,
	}}
}

func writeLogo(w http.ResponseWriter, _ *http.Request, status int, answer any) {
	logo, _ := answer.(tenant.Logo) // what the handler above returns
	w.Header().Set("Content-Type", logo.MediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(logo.Content)))
	w.WriteHeader(status)
	_, _ = w.Write(logo.Content) // the client is gone, if anything
}
