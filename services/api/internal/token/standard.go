package token

import (
	"context"
	"slices"
	"strings"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/user"
)

// standardAccess are the claims of RFC 9068 2.2. Nothing of it tells who the
// user is but sub: resource servers ask /users-srv/userinfo.
type standardAccess struct {
	registered
	Audience    []string `json:"aud"` // the issuer, whose own paths take it
	Client      string   `json:"client_id"`
	Scope       string   `json:"scope"`
	Scopes      []string `json:"scopes"` // once more as a list: the contract's clients compare it
	Org         string   `json:"org"`
	Environment string   `json:"env"`
	// What the grant has recorded (2.2.1). An app's own token has none of it.
	Grant    string   `json:"gid,omitempty"`
	Session  string   `json:"sid,omitempty"` // also absent where no browser was there
	AuthTime int64    `json:"auth_time,omitempty"`
	AMR      []string `json:"amr,omitempty"`
	ACR      string   `json:"acr,omitempty"`
}

// standardID are the claims of OpenID Connect Core 2, 3.1.3.6 and 3.3.2.11.
type standardID struct {
	registered
	Audience string   `json:"aud"`
	Party    string   `json:"azp"`
	Nonce    string   `json:"nonce,omitempty"`
	Session  string   `json:"sid,omitempty"`
	AuthTime int64    `json:"auth_time"` // never changes by a refresh
	AMR      []string `json:"amr"`
	ACR      string   `json:"acr"`
	AtHash   string   `json:"at_hash"`
	CHash    string   `json:"c_hash,omitempty"`
	Person
}

func (s *Service) standardAccess(of grant.Session) draft {
	c := s.accessOf(of.User.ID, of.ClientID, of.Scope)
	c.Org, c.Environment, c.Grant, c.Session = of.Org, of.Tenant.Env, of.Grant.ID, of.SessionID
	c.AuthTime, c.AMR, c.ACR = of.AuthTime.Unix(), of.AMR, of.ACR
	return draft{accessES, "", c}
}

func (s *Service) standardID(of grant.Session, to bound) draft {
	c := standardID{
		registered: s.standard(of.User.ID), Audience: of.ClientID, Party: of.ClientID, Nonce: of.Nonce, Session: of.SessionID,
		AuthTime: of.AuthTime.Unix(), AMR: of.AMR, ACR: of.ACR, AtHash: to.atHash, CHash: to.cHash, Person: PersonOf(of.User, of.Scope),
	}
	c.ID = "" // nobody looks an ID token up
	as := identityES
	if of.IDTokenAlg == RS256 {
		as = identityRS
	}
	return draft{as, "", c}
}

// IssueApp makes an access token for an app itself (RFC 6749 4.4): the subject
// is the app.
func (s *Service) IssueApp(ctx context.Context, a app.App, scope []string) (secret.Text, error) {
	c := s.accessOf(a.ID, a.ID, scope)
	c.Org, c.Environment = a.Org, a.Tenant.Env
	return s.sign(ctx, draft{accessES, "", c})
}

func (s *Service) accessOf(subject, client string, scope []string) standardAccess {
	if scope == nil {
		scope = []string{}
	}
	return standardAccess{
		registered: s.standard(subject), Audience: []string{s.Issuer}, Client: client, Scope: strings.Join(scope, " "), Scopes: scope,
	}
}

func (s *Service) standard(subject string) registered {
	c := s.registered(s.Issuer, subject, UserLife)
	c.IssuedAt++ // now: iat must not come before auth_time, and only the contract's clients want it in the past
	return c
}

// Person are the claims about a user that scopes ask for (OpenID Connect Core
// 5.1 and 5.4). What is not known is left out (5.3.2).
type Person struct {
	Email             string `json:"email,omitempty"`
	EmailVerified     *bool  `json:"email_verified,omitempty"`
	Phone             string `json:"phone_number,omitempty"`
	PhoneVerified     *bool  `json:"phone_number_verified,omitempty"`
	Name              string `json:"name,omitempty"`
	GivenName         string `json:"given_name,omitempty"`
	FamilyName        string `json:"family_name,omitempty"`
	Nickname          string `json:"nickname,omitempty"`
	PreferredUsername string `json:"preferred_username,omitempty"`
	Gender            string `json:"gender,omitempty"`
	Birthdate         string `json:"birthdate,omitempty"`
	Locale            string `json:"locale,omitempty"`
	Picture           string `json:"picture,omitempty"`
	Website           string `json:"website,omitempty"`
	Zoneinfo          string `json:"zoneinfo,omitempty"`
	UpdatedAt         int64  `json:"updated_at,omitempty"` // seconds since 1970
}

// PersonOf returns what a scope lets a client know of a user.
func PersonOf(u user.User, scope []string) Person {
	var p Person
	if slices.Contains(scope, grant.Email) && u.Email.Written != "" {
		p.Email, p.EmailVerified = u.Email.Written, &u.EmailVerified
	}
	if slices.Contains(scope, grant.Phone) && u.Phone != "" {
		p.Phone, p.PhoneVerified = u.Phone, &u.PhoneVerified
	}
	if slices.Contains(scope, grant.Profile) {
		known := u.Profile
		p.GivenName, p.FamilyName, p.Nickname = text(known.GivenName), text(known.FamilyName), text(known.Nickname)
		p.Name = strings.TrimSpace(p.GivenName + " " + p.FamilyName)
		p.PreferredUsername, p.Gender, p.Birthdate = text(known.PreferredUsername), text(known.Gender), text(known.Birthdate)
		p.Locale, p.Picture, p.Website, p.Zoneinfo = text(known.Locale), text(known.Picture), text(known.Website), text(known.Zoneinfo)
		p.UpdatedAt = u.UpdatedAt.Unix()
	}
	return p
}

func text(value *string) string {
	if value == nil {
		return ""
	}
	return *value
}
