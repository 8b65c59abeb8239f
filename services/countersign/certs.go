package countersign

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certsCommand makes what lets the parts of one host speak TLS to each other
// without a public authority: ca.pem, and <name>.pem with <name>.key for every
// name. Files that exist are kept, so that it can run before every start.
type certsCommand struct {
	Dir   string        `required:"" help:"Folder to write to."`
	Life  time.Duration `default:"8760h" help:"How long the certificates are good."`
	Names []string      `arg:"" help:"Host names to make certificates for; localhost and 127.0.0.1 are added to each."`
}

func (c certsCommand) Run(p *process) error {
	if _, err := os.Stat(filepath.Join(c.Dir, "ca.pem")); err == nil {
		_, err := fmt.Fprintln(p.stdout, "The certificates exist; nothing was changed.")
		return err
	}
	if err := os.MkdirAll(c.Dir, 0o750); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Countersign private CA"},
		NotBefore: now.Add(-time.Minute), NotAfter: now.Add(c.Life),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make CA key: %w", err)
	}
	for _, name := range c.Names {
		if err := c.issue(name, now, ca, caKey); err != nil {
			return err
		}
	}
	// The CA's key is thrown away: nothing more can be signed with it. Its
	// certificate comes last, as the mark that all is done.
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return fmt.Errorf("sign CA: %w", err)
	}
	if err := writePEM(filepath.Join(c.Dir, "ca.pem"), "CERTIFICATE", der, 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "Certificates for %v are in %s.\n", c.Names, c.Dir)
	return err
}

func (c certsCommand) issue(name string, now time.Time, ca *x509.Certificate, caKey *ecdsa.PrivateKey) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	leaf := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Minute), NotAfter: now.Add(c.Life),
		DNSNames: []string{name, "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		return fmt.Errorf("sign %s: %w", name, err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode key of %s: %w", name, err)
	}
	if err := writePEM(filepath.Join(c.Dir, name+".key"), "PRIVATE KEY", private, 0o600); err != nil {
		return err
	}
	return writePEM(filepath.Join(c.Dir, name+".pem"), "CERTIFICATE", der, 0o644)
}

func serial() *big.Int {
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // never fails since Go 1.24
	raw[0] &= 0x7f
	return new(big.Int).SetBytes(raw)
}

func writePEM(path, kind string, der []byte, mode os.FileMode) error {
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
