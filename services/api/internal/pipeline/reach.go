package pipeline

import (
	"context"
	"strings"

	"countersign.dev/services/api/internal/input"
	"countersign.dev/services/api/internal/tenant"
)

// Named is the reach of routes whose path names no organization. The input
// does, as org_domain, or the domain of the address in user_email tells it:
// org_domain decides where both are given. What is found lies within the
// caller's account, environment and key, exactly as with Organization; what is
// not answers as there. Given neither, or what [Route.TellsOrg] names, the call
// has account and environment alone, and the handler decides.
const Named Reach = "named"

// Organizations finds organizations that the input of a route names.
type Organizations interface {
	// Organization finds one of an account by its domain.
	Organization(ctx context.Context, account, domain string) (tenant.Organization, error)
	// ByEmailDomain finds the one to whose people the e-mail domain belongs.
	ByEmailDomain(ctx context.Context, account, env, domain string, reaches func(orgID string) bool) (tenant.Organization, error)
}

// naming are the parameters that name an organization, read as every handler
// reads its own.
type naming struct {
	Org   string `in:"org_domain"`
	Email string `in:"user_email"`
}

// name puts the call into the organization that the input names.
func (p *Pipeline) name(ctx context.Context, route Route, call *Call, values *input.Values) error {
	if route.Reach != Named {
		return nil
	}
	var in naming
	if err := values.Decode(&in, false); err != nil {
		return err
	}
	if route.TellsOrg != "" && values.Texts()[route.TellsOrg] != "" {
		in.Email = ""
	}
	org, err := p.named(ctx, *call, in)
	if err != nil || org.ID == "" {
		return err
	}
	if org.Deleted() || !call.Key.Reaches(org.ID) {
		return tenant.ErrNotFound
	}
	call.Org = org
	call.Tenant.Org = org.ID
	return nil
}

// named is the organization that the input names, or a zero one.
func (p *Pipeline) named(ctx context.Context, call Call, in naming) (tenant.Organization, error) {
	switch {
	case in.Org != "":
		return p.Organizations.Organization(ctx, call.Tenant.Account, in.Org)
	case in.Email != "":
		domain := in.Email[strings.LastIndexByte(in.Email, '@')+1:]
		return p.Organizations.ByEmailDomain(ctx, call.Tenant.Account, call.Tenant.Env, domain, call.Key.Reaches)
	}
	return tenant.Organization{}, nil
}
