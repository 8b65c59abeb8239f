package api

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificate is what the service serves https with. It reads its files again
// when they have been renewed, so that a certificate of 90 days needs no
// restart.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	now               func() time.Time

	mu      sync.Mutex
	pair    *tls.Certificate
	written time.Time // when the file of pair was written
	looked  time.Time
}

// lookAgain is the time between two looks at the files.
const lookAgain = 30 * time.Second

// serverTLS returns the TLS configuration of the service, nil when a proxy in
// front of it ends TLS. It fails on a certificate that cannot be used.
func serverTLS(cfg Config, log *slog.Logger) (*tls.Config, error) {
	if cfg.TLSCertFile == "" {
		return nil, nil
	}
	c := &certificate{certFile: cfg.TLSCertFile, keyFile: cfg.TLSKeyFile, log: log, now: time.Now}
	if err := c.read(); err != nil {
		return nil, fmt.Errorf("COUNTERSIGN_TLS_CERT_FILE: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}, nil
}

// get answers a handshake. What cannot be read leaves the certificate that is
// there: it may still be good, and a handshake is no place to stop a service.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.looked) >= lookAgain {
		c.looked = now
		if err := c.read(); err != nil {
			c.log.Error("certificate not renewed", slog.Any("error", err))
		}
	}
	return c.pair, nil
}

// read loads the files when they are not the ones that are loaded.
func (c *certificate) read() error {
	info, err := os.Stat(c.certFile)
	if err != nil {
		return fmt.Errorf("look at certificate: %w", err)
	}
	if c.pair != nil && info.ModTime().Equal(c.written) {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("read certificate: %w", err)
	}
	c.pair, c.written = &pair, info.ModTime()
	return nil
}
