package tenant

import (
	"context"
	"regexp"
	"slices"
	"time"

	"countersign.dev/pkg/fault"
)

// NewOrganization is what a caller may say about an organization.
type NewOrganization struct {
	Name         string
	EmailDomains []string
	Locale       string
	Color        string
	LogoURL      string
	RedirectURIs []string
}

// OrganizationChange holds what a caller wants to change; nil leaves it, and
// an empty text or list clears what may be empty.
type OrganizationChange struct {
	Name         *string
	EmailDomains *[]string
	Locale       *string
	Color        *string
	LogoURL      *string
	RedirectURIs *[]string
	Logo         *Logo // what ParseLogo has made
}

// SettingsStore keeps what organizations say about themselves.
type SettingsStore interface {
	// UpdateOrganization changes what is set of a living organization, its
	// claims of e-mail domains included, in one transaction, and returns the
	// whole. What is claimed as before stays proven. With sparing set it
	// changes nothing and returns ErrInhabited while that environment has
	// users. It returns ErrNotFound.
	UpdateOrganization(ctx context.Context, account, orgID, sparing string, change OrganizationChange, now time.Time) (Organization, error)
}

// ErrInhabited keeps a sandbox key from changing what people who log in see,
// and where they are sent.
var ErrInhabited = fault.New(fault.Conflict, "production_not_empty", "the organization has users in its default environment; change it with a key of that environment")

// Bounds of what an organization may say about itself.
const (
	maxDomains      = 50
	maxDomainLength = 253 // of a host name, RFC 1035
)

var (
	colorPattern  = regexp.MustCompile(`^#[0-9A-Fa-f]{6}$`)
	localePattern = regexp.MustCompile(`^[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}$`)
)

// clean refuses what could not be shown or would never match, and returns the
// rest in its stored form.
func (in OrganizationChange) clean() (OrganizationChange, error) {
	if in.Name != nil {
		name, err := CleanName("name", *in.Name)
		if err != nil {
			return in, err
		}
		in.Name = &name
	}
	if in.Color != nil && *in.Color != "" && !colorPattern.MatchString(*in.Color) {
		return in, fault.New(fault.Invalid, "invalid_parameter", "color must be six hexadecimal digits, such as #336699")
	}
	if in.Locale != nil && *in.Locale != "" && !localePattern.MatchString(*in.Locale) {
		return in, fault.New(fault.Invalid, "invalid_parameter", "locale must be a language tag, such as en or de-AT")
	}
	if in.LogoURL != nil && *in.LogoURL != "" {
		if u, ok := ParseURL(*in.LogoURL); !ok || u.Plain {
			return in, fault.Newf(fault.Invalid, "invalid_parameter", "icon_logo_url must be an https URL of at most %d characters, such as https://cdn.example.com/logo.png", maxURL)
		}
	}
	if in.EmailDomains != nil {
		claims, err := cleanClaims(*in.EmailDomains)
		if err != nil {
			return in, err
		}
		in.EmailDomains = &claims
	}
	if in.RedirectURIs != nil {
		list, err := CleanRedirects(*in.RedirectURIs, true) // the list is for both environments
		if err != nil {
			return in, err
		}
		in.RedirectURIs = &list
	}
	return in, nil
}

// cleanClaims bounds the e-mail domains. The contract takes any text as one, a
// bare name too; what is none is kept and never found.
func cleanClaims(in []string) ([]string, error) {
	out := slices.DeleteFunc(slices.Clone(in), func(claim string) bool { return claim == "" }) // email_domains[]= clears the list
	if len(out) > maxDomains {
		return nil, fault.Newf(fault.Invalid, "invalid_parameter", "email_domains must be at most %d", maxDomains)
	}
	for _, claim := range out {
		if len(claim) > maxDomainLength {
			return nil, fault.Newf(fault.Invalid, "invalid_parameter", "email_domains must have at most %d characters each", maxDomainLength)
		}
	}
	return out, nil
}

// UpdateOrganization changes what an organization says about itself. Its
// domain stays: it stands in paths and tokens. Both environments share the
// settings, so a sandbox key may change them only while the default
// environment has no users. It returns a fault of kind Invalid that names the
// parameter, ErrInhabited, and ErrNotFound.
func (s *Service) UpdateOrganization(ctx context.Context, tenant ID, change OrganizationChange) (Organization, error) {
	change, err := change.clean()
	if err != nil {
		return Organization{}, err
	}
	return s.Store.UpdateOrganization(ctx, tenant.Account, tenant.Org, spared(tenant), change, s.Now())
}

// spared is the environment whose users stop a caller from touching what both
// environments share.
func spared(tenant ID) string {
	if tenant.Env == Default {
		return ""
	}
	return Default
}
