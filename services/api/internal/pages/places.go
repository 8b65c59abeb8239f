package pages

import (
	"context"
	"errors"
	"net/http"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/flow"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/tenant"
)

// placed is a fault with what is known of where its person was. Nothing of it
// comes from what a request merely names.
type placed struct {
	error

	org   tenant.Organization // whose look the page has; a zero one for nobody's
	again string              // where to begin anew; empty where nobody has said
}

func (p placed) Unwrap() error { return p.error }

func placeOf(err error) placed {
	p, _ := errors.AsType[placed](err)
	return p
}

// begunAt is a fault of a sign-in: who signs in to no app begins at the page that
// finds accounts.
func begunAt(err error, at flow.Place, baseURL string) error {
	if at.Own {
		at.Again = below(baseURL, PlacesPath)
	}
	return placed{err, at.Org, at.Again}
}

// placeable reports whether a fault may be asked about: where a store is down,
// or somebody asks too often, nobody looks for more.
func placeable(err error) bool {
	switch fault.KindOf(err) {
	case fault.Internal, fault.Unavailable, fault.Limited:
		return false
	}
	_, known := errors.AsType[placed](err)
	return !known
}

// named is look for pages whose words name nobody: where there is no logo, the
// organization's name stands above them.
func named(data map[string]any, org tenant.Organization) map[string]any {
	data["Place"] = org.Name
	return look(data, org)
}

// Realms find organizations by their domain alone.
type Realms interface {
	// LivingOrganization returns tenant.ErrNotFound.
	LivingOrganization(ctx context.Context, domain string) (tenant.Organization, error)
}

// LookCookie holds the domain of the organization that a browser comes from, for
// a page that says how something went and belongs to nothing any more. It is
// never taken from an address, which anybody can make.
const LookCookie = "cs_look"

const lookCookieLife = 10 * time.Minute

// Looks finds whose look such a page has.
type Looks struct {
	Realms  Realms
	BaseURL string // decides the cookie's name; no header does
}

// leave makes the cookie for the page that the browser goes to; none is kept
// without a domain.
func (l Looks) leave(domain string) *http.Cookie {
	cookies := pipeline.CookiesOf(l.BaseURL)
	if domain == "" {
		return cookies.Make(cookies.Name(LookCookie), secret.Text{}, -1)
	}
	return cookies.Make(cookies.Name(LookCookie), secret.New(domain), int(lookCookieLife.Seconds()))
}

// of is the organization that the browser comes from; a zero one where that
// cannot be told, which keeps no page from being shown.
func (l Looks) of(ctx context.Context, r *http.Request) tenant.Organization {
	given := r.CookiesNamed(pipeline.CookiesOf(l.BaseURL).Name(LookCookie))
	if len(given) != 1 || !tenant.IsDomain(given[0].Value) {
		return tenant.Organization{}
	}
	org, err := l.Realms.LivingOrganization(ctx, given[0].Value)
	if err != nil {
		return tenant.Organization{}
	}
	return org
}
