package app

import (
	"regexp"
	"slices"
	"strings"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/tenant"
)

// Algorithms of ID tokens.
const (
	ES256 = "ES256"
	RS256 = "RS256"
)

// DefaultScopes is what an app may ask for when nothing is said (OpenID Connect
// Core 5.4 and 11).
func DefaultScopes() []string {
	return []string{"openid", "email", "profile", "phone", "offline_access"}
}

// Change is what a caller says about an app; nil leaves it. Empty texts in
// lists are left out, so that one of them alone clears the list.
type Change struct {
	Name         *string
	RedirectURIs *[]string
	LogoutURIs   *[]string
	// BackchannelURI may be empty, for none.
	BackchannelURI     *string
	BackchannelSession *bool
	InitiateURI        *string // may be empty, for none
	Origins            *[]string
	Methods            *[]string // empty: all
	// SMSAlone says that text messages may be the only second factor of
	// Methods. It is said each time, and recorded.
	SMSAlone   bool
	Scopes     *[]string // empty: DefaultScopes
	FirstParty *bool
	Profile    *string // empty: Standard
	Audience   *string // empty: the client_id
	IDTokenAlg *string // empty: ES256, with the gateway profile RS256
	Active     *bool
}

// apply edits the app and refuses what it would be.
func (in Change) apply(a *App) error {
	if in.Name != nil && *in.Name != "" {
		name, err := tenant.CleanName("name", *in.Name)
		if err != nil {
			return err
		}
		a.Name = name
	}
	setList(&a.RedirectURIs, in.RedirectURIs)
	setList(&a.LogoutURIs, in.LogoutURIs)
	set(&a.BackchannelURI, in.BackchannelURI)
	set(&a.BackchannelSession, in.BackchannelSession)
	set(&a.InitiateURI, in.InitiateURI)
	setList(&a.Origins, in.Origins)
	setList(&a.Methods, in.Methods)
	setList(&a.Scopes, in.Scopes)
	if len(a.Methods) == 0 {
		a.Methods = Methods()
	}
	if len(a.Scopes) == 0 {
		a.Scopes = DefaultScopes()
	}
	slices.Sort(a.Methods)
	if in.Methods != nil && a.smsAlone() && !in.SMSAlone {
		return ErrSMSAlone
	}
	set(&a.FirstParty, in.FirstParty)
	set(&a.Active, in.Active)
	set(&a.Audience, in.Audience)
	in.applyProfile(a)
	return a.check()
}

// ErrSMSAlone refuses text messages as the only second factor (NIST SP
// 800-63B-4 3.1.3.3).
var ErrSMSAlone = fault.New(fault.Invalid, "sms_alone",
	"methods has sms without totp: text messages are the weakest second factor, and whoever has no phone at hand has none; add totp, or say sms_alone=true")

// smsAlone reports whether users have no second factor but text messages.
func (a App) smsAlone() bool { return a.Allows(SMS) && !a.Allows(TOTP) }

// recorded is what the record of a change says beside whose it is.
func (in Change) recorded(a App) map[string]string {
	if in.Methods == nil || !a.smsAlone() {
		return nil
	}
	return map[string]string{"sms_alone": "true"}
}

// applyProfile takes the algorithm along: readers of the gateway profile know
// RS256 alone.
func (in Change) applyProfile(a *App) {
	set(&a.Profile, in.Profile)
	set(&a.IDTokenAlg, in.IDTokenAlg)
	if a.Profile == "" {
		a.Profile = Standard
	}
	said := in.IDTokenAlg != nil && *in.IDTokenAlg != ""
	switch {
	case a.Profile == Gateway && !said:
		a.IDTokenAlg = RS256
	case a.IDTokenAlg == "", in.Profile != nil && !said:
		a.IDTokenAlg = ES256
	}
}

// audiencePattern takes URLs, names and ids: visible ASCII without quotes and
// backslashes.
var audiencePattern = regexp.MustCompile(`^[!#-\[\]-~]{0,200}$`)

func (a App) check() error {
	switch {
	case a.Profile != Standard && a.Profile != Gateway:
		return invalid("token_profile must be standard or gateway")
	case a.IDTokenAlg != ES256 && a.IDTokenAlg != RS256:
		return invalid("id_token_signed_response_alg must be ES256 or RS256")
	case a.Profile == Gateway && a.IDTokenAlg != RS256:
		return invalid("id_token_signed_response_alg must be RS256 with the gateway profile")
	case a.Audience != "" && a.Profile != Gateway:
		return invalid("audience is for the gateway profile; standard tokens are for the issuer")
	case !audiencePattern.MatchString(a.Audience):
		return invalid("audience must have at most 200 visible ASCII characters, without quotes and backslashes")
	}
	for _, method := range a.Methods {
		if !slices.Contains(Methods(), method) {
			return invalid("methods must be of these: " + strings.Join(Methods(), " "))
		}
	}
	if err := a.checkScopes(); err != nil {
		return err
	}
	if err := a.checkURIs("redirect_uris", a.RedirectURIs); err != nil {
		return err
	}
	if err := a.checkURIs("post_logout_redirect_uris", a.LogoutURIs); err != nil {
		return err
	}
	if err := a.checkBackchannel(); err != nil {
		return err
	}
	if err := a.checkInitiate(); err != nil {
		return err
	}
	return a.checkOrigins()
}

func (a App) checkType() error {
	switch {
	case a.Type != Public && a.Type != Confidential:
		return invalid("client_type must be public or confidential")
	case a.Native && a.Type != Public:
		return invalid("application_type native is for public apps: on their user's machine no secret is one (RFC 8252 8.5)")
	}
	return nil
}

func invalid(text string) error { return fault.New(fault.Invalid, "invalid_parameter", text) }

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// setList takes each text once and leaves empty ones out.
func setList(to *[]string, from *[]string) {
	if from == nil {
		return
	}
	out := make([]string, 0, len(*from))
	for _, text := range *from {
		if text != "" && !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	*to = out
}
