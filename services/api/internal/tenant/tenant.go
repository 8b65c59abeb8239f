// Package tenant owns accounts, their organizations and the organizations'
// connections (policy). Everything else hangs below a [ID].
//
// It is called by the edges and, for policy, by the challenge rules; it is
// the lowest rule and calls no other.
package tenant

import (
	"context"
	"regexp"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/listing"
)

// Environments of every organization.
const (
	Sandbox = "sandbox"
	Default = "default"
)

// ID names whose data is meant: all of it is part of every key, row and
// budget. A handler gets it verified from the pipeline.
type ID struct {
	Account string `json:"account"`
	Org     string `json:"org"`
	Env     string `json:"env"`
}

// Account is a customer of the installation: it owns organizations and keys.
type Account struct {
	ID        string
	Domain    string // slug, unique in the installation
	Name      string
	CreatedAt time.Time
}

// Organization holds users in two environments.
type Organization struct {
	ID           string
	AccountID    string
	Domain       string // slug of the name, unique among the living
	Name         string
	EmailDomains []string // claims, as they were said; see DomainClaim
	Color        string   // #rrggbb, or empty
	Locale       string
	LogoURL      string // https, or empty
	// RedirectURIs are where links may lead, in both environments; a key can
	// list more. See CheckRedirect.
	RedirectURIs []string
	// LogoHash names the logo that its pages show, empty for none; see LogoPath.
	// LogoURL is another matter: mails show that, pages load nothing from elsewhere.
	LogoHash string
	Texts    PageTexts // what its pages say
	// Templated says that it has words of its own for some message, in one of
	// its environments: who composes one looks for them.
	Templated bool
	CreatedAt time.Time
	UpdatedAt time.Time
	DeletedAt time.Time // zero while it lives
}

// Deleted reports whether only the memory of the organization is left.
func (o Organization) Deleted() bool { return !o.DeletedAt.IsZero() }

// Store keeps accounts and organizations.
type Store interface {
	SettingsStore
	LogoStore
	TextStore
	DomainStore
	// CreateAccount returns ErrAccountTaken when the domain is in use.
	CreateAccount(ctx context.Context, a Account) error
	AccountByDomain(ctx context.Context, domain string) (Account, error)
	// CreateOrganization stores it with its claims of e-mail domains and an
	// inactive connection in both environments, in one transaction. It returns
	// ErrDomainTaken when a living organization has the domain.
	CreateOrganization(ctx context.Context, o Organization, connections []Connection) error
	// Organization finds a living one by domain, else the last deleted one,
	// else ErrNotFound. Another account's is ErrNotFound too.
	Organization(ctx context.Context, account, domain string) (Organization, error)
	// Organizations lists the living ones, newest first; within limits it to
	// these ids unless it is empty.
	Organizations(ctx context.Context, account string, within []string, page listing.Page) (listing.Result[Organization], error)
	// DeleteOrganization marks it deleted and removes its users with all that
	// hangs on them, its claims of e-mail domains, and how its pages looked, in
	// one transaction.
	// With sparing set it changes nothing and returns ErrNotEmpty while that
	// environment has users.
	DeleteOrganization(ctx context.Context, account, orgID, sparing string, now time.Time) (Organization, error)
}

// What may go wrong, as the caller reads it.
var (
	ErrNotFound     = fault.New(fault.NotFound, "not_found", "not_found")
	ErrAccountTaken = fault.New(fault.Conflict, "account_taken", "an account with this domain exists already; choose another")
	ErrDomainTaken  = fault.New(fault.Invalid, "unprocessable_entity", "name has already been taken; choose another")
	ErrNotEmpty     = fault.New(fault.Conflict, "production_not_empty", "the organization has users in its default environment; delete it with a key of that environment")
)

// Service is the rules of tenants.
type Service struct {
	Store    Store
	Resolver Resolver // nil proves no e-mail domain
	Now      func() time.Time
}

var slugPattern = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$`)

// IsDomain reports whether text has the form of an account's or an
// organization's domain.
func IsDomain(text string) bool { return slugPattern.MatchString(text) }

// CreateAccount makes an account. It returns a fault of kind Invalid for a
// bad domain and ErrAccountTaken.
func (s *Service) CreateAccount(ctx context.Context, domain, name string) (Account, error) {
	if !IsDomain(domain) {
		return Account{}, fault.New(fault.Invalid, "invalid_parameter", "domain must be 1 to 63 of a-z, 0-9 and dashes, with no dash at its ends")
	}
	if name == "" {
		name = domain
	}
	account := Account{ID: id.UUID(), Domain: domain, Name: name, CreatedAt: s.Now()}
	if err := s.Store.CreateAccount(ctx, account); err != nil {
		return Account{}, err
	}
	return account, nil
}

// CreateOrganization makes an organization with both environments and an
// inactive TOTP connection in each. The domain is the slug of its name.
func (s *Service) CreateOrganization(ctx context.Context, account string, in NewOrganization) (Organization, error) {
	clean, err := OrganizationChange{
		Name: &in.Name, EmailDomains: &in.EmailDomains, Locale: &in.Locale, Color: &in.Color, LogoURL: &in.LogoURL, RedirectURIs: &in.RedirectURIs,
	}.clean()
	if err != nil {
		return Organization{}, err
	}
	domain := Slug(*clean.Name)
	if domain == "" {
		return Organization{}, fault.New(fault.Invalid, "invalid_parameter", "name must hold at least one letter or digit of the Latin alphabet")
	}
	now := s.Now()
	org := Organization{
		ID: id.UUID(), AccountID: account, Domain: domain, Name: *clean.Name, EmailDomains: *clean.EmailDomains,
		Locale: *clean.Locale, Color: *clean.Color, LogoURL: *clean.LogoURL, RedirectURIs: *clean.RedirectURIs, CreatedAt: now, UpdatedAt: now,
	}
	var connections []Connection
	for _, env := range []string{Sandbox, Default} {
		connections = append(connections, newConnection(ID{Account: account, Org: org.ID, Env: env}, now))
	}
	if err := s.Store.CreateOrganization(ctx, org, connections); err != nil {
		return Organization{}, err
	}
	return org, nil
}

// DeleteOrganization removes an organization and its users in both
// environments. A sandbox key may do so only while the default environment is
// empty: trying things out must not delete people who log in.
func (s *Service) DeleteOrganization(ctx context.Context, tenant ID) (Organization, error) {
	return s.Store.DeleteOrganization(ctx, tenant.Account, tenant.Org, spared(tenant), s.Now())
}

// Organization finds one of the account's by its domain, or ErrNotFound.
func (s *Service) Organization(ctx context.Context, account, domain string) (Organization, error) {
	if !IsDomain(domain) {
		return Organization{}, ErrNotFound
	}
	return s.Store.Organization(ctx, account, domain)
}

// Organizations lists an account's living organizations, newest first; within
// limits the list to these ids unless it is empty.
func (s *Service) Organizations(ctx context.Context, account string, within []string, page listing.Page) (listing.Result[Organization], error) {
	return s.Store.Organizations(ctx, account, within, page)
}

const maxName = 64

// CleanName brings a name of a person or an organization to NFC and refuses
// what does not belong into one: control, bidi, zero-width and private-use
// characters, or more than 64 code points.
func CleanName(field, name string) (string, error) {
	name, err := cleanLine(field, name, maxName)
	if err == nil && name == "" {
		err = fault.Newf(fault.Invalid, "missing_parameter", "%s must be provided", field)
	}
	return name, err
}

// cleanLine is CleanName for any text of one line, which may be empty.
func cleanLine(field, text string, most int) (string, error) {
	text = strings.TrimSpace(norm.NFC.String(text))
	if len([]rune(text)) > most {
		return "", fault.Newf(fault.Invalid, "invalid_parameter", "%s must have at most %d characters", field, most)
	}
	for _, r := range text {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp) || r == unicode.ReplacementChar {
			return "", fault.Newf(fault.Invalid, "invalid_parameter", "%s holds a character that is not allowed (control, direction or private use)", field)
		}
	}
	return text, nil
}

// Slug makes a domain of a name: Acme Test Ltd is acme-test-ltd, Müller is
// muller. It is empty when nothing is left.
func Slug(name string) string {
	var out strings.Builder
	dash := false
	for _, r := range strings.ToLower(norm.NFKD.String(name)) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			if dash && out.Len() > 0 {
				out.WriteByte('-')
			}
			dash = false
			out.WriteRune(r)
		case unicode.Is(unicode.Mn, r): // the accent of the letter before
		default:
			dash = true
		}
	}
	slug := out.String()
	if len(slug) > 63 {
		slug = strings.TrimRight(slug[:63], "-")
	}
	return slug
}
