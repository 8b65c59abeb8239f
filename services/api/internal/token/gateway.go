package token

import (
	"cmp"
	"slices"
	"strings"

	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/user"
)

// gatewayVersion is the ver of tokens of the gateway's apps. Clients of both
// versions of the contract read those that say 1 and have what 3 has, too.
const gatewayVersion = 1

// gatewayCommon claims of both tokens: what version 1 wants beside version 3.
type gatewayCommon struct {
	common
	Audience string `json:"aud"` // one text: clients of version 1 take no list
	Client   string `json:"client_id"`
	ClientV1 string `json:"cid"`
	ScopeV1  string `json:"scp"`
	TenantV1 string `json:"tnt"`
	Database string `json:"dbs"`
	Session  string `json:"sid,omitempty"`
}

type gatewayAccess struct {
	gatewayCommon
	Grant string   `json:"gid"`
	Scope []string `json:"scope"`
}

// gatewayID has the hash of the code and the nonce in any case, empty where
// there is none: clients of version 1 look whether they are there, also after a
// refresh.
type gatewayID struct {
	gatewayCommon
	AtHash        string        `json:"at_hash"`
	CHash         string        `json:"c_hash"`
	Nonce         string        `json:"nonce"`
	EmailVerified *bool         `json:"email_verified,omitempty"`
	PhoneVerified bool          `json:"phone_number_verified"`
	Identities    []struct{}    `json:"identities"`
	Meta          struct{}      `json:"meta_data"`
	Profile       *user.Profile `json:"profile,omitempty"`
}

// gatewayAccess has no address.
func (s *Service) gatewayAccess(of grant.Session) draft {
	c := gatewayAccess{gatewayCommon: s.gatewayCommon(of, kindAccess), Grant: of.Grant.ID, Scope: of.Scope}
	return draft{contract, c.Issuer, c}
}

func (s *Service) gatewayID(of grant.Session, to bound) draft {
	c := gatewayID{
		gatewayCommon: s.gatewayCommon(of, kindID), AtHash: to.atHash, CHash: to.cHash, Nonce: of.Nonce,
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

func (s *Service) gatewayCommon(of grant.Session, kind string) gatewayCommon {
	c := gatewayCommon{
		common: s.common(of, kind), Audience: cmp.Or(of.Audience, of.ClientID), Client: of.ClientID, ClientV1: of.ClientID,
		ScopeV1: strings.Join(of.Scope, " "), TenantV1: of.Org, Database: of.Tenant.Env, Session: of.SessionID,
	}
	c.Version = gatewayVersion
	return c
}
