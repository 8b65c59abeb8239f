package httpapi

import (
	"context"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/tenant"
)

type organizationIn struct {
	Name         string   `in:"name" required:"true" doc:"At most 64 characters. The domain is made of it: Acme Test Ltd is acme-test-ltd."`
	EmailDomains []string `in:"email_domains|allowed_email_domains" doc:"Domains of e-mail addresses that belong to the organization. In the sandbox they count at once, elsewhere when they are verified."`
	Locale       string   `in:"locale" doc:"Language of its messages and pages, such as de."`
	Color        string   `in:"color" doc:"Color of its pages, such as #0055aa."`
	LogoURL      string   `in:"icon_logo_url" doc:"https URL of its logo, for messages."`
	RedirectURIs []string `in:"redirect_uris" doc:"Where links may lead: https URLs, compared character for character. In the sandbox http://localhost works without being listed."`
}

// organizationChangeIn leaves what is not given; an empty text or list clears.
type organizationChangeIn struct {
	Name         *string   `in:"name" doc:"At most 64 characters. The domain stays what it is."`
	EmailDomains *[]string `in:"email_domains|allowed_email_domains" doc:"Domains of e-mail addresses that belong to the organization. The list replaces the one before; what stays in it stays verified."`
	Locale       *string   `in:"locale" doc:"Language of its messages and pages, such as de."`
	Color        *string   `in:"color" doc:"Color of its pages, such as #0055aa."`
	LogoURL      *string   `in:"icon_logo_url" doc:"https URL of its logo, for messages."`
	RedirectURIs *[]string `in:"redirect_uris" doc:"Where links may lead: https URLs, compared character for character. The list replaces the one before. In the sandbox http://localhost works without being listed."`
	Logo         *string   `in:"logo" doc:"Logo of its pages, as a data URI of a PNG or JPEG picture: data:image/png;base64,… of at most 24 KiB before it is encoded, and 1024 pixels each way. Empty takes it away."`
}

// change is what the rules are asked for.
func (in organizationChangeIn) change() (tenant.OrganizationChange, error) {
	out := tenant.OrganizationChange{
		Name: in.Name, EmailDomains: in.EmailDomains, Locale: in.Locale, Color: in.Color, LogoURL: in.LogoURL, RedirectURIs: in.RedirectURIs,
	}
	if in.Logo == nil {
		return out, nil
	}
	logo, err := tenant.ParseLogo(*in.Logo)
	out.Logo = &logo
	return out, err
}

type organizationOut struct {
	Type         string              `json:"__type__"`
	Domain       string              `json:"domain"`
	Name         string              `json:"name"`
	EmailDomains []string            `json:"allowed_email_domains"`
	Color        *string             `json:"color"`
	Locale       *string             `json:"locale"`
	Timezone     *string             `json:"timezone"`
	IconLogo     *string             `json:"icon_logo_url"`
	InlineLogo   *string             `json:"inline_logo_url"` // there is one logo
	PageLogo     *string             `json:"logo_url"`        // where we serve the one of its pages
	RedirectURIs []string            `json:"redirect_uris"`
	Environments []environmentOut    `json:"environments"`
	Status       *organizationStatus `json:"status,omitempty"`
	Deleted      bool                `json:"deleted,omitempty"`
	InsertedAt   string              `json:"inserted_at"`
	UpdatedAt    string              `json:"updated_at"`
}

type environmentOut struct {
	Name   string `json:"name"`
	Status string `json:"status"`
}

// organizationStatus is how far the making of an organization is: always
// done, since it is made in one transaction.
type organizationStatus struct {
	State    string   `json:"state"`
	Errors   []string `json:"errors"`
	Estimate int      `json:"estimated_time_to_complete_in_seconds"`
	Progress int      `json:"progress_in_percentage"`
}

func (a *API) organizationShape(o tenant.Organization) organizationOut {
	status := "up"
	if o.Deleted() {
		status = "down"
	}
	logo := o.LogoPath()
	if logo != "" {
		logo = a.BaseURL + logo
	}
	return organizationOut{
		Type: "Organization", Domain: o.Domain, Name: o.Name, EmailDomains: orEmpty(o.EmailDomains),
		Color: orNull(o.Color), Locale: orNull(o.Locale), IconLogo: orNull(o.LogoURL), PageLogo: orNull(logo), RedirectURIs: orEmpty(o.RedirectURIs),
		Environments: []environmentOut{{tenant.Sandbox, status}, {tenant.Default, status}},
		Status:       &organizationStatus{State: "terminated", Errors: []string{}, Progress: 100},
		Deleted:      o.Deleted(), InsertedAt: stamp(o.CreatedAt), UpdatedAt: stamp(o.UpdatedAt),
	}
}

func (a *API) createOrganization(ctx context.Context, c pipeline.Call, in organizationIn) (organizationOut, error) {
	if len(c.Key.Organizations) > 0 {
		return organizationOut{}, fault.New(fault.Forbidden, "narrowed_key", "this API key is limited to some organizations and cannot create others")
	}
	org, err := a.Tenants.CreateOrganization(ctx, c.Tenant.Account, tenant.NewOrganization{
		Name: in.Name, EmailDomains: in.EmailDomains, Locale: in.Locale, Color: in.Color, LogoURL: in.LogoURL, RedirectURIs: in.RedirectURIs,
	})
	return a.organizationShape(org), err
}

func (a *API) listOrganizations(ctx context.Context, c pipeline.Call, in pageIn) (list[organizationOut], error) {
	result, err := a.Tenants.Organizations(ctx, c.Tenant.Account, c.Key.Organizations, in.page())
	if err != nil {
		return list[organizationOut]{}, err
	}
	return listOf(result, a.organizationShape), nil
}

func (a *API) readOrganization(_ context.Context, c pipeline.Call, _ pipeline.Nothing) (organizationOut, error) {
	return a.organizationShape(c.Org), nil
}

func (a *API) updateOrganization(ctx context.Context, c pipeline.Call, in organizationChangeIn) (organizationOut, error) {
	change, err := in.change()
	if err != nil {
		return organizationOut{}, err
	}
	org, err := a.Tenants.UpdateOrganization(ctx, c.Tenant, change)
	return a.organizationShape(org), err
}

func (a *API) deleteOrganization(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (deleted[organizationOut], error) {
	org, err := a.Tenants.DeleteOrganization(ctx, c.Tenant)
	return deleted[organizationOut]{Deleted: true, Resource: a.organizationShape(org)}, err
}

type emailDomainOut struct {
	Type     string    `json:"__type__"`
	Domain   string    `json:"domain"`
	Verified bool      `json:"verified"`
	Reason   *string   `json:"reason"` // record_not_found, lookup_failed or domain_taken; null when verified
	Record   dnsRecord `json:"record"`
}

// dnsRecord is what has to stand in the DNS, and should go on standing there.
type dnsRecord struct {
	Type  string `json:"type"`
	Name  string `json:"name"`
	Value string `json:"value"`
}

func (a *API) verifyEmailDomain(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (emailDomainOut, error) {
	v, err := a.Tenants.VerifyEmailDomain(ctx, c.Org, c.Path("domain"))
	return emailDomainOut{
		Type: "EmailDomain", Domain: v.Domain, Verified: v.Verified, Reason: orNull(string(v.Reason)),
		Record: dnsRecord{Type: "TXT", Name: v.Record, Value: v.Value},
	}, err
}
