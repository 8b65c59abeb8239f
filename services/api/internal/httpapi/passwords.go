package httpapi

import (
	"context"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/pipeline"
)

type passwordConnectionIn struct {
	MinLength      *int    `in:"plain_text_min_length" doc:"Shortest password in characters. 15 is the least, since a password may be all that a login asks for; a smaller figure counts as 15."`
	MaxLength      *int    `in:"plain_text_max_length" doc:"Longest password in characters, 64 to 256; another figure counts as the nearer of the two."`
	PepperRotation *int    `in:"pepper_rotation_period" doc:"Seconds that a stored hash may keep an older pepper: a login with the right password makes an older one anew, under the first of COUNTERSIGN_PASSWORD_PEPPERS. A hash without a pepper or with other Argon2 parameters is made anew at once."`
	Template       *string `in:"forgot_password_template_id" doc:"Template of the mail to reset a password: the id of one of the kind password_reset. An empty text: the active one of the kind."`
	Delivery       *string `in:"delivery" doc:"Who sends the links: worker (Countersign does, and no answer holds a link) or caller (the answer that makes a link holds it, for keys with the scope codes:read)."`
	VerboseErrors  *bool   `in:"verbose_errors" doc:"Tells unknown users from wrong passwords. Whoever can call your server then learns who has an account."`
	DirectCreation *bool   `in:"direct_creation" doc:"Allows keys with the scope passwords:create_unverified to create a first password without a link."`
	MinStrength    *int    `in:"min_strength" doc:"Least score that an estimate must give a new password, 0 (anything that is long enough) to 4 (very hard to guess); 3 when nothing is said. See POST /api/v2/password-strength."`
	TTL            *int    `in:"time_to_live" doc:"Seconds after which a password expires, 86400 to ten years; 0, as at first, is never. NIST SP 800-63B-4 3.1.1.2 and OWASP ASVS 6.2.10 say not to let passwords expire; the answer warns of it. An expired password brings no tokens, only a password_code to set another one with."`
	Grace          *int    `in:"grace_period" doc:"Seconds after the expiry in which a right password still brings that password_code. Later it brings nothing, and a link alone sets another one. 0 is no end."`
	History        *int    `in:"history_depth" doc:"How many passwords before the present one may not come back, 0 to 10. Each costs one more hash when a password is set. Only passwords that are replaced while this is more than 0 are remembered."`
}

type passwordConnectionOut struct {
	Type           string  `json:"__type__"`
	Domain         string  `json:"__domain__"`
	Environment    string  `json:"__environment__"`
	ID             string  `json:"id"`
	MinLength      int     `json:"plain_text_min_length"`
	MaxLength      int     `json:"plain_text_max_length"`
	PepperRotation int     `json:"pepper_rotation_period"`
	Template       *string `json:"forgot_password_template_id"`
	Delivery       string  `json:"delivery"`
	VerboseErrors  bool    `json:"verbose_errors"`
	DirectCreation bool    `json:"direct_creation"`
	MinStrength    int     `json:"min_strength"`
	TTL            int     `json:"time_to_live"`
	Grace          int     `json:"grace_period"`
	History        int     `json:"history_depth"`
	InsertedAt     string  `json:"inserted_at"`
	UpdatedAt      string  `json:"updated_at"`
	// Warnings name the rules that the connection breaks.
	Warnings []string `json:"warnings"`
}

func (in passwordConnectionIn) change() password.Change {
	change := password.Change{
		MinLength: in.MinLength, MaxLength: in.MaxLength, Template: in.Template, Delivery: in.Delivery,
		VerboseErrors: in.VerboseErrors, DirectCreation: in.DirectCreation, MinStrength: in.MinStrength,
	}
	change.PepperRotation = duration(in.PepperRotation)
	change.Life = password.LifeChange{TTL: duration(in.TTL), Grace: duration(in.Grace), History: in.History}
	return change
}

// duration is a parameter in seconds. One that would overflow is brought to
// where it is refused all the same.
func duration(in *int) *time.Duration {
	if in == nil {
		return nil
	}
	out := time.Duration(min(max(*in, -1), 1<<31)) * time.Second
	return &out
}

func passwordConnectionShape(c pipeline.Call, connection password.Connection) passwordConnectionOut {
	return passwordConnectionOut{
		Type: "PasswordConnection", Domain: c.Org.Domain, Environment: c.Tenant.Env, ID: connection.ID,
		MinLength: connection.MinLength, MaxLength: connection.MaxLength, PepperRotation: int(connection.PepperRotation / time.Second),
		Template: orNull(connection.Template), Delivery: connection.Delivery, VerboseErrors: connection.VerboseErrors, DirectCreation: connection.DirectCreation,
		TTL: int(connection.Life.TTL / time.Second), Grace: int(connection.Life.Grace / time.Second), History: connection.Life.History,
		MinStrength: connection.MinStrength, Warnings: connection.Life.Warnings(), InsertedAt: stamp(connection.CreatedAt), UpdatedAt: stamp(connection.UpdatedAt),
	}
}

func (a *API) createPasswordConnection(ctx context.Context, c pipeline.Call, in passwordConnectionIn) (passwordConnectionOut, error) {
	connection, err := a.PasswordConnections.Create(ctx, c.Tenant, by(c), in.change())
	return passwordConnectionShape(c, connection), err
}

func (a *API) readPasswordConnection(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (passwordConnectionOut, error) {
	connection, err := a.PasswordConnections.Get(ctx, c.Tenant)
	return passwordConnectionShape(c, connection), err
}

func (a *API) updatePasswordConnection(ctx context.Context, c pipeline.Call, in passwordConnectionIn) (passwordConnectionOut, error) {
	connection, err := a.PasswordConnections.Update(ctx, c.Tenant, by(c), in.change())
	return passwordConnectionShape(c, connection), err
}

type passwordRequestIn struct {
	Email       string `in:"user_email" required:"true" doc:"Address of the user."`
	RedirectURI string `in:"redirect_uri" required:"true" doc:"Where the link leads, with password_code in its query: registered with the API key or the organization; in the sandbox also any on this machine."`
	OrgDomain   string `in:"org_domain" doc:"The organization; it follows from the domain of the address when it is left out."`
	MayCreate   bool   `in:"find_or_create_user" doc:"Makes a user of an address without one, once its link is completed."`
}

type passwordRequestOut struct {
	Type        string  `json:"__type__"`
	Domain      string  `json:"__domain__"`
	Environment string  `json:"__environment__"`
	UserID      string  `json:"user_id"`
	MagicLink   *string `json:"magic_link"`
	RedirectURI string  `json:"redirect_uri"`
	RequestID   string  `json:"request_id"`
	ExpiredAt   string  `json:"expired_at"`
}

func (a *API) passwordRequest(ctx context.Context, c pipeline.Call, in passwordRequestIn) (passwordRequestOut, error) {
	if c.Tenant.Org == "" || in.Email == "" || in.RedirectURI == "" {
		return passwordRequestOut{}, errPasswordRequest
	}
	asked, err := a.Passwords.Request(ctx, asCaller(c), in.Email, in.RedirectURI, in.MayCreate)
	if err != nil {
		return passwordRequestOut{}, err
	}
	return passwordRequestOut{
		Type: "PasswordRequest", Domain: c.Org.Domain, Environment: c.Tenant.Env, UserID: asked.UserID, MagicLink: orNull(asked.URL.Reveal()),
		RedirectURI: in.RedirectURI, RequestID: asked.RequestID, ExpiredAt: stamp(asked.ExpiresAt),
	}, nil
}

type passwordIn struct {
	Plain     secret.Text `in:"plain_text" required:"true" doc:"The new password."`
	Code      secret.Text `in:"password_code" doc:"What the link has brought, or the renewal of an expired password. Without it the password is created directly, where that is allowed."`
	Email     string      `in:"user_email" doc:"Address of the user; beside a code it may be left out, and must fit it otherwise."`
	OrgDomain string      `in:"org_domain" doc:"The organization; likewise."`
}

type passwordOut struct {
	Type        string  `json:"__type__"`
	Domain      string  `json:"__domain__"`
	Environment string  `json:"__environment__"`
	ID          int     `json:"id"`
	UserID      string  `json:"user_id"`
	RequestID   string  `json:"request_id"`
	Code        *string `json:"code"`
	MFARequired bool    `json:"mfa_required"`
	MustChange  bool    `json:"must_change"`
}

func (a *API) setPassword(ctx context.Context, c pipeline.Call, in passwordIn) (passwordOut, error) {
	if in.Plain.IsZero() {
		return passwordOut{}, errPlainText
	}
	done, err := a.Passwords.Set(ctx, asCaller(c), password.Set{Code: in.Code, Email: in.Email, Plain: in.Plain})
	if err != nil {
		return passwordOut{}, err
	}
	return passwordOut{
		Type: "Password", Domain: done.Org.Domain, Environment: done.Tenant.Env, ID: done.Number, UserID: done.UserID, RequestID: done.RequestID,
		Code: orNull(done.Code.Reveal()), MFARequired: done.MFARequired, MustChange: done.Password.MustChange,
	}, nil
}

type passwordChallengeIn struct {
	Email     string      `in:"user_email" required:"true" doc:"Address of the user."`
	Plain     secret.Text `in:"plain_text|password" doc:"The password, under either name; it must be given."`
	OrgDomain string      `in:"org_domain" doc:"The organization; it follows from the domain of the address when it is left out."`
	ClientIP  string      `in:"client_ip" doc:"Address of the person who signs in, as your server sees it. With it one address can try few passwords only."`
}

type passwordChallengeOut struct {
	Type        string            `json:"__type__"`
	Domain      string            `json:"__domain__"`
	Environment string            `json:"__environment__"`
	RequestID   string            `json:"request_id"`
	UserID      string            `json:"user_id"`
	PasswordID  *int              `json:"password_id"`
	Valid       bool              `json:"valid?"`
	Code        *string           `json:"code"`
	MFARequired bool              `json:"mfa_required"`
	Error       *string           `json:"error"`
	ExpiredAt   *string           `json:"expired_at"`
	Renew       *passwordRenewOut `json:"renew_password"`
}

type passwordRenewOut struct {
	PasswordCode string `json:"password_code"`
}

// What a challenge answers beside valid?: false. The first one stands for both
// unless the connection tells them apart.
const (
	wrongCredentials = "unauthorized_credentials"
	unknownUser      = "not_found"
)

func (a *API) passwordChallenge(ctx context.Context, c pipeline.Call, in passwordChallengeIn) (passwordChallengeOut, error) {
	if c.Tenant.Org == "" || in.Email == "" || in.Plain.IsZero() {
		return passwordChallengeOut{}, errPasswordChallenge
	}
	source, err := readClientIP(in.ClientIP)
	if err != nil {
		return passwordChallengeOut{}, err
	}
	v, err := a.Passwords.Challenge(ctx, asCaller(c), in.Email, in.Plain, source)
	if err != nil {
		return passwordChallengeOut{}, err
	}
	out := passwordChallengeOut{
		Type: "PasswordChallenge", Domain: c.Org.Domain, Environment: c.Tenant.Env, RequestID: v.RequestID, UserID: v.UserID,
		Valid: v.Valid, Code: orNull(v.Code.Reveal()), MFARequired: v.MFARequired, ExpiredAt: stampOrNull(v.Expired()), Renew: renewShape(v.Renew),
	}
	switch {
	case v.Valid:
		out.PasswordID = &v.Number
	case v.Unknown:
		out.Error = orNull(unknownUser)
	default:
		out.Error = orNull(wrongCredentials)
	}
	return out, nil
}

func renewShape(code secret.Text) *passwordRenewOut {
	if code.IsZero() {
		return nil
	}
	return &passwordRenewOut{PasswordCode: code.Reveal()}
}

func asCaller(c pipeline.Call) link.Caller {
	return link.Caller{Key: c.Key, Tenant: c.Tenant, Org: c.Org, By: by(c)}
}

var (
	errPlainText         = fault.New(fault.Invalid, "missing_parameter", "plain_text must be provided")
	errPasswordRequest   = fault.New(fault.Invalid, "missing_parameter", "user_email, redirect_uri and, unless it follows from the address, org_domain must be provided")
	errPasswordChallenge = fault.New(fault.Invalid, "missing_parameter", "user_email, plain_text and, unless it follows from the address, org_domain must be provided")
)
