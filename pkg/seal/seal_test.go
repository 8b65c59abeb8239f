package seal_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
)

func ring(t *testing.T, keys ...secret.Text) *seal.Keyring {
	t.Helper()
	texts := make([]string, len(keys))
	for i, k := range keys {
		texts[i] = k.Reveal()
	}
	r, err := seal.Parse("COUNTERSIGN_SEAL_KEYS", secret.New(strings.Join(texts, ",")))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestOpensOnlyForItsPurposeAndRow(t *testing.T) {
	t.Parallel()
	r := ring(t, seal.NewKey())
	sealed, err := r.Seal("factor.phone", "org/user-1", []byte("+4915112345667"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("4915112345667")) {
		t.Fatal("the sealed value shows its content")
	}
	if plain, err := r.Open("factor.phone", "org/user-1", sealed); err != nil || string(plain) != "+4915112345667" {
		t.Fatalf("Open = %q, %v", plain, err)
	}
	damaged := bytes.Clone(sealed)
	damaged[len(damaged)-1] ^= 1
	for name, open := range map[string]func() ([]byte, error){
		"another row":     func() ([]byte, error) { return r.Open("factor.phone", "org/user-2", sealed) },
		"another purpose": func() ([]byte, error) { return r.Open("user.phone", "org/user-1", sealed) },
		"another ring":    func() ([]byte, error) { return ring(t, seal.NewKey()).Open("factor.phone", "org/user-1", sealed) },
		"one bit flipped": func() ([]byte, error) { return r.Open("factor.phone", "org/user-1", damaged) },
		"cut short":       func() ([]byte, error) { return r.Open("factor.phone", "org/user-1", sealed[:6]) },
		"empty":           func() ([]byte, error) { return r.Open("factor.phone", "org/user-1", nil) },
	} {
		if _, err := open(); !errors.Is(err, seal.ErrUnsealable) {
			t.Errorf("%s: err = %v, want ErrUnsealable", name, err)
		}
	}
}

func TestRotationOpensOldSealsNew(t *testing.T) {
	t.Parallel()
	first, second := seal.NewKey(), seal.NewKey()
	sealed, err := ring(t, first).Seal("p", "row", []byte("content"))
	if err != nil {
		t.Fatal(err)
	}
	rotated := ring(t, second, first)
	if plain, err := rotated.Open("p", "row", sealed); err != nil || string(plain) != "content" {
		t.Fatalf("Open = %q, %v", plain, err)
	}
	if !rotated.Stale(sealed) {
		t.Error("a value under the old key is not stale")
	}
	again, err := rotated.Seal("p", "row", []byte("content"))
	if err != nil {
		t.Fatal(err)
	}
	if rotated.Stale(again) {
		t.Error("a value under the new key is stale")
	}
	if _, err := ring(t, second).Open("p", "row", sealed); !errors.Is(err, seal.ErrUnsealable) {
		t.Errorf("the retired key still opens: %v", err)
	}
}

func TestWeakKeysAreRefusedByName(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{
		"empty":             "",
		"a word":            "changeme",
		"15 bytes":          base64.StdEncoding.EncodeToString([]byte("0123456789abcde")),
		"32 equal bytes":    base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)),
		"a repeated word":   base64.StdEncoding.EncodeToString([]byte("passpasspasspasspasspasspasspass")),
		"one good, one bad": seal.NewKey().Reveal() + ",changeme",
	} {
		_, err := seal.Parse("COUNTERSIGN_SEAL_KEYS", secret.New(key))
		if err == nil || !strings.Contains(err.Error(), "COUNTERSIGN_SEAL_KEYS") {
			t.Errorf("%s: err = %v, want one that names the setting", name, err)
		}
		if err != nil && key != "" && strings.Contains(err.Error(), key) {
			t.Errorf("%s: the error shows the key", name)
		}
	}
}

func TestNoncesDoNotRepeat(t *testing.T) {
	t.Parallel()
	r := ring(t, seal.NewKey())
	seen := make(map[string]bool, 100_000)
	for range 100_000 {
		sealed, err := r.Seal("p", "row", nil)
		if err != nil {
			t.Fatal(err)
		}
		nonce := string(sealed[5:17])
		if seen[nonce] {
			t.Fatal("a nonce came twice")
		}
		seen[nonce] = true
	}
}

func TestIndexTellsPartsApart(t *testing.T) {
	t.Parallel()
	ix, err := seal.ParseIndex("COUNTERSIGN_INDEX_KEY", seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	same := ix.Sum("p", "ab", "c")
	if !bytes.Equal(same, ix.Sum("p", "ab", "c")) {
		t.Error("the same input gave another digest")
	}
	for name, other := range map[string][]byte{
		"a shifted border": ix.Sum("p", "a", "bc"),
		"another purpose":  ix.Sum("q", "ab", "c"),
		"one part less":    ix.Sum("p", "abc"),
	} {
		if bytes.Equal(same, other) {
			t.Errorf("%s gave the same digest", name)
		}
	}
}
