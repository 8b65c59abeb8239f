package pipeline

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/token"
)

// People are who comes without an API key: users with their access tokens, and
// browsers with their sessions.
type People struct {
	Tokens   UserTokens
	Grants   Grants
	Sessions Sessions
	Factors  Factors
	Now      func() time.Time
}

// UserTokens reads access tokens of users.
type UserTokens interface {
	// ReadUser returns token.ErrInvalid for every other token.
	ReadUser(ctx context.Context, raw secret.Text) (token.Access, error)
}

// Grants tell what access tokens cannot: whether it is still true.
type Grants interface {
	Live(ctx context.Context, grantID string) (grant.Session, error)
}

// Sessions finds sessions of browsers.
type Sessions interface {
	FindIn(ctx context.Context, realm string, token secret.Text) (session.Session, error)
}

// Factors tell who has a second factor.
type Factors interface {
	Enrolled(ctx context.Context, t tenant.ID, userID string) (bool, error)
}

// RealmParameter is the parameter of paths that names whose session is meant.
const RealmParameter = "realm"

// bearer is the one Bearer token of a request.
func bearer(r *http.Request) (secret.Text, bool) {
	scheme, raw, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	ok = ok && strings.EqualFold(scheme, "Bearer") && len(r.Header.Values("Authorization")) == 1
	return secret.New(strings.TrimSpace(raw)), ok
}

// errUser answers for every access token of a user that is not good.
var errUser = fault.New(fault.Unauthorized, "invalid_token", "the access token is missing, expired, revoked, or not one of a user; get a new one")

// person finds out which user calls. It comes after limits by address: looking
// a session up is a write.
func (p *Pipeline) person(ctx context.Context, w http.ResponseWriter, r *http.Request, route Route, call *Call) error {
	if route.Sessions {
		call.Sessions, call.Device = p.sessionsOf(r), p.deviceOf(r)
	}
	switch route.Credential {
	case UserToken:
		err := p.user(ctx, r, call)
		if fault.KindOf(err) == fault.Unauthorized {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		}
		return err
	case Browser:
		if err := p.browser(ctx, r, call); err != nil {
			return err
		}
		return p.fresh(ctx, route, call)
	case None, APIKey, Optional:
	}
	return nil
}

// has reports whether the caller may do what a scope stands for.
func (c Call) has(scope string) bool {
	return c.Key.Has(scope) || slices.Contains(c.Access.Scope, scope)
}

// user reads an access token and the grant that it came of. The token says
// nothing that the grant does not: what has ended is no credential any more.
func (p *Pipeline) user(ctx context.Context, r *http.Request, call *Call) error {
	raw, ok := bearer(r)
	if !ok {
		return errUser
	}
	access, err := p.People.Tokens.ReadUser(ctx, raw)
	if fault.KindOf(err) == fault.Unauthorized {
		return errUser.Because(err)
	}
	if err != nil {
		return err
	}
	of, err := p.People.Grants.Live(ctx, access.GrantID)
	if fault.KindOf(err) == fault.Malformed { // grant.ErrInvalid
		return errUser.Because(err)
	}
	if err != nil {
		return err
	}
	if !access.Of(of) {
		return errUser
	}
	call.User, call.Access, call.Tenant = of, access, of.Tenant
	return nil
}

// browser finds the session of the path's realm.
func (p *Pipeline) browser(ctx context.Context, r *http.Request, call *Call) (err error) {
	realm := call.Path(RealmParameter)
	if call.Session, err = p.People.Sessions.FindIn(ctx, realm, p.sessionsOf(r).Token(realm)); err != nil {
		return err
	}
	call.Tenant = call.Session.Tenant
	return nil
}

// sessionsOf reads the browser's cookie. Two of one name cannot both be ours.
func (p *Pipeline) sessionsOf(r *http.Request) session.Set {
	if given := r.CookiesNamed(p.cookies.SessionsName()); len(given) == 1 {
		return session.ParseSet(secret.New(given[0].Value))
	}
	return session.Set{}
}

// deviceOf reads what the browser is known by.
func (p *Pipeline) deviceOf(r *http.Request) secret.Text {
	if given := r.CookiesNamed(p.cookies.DeviceName()); len(given) == 1 {
		return secret.New(given[0].Value)
	}
	return secret.Text{}
}

// fresh asks for a recent proof, of all that the user has.
func (p *Pipeline) fresh(ctx context.Context, route Route, call *Call) error {
	if !route.Fresh {
		return nil
	}
	enrolled, err := p.People.Factors.Enrolled(ctx, call.Tenant, call.Session.User.ID)
	if err != nil {
		return err
	}
	if !call.Session.Fresh(p.People.Now(), enrolled) {
		return session.ErrReauth
	}
	return nil
}
