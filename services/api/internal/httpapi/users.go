package httpapi

import (
	"context"

	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/user"
)

// userIn takes the names of both of the contract's clients. What would mark
// an address or a number as verified is not among them: such parameters are
// ignored like every other unknown one.
type userIn struct {
	Email   *string   `in:"email|profile.email" doc:"Address, unique in the organization's environment; needed to create a user."`
	Phone   *string   `in:"phone_number|profile.phone_number" doc:"Number in E.164, such as +4915112345678."`
	Active  *bool     `in:"active" doc:"Whether the user can use second factors; true for a new one."`
	Profile profileIn `in:"profile" doc:"Claims of OpenID Connect. What is left out stays; an empty text clears."`
	Address postalIn  `in:"address" doc:"Postal address, in the claims of OpenID Connect. What is left out stays; an empty text clears."`
}

type profileIn struct {
	GivenName         *string `in:"given_name"`
	FamilyName        *string `in:"family_name"`
	Nickname          *string `in:"nickname"`
	Gender            *string `in:"gender"`
	Birthdate         *string `in:"birthdate" doc:"Such as 1990-12-31."`
	Locale            *string `in:"locale" doc:"Language, such as de-DE."`
	Picture           *string `in:"picture" doc:"URL of a picture."`
	PreferredUsername *string `in:"preferred_username"`
	Website           *string `in:"website" doc:"URL."`
	Zoneinfo          *string `in:"zoneinfo" doc:"Time zone, such as Europe/Berlin."`
}

type postalIn struct {
	Country       *string `in:"country"`
	Formatted     *string `in:"formatted"`
	Locality      *string `in:"locality"`
	PostalCode    *string `in:"postal_code"`
	Region        *string `in:"region"`
	StreetAddress *string `in:"street_address"`
}

func (in userIn) change() user.Change {
	return user.Change{
		Email: in.Email, Phone: in.Phone, Active: in.Active,
		Profile: user.Profile(in.Profile), Address: user.Postal(in.Address),
	}
}

type userOut struct {
	Type          string       `json:"__type__"`
	Domain        string       `json:"__domain__"`
	Environment   string       `json:"__environment__"`
	ID            string       `json:"id"`
	Email         string       `json:"email"`
	Active        bool         `json:"active"`
	EmailVerified bool         `json:"email_verified"`
	Phone         *string      `json:"phone_number"`
	PhoneVerified bool         `json:"phone_number_verified"`
	Phones        []string     `json:"phone_numbers"`
	Profile       user.Profile `json:"profile"`
	Address       *user.Postal `json:"address"`
	// Identities and MetaData have no content yet; clients need the lists.
	Identities []string `json:"identities"`
	MetaData   []string `json:"meta_data"`
	InsertedAt string   `json:"inserted_at"`
	UpdatedAt  string   `json:"updated_at"`
}

func userShape(c pipeline.Call) func(user.User) userOut {
	return func(u user.User) userOut {
		out := userOut{
			Type: "User", Domain: c.Org.Domain, Environment: c.Tenant.Env, ID: u.ID, Email: u.Email.Written, Active: u.Active,
			EmailVerified: u.EmailVerified, Phone: orNull(u.Phone), PhoneVerified: u.PhoneVerified, Phones: []string{},
			Profile: u.Profile, Address: u.Address, Identities: []string{}, MetaData: []string{},
			InsertedAt: stamp(u.CreatedAt), UpdatedAt: stamp(u.UpdatedAt),
		}
		if u.Phone != "" {
			out.Phones = []string{u.Phone}
		}
		return out
	}
}

func (a *API) createUser(ctx context.Context, c pipeline.Call, in userIn) (userOut, error) {
	u, err := a.Users.Create(ctx, c.Tenant, in.change())
	return userShape(c)(u), err
}

func (a *API) listUsers(ctx context.Context, c pipeline.Call, in pageIn) (list[userOut], error) {
	result, err := a.Users.List(ctx, c.Tenant, in.page())
	if err != nil {
		return list[userOut]{}, err
	}
	return listOf(result, userShape(c)), nil
}

func (a *API) readUser(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (userOut, error) {
	u, err := a.Users.Find(ctx, c.Tenant, c.Path("user"))
	return userShape(c)(u), err
}

func (a *API) updateUser(ctx context.Context, c pipeline.Call, in userIn) (userOut, error) {
	told, err := a.Notices.Moved(ctx, c.Tenant, c.Org, by(c))
	if err != nil {
		return userOut{}, err
	}
	u, err := a.Users.Update(ctx, c.Tenant, c.Path("user"), told, in.change())
	if err == nil {
		a.Notices.Relay.Wake()
	}
	return userShape(c)(u), err
}

func (a *API) deleteUser(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (deleted[userOut], error) {
	u, err := a.Users.Delete(ctx, c.Tenant, c.Path("user"))
	return deleted[userOut]{Deleted: true, Resource: userShape(c)(u)}, err
}
