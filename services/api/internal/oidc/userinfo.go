package oidc

import (
	"context"

	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/token"
)

// userinfoOut are the claims of OpenID Connect Core 5.3.2, as the scope of the
// access token lets its client know them.
type userinfoOut struct {
	Subject           string `json:"sub"`
	Email             string `json:"email,omitempty"`
	EmailVerified     *bool  `json:"email_verified,omitempty"`
	Phone             string `json:"phone_number,omitempty"`
	PhoneVerified     *bool  `json:"phone_number_verified,omitempty"`
	Mobile            string `json:"mobile_number,omitempty" doc:"As phone_number: the contract's clients read this one."`
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
	UpdatedAt         int64  `json:"updated_at,omitempty" doc:"Seconds since 1970."`
}

// userinfo tells about the user of an access token, whose grant the pipeline
// has found good.
func (a *API) userinfo(_ context.Context, c pipeline.Call, _ pipeline.Nothing) (userinfoOut, error) {
	p := token.PersonOf(c.User.User, c.Access.Scope)
	return userinfoOut{
		Subject: token.Subject(c.User), Email: p.Email, EmailVerified: p.EmailVerified, Phone: p.Phone, PhoneVerified: p.PhoneVerified, Mobile: p.Phone,
		Name: p.Name, GivenName: p.GivenName, FamilyName: p.FamilyName, Nickname: p.Nickname, PreferredUsername: p.PreferredUsername,
		Gender: p.Gender, Birthdate: p.Birthdate, Locale: p.Locale, Picture: p.Picture, Website: p.Website, Zoneinfo: p.Zoneinfo,
		UpdatedAt: p.UpdatedAt,
	}, nil
}
