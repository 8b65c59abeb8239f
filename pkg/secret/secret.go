// Package secret holds values that must never be printed.
//
// A [Text] prints as *** through fmt, slog, encoding/json and every other way
// that asks a value for its text; only [Text.Reveal] gives the value out, so
// that a search for "Reveal" finds every place where a secret leaves its
// wrapper. Comparison is deliberately absent: secrets are compared in the
// guard, which counts the guess first.
package secret

import (
	"encoding/json"
	"fmt"
	"log/slog"
)

const redacted = "***"

// Text is a secret string: a code, a token, a key, a password.
//
// The value sits behind a pointer, because fmt does not ask the methods below
// when a Text is in an unexported field of what it prints, or when the verb is
// %p or %w: it then walks the fields itself, and prints an address here.
type Text struct {
	_     [0]func() // no ==, which would compare the addresses
	value *string
}

// New wraps a secret.
func New(value string) Text { return Text{value: &value} }

// Reveal returns the secret itself.
func (t Text) Reveal() string {
	if t.value == nil {
		return ""
	}
	return *t.value
}

// IsZero reports whether nothing, or nothing but the empty string, is wrapped.
func (t Text) IsZero() bool { return t.Reveal() == "" }

// String implements fmt.Stringer and hides the value.
func (Text) String() string { return redacted }

// GoString hides the value from %#v.
func (Text) GoString() string { return redacted }

// Format hides the value from every fmt verb, %x and %q included.
func (Text) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(redacted)) }

// LogValue implements slog.LogValuer and hides the value.
func (Text) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON hides the value. A secret that must be sent is revealed into a
// plain string on purpose, where the response type is built.
func (Text) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// MarshalText hides the value.
func (Text) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalText wraps the text, so that configuration can be read into a Text.
func (t *Text) UnmarshalText(text []byte) error {
	*t = New(string(text))
	return nil
}
