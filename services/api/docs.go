package api

import (
	"fmt"

	"countersign.dev/services/api/internal/openapi"
	"countersign.dev/services/api/internal/pages"
	"countersign.dev/services/api/internal/pipeline"
)

// docs describes the routes so far and returns those of the documentation.
func (s *Service) docs() ([]pipeline.Route, error) {
	document, err := openapi.Document(s.Routes(), openapi.Info{Version: Version})
	if err != nil {
		return nil, fmt.Errorf("describe the API: %w", err)
	}
	docs, err := pages.NewDocs(document)
	if err != nil {
		return nil, fmt.Errorf("prepare the documentation: %w", err)
	}
	return docs.Routes(), nil
}
