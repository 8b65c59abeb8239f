package token

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"countersign.dev/pkg/secret"
)

// signed is a token of which the form is known, and nothing verified yet.
type signed struct {
	form
	token *jwt.JSONWebToken
	key   *key
}

// parse checks size and form, in this order, and finds the key. Of the header
// it believes the key id alone, which names one of our own keys or nothing:
// the algorithm is the key's, whatever the token says (RFC 8725 3.1).
func (s *Service) parse(ctx context.Context, raw secret.Text) (signed, error) {
	text := raw.Reveal()
	// The decoder skips line breaks, so with them there would be more than one
	// text of a token.
	if len(text) > maxSize || strings.Count(text, ".") != 2 || strings.ContainsAny(text, "\r\n") {
		return signed{}, ErrInvalid
	}
	key, err := s.verifier(ctx, keyOf(text))
	if err != nil {
		return signed{}, err
	}
	parsed, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{key.algorithm})
	if err != nil || len(parsed.Headers) != 1 {
		return signed{}, ErrInvalid.Because(err)
	}
	typ, _ := parsed.Headers[0].ExtraHeaders[jose.HeaderType].(string)
	return signed{form: form{typ, key.algorithm}, token: parsed, key: key}, nil
}

// keyOf reads the key id of a token, empty where it has none.
func keyOf(text string) string {
	first, _, _ := strings.Cut(text, ".")
	raw, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		return ""
	}
	var header struct {
		KeyID string `json:"kid"`
	}
	if err := json.Unmarshal(raw, &header); err != nil {
		return ""
	}
	return header.KeyID
}

// claims verifies the signature of a token and reads its claims, if it has the
// form that is asked for.
func (t signed) claims(as form, into any) error {
	if t.form != as {
		return ErrInvalid
	}
	if err := t.token.Claims(t.key.private.Public(), into); err != nil {
		return ErrInvalid.Because(err)
	}
	return nil
}

// verify is both in one, for a kind of one form.
func (s *Service) verify(ctx context.Context, raw secret.Text, as form, into any) error {
	token, err := s.parse(ctx, raw)
	if err != nil {
		return err
	}
	return token.claims(as, into)
}
