// Package breach knows whether a password is in a list of breached ones: by a
// filter on this machine, and by the range API, which learns five of the forty
// digits of a hash.
//
// The password rules ask it and decide what follows. The wiring opens the
// filter's file and hands it in. Nothing here is an error to a user: what
// cannot be asked is not checked, and the rules ask again at the next login.
package breach

import (
	"context"
	"crypto/sha1" //nolint:gosec // the lists hold SHA-1; it guards nothing here

	"countersign.dev/pkg/secret"
)

// Source is who was asked.
type Source string

// The sources.
const (
	SourceFilter Source = "filter"
	SourceRange  Source = "range"
)

// Result is what a source answered.
type Result string

// The results.
const (
	Found  Result = "found"
	Clean  Result = "clean"
	Failed Result = "failed" // no answer, or none that can be read
	Paused Result = "paused" // not asked: it failed too often, or too many ask already
)

// Sources and Results are all there are, for metrics.
var (
	Sources = []Source{SourceFilter, SourceRange}
	Results = []Result{Found, Clean, Failed, Paused}
)

// Service asks what is configured. It is safe for concurrent use.
type Service struct {
	Filter *Filter // nil: there is none
	Range  *Range  // nil: nobody outside is asked
	// Observe is told every answer. It may be nil and must not block.
	Observe func(Source, Result)
}

// Breached reports whether a password, already in NFC, is in a list, and
// whether anybody could say. It takes at most Within.
//
// The filter goes first. What it finds is found: to have the range API confirm
// it would tell somebody outside what need not leave, for one false positive
// in 65,536. What it does not find may be in a newer list, so the range API is
// asked as well; when that is down, the filter's answer stands.
func (s *Service) Breached(ctx context.Context, plain secret.Text) (found, checked bool) {
	hash := sha1.Sum([]byte(plain.Reveal())) //nolint:gosec // as above
	if s.Filter != nil {
		result := s.Filter.ask(hash)
		s.observe(SourceFilter, result)
		if result == Found {
			return true, true
		}
		checked = result == Clean
	}
	if s.Range != nil {
		result := s.Range.ask(ctx, hash)
		s.observe(SourceRange, result)
		found, checked = result == Found, checked || result == Found || result == Clean
	}
	return found, checked
}

func (s *Service) observe(source Source, result Result) {
	if s.Observe != nil {
		s.Observe(source, result)
	}
}
