// Package own sends mails through the mail servers of organizations that have
// one. It calls [smtp] with the server that a mail brings along.
//
// pkg/courier -> OWN -> smtp
//
// Each server of an organization has connections and a breaker of its own, so
// that what goes wrong with one is known of that one alone. A server whose
// settings have changed is another server, with a closed breaker: who has
// mended a password does not wait. Where a server may be is the operator's
// decision ([Networks]).
package own

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"countersign.dev/pkg/courier"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/email/internal/provider/smtp"
)

// Name is how deliveries and metrics call this provider, whoever's server it
// is.
const Name = "own_smtp"

// Connections is how many a process keeps to one server at most.
const Connections = 4

// forgetAfter is how long a server is remembered that gets no mail.
const forgetAfter = 10 * time.Minute

// reasonServer is for settings that no mail can be sent with: those that the
// api would have refused.
const reasonServer = "bad_server"

// Config is what the operator says about the servers of organizations. The
// wiring reads it from variables that start with COUNTERSIGN_SMTP_OWN_.
type Config struct {
	Allow  []string `env:"ALLOW" doc:"networks in which mail servers of organizations may be although they are not public, such as 10.1.2.0/24; there any port is allowed"`
	CAFile string   `env:"CA_FILE" doc:"certificates that sign those of organizations' mail servers beside the system's, PEM"`

	Timeouts smtp.Timeouts    `env:"-"`
	Now      func() time.Time `env:"-"` // time.Now when nil
	Log      *slog.Logger     `env:"-"`
}

// Servers sends each mail by its own server. It is safe for concurrent use.
type Servers struct {
	base smtp.Config // what all have in common
	now  func() time.Time
	log  *slog.Logger

	mu     sync.Mutex
	known  map[[sha256.Size]byte]*server
	closed bool
}

// server is one that has had mails lately.
type server struct {
	courier.Breaker
	smtp  *smtp.Provider
	users int       // mails that are being sent by it
	last  time.Time // when the last one began
}

var _ courier.Provider = (*Servers)(nil)

// New checks the settings and reads the CA file.
func New(cfg Config) (*Servers, error) {
	networks, err := ParseNetworks(cfg.Allow)
	if err != nil {
		return nil, err
	}
	s := &Servers{
		base: smtp.Config{Connections: Connections, Timeouts: cfg.Timeouts, Control: networks.Control, Now: cfg.Now},
		now:  cfg.Now, log: cmp.Or(cfg.Log, slog.New(slog.DiscardHandler)), known: map[[sha256.Size]byte]*server{},
	}
	if s.now == nil {
		s.now = time.Now
	}
	if cfg.CAFile != "" {
		if s.base.Roots, err = roots(cfg.CAFile); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// roots are the system's and those of a file.
func roots(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read CA file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a machine without any
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("the CA file holds no PEM certificate")
	}
	return pool, nil
}

// Send hands the mail to its server. The errors are those of
// [courier.Provider].
func (s *Servers) Send(ctx context.Context, m courier.Message) (courier.Receipt, error) {
	if m.Server == nil {
		return courier.Receipt{}, &courier.Failure{Reason: reasonServer, Cause: errors.New("the mail brings none along")}
	}
	by, err := s.enter(*m.Server)
	if err != nil {
		return courier.Receipt{}, &courier.Failure{Reason: reasonServer, Cause: err}
	}
	defer s.leave(by)
	return by.Send(ctx, m)
}

// enter finds the server, or makes it known.
func (s *Servers) enter(of event.MailServer) (*server, error) {
	settings, err := json.Marshal(of) //nolint:gosec // all of it, to be hashed: the organization, and what may be mended
	if err != nil {
		return nil, fmt.Errorf("tell servers apart: %w", err)
	}
	key := sha256.Sum256(settings)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("the worker ends")
	}
	now := s.now()
	found, known := s.known[key]
	if !known {
		s.forget(now)
		if found, err = s.open(of); err != nil {
			return nil, err
		}
		s.known[key] = found
	}
	found.users++
	found.last = now
	return found, nil
}

func (s *Servers) leave(by *server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	by.users--
}

// forget drops servers that have had nothing for a while. Their connections
// have gone before them.
func (s *Servers) forget(now time.Time) {
	for key, known := range s.known {
		if known.users == 0 && now.Sub(known.last) >= forgetAfter {
			delete(s.known, key)
		}
	}
}

func (s *Servers) open(of event.MailServer) (*server, error) {
	cfg := s.base
	cfg.Host, cfg.Port, cfg.User, cfg.Password = of.Host, of.Port, of.User, secret.New(string(of.Password))
	cfg.From, cfg.FromName = of.From, of.FromName
	switch of.TLS { // plain text is no choice, whatever was sealed
	case event.TLSImplicit:
		cfg.TLS = smtp.TLSImplicit
	default:
		cfg.TLS = smtp.TLSStart
	}
	if d := of.DKIM; d != nil {
		cfg.DKIMDomain, cfg.DKIMSelector, cfg.DKIMKey = d.Domain, d.Selector, secret.New(string(d.Key))
	}
	provider, err := smtp.New(cfg)
	if err != nil {
		return nil, err
	}
	org := slog.String("org_id", of.OrgID)
	return &server{smtp: provider, Breaker: courier.Breaker{Next: provider, Now: s.now, Changed: func(reason string) {
		if reason != "" {
			s.log.Warn("mails of an organization are held back: its own mail server is out", org, slog.String("reason", reason))
			return
		}
		s.log.Info("mails of an organization go out again by its own mail server", org)
	}}}, nil
}

// Held counts the servers that mails are held back from.
func (s *Servers) Held() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := 0
	for _, known := range s.known {
		if known.Check(context.Background()) != nil {
			held++
		}
	}
	return float64(held)
}

// Close says goodbye to all servers.
func (s *Servers) Close() {
	s.mu.Lock()
	s.closed = true
	known := s.known
	s.known = nil
	s.mu.Unlock()
	var leaving sync.WaitGroup
	for _, each := range known {
		leaving.Go(each.smtp.Close)
	}
	leaving.Wait()
}
