package password

import (
	"strings"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/guard"
)

// Recovery codes are hashed as passwords are, but all of a user with one salt:
// then one evaluation tries them all.
var (
	_ factor.Hasher = (*Hasher)(nil)
	_ guard.Tagger  = (*Hasher)(nil)
)

// HashSet implements factor.Hasher.
func (h *Hasher) HashSet(codes []factor.RecoveryCode) (made string, tags [][]byte, err error) {
	s := h.fresh()
	for _, code := range codes {
		tag, err := h.evaluate(code.Canonical().Reveal(), s, tagSize)
		if err != nil {
			return "", nil, err
		}
		tags = append(tags, tag)
	}
	return s.withoutTag(), tags, nil
}

// Tag implements guard.Tagger.
func (h *Hasher) Tag(candidate secret.Text, made string) ([]byte, error) {
	s := h.dummy
	if made != "" {
		var err error
		if s, err = parse(made + "$" + plainBase64.EncodeToString(h.dummy.tag)); err != nil {
			return nil, err
		}
	}
	return h.evaluate(candidate.Reveal(), s, tagSize)
}

// withoutTag is the PHC form up to the tag.
func (s stored) withoutTag() string {
	text := s.String()
	return text[:strings.LastIndexByte(text, '$')]
}
