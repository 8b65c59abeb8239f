package app_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/tenant"
)

// errKept ends every call that a rule lets pass: these tests are about what it
// lets pass, and the store has tests of its own.
var errKept = errors.New("it would be kept")

type keeper struct {
	app.Store
	kept app.App
}

func (k *keeper) CreateApp(_ context.Context, a app.App, _ outbox.Entry) (app.App, error) {
	k.kept = a
	return app.App{}, errKept
}

func (k *keeper) UpdateApp(_ context.Context, _ tenant.ID, _ string, change func(*app.App) (outbox.Entry, error)) (app.App, error) {
	if _, err := change(&k.kept); err != nil {
		return app.App{}, err
	}
	return app.App{}, errKept
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func service() (*app.Service, *keeper) {
	clock, k := func() time.Time { return noon }, &keeper{}
	return &app.Service{Store: k, Outbox: &outbox.Composer{Now: clock}, Now: clock}, k
}

func caller(env string) app.Caller {
	return app.Caller{Tenant: tenant.ID{Account: "a", Org: "o", Env: env}, By: activity.By{Actor: activity.Operator}}
}

// refused is why an app cannot be made, or nil.
func refused(env string, in app.New) error {
	s, _ := service()
	if _, _, err := s.Create(context.Background(), caller(env), in); !errors.Is(err, errKept) {
		return err
	}
	return nil
}

// An app about which nothing is said is a public one of the organization,
// which may use every method and the scopes of OpenID Connect.
func TestAnAppBeginsWithSafeDefaults(t *testing.T) {
	t.Parallel()
	s, k := service()
	if _, _, err := s.Create(t.Context(), caller(tenant.Default), app.New{}); !errors.Is(err, errKept) {
		t.Fatal(err)
	}
	want := app.App{
		ID: k.kept.ID, Tenant: caller(tenant.Default).Tenant, Name: "App", Type: app.Public, Methods: app.Methods(), Scopes: app.DefaultScopes(), FirstParty: true,
		Profile: app.Standard, IDTokenAlg: app.ES256, Active: true, CreatedAt: noon, UpdatedAt: noon,
	}
	if !app.IsID(k.kept.ID) || !reflect.DeepEqual(k.kept, want) {
		t.Errorf("%+v\nwant %+v", k.kept, want)
	}
	if _, _, err := s.Create(t.Context(), caller(tenant.Default), app.New{Type: app.Confidential}); !errors.Is(err, errKept) || len(k.kept.SecretDigest) != 32 {
		t.Errorf("a confidential app has a digest of %d octets, %v", len(k.kept.SecretDigest), err)
	}
}

func TestWhatAnAppCannotBe(t *testing.T) {
	t.Parallel()
	many := func(n int, text string) *[]string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf(text, i))
		}
		return &list
	}
	for name, in := range map[string]app.New{
		"another type":                   {Type: "secret"},
		"a native one with a secret":     {Type: app.Confidential, Native: true},
		"a name with a control":          {Change: app.Change{Name: new("a\u202eb")}},
		"a long name":                    {Change: app.Change{Name: new(strings.Repeat("a", 65))}},
		"another method":                 {Change: app.Change{Methods: &[]string{"password", "magic"}}},
		"a scope with a blank":           {Change: app.Change{Scopes: &[]string{"openid email"}}},
		"a scope with a quote":           {Change: app.Change{Scopes: &[]string{`a"b`}}},
		"a scope with a backslash":       {Change: app.Change{Scopes: &[]string{`a\b`}}},
		"a scope that is not ASCII":      {Change: app.Change{Scopes: &[]string{"é"}}},
		"a long scope":                   {Change: app.Change{Scopes: &[]string{strings.Repeat("a", 101)}}},
		"too many scopes":                {Change: app.Change{Scopes: many(51, "s%d")}},
		"too many redirect URIs":         {Change: app.Change{RedirectURIs: many(51, "https://a%d.test/cb")}},
		"too many logout URIs":           {Change: app.Change{LogoutURIs: many(51, "https://a%d.test/cb")}},
		"a beginning in the open":        {Change: app.Change{InitiateURI: new("http://a.test/login")}},
		"a beginning of its own scheme":  {Type: app.Public, Native: true, Change: app.Change{InitiateURI: new("com.example.app:/login")}},
		"too many origins":               {Change: app.Change{Origins: many(51, "https://a%d.test")}},
		"another profile":                {Change: app.Change{Profile: new("jwt")}},
		"an audience of standard tokens": {Change: app.Change{Audience: new("https://api.test")}},
		"an audience with a blank":       {Change: app.Change{Profile: new(app.Gateway), Audience: new("a b")}},
		"a long audience":                {Change: app.Change{Profile: new(app.Gateway), Audience: new(strings.Repeat("a", 201))}},
		"an algorithm of a secret":       {Change: app.Change{IDTokenAlg: new("HS256")}},
		"no algorithm":                   {Change: app.Change{IDTokenAlg: new("none")}},
		"a gateway with ES256":           {Change: app.Change{Profile: new(app.Gateway), IDTokenAlg: new(app.ES256)}},
	} {
		if err := refused(tenant.Sandbox, in); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is not said stays, an empty text or list is the default, and the
// algorithm goes with the profile.
func TestAChangeChangesWhatItSays(t *testing.T) {
	t.Parallel()
	full := app.App{
		ID: app.NewID(), Tenant: tenant.ID{Env: tenant.Sandbox}, Name: "Shop", Type: app.Public, RedirectURIs: []string{"https://a.test/cb"},
		LogoutURIs: []string{"https://a.test/"}, Origins: []string{"https://a.test"}, Methods: []string{app.Password}, Scopes: []string{"openid", "cart:read"},
		Profile: app.Gateway, Audience: "api", IDTokenAlg: app.RS256, Active: true, UpdatedAt: noon,
	}
	for name, c := range map[string]struct {
		in   app.Change
		want func(a *app.App)
	}{
		"nothing":            {app.Change{}, func(*app.App) {}},
		"cleared lists":      {app.Change{RedirectURIs: &[]string{""}, LogoutURIs: &[]string{}, Origins: &[]string{""}}, func(a *app.App) { a.RedirectURIs, a.LogoutURIs, a.Origins = []string{}, []string{}, []string{} }},
		"lists by default":   {app.Change{Methods: &[]string{""}, Scopes: &[]string{""}}, func(a *app.App) { a.Methods, a.Scopes = app.Methods(), app.DefaultScopes() }},
		"each one once":      {app.Change{Methods: &[]string{app.TOTP, app.Email, app.TOTP}}, func(a *app.App) { a.Methods = []string{app.Email, app.TOTP} }},
		"a beginning":        {app.Change{InitiateURI: new("http://localhost:3000/login")}, func(a *app.App) { a.InitiateURI = "http://localhost:3000/login" }},
		"a name":             {app.Change{Name: new(" Shop 2 ")}, func(a *app.App) { a.Name = "Shop 2" }},
		"no audience":        {app.Change{Audience: new("")}, func(a *app.App) { a.Audience = "" }},
		"another profile":    {app.Change{Profile: new(app.Standard), Audience: new("")}, func(a *app.App) { a.Profile, a.Audience, a.IDTokenAlg = app.Standard, "", app.ES256 }},
		"standard and RS256": {app.Change{Profile: new(""), Audience: new(""), IDTokenAlg: new(app.RS256)}, func(a *app.App) { a.Profile, a.Audience = app.Standard, "" }},
		"switched off":       {app.Change{Active: new(false), FirstParty: new(true)}, func(a *app.App) { a.Active, a.FirstParty = false, true }},
	} {
		s, k := service()
		k.kept = full
		k.kept.Methods, k.kept.Scopes = slices.Clone(full.Methods), slices.Clone(full.Scopes)
		want := full
		c.want(&want)
		if _, err := s.Update(t.Context(), caller(tenant.Sandbox), full.ID, c.in); !errors.Is(err, errKept) || !reflect.DeepEqual(k.kept, want) {
			t.Errorf("%s: %+v, %v\nwant %+v", name, k.kept, err, want)
		}
	}
}

// What is no id of an app does not reach the store.
func TestOnlyIDsOfAppsAreLookedFor(t *testing.T) {
	t.Parallel()
	s := &app.Service{} // no store: whoever asks it panics
	for _, text := range []string{"", "app_", "app_1", "b2c7a5f0-56a4-4b7e-9d7e-0f2f3c1d2e3f", app.NewID() + "x", "x" + app.NewID(), app.NewID() + "\n", "APP" + app.NewID()[3:]} {
		_, read := s.Read(t.Context(), tenant.ID{}, text)
		_, updated := s.Update(t.Context(), app.Caller{}, text, app.Change{})
		_, deleted := s.Delete(t.Context(), app.Caller{}, text)
		_, _, rotated := s.RotateSecret(t.Context(), app.Caller{}, text)
		for call, err := range map[string]error{"read": read, "updated": updated, "deleted": deleted, "rotated": rotated} {
			if !errors.Is(err, app.ErrNotFound) {
				t.Errorf("%q is %s: %v", text, call, err)
			}
		}
	}
}

func TestAnAppMayAskForItsScopes(t *testing.T) {
	t.Parallel()
	a := app.App{Scopes: []string{"openid", "email", "cart:read"}}
	for name, c := range map[string]struct {
		asked, granted []string
		ok             bool
	}{
		"nothing":        {nil, []string{}, true},
		"all":            {[]string{"cart:read", "email", "openid"}, []string{"cart:read", "email", "openid"}, true},
		"one twice":      {[]string{"openid", "openid"}, []string{"openid"}, true},
		"one more":       {[]string{"openid", "cart:write"}, nil, false},
		"capitals":       {[]string{"OpenID"}, nil, false},
		"an empty one":   {[]string{""}, nil, false},
		"a longer one":   {[]string{"cart:read "}, nil, false},
		"two in one":     {[]string{"openid email"}, nil, false},
		"only a foreign": {[]string{"admin"}, nil, false},
	} {
		granted, ok := a.MayAsk(c.asked)
		if ok != c.ok || !reflect.DeepEqual(granted, c.granted) {
			t.Errorf("%s: %v, %v", name, granted, ok)
		}
	}
}
