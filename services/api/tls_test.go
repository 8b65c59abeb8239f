package api

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A renewed certificate is served without a restart, and one that cannot be
// read leaves the old one.
func TestCertificateIsRenewed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := Config{TLSCertFile: filepath.Join(dir, "tls.pem"), TLSKeyFile: filepath.Join(dir, "tls.key")}
	clock := time.Now()
	writeCertificate(t, cfg, "first", clock.Add(-time.Hour))
	served, err := serverTLS(cfg, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	c := &certificate{certFile: cfg.TLSCertFile, keyFile: cfg.TLSKeyFile, log: slog.New(slog.DiscardHandler), now: func() time.Time { return clock }}
	if err := c.read(); err != nil {
		t.Fatal(err)
	}
	c.looked = clock
	if name := nameOf(t, served.GetCertificate); name != "first" {
		t.Errorf("served %s at the start", name)
	}

	writeCertificate(t, cfg, "second", clock)
	if name := nameOf(t, c.get); name != "first" {
		t.Errorf("served %s before it was time to look again", name)
	}
	clock = clock.Add(lookAgain)
	if name := nameOf(t, c.get); name != "second" {
		t.Errorf("served %s after the renewal", name)
	}
	if err := os.WriteFile(cfg.TLSCertFile, []byte("half a certif"), 0o600); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(lookAgain)
	if name := nameOf(t, c.get); name != "second" {
		t.Errorf("served %s when the file was broken", name)
	}
}

// A certificate that cannot be used stops the start.
func TestCertificateMustBeUsable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := Config{TLSCertFile: filepath.Join(dir, "a.pem"), TLSKeyFile: filepath.Join(dir, "a.key")}
	other := Config{TLSCertFile: filepath.Join(dir, "b.pem"), TLSKeyFile: filepath.Join(dir, "b.key")}
	writeCertificate(t, good, "a", time.Now())
	writeCertificate(t, other, "b", time.Now())
	for name, cfg := range map[string]Config{
		"no file":         {TLSCertFile: filepath.Join(dir, "c.pem"), TLSKeyFile: good.TLSKeyFile},
		"another's key":   {TLSCertFile: good.TLSCertFile, TLSKeyFile: other.TLSKeyFile},
		"no certificate":  {TLSCertFile: good.TLSKeyFile, TLSKeyFile: good.TLSKeyFile},
		"the file's name": {TLSCertFile: dir, TLSKeyFile: good.TLSKeyFile},
	} {
		if _, err := serverTLS(cfg, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
	if served, err := serverTLS(Config{}, nil); served != nil || err != nil {
		t.Errorf("with no certificate: %v, %v; want plain HTTP", served, err)
	}
}

func nameOf(t *testing.T, get func(*tls.ClientHelloInfo) (*tls.Certificate, error)) string {
	t.Helper()
	pair, err := get(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf.Subject.CommonName
}

func writeCertificate(t *testing.T, cfg Config, name string, written time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		cfg.TLSCertFile: {Type: "CERTIFICATE", Bytes: cert}, cfg.TLSKeyFile: {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, written, written); err != nil {
			t.Fatal(err)
		}
	}
}
