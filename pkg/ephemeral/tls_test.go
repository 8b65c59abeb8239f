package ephemeral_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/rig"
	"countersign.dev/pkg/secret"
)

// certificate writes a key and a certificate for the given names, signed by
// itself, and returns the two files.
func certificate(t *testing.T, names []string, ips []net.IP) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: names, IPAddresses: ips,
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, bytes []byte) string {
		file := filepath.Join(dir, name)
		text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes})
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", keyDER)
}

func TestTLSIsVerified(t *testing.T) {
	t.Parallel()
	loopback := []net.IP{net.IPv4(127, 0, 0, 1)}
	right, rightKey := certificate(t, []string{"redis.internal"}, loopback)
	other, _ := certificate(t, nil, loopback)
	foreign, foreignKey := certificate(t, []string{"redis.internal"}, nil)

	cases := map[string]struct {
		cert, key  string
		ca         string
		serverName string
		fails      bool
	}{
		"the right certificate":              {right, rightKey, right, "", false},
		"another name, said explicitly":      {foreign, foreignKey, foreign, "redis.internal", false},
		"a certificate of nobody we trust":   {right, rightKey, other, "", true},
		"one the system does not know":       {right, rightKey, "", "", true},
		"one for another host":               {foreign, foreignKey, foreign, "", true},
		"one without the name that was said": {right, rightKey, right, "other.internal", true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := rig.Redis(t, "--port", "0", "--tls-port", "{port}", "--tls-auth-clients", "no",
				"--tls-cert-file", c.cert, "--tls-key-file", c.key, "--tls-ca-cert-file", c.cert)
			store := connectWith(t, ephemeral.RedisConfig{
				URL: secret.New(strings.Replace(server.URL, "redis:", "rediss:", 1)), CAFile: c.ca, ServerName: c.serverName,
			})
			err := store.Ping(t.Context())
			if !c.fails && err != nil {
				t.Fatal(err)
			}
			if c.fails && (fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "certificate")) {
				t.Fatalf("got %v, want the certificate to be refused", err)
			}
		})
	}
}
