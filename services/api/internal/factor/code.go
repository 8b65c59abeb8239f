package factor

import (
	"context"
	"net/netip"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/challenge"
)

// Code is what somebody typed, in the shape of a code. Only [Service.ReadCode]
// makes one, so nothing else can reach a comparison.
type Code struct{ text secret.Text }

// ErrMalformed answers for what cannot be a code: nothing was compared and no
// guess was taken.
var ErrMalformed = fault.New(fault.Malformed, "malformed_code", "code must be exactly six digits, sent as text so that leading zeros survive")

// ReadCode checks the shape. Malformed input is counted against its source.
func (s *Service) ReadCode(ctx context.Context, source netip.Addr, text secret.Text) (Code, error) {
	if challenge.IsCode(text.Reveal()) {
		return Code{text: text}, nil
	}
	if err := s.Challenges.Guard.Malformed(ctx, source); err != nil {
		return Code{}, err
	}
	return Code{}, ErrMalformed
}

// Echo returns the code for a caller that made the message itself.
func (c Code) Echo() secret.Text { return c.text }
