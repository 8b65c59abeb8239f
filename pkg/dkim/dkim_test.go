package dkim_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"

	"countersign.dev/pkg/dkim"
	"countersign.dev/pkg/secret"
)

// encoded is a key in PEM.
func encoded(t *testing.T, kind string, key any) secret.Text {
	t.Helper()
	var der []byte
	var err error
	if plain, ok := key.(*rsa.PrivateKey); ok && kind == "RSA PRIVATE KEY" {
		der = x509.MarshalPKCS1PrivateKey(plain)
	} else {
		der, err = x509.MarshalPKCS8PrivateKey(key)
	}
	if err != nil {
		t.Fatal(err)
	}
	return secret.New(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
}

func TestKeysThatAreMadeCanBeReadAndShown(t *testing.T) {
	t.Parallel()
	for kind, start := range map[dkim.Kind]string{dkim.RSA: "v=DKIM1; k=rsa; p=MIIBIj", dkim.Ed25519: "v=DKIM1; k=ed25519; p="} {
		text, err := dkim.NewKey(kind)
		if err != nil {
			t.Fatal(err)
		}
		if shown := fmt.Sprint(text); shown != "***" {
			t.Errorf("%s prints as %s", kind, shown)
		}
		key, err := dkim.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if record := dkim.Record(key); !strings.HasPrefix(record, start) || strings.ContainsAny(record, "\r\n\"") {
			t.Errorf("%s has the record %s", kind, record)
		}
	}
	if _, err := dkim.NewKey("dsa"); err == nil {
		t.Error("a key of an unknown kind was made")
	}
}

func TestOnlyKeysThatReceiversTakeAreRead(t *testing.T) {
	t.Parallel()
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := encoded(t, "RSA PRIVATE KEY", long)
	cases := map[string]struct {
		text secret.Text
		want error
	}{
		"RSA of 2048 bits":       {encoded(t, "PRIVATE KEY", long), nil},
		"RSA in its own form":    {good, nil},
		"RSA of 1024 bits":       {encoded(t, "PRIVATE KEY", short), dkim.ErrKey},
		"a curve of signatures":  {encoded(t, "PRIVATE KEY", curve), dkim.ErrKey},
		"two keys":               {secret.New(good.Reveal() + good.Reveal()), dkim.ErrKey},
		"nothing":                {secret.Text{}, dkim.ErrKey},
		"no PEM":                 {secret.New("key"), dkim.ErrKey},
		"a PEM of something":     {secret.New("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), dkim.ErrKey},
		"a key and a blank line": {secret.New(good.Reveal() + "\n"), nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := dkim.Parse(c.text); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestNamesThatFitASignature(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		domain, selector string
		want             error
	}{
		"a domain":                   {"example.com", "cs1", nil},
		"a selector of two labels":   {"mail.example.com", "2026.cs", nil},
		"a domain without a dot":     {"localhost", "cs1", dkim.ErrDomain},
		"a domain with a tag in it":  {"example.com; s=x", "cs1", dkim.ErrDomain},
		"a domain that is too long":  {strings.Repeat("a", 67) + ".com", "cs1", dkim.ErrDomain},
		"no selector":                {"example.com", "", dkim.ErrSelector},
		"a selector with a new line": {"example.com", "a\r\nb", dkim.ErrSelector},
		"a selector that is too long": {
			"example.com", strings.Repeat("a", 64), dkim.ErrSelector,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := dkim.CheckNames(c.domain, c.selector); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	for address, want := range map[string]bool{
		"a@example.com": true, "a@Mail.Example.com": true, "a@badexample.com": false, "a@example.com.evil.test": false, "example.com": false,
	} {
		if got := dkim.Covers("example.com", address); got != want {
			t.Errorf("%s: %t", address, got)
		}
	}
	if name := dkim.RecordName("example.com", "cs1"); name != "cs1._domainkey.example.com" {
		t.Errorf("the record is at %s", name)
	}
}
