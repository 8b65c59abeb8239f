package token

import (
	"slices"

	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/user"
)

// provider stands in front of the user's id in sub of the contract's tokens:
// who has authenticated it.
const provider = "countersign|"

// headlessVersion is the ver of the tokens of users that log in to an API key.
const headlessVersion = 3

// common claims of the two tokens of an end user, as the contract's clients
// read them.
type common struct {
	registered
	TokenType   string   `json:"jtt"`
	Version     int      `json:"ver"`
	Environment string   `json:"env"`
	Org         string   `json:"org"`
	AuthTime    int64    `json:"auth_time"`
	AMR         []string `json:"amr"`
	ACR         string   `json:"acr"`
	Email       string   `json:"email,omitempty"`
}

type headlessAccess struct {
	common
	Audience []string `json:"aud"` // the issuer: an ID token, which is for the client, is none
	Client   string   `json:"client_id"`
	Grant    string   `json:"gid"`
	Scope    []string `json:"scope"`
}

// headlessID has lists and maps that are always empty: the contract's clients
// read them.
type headlessID struct {
	common
	Audience      string        `json:"aud"`
	AtHash        string        `json:"at_hash"`
	CHash         string        `json:"c_hash,omitempty"`
	Nonce         string        `json:"nonce,omitempty"`
	EmailVerified *bool         `json:"email_verified,omitempty"`
	PhoneVerified bool          `json:"phone_number_verified"`
	Identities    []struct{}    `json:"identities"`
	Meta          struct{}      `json:"meta_data"`
	Profile       *user.Profile `json:"profile,omitempty"`
}

func (s *Service) headlessAccess(of grant.Session) draft {
	c := headlessAccess{common: s.common(of, kindAccess), Client: of.ClientID, Grant: of.Grant.ID, Scope: of.Scope}
	c.Audience = []string{c.Issuer}
	c.Email = emailOf(of)
	return draft{contract, c.Issuer, c}
}

func (s *Service) headlessID(of grant.Session, to bound) draft {
	c := headlessID{
		common: s.common(of, kindID), Audience: of.ClientID, AtHash: to.atHash, CHash: to.cHash, Nonce: of.Nonce,
		PhoneVerified: of.User.PhoneVerified, Identities: []struct{}{},
	}
	if c.Email = emailOf(of); c.Email != "" {
		c.EmailVerified = &of.User.EmailVerified
	}
	if slices.Contains(of.Scope, grant.Profile) {
		c.Profile = &of.User.Profile
	}
	return draft{contract, c.Issuer, c}
}

// common fills the claims that both tokens have, the address apart.
func (s *Service) common(of grant.Session, kind string) common {
	return common{
		registered: s.registered(s.issuer(of.Org), provider+of.User.ID, UserLife), TokenType: kind, Version: headlessVersion,
		Environment: of.Tenant.Env, Org: of.Org, AuthTime: of.AuthTime.Unix(), AMR: of.AMR, ACR: of.ACR,
	}
}

// emailOf is the user's address where the scope covers it.
func emailOf(of grant.Session) string {
	if !slices.Contains(of.Scope, grant.Email) {
		return ""
	}
	return of.User.Email.Written
}
