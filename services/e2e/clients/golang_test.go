package clients_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

const goRedirect = "http://127.0.0.1:9/go/callback" // nobody listens there: the test is the browser

// Programs in Go sign users in as most of them do: with golang.org/x/oauth2 and
// go-oidc, which finds out for itself how a client authenticates.
//
// Covers R-152 for clients in Go.
func TestGoSignsIn(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for name, params := range map[string][]string{
		"a public app":                {"client_type=public"},
		"a public app with RS256":     {"client_type=public", "id_token_signed_response_alg=RS256"},
		"a confidential app":          {"client_type=confidential"},
		"a confidential app in RS256": {"client_type=confidential", "id_token_signed_response_alg=RS256"},
	} {
		t.Run(name, func(t *testing.T) {
			g := &goClient{client: s.app(t, name, goRedirect, params...), person: s.person(t)}
			g.discover(t, s.issuer)
			first := g.signIn(t)
			g.userInfo(t, first)
			g.refresh(t, first)
		})
	}
	t.Run("an app for itself", func(t *testing.T) { goForItself(t, s) })
}

type goClient struct {
	client

	person   *person
	provider *oidc.Provider
	config   oauth2.Config
	verifier *oidc.IDTokenVerifier
}

func (g *goClient) discover(t *testing.T, issuer string) {
	t.Helper()
	var err error
	if g.provider, err = oidc.NewProvider(t.Context(), issuer); err != nil {
		t.Fatal(err)
	}
	g.verifier = g.provider.Verifier(&oidc.Config{ClientID: g.id})
	g.config = oauth2.Config{
		ClientID: g.id, ClientSecret: g.secret, RedirectURL: g.redirect, Endpoint: g.provider.Endpoint(),
		Scopes: []string{oidc.ScopeOpenID, "email", "profile", oidc.ScopeOfflineAccess},
	}
}

func (g *goClient) signIn(t *testing.T) *oauth2.Token {
	t.Helper()
	pkce := oauth2.GenerateVerifier()
	to, pages := g.person.visit(g.config.AuthCodeURL("some state", oauth2.S256ChallengeOption(pkce), oidc.Nonce("some nonce")))
	back, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	query := back.Query()
	if query.Get("state") != "some state" || query.Get("code") == "" || query.Get("error") != "" || pages < 2 {
		t.Fatalf("after %d pages the browser came back with %v", pages, query)
	}
	token, err := g.config.Exchange(t.Context(), query.Get("code"), oauth2.VerifierOption(pkce))
	if err != nil {
		t.Fatal(err)
	}
	id := g.idToken(t, token)
	if id.Nonce != "some nonce" {
		t.Errorf("the nonce is %q", id.Nonce)
	}
	if left := time.Until(token.Expiry); left < 9*time.Minute || left > 10*time.Minute {
		t.Errorf("the access token is good for %v", left)
	}
	return token
}

// idToken verifies the ID token of an answer and what ties it to the rest.
func (g *goClient) idToken(t *testing.T, token *oauth2.Token) *oidc.IDToken {
	t.Helper()
	raw, _ := token.Extra("id_token").(string)
	id, err := g.verifier.Verify(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := id.VerifyAccessToken(token.AccessToken); err != nil {
		t.Error(err)
	}
	if id.Subject != g.person.id {
		t.Errorf("the subject is %s, the user %s", id.Subject, g.person.id)
	}
	var claims struct {
		Email string   `json:"email"`
		AMR   []string `json:"amr"`
		ACR   string   `json:"acr"`
	}
	if err := id.Claims(&claims); err != nil {
		t.Fatal(err)
	}
	if claims.Email != g.person.email || !slices.Contains(claims.AMR, "pwd") || !slices.Contains(claims.AMR, "otp") || claims.ACR != "aal2" {
		t.Errorf("the ID token claims %+v", claims)
	}
	return id
}

func (g *goClient) userInfo(t *testing.T, token *oauth2.Token) {
	t.Helper()
	info, err := g.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(token))
	if err != nil {
		t.Fatal(err)
	}
	if info.Subject != g.person.id || info.Email != g.person.email {
		t.Errorf("userinfo says %+v", info)
	}
}

func (g *goClient) refresh(t *testing.T, first *oauth2.Token) {
	t.Helper()
	stale := *first
	stale.Expiry = time.Now().Add(-time.Minute)
	second, err := g.config.TokenSource(t.Context(), &stale).Token()
	if err != nil {
		t.Fatal(err)
	}
	if second.AccessToken == first.AccessToken || second.RefreshToken == first.RefreshToken {
		t.Error("the refresh brought an old token")
	}
	was, is := authTime(t, g.idToken(t, first)), authTime(t, g.idToken(t, second))
	if was != is || was == 0 {
		t.Errorf("auth_time was %d and is %d after the refresh", was, is)
	}
	g.userInfo(t, second)
}

func authTime(t *testing.T, id *oidc.IDToken) (at int64) {
	t.Helper()
	var claims struct {
		AuthTime int64 `json:"auth_time"`
	}
	if err := id.Claims(&claims); err != nil {
		t.Fatal(err)
	}
	return claims.AuthTime
}

// goForItself gets a token without a user, with the confidential app's own
// scope.
func goForItself(t *testing.T, s *scene) {
	t.Helper()
	c := s.app(t, "Robot", goRedirect, "client_type=confidential", "scopes=openid email reports:read")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	provider, err := oidc.NewProvider(ctx, s.issuer)
	if err != nil {
		t.Fatal(err)
	}
	config := clientcredentials.Config{
		ClientID: c.id, ClientSecret: c.secret, TokenURL: provider.Endpoint().TokenURL, Scopes: []string{"reports:read"},
	}
	token, err := config.Token(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if token.AccessToken == "" || token.RefreshToken != "" || token.Type() != "Bearer" || token.Extra("id_token") != nil {
		t.Errorf("the app got %+v", token)
	}
	// It is no user's token.
	res, err := config.Client(ctx).Get(provider.UserInfoEndpoint())
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("userinfo answers %d", res.StatusCode)
	}
}
