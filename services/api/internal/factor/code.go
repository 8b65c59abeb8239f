package factor

import (
	"context"
	"net/netip"
	"regexp"
	"strings"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
)

// Code is what somebody typed, in the shape of a code. Only [Service.ReadCode]
// makes one, so nothing else can reach a comparison.
type Code struct {
	digits   secret.Text // of an app or a text message; empty for a recovery code
	recovery RecoveryCode
}

// ErrMalformed answers for what cannot be a code: nothing was compared and no
// guess was taken.
var ErrMalformed = fault.New(fault.Malformed, "malformed_code", "code must be exactly six or eight digits, sent as text so that leading zeros survive, or a recovery code of sixteen letters and digits")

var digitsPattern = regexp.MustCompile(`^(?:[0-9]{6}|[0-9]{8})$`)

// ReadCode checks the shape, which decides what the code can be of. Malformed
// input is counted against its source.
func (s *Service) ReadCode(ctx context.Context, source netip.Addr, text secret.Text) (Code, error) {
	if digitsPattern.MatchString(text.Reveal()) {
		return Code{digits: text}, nil
	}
	if code, ok := parseRecoveryCode(text.Reveal()); ok {
		return Code{recovery: code}, nil
	}
	return s.malformed(ctx, source)
}

// Typed is a code as it is compared, of what somebody has typed into a page of
// ours. People copy blanks along, which pages may strip.
func Typed(text secret.Text) secret.Text {
	return secret.New(strings.ReplaceAll(strings.TrimSpace(text.Reveal()), " ", ""))
}

// ReadDigits is ReadCode where a recovery code cannot be meant.
func (s *Service) ReadDigits(ctx context.Context, source netip.Addr, text secret.Text) (Code, error) {
	if digitsPattern.MatchString(text.Reveal()) {
		return Code{digits: text}, nil
	}
	return s.malformed(ctx, source)
}

// ReadRecovery is ReadCode where nothing but a recovery code can be meant.
func (s *Service) ReadRecovery(ctx context.Context, source netip.Addr, text secret.Text) (Code, error) {
	if code, ok := parseRecoveryCode(text.Reveal()); ok {
		return Code{recovery: code}, nil
	}
	return s.malformed(ctx, source)
}

func (s *Service) malformed(ctx context.Context, source netip.Addr) (Code, error) {
	if err := s.Guard.Malformed(ctx, source); err != nil {
		return Code{}, err
	}
	return Code{}, ErrMalformed
}

// Echo returns the code for a caller that made the message itself.
func (c Code) Echo() secret.Text { return c.digits }

// RecoveryCode is a recovery code in its one form: sixteen characters.
type RecoveryCode struct{ text secret.Text }

// Canonical is what is hashed.
func (c RecoveryCode) Canonical() secret.Text { return c.text }

// Written is what a person gets: groups of four, with dashes between.
func (c RecoveryCode) Written() string {
	text := c.text.Reveal()
	return strings.Join([]string{text[:4], text[4:8], text[8:12], text[12:]}, "-")
}

// The alphabet of Crockford's base 32, and how long a code of 80 bits is in it.
const (
	crockford  = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	codeLength = 16
	// Longer than this is no code, however many blanks are in it.
	longestTyped = 64
)

// parseRecoveryCode reads what a person typed off a piece of paper: in any
// case, with blanks and dashes wherever, and O, I and L for the digits that
// they look like.
func parseRecoveryCode(typed string) (RecoveryCode, bool) {
	if len(typed) > longestTyped {
		return RecoveryCode{}, false
	}
	out := make([]byte, 0, codeLength)
	for _, c := range []byte(strings.ToUpper(typed)) {
		switch c {
		case ' ', '-':
			continue
		case 'O':
			c = '0'
		case 'I', 'L':
			c = '1'
		}
		if strings.IndexByte(crockford, c) < 0 || len(out) == codeLength {
			return RecoveryCode{}, false
		}
		out = append(out, c)
	}
	return RecoveryCode{secret.New(string(out))}, len(out) == codeLength
}
