package token

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/id"
)

// Access is what an end user's access token says. That the grant is still
// good, it does not say: ask grant.Service.Live.
type Access struct {
	ID        string
	Profile   string // app.Standard, app.Gateway, or empty for the user of an API key
	GrantID   string
	SessionID string // the browser session that the grant came of; empty for none
	UserID    string
	ClientID  string
	Audience  string // whom the token is for: the issuer, or in the gateway's what the app has set
	Org       string // domain
	Env       string
	Scope     []string
	AMR       []string
	ACR       string
	AuthTime  time.Time
	IssuedAt  time.Time
	Expiry    time.Time
}

// Of reports whether the token is one of this grant, as it is at this moment.
// The gateway's are for whom their app says now: when an operator takes an
// audience back, tokens for it are good no more.
func (a Access) Of(live grant.Session) bool {
	if a.Profile == app.Gateway && a.Audience != cmp.Or(live.Audience, live.ClientID) {
		return false
	}
	return a.GrantID == live.Grant.ID && a.UserID == live.UserID && a.ClientID == live.ClientID && a.Org == live.Org && a.Env == live.Tenant.Env
}

// AppAccess is what an app's own access token says. That the app is still
// good, it does not say.
type AppAccess struct {
	ID       string
	ClientID string
	Org      string // domain
	Env      string
	Scope    []string
	IssuedAt time.Time
	Expiry   time.Time
}

// Hint is what an ID token says when it is shown as a hint.
type Hint struct {
	Issuer    string
	Org       string // domain, of a gateway's token; empty in a standard one
	UserID    string
	ClientID  string
	SessionID string // empty for none
	Expiry    time.Time
}

// ReadUser verifies an end user's access token, of every profile. It returns
// ErrInvalid, also for ID tokens and for tokens of API keys and of apps, or a
// store's fault.
func (s *Service) ReadUser(ctx context.Context, raw secret.Text) (Access, error) {
	token, err := s.parse(ctx, raw)
	if err != nil {
		return Access{}, err
	}
	if token.typ == accessES.typ {
		return s.readStandard(token)
	}
	return s.readContract(token)
}

func (s *Service) readStandard(token signed) (Access, error) {
	c, err := s.ours(token)
	if err != nil {
		return Access{}, err
	}
	if !id.IsUUID(c.Subject) || !id.IsUUID(c.Grant) || !app.IsID(c.Client) || c.AuthTime == 0 {
		return Access{}, ErrInvalid
	}
	return Access{
		ID: c.ID, Profile: app.Standard, GrantID: c.Grant, SessionID: c.Session, UserID: c.Subject, ClientID: c.Client, Audience: s.Issuer,
		Org: c.Org, Env: c.Environment, Scope: c.Scopes, AMR: c.AMR, ACR: c.ACR, AuthTime: instant(c.AuthTime),
		IssuedAt: instant(c.IssuedAt), Expiry: instant(c.Expiry),
	}, nil
}

// ours reads an access token of the standard shape, a user's or an app's.
func (s *Service) ours(token signed) (c standardAccess, err error) {
	if err := token.claims(accessES, &c); err != nil {
		return standardAccess{}, err
	}
	if !s.holds(c.registered, s.Issuer) || !slices.Contains(c.Audience, s.Issuer) {
		return standardAccess{}, ErrInvalid
	}
	return c, nil
}

// contractAccess are the claims of a user's access token as the contract's
// clients read it. The audience is a list in one version and a text in the
// other, which tells them apart beside ver.
type contractAccess struct {
	common
	Audience any      `json:"aud"`
	Client   string   `json:"client_id"`
	Grant    string   `json:"gid"`
	Session  string   `json:"sid"`
	Scope    []string `json:"scope"`
}

func (s *Service) readContract(token signed) (Access, error) {
	var c contractAccess
	if err := token.claims(contract, &c); err != nil {
		return Access{}, err
	}
	userID, ours := strings.CutPrefix(c.Subject, provider)
	if c.TokenType != kindAccess || !ours || !id.IsUUID(userID) || !id.IsUUID(c.Grant) || c.Org == "" || !s.holds(c.registered, s.issuer(c.Org)) {
		return Access{}, ErrInvalid
	}
	profile, audience, ok := c.profile()
	if !ok {
		return Access{}, ErrInvalid
	}
	return Access{
		ID: c.ID, Profile: profile, GrantID: c.Grant, SessionID: c.Session, UserID: userID, ClientID: c.Client, Audience: audience,
		Org: c.Org, Env: c.Environment, Scope: c.Scope, AMR: c.AMR, ACR: c.ACR, AuthTime: instant(c.AuthTime),
		IssuedAt: instant(c.IssuedAt), Expiry: instant(c.Expiry),
	}, nil
}

// profile tells a user of an API key, whose token is for the issuer, from one
// of a gateway's app, whose token is for whoever that names.
func (c contractAccess) profile() (name, audience string, ok bool) {
	switch audience := c.Audience.(type) {
	case []any:
		return "", c.Issuer, c.Version == headlessVersion && id.IsUUID(c.Client) && slices.Contains(audience, any(c.Issuer))
	case string:
		return app.Gateway, audience, c.Version == gatewayVersion && app.IsID(c.Client) && audience != ""
	}
	return "", "", false
}

// ReadApp verifies an app's own access token. It returns ErrInvalid, also for
// those of users, or a store's fault.
func (s *Service) ReadApp(ctx context.Context, raw secret.Text) (AppAccess, error) {
	token, err := s.parse(ctx, raw)
	if err != nil {
		return AppAccess{}, err
	}
	c, err := s.ours(token)
	if err != nil {
		return AppAccess{}, err
	}
	if !app.IsID(c.Client) || c.Subject != c.Client || c.Grant != "" || c.AuthTime != 0 {
		return AppAccess{}, ErrInvalid
	}
	return AppAccess{
		ID: c.ID, ClientID: c.Client, Org: c.Org, Env: c.Environment, Scope: c.Scopes, IssuedAt: instant(c.IssuedAt), Expiry: instant(c.Expiry),
	}, nil
}

// identity are the claims of an ID token of an app, of either shape.
type identity struct {
	registered
	Audience  string `json:"aud"`
	Party     string `json:"azp"`
	TokenType string `json:"jtt"`
	Version   int    `json:"ver"`
	Org       string `json:"org"`
	ClientV1  string `json:"cid"`
	Session   string `json:"sid"`
}

// ReadHint verifies an ID token of an app that somebody shows as a hint of who
// they are: one of ours, which may have expired (OpenID Connect RP-Initiated
// Logout 1.0 4). It returns ErrInvalid, also for access tokens and for ID tokens
// of users of API keys, which no browser has, or a store's fault.
func (s *Service) ReadHint(ctx context.Context, raw secret.Text) (Hint, error) {
	token, err := s.parse(ctx, raw)
	if err != nil {
		return Hint{}, err
	}
	as := identityRS
	if token.algorithm == identityES.algorithm {
		as = identityES
	}
	var c identity
	if err := token.claims(as, &c); err != nil {
		return Hint{}, err
	}
	hint := Hint{Issuer: c.Issuer, Org: c.Org, UserID: c.Subject, ClientID: c.Party, SessionID: c.Session, Expiry: instant(c.Expiry)}
	good := s.begun(c.registered, s.Issuer) && c.TokenType == "" && c.Org == "" && c.Party == c.Audience
	if c.TokenType == kindID {
		userID, ours := strings.CutPrefix(c.Subject, provider)
		hint.UserID, hint.ClientID = userID, c.ClientV1
		good = as == contract && s.begun(c.registered, s.issuer(c.Org)) && ours && c.Org != "" && c.Version == gatewayVersion && c.Audience != ""
	}
	if !good || !id.IsUUID(hint.UserID) || !app.IsID(hint.ClientID) || c.Expiry == 0 {
		return Hint{}, ErrInvalid
	}
	return hint, nil
}

// ReadAccessHint is ReadHint for a user's access token, which some clients of
// the contract show instead.
func (s *Service) ReadAccessHint(ctx context.Context, raw secret.Text) (Hint, error) {
	token, err := s.parse(ctx, raw)
	if err != nil {
		return Hint{}, err
	}
	if token.typ != accessES.typ {
		return s.contractAccessHint(token)
	}
	var c standardAccess
	if err := token.claims(accessES, &c); err != nil {
		return Hint{}, err
	}
	if !s.begun(c.registered, s.Issuer) || !slices.Equal(c.Audience, []string{s.Issuer}) || !id.IsUUID(c.Subject) || !app.IsID(c.Client) || c.Expiry == 0 {
		return Hint{}, ErrInvalid
	}
	return Hint{Issuer: c.Issuer, UserID: c.Subject, ClientID: c.Client, SessionID: c.Session, Expiry: instant(c.Expiry)}, nil
}

func (s *Service) contractAccessHint(token signed) (Hint, error) {
	var c contractAccess
	if err := token.claims(contract, &c); err != nil {
		return Hint{}, err
	}
	userID, ours := strings.CutPrefix(c.Subject, provider)
	profile, _, ok := c.profile()
	if !ok || profile != app.Gateway || !ours || c.TokenType != kindAccess || c.Org == "" || !s.begun(c.registered, s.issuer(c.Org)) || c.Expiry == 0 {
		return Hint{}, ErrInvalid
	}
	return Hint{
		Issuer: c.Issuer, Org: c.Org, UserID: userID, ClientID: c.Client, SessionID: c.Session, Expiry: instant(c.Expiry),
	}, nil
}

func instant(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }
