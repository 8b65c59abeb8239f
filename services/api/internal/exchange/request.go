package exchange

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/flow"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/tenant"
)

// request is what an app has asked for, and who was named in it.
type request struct {
	ID          string    `json:"id"`   // the request id itself, for the way back
	Name        string    `json:"name"` // public, of records and deliveries
	Tenant      tenant.ID `json:"tenant"`
	ClientID    string    `json:"client_id"`
	RedirectURI string    `json:"redirect_uri"`
	Mode        string    `json:"mode"`
	State       string    `json:"state"`
	Nonce       string    `json:"nonce"`
	Challenge   string    `json:"challenge"`
	Scope       []string  `json:"scope"`
	Locale      string    `json:"locale"`
	People      []person  `json:"people"`
	At          time.Time `json:"at"`
}

// person is a user that a request has named, or nobody.
type person struct {
	Sub     string `json:"sub"`     // for this request alone: nobody learns an id of ours
	Address string `json:"address"` // as it was typed; empty for what is none
	Other   string `json:"other"`   // a number or name, which finds nobody
	UserID  string `json:"user_id"` // empty for nobody's
	Track   string `json:"track"`   // key of the login that a first proof began
}

// Longest texts that are kept for an app.
const (
	longestState  = 4096
	longestNonce  = 1024
	longestLocale = 35
)

// The faults of a request that an app could not have sent by its own rules.
var (
	errType   = fault.New(fault.Malformed, "response_type_not_valid", "response_type must be code, and response_mode query or fragment")
	errScope  = fault.New(fault.Malformed, "scope_not_valid", "scope must name at least one scope, and only those that the app may ask for")
	errPKCE   = fault.New(fault.Malformed, "code_challenge_not_valid", "code_challenge must be the SHA-256 of the verifier in unpadded base64url, with code_challenge_method S256")
	errLong   = fault.New(fault.Malformed, "state_too_long", "state, nonce or ui_locales is too long")
	errThird  = fault.New(fault.Malformed, "consent_required", "the user has to consent to this app, and cannot be asked here")
	challenge = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
)

// Generate checks what an app asks and returns a request id. It returns
// flow.ErrClient and flow.ErrRedirect for what is not registered, and what is
// wrong with the rest.
func (s *Service) Generate(ctx context.Context, in Asked) (requestID secret.Text, v View, err error) {
	a, org, err := s.app(ctx, in.ClientID)
	if err != nil {
		return secret.Text{}, View{}, err
	}
	r, err := read(a, in)
	if err != nil {
		return secret.Text{}, View{}, err
	}
	r.Name, r.At = id.Request("verification-request"), s.Now()
	if v, err = s.view(ctx, r, a, org); err != nil {
		return secret.Text{}, View{}, err
	}
	requestID = id.Opaque()
	r.ID = requestID.Reveal()
	return requestID, v, put(ctx, s, keyOf(keptRequest, requestID), r, RequestLife)
}

func read(a app.App, in Asked) (request, error) {
	r := request{
		Tenant: a.Tenant, ClientID: a.ID, RedirectURI: in.RedirectURI, Mode: flow.Fragment, State: in.State, Nonce: in.Nonce,
		Challenge: in.Challenge, Locale: in.Locale,
	}
	if !a.Redirects(in.RedirectURI) {
		return r, flow.ErrRedirect
	}
	if in.ResponseMode != "" {
		r.Mode = in.ResponseMode
	}
	if in.ResponseType != "" && in.ResponseType != "code" || r.Mode != flow.Query && r.Mode != flow.Fragment {
		return r, errType
	}
	if len(in.State) > longestState || len(in.Nonce) > longestNonce || len(in.Locale) > longestLocale {
		return r, errLong
	}
	if in.Challenge != "" && (in.Method != "S256" || !challenge.MatchString(in.Challenge)) {
		return r, errPKCE
	}
	asked := strings.Fields(in.Scope)
	granted, ok := a.MayAsk(asked)
	if len(asked) == 0 || !ok {
		return r, errScope
	}
	if !a.FirstParty {
		return r, errThird
	}
	r.Scope = granted
	return r, nil
}

// Look tells what a request is. It returns ErrRequest.
func (s *Service) Look(ctx context.Context, requestID secret.Text) (View, error) {
	o, err := s.open(ctx, requestID)
	if err != nil {
		return View{}, err
	}
	return s.view(ctx, o.is, o.app, o.org)
}

func (s *Service) view(ctx context.Context, r request, a app.App, org tenant.Organization) (View, error) {
	v := View{ClientID: a.ID, App: a.Name, Org: org, Env: a.Tenant.Env, Locale: r.Locale, ExpiresAt: r.At.Add(RequestLife)}
	connection, err := s.Connections.Connection(ctx, a.Tenant)
	if err != nil {
		return View{}, err
	}
	v.Passwordless = connection.Passwordless
	v.Methods = firsts(a, connection)
	return v, nil
}

// firsts are the methods that a login of an app may begin with, the same for
// everybody (S10). A code alone does only where the organization says so (S17).
func firsts(a app.App, c tenant.Connection) (out []Method) {
	for _, m := range []struct {
		method Method
		named  string
		factor bool
	}{{TOTP, app.TOTP, true}, {SMS, app.SMS, true}, {Email, app.Email, false}, {Password, app.Password, false}, {BackupCode, app.Recovery, true}} {
		switch {
		case !a.Allows(m.named):
		case m.method == Password, c.Passwordless && (!m.factor || c.Active):
			out = append(out, m.method)
		}
	}
	return out
}

// opened is a request with its app, which is active, and its organization.
type opened struct {
	held[request]
	app app.App
	org tenant.Organization
}

// open finds a request that is not over. What was deactivated since is found
// here, at each step.
func (s *Service) open(ctx context.Context, requestID secret.Text) (opened, error) {
	if !id.IsOpaque(requestID.Reveal()) {
		return opened{}, ErrRequest
	}
	o, err := s.openKey(ctx, keyOf(keptRequest, requestID))
	if errors.Is(err, ErrRequest) {
		err = orElse(s.astray(ctx, requestID), err)
	}
	return o, err
}

func (s *Service) openKey(ctx context.Context, key string) (opened, error) {
	h, ok, err := fetch[request](ctx, s, key)
	if err != nil {
		return opened{}, err
	}
	if !ok || s.Now().Sub(h.is.At) >= RequestLife {
		return opened{}, ErrRequest
	}
	a, org, err := s.app(ctx, h.is.ClientID)
	if fault.KindOf(err) == fault.Malformed {
		return opened{}, ErrRequest.Because(err)
	}
	return opened{held: h, app: a, org: org}, err
}

// left is how long a request still lives.
func (s *Service) left(r request) time.Duration {
	return max(RequestLife-s.Now().Sub(r.At), time.Millisecond)
}

// app finds an active app with its living organization, or returns
// flow.ErrClient.
func (s *Service) app(ctx context.Context, clientID string) (app.App, tenant.Organization, error) {
	return flow.ActiveApp(ctx, s.Apps, s.Organizations, clientID)
}
