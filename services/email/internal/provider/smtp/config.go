package smtp

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"countersign.dev/pkg/secret"
)

// Config is a server and how to reach it. The wiring reads it from variables
// that start with COUNTERSIGN_SMTP_.
type Config struct {
	Host string `env:"HOST" doc:"mail server that takes our mails; its certificate must have this name"`
	Port int    `env:"PORT" doc:"its port; 587, or 465 with implicit TLS, when it is not set"`
	TLS  string `env:"TLS" envDefault:"starttls" doc:"starttls, implicit, or none (plain text to this machine, for development only)"`

	User     string      `env:"USER" doc:"user at the mail server; nobody signs in when it is empty"`
	Password secret.Text `env:"PASSWORD" doc:"its password"`
	CAFile   string      `env:"CA_FILE" doc:"certificates that sign the mail server's, PEM; the system's when empty"`

	From     string `env:"FROM" doc:"address that mails come from; its domain has to allow the mail server (SPF, DKIM)"`
	FromName string `env:"FROM_NAME" doc:"name beside that address"`
	Hello    string `env:"HELLO" doc:"name that we introduce ourselves by; the domain of the sender when empty"`

	DKIMDomain   string      `env:"DKIM_DOMAIN" doc:"domain that signs our mails (DKIM), the one of the sender or one above it; nothing is signed when it is empty"`
	DKIMSelector string      `env:"DKIM_SELECTOR" doc:"name of the key below that domain, such as cs1"`
	DKIMKey      secret.Text `env:"DKIM_KEY" doc:"the key in PEM, RSA or Ed25519, as 'countersign dkim key' makes it; best given as a file"`

	Connections int `env:"CONNECTIONS" envDefault:"4" doc:"connections to the mail server at most, 1 to 64"`
	Rate        int `env:"RATE" doc:"mails that we begin in a second at most; 0 is no limit"`

	// Insecure allows TLS none, to loopback hosts.
	Insecure bool     `env:"-"`
	Timeouts Timeouts `env:"-"`
	// Idle is for how long a connection may rest, 30 s when zero. Servers
	// close theirs after minutes, and one that we closed first is never found
	// dead by a mail.
	Idle time.Duration    `env:"-"`
	Now  func() time.Time `env:"-"` // for the Date of mails; time.Now when nil
	// Roots are trusted in place of the CA file.
	Roots *x509.CertPool `env:"-"`
	// Control is asked for every address before we connect to it. Its error
	// wraps [ErrForbidden]. Nil allows all.
	Control func(network, address string, _ syscall.RawConn) error `env:"-"`
}

// ErrForbidden refuses an address.
var ErrForbidden = errors.New("we must not connect to this address")

// Timeouts bound the server's answers. What is zero has its default, which
// comes from RFC 5321 4.5.3.2, shortened where a retry is cheap.
type Timeouts struct {
	Connect time.Duration // the connection and its TLS: 10 s
	Verb    time.Duration // the greeting and each command: 60 s
	Block   time.Duration // writing the mail: 3 min
	Dot     time.Duration // the answer to it: 10 min; giving up earlier makes duplicates
	Quit    time.Duration // saying goodbye: 2 s
}

// of is the bound for one exchange.
func (t Timeouts) of(at point) time.Duration {
	switch at {
	case atConnect, atHandshake:
		return t.Connect
	case atBody:
		return t.Block
	case atDot:
		return t.Dot
	case atQuit:
		return t.Quit
	}
	return t.Verb
}

// How the connection is protected.
const (
	TLSStart    = "starttls"
	TLSImplicit = "implicit"
	TLSNone     = "none"
)

// Mistake is one setting that cannot work. It shows no value of a secret.
type Mistake struct {
	Key  string // the end of the variable's name: HOST
	Text string // what it should be
}

// Error joins both.
func (m Mistake) Error() string { return m.Key + ": " + m.Text }

var nameShape = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$`)

func (c Config) withDefaults() Config {
	c.TLS = cmp.Or(c.TLS, TLSStart)
	if c.Port == 0 {
		c.Port = 587
		if c.TLS == TLSImplicit {
			c.Port = 465
		}
	}
	_, domain, _ := strings.Cut(c.From, "@")
	c.Hello = cmp.Or(c.Hello, domain)
	c.Connections = cmp.Or(c.Connections, 4)
	c.Idle = cmp.Or(c.Idle, 30*time.Second)
	c.Timeouts.Connect = cmp.Or(c.Timeouts.Connect, 10*time.Second)
	c.Timeouts.Verb = cmp.Or(c.Timeouts.Verb, 60*time.Second)
	c.Timeouts.Block = cmp.Or(c.Timeouts.Block, 3*time.Minute)
	c.Timeouts.Dot = cmp.Or(c.Timeouts.Dot, 10*time.Minute)
	c.Timeouts.Quit = cmp.Or(c.Timeouts.Quit, 2*time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Check lists everything that is wrong with the settings.
func (c Config) Check() []Mistake {
	c = c.withDefaults()
	var wrong []Mistake
	refuse := func(bad bool, key, text string) {
		if bad {
			wrong = append(wrong, Mistake{key, text})
		}
	}
	_, notIP := netip.ParseAddr(c.Host)
	refuse(notIP != nil && !nameShape.MatchString(c.Host), "HOST", "is missing, or no name of a host")
	refuse(c.Port < 1 || c.Port > 65535, "PORT", "is 1 to 65535")
	refuse(c.TLS != TLSStart && c.TLS != TLSImplicit && c.TLS != TLSNone, "TLS", "is starttls, implicit or none")
	refuse(c.TLS == TLSNone && (!c.Insecure || !loopback(c.Host)), "TLS",
		"may be none for development only, to this machine: use starttls or implicit")
	refuse((c.User == "") != c.Password.IsZero(), "PASSWORD", "a user has a password, and nobody has none")
	_, err := parseAddress(c.From)
	refuse(err != nil, "FROM", "is missing, or not one plain address such as no-reply@example.com")
	refuse(strings.ContainsFunc(c.FromName, unicode.IsControl) || len(c.FromName) > 200, "FROM_NAME",
		"is a name of at most 200 octets on one line")
	refuse(err == nil && !nameShape.MatchString(c.Hello), "HELLO", "is the name of a host")
	refuse(c.Connections < 1 || c.Connections > 64, "CONNECTIONS", "is 1 to 64")
	refuse(c.Rate < 0 || c.Rate > 100_000, "RATE", "is 0 to 100000")
	c.checkSigning(refuse)
	return wrong
}

// loopback is conf.Loopback for a host without a port.
func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Zone() == "" && addr.IsLoopback()
}

// tlsConfig asks for a certificate with the name of the host, always.
func (c Config) tlsConfig() (*tls.Config, error) {
	roots := c.Roots // nil means the system's
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read CA file: %w", err)
		}
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM(pem) {
			return nil, errors.New("the CA file holds no PEM certificate")
		}
	}
	return &tls.Config{ServerName: c.Host, MinVersion: tls.VersionTLS12, RootCAs: roots}, nil
}

// address is where the server is.
func (c Config) address() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }
