package api

import (
	"fmt"

	"countersign.dev/services/api/internal/openapi"
	"countersign.dev/services/api/internal/pages"
	"countersign.dev/services/api/internal/pipeline"
)

// docs describes the routes so far and returns those of the documentation.
func (s *Service) docs() ([]pipeline.Route, error) {
	routes := s.Routes()
	docs, err := pages.NewDocs(func() ([]byte, error) {
		return openapi.Document(routes, openapi.Info{Version: Version})
	})
	if err != nil {
		return nil, fmt.Errorf("prepare the documentation: %w", err)
	}
	return docs.Routes(), nil
}
