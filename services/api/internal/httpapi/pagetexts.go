package httpapi

import (
	"context"

	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/tenant"
)

type pageTextIn struct {
	Welcome string `in:"welcome" doc:"Below the heading of a sign-in's first step: plain text, one line of at most 300 characters. It replaces what there was; without it nothing is said."`
	Help    string `in:"help" doc:"At the foot of every page, such as whom to call: as welcome."`
}

type pageTextOut struct {
	Type    string  `json:"__type__"`
	Domain  string  `json:"__domain__"`
	Locale  string  `json:"locale"`
	Welcome *string `json:"welcome"`
	Help    *string `json:"help"`
}

func pageTextShape(c pipeline.Call, tag string, text tenant.PageText) pageTextOut {
	return pageTextOut{Type: "PageText", Domain: c.Org.Domain, Locale: tag, Welcome: orNull(text.Welcome), Help: orNull(text.Help)}
}

// listPageTexts reads nothing: they came with the organization.
func (a *API) listPageTexts(_ context.Context, c pipeline.Call, in pageIn) (list[pageTextOut], error) {
	tags, page := c.Org.Texts.Languages(), in.page()
	from := len(tags)
	if page.Number <= len(tags) { // beyond, its offset could overflow
		from = min(page.Offset(), len(tags))
	}
	result := listing.Result[string]{Items: tags[from:min(from+page.Per, len(tags))], Total: len(tags), Page: page}
	return listOf(result, func(tag string) pageTextOut { return pageTextShape(c, tag, c.Org.Texts[tag]) }), nil
}

func (a *API) putPageText(ctx context.Context, c pipeline.Call, in pageTextIn) (pageTextOut, error) {
	tag, text, err := a.Tenants.SetPageText(ctx, c.Tenant, c.Path("locale"), tenant.PageText(in))
	return pageTextShape(c, tag, text), err
}

func (a *API) deletePageText(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (deleted[pageTextOut], error) {
	tag, text, err := a.Tenants.RemovePageText(ctx, c.Tenant, c.Path("locale"))
	if err != nil {
		return deleted[pageTextOut]{}, err
	}
	return deleted[pageTextOut]{Deleted: true, Resource: pageTextShape(c, tag, text)}, nil
}
