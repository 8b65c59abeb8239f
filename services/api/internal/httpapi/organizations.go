package httpapi

import (
	"context"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/tenant"
)

type organizationIn struct {
	Name         string   `in:"name" required:"true" doc:"At most 64 characters. The domain is made of it: Acme Test Ltd is acme-test-ltd."`
	EmailDomains []string `in:"email_domains|allowed_email_domains" doc:"Domains of e-mail addresses that belong to the organization."`
	Locale       string   `in:"locale" doc:"Language of its messages and pages, such as de."`
	Color        string   `in:"color" doc:"Color of its pages, such as #0055aa."`
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
	InlineLogo   *string             `json:"inline_logo_url"`
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

func organizationShape(o tenant.Organization) organizationOut {
	status := "up"
	if o.Deleted() {
		status = "down"
	}
	return organizationOut{
		Type: "Organization", Domain: o.Domain, Name: o.Name, EmailDomains: orEmpty(o.EmailDomains),
		Color: orNull(o.Color), Locale: orNull(o.Locale),
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
		Name: in.Name, EmailDomains: in.EmailDomains, Locale: in.Locale, Color: in.Color,
	})
	return organizationShape(org), err
}

func (a *API) listOrganizations(ctx context.Context, c pipeline.Call, in pageIn) (list[organizationOut], error) {
	result, err := a.Tenants.Organizations(ctx, c.Tenant.Account, c.Key.Organizations, in.page())
	if err != nil {
		return list[organizationOut]{}, err
	}
	return listOf(result, organizationShape), nil
}

func (a *API) readOrganization(_ context.Context, c pipeline.Call, _ pipeline.Nothing) (organizationOut, error) {
	return organizationShape(c.Org), nil
}

func (a *API) deleteOrganization(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (deleted[organizationOut], error) {
	org, err := a.Tenants.DeleteOrganization(ctx, c.Tenant)
	return deleted[organizationOut]{Deleted: true, Resource: organizationShape(org)}, err
}
