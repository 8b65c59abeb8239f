package session_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/session"
)

func secretOf(text string) secret.Text { return secret.New(text) }

// Covers R-155 (the size of the cookie of sessions).
func TestASetKeepsTheNewestRealms(t *testing.T) {
	t.Parallel()
	var set session.Set
	last := id.Token()
	for i := range 40 {
		set = set.With(session.Realm(strings.Repeat("a", 61)+fmt.Sprintf("%02d", i), "sandbox"), last)
	}
	if n := len(set.Realms()); n != session.MostRealms || !strings.HasSuffix(set.Realms()[0], "39.sandbox") {
		t.Errorf("the set has %d realms, first %s", n, set.Realms()[0])
	}
	if size := len(set.Text().Reveal()); size > 2048 {
		t.Errorf("%d bytes", size)
	}
	again := session.ParseSet(set.Text())
	if !slices.Equal(again.Realms(), set.Realms()) {
		t.Errorf("read back as %v", again.Realms())
	}
	realm := set.Realms()[3]
	replaced := set.With(realm, id.Token())
	if replaced.Token(realm).Reveal() == set.Token(realm).Reveal() || replaced.Realms()[0] != realm || len(replaced.Realms()) != session.MostRealms {
		t.Error("a session is not replaced by a newer one")
	}
	if out := set.Without(realm); !out.Token(realm).IsZero() || len(out.Realms()) != session.MostRealms-1 || set.Token(realm).IsZero() {
		t.Error("a session is not left out, or the set itself was changed")
	}
}

func TestASetReadsWhatHasItsFormAlone(t *testing.T) {
	t.Parallel()
	token := id.Token().Reveal()
	for name, text := range map[string]string{
		"nothing": "", "separators": "||:|:", "no token": "acme.sandbox:", "a short token": "acme.sandbox:" + token[1:], "no environment": "acme:" + token,
		"another environment": "acme.live:" + token, "upper case": "Acme.sandbox:" + token, "a realm of dots": "a.b.sandbox:" + token,
		"a space": "acme.sandbox: " + token, "a path": "../acme.sandbox:" + token, "a token of other characters": "acme.sandbox:" + token[:42] + "=",
	} {
		if set := session.ParseSet(secretOf(text)); len(set.Realms()) != 0 || !set.Text().IsZero() {
			t.Errorf("%s is read as %v", name, set.Realms())
		}
	}
	set := session.ParseSet(secretOf("x|acme.sandbox:" + token + "|acme.sandbox:" + id.Token().Reveal() + "|b.default:" + token))
	if len(set.Realms()) != 2 || set.Token("acme.sandbox").Reveal() != token || set.Token("b.default").Reveal() != token {
		t.Errorf("good entries among others are read as %v", set.Realms())
	}
	if !set.Token("").IsZero() || !set.Token("c.sandbox").IsZero() {
		t.Error("there is a token in a realm that has none")
	}
}
