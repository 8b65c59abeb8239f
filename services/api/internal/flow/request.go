package flow

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/tenant"
)

// Names of parameters (RFC 6749 4.1.1, RFC 7636 4.3, OpenID Connect Core
// 3.1.2.1, and of the gateway's clients).
const (
	parClient       = "client_id"
	parRedirect     = "redirect_uri"
	parType         = "response_type"
	parMode         = "response_mode"
	parScope        = "scope"
	parState        = "state"
	parClientState  = "client_state"
	parNonce        = "nonce"
	parChallenge    = "code_challenge"
	parMethod       = "code_challenge_method"
	parPrompt       = "prompt"
	parMaxAge       = "max_age"
	parACR          = "acr_values"
	parLoginHint    = "login_hint"
	parIDTokenHint  = "id_token_hint"
	parLocales      = "ui_locales"
	parLocale       = "locale"
	parOrganization = "organization"
	parEmail        = "email"
)

// Response modes (OAuth 2.0 Multiple Response Type Encoding Practices 2.1).
const (
	Query    = "query"
	Fragment = "fragment"
)

// Values of prompt (OpenID Connect Core 3.1.2.1).
const (
	promptNone    = "none"
	promptLogin   = "login"
	promptConsent = "consent"
	promptSelect  = "select_account"
)

// Longest texts that are kept for an app.
const (
	longestState = 4096
	longestNonce = 1024
)

// Asked is a request as it came: each parameter at most once, as a text.
type Asked struct {
	Parameters map[string]string
	// Gateway marks the start of the gateway's clients, whose request is always
	// for a code and calls its state client_state.
	Gateway bool
	Account string // domain of the account that the path names; may be empty
}

// Request is a request that was found good.
type Request struct {
	ClientID    string        `json:"client_id"`
	Tenant      tenant.ID     `json:"tenant"`
	RedirectURI string        `json:"redirect_uri"`
	Mode        string        `json:"mode"`
	State       string        `json:"state"`
	Nonce       string        `json:"nonce"`
	Challenge   string        `json:"challenge"` // of PKCE, S256
	Scope       []string      `json:"scope"`
	Prompt      []string      `json:"prompt"`
	MaxAge      time.Duration `json:"max_age"` // how old the last proof may be; negative for any
	ACR         string        `json:"acr"`     // the least level that the app takes; empty for any
	Unknown     bool          `json:"unknown"` // it asks for levels that we do not have, and for no other
	Hint        string        `json:"hint"`    // address of who is expected, for the form
	Subject     string        `json:"subject"` // who must be signed in, from id_token_hint; empty for anybody
	Locale      string        `json:"locale"`
	Gateway     bool          `json:"gateway"`
	// Own marks a sign-in to the account page of the organization with the
	// domain Org; there is no app.
	Own bool   `json:"own,omitempty"`
	Org string `json:"org,omitempty"`
	// Finds says that the app has named neither an organization nor a user.
	Finds bool `json:"finds,omitempty"`
}

// Prompts reports whether the app asks for a prompt.
func (r Request) Prompts(value string) bool { return slices.Contains(r.Prompt, value) }

// Refusal is an error of the protocol: it goes back to the app.
type Refusal struct{ Code, Description string }

// The refusals (RFC 6749 4.1.2.1, OpenID Connect Core 3.1.2.6, OpenID Connect
// Core Unmet Authentication Requirements 1.0).
const (
	invalidRequest  = "invalid_request"
	loginRequired   = "login_required"
	consentRequired = "consent_required"
)

func refuse(code, description string) *Refusal { return &Refusal{code, description} }

var (
	refusedLogin   = refuse(loginRequired, "the user has to sign in, or to prove more, and prompt=none allows no page")
	refusedConsent = refuse(consentRequired, "the user has not allowed the app what it asks for, and prompt=none allows no page")
	refusedDenied  = refuse("access_denied", "the user does not allow the app what it asks for")
	refusedUnmet   = refuse("unmet_authentication_requirements", "the user cannot be authenticated as acr_values asks")
)

// challengePattern is that of a SHA-256 in unpadded base64url (RFC 7636 4.2).
var challengePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// read checks a request of an app whose redirect URI has been verified. What
// is known of it by then is returned beside a refusal, so that this finds back.
func (s *Service) read(ctx context.Context, a app.App, in Asked) (Request, *Refusal, error) {
	p := in.Parameters
	r := Request{
		ClientID: a.ID, Tenant: a.Tenant, RedirectURI: p[parRedirect], Mode: Query, State: p[parState], Nonce: p[parNonce],
		Challenge: p[parChallenge], MaxAge: -1, Hint: p[parLoginHint], Locale: p[parLocales], Gateway: in.Gateway,
	}
	if in.Gateway {
		r.State, r.Nonce, r.Hint, r.Locale = p[parClientState], "", p[parEmail], p[parLocale]
		r.Finds = p[parOrganization] == "" && r.Hint == ""
	}
	for _, check := range []func(*Request, app.App, Asked) *Refusal{checkShape, checkUnsupported, checkPKCE, checkScope, checkPrompt, checkAge, checkACR} {
		if refusal := check(&r, a, in); refusal != nil {
			return r, refusal, nil
		}
	}
	refusal, err := s.checkHint(ctx, &r, p[parIDTokenHint])
	return r, refusal, err
}

func checkShape(r *Request, _ app.App, in Asked) *Refusal {
	p := in.Parameters
	switch mode := p[parMode]; {
	case mode == Fragment && !in.Gateway:
		r.Mode = Fragment
	case mode != "" && mode != Query:
		return refuse(invalidRequest, "response_mode must be query or fragment")
	}
	if len(r.State) > longestState {
		r.State = "" // too long to be sent back
		return refuse(invalidRequest, "state is too long")
	}
	if len(r.Nonce) > longestNonce {
		return refuse(invalidRequest, "nonce is too long")
	}
	switch kind := p[parType]; {
	case kind == "code", in.Gateway && kind == "":
		return nil
	case kind == "":
		return refuse(invalidRequest, "response_type must be given")
	}
	return refuse("unsupported_response_type", "response_type must be code")
}

// checkUnsupported refuses what would make a request say something else than
// its parameters do (OpenID Connect Core 6, 7.2.1).
func checkUnsupported(_ *Request, _ app.App, in Asked) *Refusal {
	for _, name := range []string{"request", "request_uri", "registration"} {
		if in.Parameters[name] != "" {
			return refuse(name+"_not_supported", name+" is not supported")
		}
	}
	return nil
}

// checkPKCE asks every client for a challenge, and for no method but S256
// (RFC 9700 2.1.1).
func checkPKCE(r *Request, _ app.App, in Asked) *Refusal {
	switch {
	case r.Challenge == "":
		return refuse(invalidRequest, "code_challenge must be given (PKCE)")
	case in.Parameters[parMethod] != "S256":
		return refuse(invalidRequest, "code_challenge_method must be S256")
	case !challengePattern.MatchString(r.Challenge):
		return refuse(invalidRequest, "code_challenge must be the SHA-256 of the verifier in unpadded base64url")
	}
	return nil
}

func checkScope(r *Request, a app.App, in Asked) *Refusal {
	asked := strings.Fields(in.Parameters[parScope])
	granted, ok := a.MayAsk(asked)
	if len(asked) == 0 || !ok {
		return refuse("invalid_scope", "scope must name at least one scope, and only those that the app may ask for")
	}
	r.Scope = granted
	return nil
}

func checkPrompt(r *Request, _ app.App, in Asked) *Refusal {
	r.Prompt = strings.Fields(in.Parameters[parPrompt])
	for _, value := range r.Prompt {
		if !slices.Contains([]string{promptNone, promptLogin, promptConsent, promptSelect}, value) {
			return refuse(invalidRequest, "prompt must be none, login, consent or select_account")
		}
	}
	if r.Prompts(promptNone) && len(r.Prompt) > 1 {
		return refuse(invalidRequest, "prompt=none allows no other value beside it")
	}
	return nil
}

func checkAge(r *Request, _ app.App, in Asked) *Refusal {
	text := in.Parameters[parMaxAge]
	if text == "" {
		return nil
	}
	seconds, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return refuse(invalidRequest, "max_age must be a number of seconds")
	}
	r.MaxAge = time.Duration(seconds) * time.Second
	return nil
}

// checkACR reads the levels that the app takes. All that we have are ordered,
// so the lowest of them is what must be reached.
func checkACR(r *Request, _ app.App, in Asked) *Refusal {
	asked := strings.Fields(in.Parameters[parACR])
	for _, level := range []string{grant.OneFactor, grant.TwoFactors} {
		if slices.Contains(asked, level) {
			r.ACR = level
			return nil
		}
	}
	r.Unknown = len(asked) > 0
	return nil
}

// checkHint reads whose ID token the app shows. It need not be good any more:
// it says who is expected, and proves nothing (OpenID Connect Core 3.1.2.1).
func (s *Service) checkHint(ctx context.Context, r *Request, raw string) (*Refusal, error) {
	if raw == "" {
		return nil, nil
	}
	hint, err := s.Hints.ReadHint(ctx, secret.New(raw))
	if err != nil && fault.KindOf(err) != fault.Unauthorized {
		return nil, err
	}
	if err != nil || hint.ClientID != r.ClientID {
		return refuse(invalidRequest, "id_token_hint is no ID token that this app was given"), nil
	}
	r.Subject = hint.UserID
	return nil, nil
}
