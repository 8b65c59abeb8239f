package demoapp

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// start is where a browser begins to sign in.
func (s Settings) start(l login) string {
	return s.Base + "/a/" + s.Account + "/?" + url.Values{
		"client_id": {s.ClientID}, "redirect_uri": {s.Base + CallbackPath}, "client_state": {l.state}, "organization": {s.Org},
		"scope": {"openid email profile"}, "code_challenge_method": {"S256"}, "code_challenge": {l.challenge()},
	}.Encode()
}

// back is what the browser has brought.
type back struct{ code, org, grant, request, verifier string }

type tokens struct {
	Access string `json:"access_token"`
	ID     string `json:"id_token"`
	Nonce  string `json:"nonce"`
}

var errTokens = errors.New("the answer of the service is not for this request")

// exchange turns a code into tokens and looks whether they are meant for this
// login: by the nonce, which the answer and the ID token repeat.
func (a *App) exchange(ctx context.Context, s Settings, b back) (*session, error) {
	if b.org != s.Org {
		return nil, errTokens
	}
	nonce := rand.Text()
	var got tokens
	err := a.call(ctx, s.Base+"/org/"+url.PathEscape(s.Org)+"/oauth2/token", map[string]string{
		"grant_type": "authorization_code", "client_id": s.ClientID, "code": b.code, "authorization_id": b.grant, "code_verifier": b.verifier,
		"redirect_uri": s.Base + CallbackPath, "nonce": nonce, "request_id": b.request,
	}, &got)
	if err != nil {
		return nil, err
	}
	if got.Nonce != nonce {
		return nil, errTokens
	}
	claims, err := a.verify(ctx, s, got.ID, nonce)
	if err != nil {
		return nil, err
	}
	return &session{claims: claims, access: got.Access}, nil
}

// verify returns the claims of an ID token (OpenID Connect Core 3.1.3.7).
func (a *App) verify(ctx context.Context, s Settings, raw, nonce string) (map[string]any, error) {
	var keys jose.JSONWebKeySet
	if err := a.call(ctx, s.Base+"/t/"+url.PathEscape(s.Org)+"/.well-known/jwks", nil, &keys); err != nil {
		return nil, err
	}
	parsed, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return nil, fmt.Errorf("read the ID token: %w", err)
	}
	var (
		known jwt.Claims
		all   map[string]any
	)
	if err := parsed.Claims(&keys, &known, &all); err != nil {
		return nil, fmt.Errorf("verify the ID token: %w", err)
	}
	want := jwt.Expected{Issuer: s.Issuer + "/t/" + s.Org, AnyAudience: jwt.Audience{s.ClientID}, Time: a.browsers.now()}
	if err := known.Validate(want); err != nil {
		return nil, fmt.Errorf("check the ID token: %w", err)
	}
	if all["nonce"] != nonce {
		return nil, errTokens
	}
	return all, nil
}

// revoke takes the tokens of a session back and returns where the browser ends
// its own session: at the single logout, from which it comes back.
func (a *App) revoke(ctx context.Context, s Settings, in *session) (string, error) {
	var ended struct {
		Code string `json:"slo_code"`
	}
	err := a.call(ctx, s.Base+"/oauth/revoke", map[string]string{"client_id": s.ClientID, "token": in.access, "token_type_hint": "access_token"}, &ended)
	if err != nil {
		return "", err
	}
	if ended.Code == "" {
		return s.Base + Path, nil // the session has ended before
	}
	return s.Base + "/api/v1/tenants/" + url.PathEscape(s.Org) + "/" + url.PathEscape(s.ClientID) + "/oauth/token/slo-after-revoke-token?" +
		url.Values{"slo_code": {ended.Code}, "target_url": {s.Base + Path}}.Encode(), nil
}

// call sends JSON, or reads where there is none to send.
func (a *App) call(ctx context.Context, address string, body map[string]string, into any) error {
	method, text := http.MethodGet, []byte(nil)
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return fmt.Errorf("write request: %w", err)
		}
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := a.http.Do(req)
	if err != nil {
		return fmt.Errorf("call the service: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the service answers %d", res.StatusCode)
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(into); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}
