package mailserver

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"countersign.dev/pkg/dkim"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// Change is what a caller says about a connection; nil, and a secret that is
// empty, leave it.
type Change struct {
	Active       *bool
	Host         *string
	Port         *int
	Security     *string
	User         *string // empty: nobody signs in, and the password is forgotten
	Password     secret.Text
	From         *string
	FromName     *string
	DKIMDomain   *string // empty: nothing is signed, and the key is forgotten
	DKIMSelector *string
	DKIMKey      secret.Text
}

// Longest texts in octets.
const (
	longestHost   = 253
	longestUser   = 256
	longestSecret = 512
)

var hostShape = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9.:-]*[a-z0-9])?$`) // a name, or an address of either kind

func invalid(text string) error { return fault.New(fault.Invalid, "invalid_parameter", text) }

// clean brings what was said into one form and refuses what cannot be meant,
// whatever the connection says already.
func (in *Change) clean() error {
	lower(in.Host)
	lower(in.Security)
	lower(in.DKIMDomain)
	lower(in.DKIMSelector)
	switch {
	case in.Host != nil && (len(*in.Host) > longestHost || !hostShape.MatchString(*in.Host)):
		return invalid("host must be the name of a mail server, such as smtp.example.com")
	case in.Port != nil && (*in.Port < 1 || *in.Port > 65535):
		return invalid("port must be between 1 and 65535; mail servers listen on 587 (starttls) or 465 (tls)")
	case in.Security != nil && *in.Security != StartTLS && *in.Security != TLS:
		return invalid("security must be starttls or tls: mails and passwords do not go in plain text")
	case in.User != nil && !line(*in.User, longestUser):
		return invalid("username must be one line of at most 256 octets")
	case !line(in.Password.Reveal(), longestSecret):
		return invalid("password must be one line of at most 512 octets")
	}
	if !in.DKIMKey.IsZero() {
		if _, err := dkim.Parse(in.DKIMKey); err != nil {
			return invalid("dkim_private_key must be one RSA key of 2048 to 4096 bits, or one Ed25519 key, in PEM without a password")
		}
	}
	return in.cleanSender()
}

func (in *Change) cleanSender() error {
	if in.From != nil {
		address, err := user.ParseAddress(*in.From)
		if err != nil {
			return invalid("from_email must be one plain address such as no-reply@example.com")
		}
		mailbox := address.Mailbox()
		in.From = &mailbox
	}
	if in.FromName != nil && *in.FromName != "" {
		name, err := tenant.CleanName("from_name", *in.FromName)
		if err != nil {
			return err
		}
		in.FromName = &name
	}
	return nil
}

// line reports a text that fits a command of SMTP.
func line(text string, longest int) bool {
	return len(text) <= longest && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// apply edits the connection, with a key that was made in case it is needed,
// and refuses what it would be.
func (in Change) apply(c *Connection, made secret.Text) error {
	if err := in.reach(c); err != nil {
		return err
	}
	set(&c.Active, in.Active)
	set(&c.From, in.From)
	set(&c.FromName, in.FromName)
	switch {
	case c.Host == "":
		return fault.New(fault.Invalid, "missing_parameter", "host must be provided")
	case c.From == "":
		return fault.New(fault.Invalid, "missing_parameter", "from_email must be provided")
	}
	return in.sign(c, made)
}

// reach says where the server is and who signs in. A password belongs to the
// place that it was given for: who may change the place, and not read the
// password, must not be able to have it sent there.
func (in Change) reach(c *Connection) error {
	before := *c
	set(&c.Host, in.Host)
	set(&c.Security, in.Security)
	set(&c.User, in.User)
	switch {
	case in.Port != nil:
		c.Port = *in.Port
	case c.Port == 0 && c.Security == TLS:
		c.Port = 465
	case c.Port == 0:
		c.Port = 587
	}
	moved := c.Host != before.Host || c.Port != before.Port || c.Security != before.Security || c.User != before.User
	switch {
	case c.User == "" && !in.Password.IsZero():
		return fault.New(fault.Invalid, "missing_parameter", "username must be provided with a password")
	case c.User == "":
		c.Password = secret.Text{}
	case !in.Password.IsZero():
		c.Password = in.Password
	case c.Password.IsZero():
		return fault.New(fault.Invalid, "missing_parameter", "password must be provided with a username")
	case moved:
		return fault.New(fault.Invalid, "missing_parameter", "password must be provided again when host, port, security or username change")
	}
	return nil
}

// sign says what mails are signed with. A key belongs to the name under which
// the DNS shows it: another name without a key gets a new one.
func (in Change) sign(c *Connection, made secret.Text) error {
	before := c.Signing
	set(&c.Signing.Domain, in.DKIMDomain)
	set(&c.Signing.Selector, in.DKIMSelector)
	s := &c.Signing
	if s.Domain == "" {
		if !in.DKIMKey.IsZero() || in.DKIMSelector != nil && *in.DKIMSelector != "" {
			return fault.New(fault.Invalid, "missing_parameter", "dkim_domain must be provided with a selector or key")
		}
		c.Signing = Signing{}
		return nil
	}
	switch err := dkim.CheckNames(s.Domain, s.Selector); {
	case s.Selector == "":
		return fault.New(fault.Invalid, "missing_parameter", "dkim_selector must be provided with dkim_domain")
	case err == dkim.ErrDomain: //nolint:errorlint // it is not wrapped
		return invalid("dkim_domain must be a domain such as example.com, of at most 70 characters")
	case err != nil:
		return invalid("dkim_selector must be letters, digits and dashes, at most 63")
	case !dkim.Covers(s.Domain, c.From):
		return invalid("dkim_domain must be the domain of from_email, or one above it")
	case !in.DKIMKey.IsZero():
		s.Key = in.DKIMKey
	case s.Domain != before.Domain || s.Selector != before.Selector:
		s.Key = made
	}
	return nil
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}
