package password_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/password"
)

// code returns the code of a fault, or "" for no error.
func code(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		t.Fatalf("%v is no fault", err)
	}
	return f.Code
}

// mixed is a text of n characters that is on no list.
func mixed(n int) string {
	const letters = "korbflechtwerkampelmaus"
	return (strings.Repeat(letters, n/len(letters)+1))[:n]
}

//
func TestLengthCountsAndNothingElse(t *testing.T) {
	t.Parallel()
	alone, beside := password.Policy{}, password.Policy{SecondFactor: true}
	cases := map[string]struct {
		policy password.Policy
		typed  string
		want   string
	}{
		"14 characters":                              {alone, mixed(14), "password_too_short"},
		"15 characters":                              {alone, mixed(15), ""},
		"nothing":                                    {alone, "", "password_too_short"},
		"7 beside a second factor":                   {beside, mixed(7), "password_too_short"},
		"8 beside a second factor":                   {beside, mixed(8), ""},
		"64 characters":                              {alone, mixed(64), ""},
		"128 characters":                             {alone, mixed(128), ""},
		"1,024 bytes":                                {alone, mixed(1024), ""},
		"1,025 bytes":                                {alone, mixed(1025), "malformed_password"},
		"15 of four bytes each":                      {alone, "🦊🐻🐼🐨🐯🦁🐮🐷🐸🐵🐔🐧🐦🐤🦆", ""},
		"14 of four bytes each":                      {alone, "🦊🐻🐼🐨🐯🦁🐮🐷🐸🐵🐔🐧🐦🐤", "password_too_short"},
		"256 of four bytes each":                     {alone, strings.Repeat("🦊🐻", 128), ""},
		"14 that a keyboard spells with 15":          {alone, mixed(13) + "e\u0301", "password_too_short"},
		"blanks between words":                       {alone, "vier worte hier zu", ""},
		"blanks around":                              {alone, "  " + mixed(11) + "  ", ""},
		"digits alone":                               {alone, "839105726401839", ""},
		"small letters alone":                        {alone, "nurkleinebuchstaben", ""},
		"control characters":                         {alone, "a\x00b\tc\nd\x7fe" + mixed(10), ""},
		"bytes that are no text":                     {alone, mixed(20) + "\xff", "malformed_password"},
		"fifteen blanks":                             {alone, strings.Repeat(" ", 15), "password_blocklisted"},
		"one letter":                                 {alone, strings.Repeat("x", 64), "password_blocklisted"},
		"one sign of four bytes":                     {alone, strings.Repeat("🦊", 20), "password_blocklisted"},
		"one of the most common":                     {beside, "password", "password_blocklisted"},
		"a common one in capitals":                   {beside, "PassWord123", "password_blocklisted"},
		"a common one that is long":                  {alone, "passwordpassword", "password_blocklisted"},
		"a common one with blanks":                   {alone, "correct horse battery staple", "password_blocklisted"},
		"a connection that asks for 20, 19":          {password.Policy{Min: 20}, mixed(19), "password_too_short"},
		"a connection that asks for 20, 20":          {password.Policy{Min: 20}, mixed(20), ""},
		"a connection that asks for 4":               {password.Policy{Min: 4}, mixed(14), "password_too_short"},
		"a connection that asks for 4 beside, 7":     {password.Policy{Min: 4, SecondFactor: true}, mixed(7), "password_too_short"},
		"a connection that asks for more than 64":    {password.Policy{Min: 100}, mixed(64), ""},
		"a connection that takes 20 at most, 64":     {password.Policy{Max: 20}, mixed(64), ""},
		"a connection that takes 20 at most, 65":     {password.Policy{Max: 20}, mixed(65), "password_too_long"},
		"a connection that takes 100 at most, 100":   {password.Policy{Max: 100}, mixed(100), ""},
		"a connection that takes 100 at most, 101":   {password.Policy{Max: 100}, mixed(101), "password_too_long"},
		"a letter and its mark count as the letter":  {beside, "e\u0301" + mixed(7), ""},
		"marks that belong to nothing count as such": {beside, "\u0301" + mixed(7), ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.policy.Check(secret.New(c.typed))
			if got := code(t, err); got != c.want {
				t.Errorf("refused as %q, want %q", got, c.want)
			}
			if kind := fault.KindOf(err); c.want == "malformed_password" && kind != fault.Malformed || c.want != "" && c.want != "malformed_password" && kind != fault.Invalid {
				t.Errorf("kind %v", kind)
			}
			if len(c.typed) > len("password") && err != nil && strings.Contains(err.Error(), c.typed) {
				t.Error("the refusal repeats the password")
			}
		})
	}
}

// Covers R-053 for passwords.
func TestNothingIsHashedOfWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	h := hasher(t)
	n := h.Count()
	for name, typed := range map[string]string{"too large": mixed(1025), "far too large": strings.Repeat("é", 1<<20), "no text": "\xff"} {
		if err := password.CheckSize(secret.New(typed)); code(t, err) != "malformed_password" {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := h.Hash(t.Context(), "org", secret.New(typed)); fault.KindOf(err) != fault.Malformed {
			t.Errorf("%s: hashed, %v", name, err)
		}
		if _, _, err := h.Tags(secret.New(typed), ""); fault.KindOf(err) != fault.Malformed {
			t.Errorf("%s: evaluated, %v", name, err)
		}
	}
	if n.Load() != 0 {
		t.Errorf("%d evaluations", n.Load())
	}
}

// Covers R-052 for the form that is hashed.
func TestOneFormAndNothingElse(t *testing.T) {
	t.Parallel()
	composed := func(typed string) string {
		out, err := password.Composed(secret.New(typed))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if composed("e\u0301") != "\u00e9" || composed("\u00e9") != "\u00e9" {
		t.Error("the two spellings of é differ")
	}
	for _, kept := range []string{" x ", "X", "ﬁ", "Ⅳ", "x\u00a0y", "x\u3000", "\x00", "\ufeffx", "\u200b"} {
		if composed(kept) != kept {
			t.Errorf("%q became %q", kept, composed(kept))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		typed := rapid.StringN(0, 100, 1024).Draw(t, "typed")
		once, err := password.Composed(secret.New(typed))
		if err != nil {
			t.Fatal(err)
		}
		if len(once) > 1024 {
			return // may grow, and is then no input any more
		}
		if twice, err := password.Composed(secret.New(once)); err != nil || twice != once {
			t.Errorf("%q is not its own form: %v", once, err)
		}
	})
}
