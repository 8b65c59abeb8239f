package exchange

import (
	"context"
	"errors"
	"net/url"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/flow"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/tenant"
)

// A forgotten password is replaced in stages too, from a request id on:
//
//	reset id, and a link by mail -> password code -> exchange id -> new password
//
// The link leads to the app with a password code, as all such links do. The
// code is taken beside the reset id that its link was asked with, once, and
// the exchange id that it becomes sets one password. One that is refused uses
// nothing up.

// ResetLife is how long a reset may take: as its link lives, and then the code
// that it has become.
const ResetLife = link.PasswordLife + link.CodeLife

// ErrReset answers for reset ids that are none.
var ErrReset = fault.New(fault.Malformed, "reset_id_not_valid", "the reset id is unknown, used, too old, or belongs to something else; ask for a new link")

// ErrDiffer answers for a password that was typed in two ways.
var ErrDiffer = fault.New(fault.Invalid, "passwords_differ", "password and confirmPassword must be the same")

// Resets are the rules of new passwords.
type Resets interface {
	// Request sends a link, or to who has no account none, with an answer that
	// does not tell.
	Request(ctx context.Context, c link.Caller, email, redirectURI string, mayCreate bool) (password.Asked, error)
	// Opened tells from which request a live code comes, or returns
	// password.ErrCode. The code stays as it is.
	Opened(ctx context.Context, c link.Caller, code secret.Text) (requestID string, err error)
	// Set uses a code. A password that it refuses does not use it up.
	Set(ctx context.Context, c link.Caller, in password.Set) (password.Done, error)
}

// What is kept of resets.
const (
	keptReset   = "reset"
	keptSetting = "setting" // by exchange id
)

// reset is what a reset id stands for. It outlives its request.
type reset struct {
	Request     string    `json:"request"` // key
	Name        string    `json:"name"`    // public, of the request
	Tenant      tenant.ID `json:"tenant"`
	ClientID    string    `json:"client_id"`
	RedirectURI string    `json:"redirect_uri"`
	Link        string    `json:"link"` // public id of the link whose code is taken
	Stage       stage     `json:"stage"`
	Setting     string    `json:"setting"` // key of the exchange id that the code became
	UsedAt      time.Time `json:"used_at,omitzero"`
	ExpiresAt   time.Time `json:"expires_at"`
}

// setting is what the exchange id of a reset stands for.
type setting struct {
	Reset     string    `json:"reset"` // key
	Code      string    `json:"code"`
	ExpiresAt time.Time `json:"expires_at"`
}

// ResetStep is a step of a reset.
type ResetStep struct {
	ResetID    secret.Text
	RequestID  secret.Text // compared where it is sent
	Code       secret.Text // that the link has led to the app with
	ExchangeID secret.Text
	Plain      secret.Text // the new password
	Confirm    secret.Text // the same once more
}

// Reset is where a reset stands. Its way back is known for faults too, once
// the reset id is found.
type Reset struct {
	ExchangeID secret.Text
	way        flow.Way
}

// Back leads to the app; ok is false where nobody knows which.
func (r Reset) Back(values url.Values) (to secret.Text, ok bool, err error) {
	if r.way.URI == "" {
		return secret.Text{}, false, nil
	}
	to, err = r.way.With(values)
	return to, true, err
}

// StartReset sends a link that leads to the redirect URI of the request, and
// returns a reset id. It is the same for everybody, and takes as long.
func (s *Service) StartReset(ctx context.Context, from From, requestID secret.Text, address string) (resetID secret.Text, err error) {
	o, err := s.open(ctx, requestID)
	if err != nil {
		return secret.Text{}, err
	}
	if !o.app.Allows(app.Password) {
		return secret.Text{}, ErrInactive
	}
	if !o.app.Redirects(o.is.RedirectURI) {
		return secret.Text{}, flow.ErrRedirect
	}
	begun := time.Now()
	c := o.caller(from)
	c.Key.RedirectURIs = []string{o.is.RedirectURI}
	asked, err := s.Resets.Request(ctx, c, address, o.is.RedirectURI, false)
	if err != nil {
		return secret.Text{}, err
	}
	if err := s.level(ctx, Email, begun); err != nil {
		return secret.Text{}, err
	}
	resetID = id.Opaque()
	return resetID, put(ctx, s, keyOf(keptReset, resetID), reset{
		Request: o.key, Name: o.is.Name, Tenant: o.is.Tenant, ClientID: o.is.ClientID, RedirectURI: o.is.RedirectURI, Link: asked.RequestID,
		Stage: started, ExpiresAt: s.Now().Add(ResetLife),
	}, ResetLife+remembered)
}

// OpenReset takes the code of the link that was asked with the reset id, once,
// and returns the exchange id that it becomes. It returns ErrReset and ErrCode.
func (s *Service) OpenReset(ctx context.Context, from From, in ResetStep) (Reset, error) {
	h, c, out, err := s.resetting(ctx, from, in)
	if err != nil {
		return out, err
	}
	if st := h.is; st.Stage != started {
		if s.Now().Sub(st.UsedAt) <= grace {
			return out, ErrCode
		}
		return out, orElse(s.drop(ctx, st.Setting, h.key), ErrCode)
	}
	came, err := s.Resets.Opened(ctx, c, in.Code)
	if errors.Is(err, password.ErrCode) || err == nil && came != h.is.Link {
		return out, ErrCode.Because(err)
	}
	if err != nil {
		return out, err
	}
	exchangeID := id.Opaque()
	key := keyOf(keptSetting, exchangeID)
	// The code itself says how long it is good for.
	if err := put(ctx, s, key, setting{Reset: h.key, Code: in.Code.Reveal(), ExpiresAt: s.Now().Add(link.CodeLife)}, link.CodeLife+remembered); err != nil {
		return out, err
	}
	gone, err := change(ctx, s, &h, max(h.is.ExpiresAt.Add(remembered).Sub(s.Now()), time.Millisecond), func(r *reset) error {
		if r.Stage != started {
			return ErrCode
		}
		r.Stage, r.UsedAt, r.Setting = proven, s.Now(), key
		return nil
	})
	if err != nil || gone {
		return out, orElse(s.drop(ctx, key), orElse(err, ErrReset))
	}
	out.ExchangeID = exchangeID
	return out, nil
}

// SetPassword sets the password and ends the reset. What is wrong with the
// password is a fault of kind Invalid, and the exchange id is then still good.
// It returns ErrReset, ErrExchange and ErrExpired.
func (s *Service) SetPassword(ctx context.Context, from From, in ResetStep) (Reset, error) {
	h, c, out, err := s.resetting(ctx, from, in)
	if err != nil {
		return out, err
	}
	of, ok, err := find[setting](ctx, s, keptSetting, in.ExchangeID)
	switch {
	case err != nil || !ok:
		return out, orElse(err, ErrExchange)
	case of.is.Reset != h.key:
		return out, orElse(s.drop(ctx, of.is.Reset, of.key, h.is.Setting, h.key), ErrExchange)
	case !s.Now().Before(of.is.ExpiresAt):
		return out, ErrExpired
	case !guard.TypedTwice(in.Plain, in.Confirm):
		return out, ErrDiffer
	}
	// Of many that come here with one code, one sets its password.
	_, err = s.Resets.Set(ctx, c, password.Set{Code: secret.New(of.is.Code), Plain: in.Plain})
	if errors.Is(err, password.ErrCode) {
		return out, orElse(s.drop(ctx, of.key, h.key), ErrExchange.Because(err))
	}
	if err != nil {
		return out, err
	}
	if err := s.drop(ctx, of.key, h.key); err != nil {
		// The password is set, and its code is used: what is left sets nothing.
		s.Log.WarnContext(ctx, "reset not ended", "request_id", h.is.Name, "error", err)
	}
	return out, nil
}

// resetting finds a reset that is not over, who goes on with it, and its way
// back. An id that is shown beside another's request ends it.
func (s *Service) resetting(ctx context.Context, from From, in ResetStep) (h held[reset], c link.Caller, out Reset, err error) {
	h, ok, err := find[reset](ctx, s, keptReset, in.ResetID)
	if err != nil || !ok || !s.Now().Before(h.is.ExpiresAt) {
		return h, c, out, orElse(err, ErrReset)
	}
	if !in.RequestID.IsZero() && keyOf(keptRequest, in.RequestID) != h.is.Request {
		return h, c, out, orElse(s.drop(ctx, h.is.Setting, h.key), ErrReset)
	}
	a, org, err := s.app(ctx, h.is.ClientID)
	if fault.KindOf(err) == fault.Malformed || err == nil && !a.Redirects(h.is.RedirectURI) {
		return h, c, out, ErrReset.Because(err)
	}
	if err != nil {
		return h, c, out, err
	}
	// In the query, as the code came: how a login ends is another matter.
	out.way = flow.Way{URI: h.is.RedirectURI, Mode: flow.Query, Issuer: s.BaseURL}
	return h, link.Caller{App: h.is.ClientID, RequestID: h.is.Name, Tenant: h.is.Tenant, Org: org, By: from.by()}, out, nil
}
