package guard

import (
	"crypto/subtle"
	"encoding/base64"

	"countersign.dev/pkg/secret"
)

// Index makes keyed digests.
type Index interface {
	Sum(purpose string, parts ...string) []byte
}

// Forms ties the form of a page to the browser that it was shown to: its token
// is a keyed digest of the browser's cookie, so that nothing has to be kept
// and no other site can know it. There is no budget for guessing one of 256
// bits, beyond the rate at which pages answer.
type Forms struct{ Index Index }

const formToken = "guard.page_token"

// Token is what the form of a page holds that is about this cookie.
func (f Forms) Token(cookie secret.Text) secret.Text {
	return secret.New(base64.RawURLEncoding.EncodeToString(f.Index.Sum(formToken, cookie.Reveal())))
}

// Made reports whether Token made the token for the cookie.
func (f Forms) Made(cookie, token secret.Text) bool {
	want := []byte(f.Token(cookie).Reveal())
	return subtle.ConstantTimeCompare(want, []byte(token.Reveal())) == 1
}
