package httpapi

import (
	"context"

	"countersign.dev/services/api/internal/pipeline"
)

type pagePreviewOut struct {
	Type      string `json:"__type__"`
	Domain    string `json:"__domain__"`
	URL       string `json:"url"` // for everybody who has it, until then
	ExpiresAt string `json:"expires_at"`
}

// previewPages makes an address that shows the hosted pages with sample data.
func (a *API) previewPages(_ context.Context, c pipeline.Call, _ pipeline.Nothing) (pagePreviewOut, error) {
	ticket, err := a.Previews.Begin(c.Org)
	return pagePreviewOut{Type: "PagePreview", Domain: c.Org.Domain, URL: ticket.URL.Reveal(), ExpiresAt: stamp(ticket.ExpiresAt)}, err
}
