package guard

import (
	"fmt"
	"testing"

	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
)

// A token belongs to one cookie and to one installation.
func TestTokensOfForms(t *testing.T) {
	t.Parallel()
	forms := func() Forms {
		index, err := seal.ParseIndex("index", seal.NewKey())
		if err != nil {
			t.Fatal(err)
		}
		return Forms{Index: index}
	}
	ours, theirs := forms(), forms()
	cookie := secret.New("cookie")
	token := ours.Token(cookie)
	if text := token.Reveal(); len(text) != 43 || text != ours.Token(cookie).Reveal() {
		t.Errorf("the token is %q, and then another", text)
	}
	for name, c := range map[string]struct {
		forms         Forms
		cookie, token secret.Text
		made          bool
	}{
		"its own":                {ours, cookie, token, true},
		"of another cookie":      {ours, secret.New("cookie2"), token, false},
		"of no cookie":           {ours, secret.Text{}, token, false},
		"of another service":     {theirs, cookie, token, false},
		"none":                   {ours, cookie, secret.Text{}, false},
		"cut short":              {ours, cookie, secret.New(token.Reveal()[:42]), false},
		"longer":                 {ours, cookie, secret.New(token.Reveal() + "A"), false},
		"the cookie":             {ours, cookie, cookie, false},
		"the digest in the open": {ours, cookie, secret.New(fmt.Sprintf("%x", ours.Index.Sum(formToken, "cookie"))), false},
	} {
		if got := c.forms.Made(c.cookie, c.token); got != c.made {
			t.Errorf("%s: %v, want %v", name, got, c.made)
		}
	}
}
