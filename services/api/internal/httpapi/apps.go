package httpapi

import (
	"context"
	"strings"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/pipeline"
)

type appIn struct {
	Name               *string   `in:"name" doc:"For people, at most 64 characters."`
	ClientType         string    `in:"client_type" doc:"public (the default), or confidential for what runs on a server and keeps a secret. It stays."`
	ApplicationType    string    `in:"application_type" doc:"web (the default), or native for what runs on its user's machine: it may be sent to any port of that machine, and to a scheme of its own. It stays."`
	RedirectURIs       *[]string `in:"redirect_uris" doc:"Where codes are sent: https URLs, compared character for character. In the sandbox and for native apps http to localhost, 127.0.0.1 and [::1], too; for native apps com.example.app:/callback."`
	LogoutURIs         *[]string `in:"post_logout_redirect_uris" doc:"Where a browser may go after a logout, as redirect_uris."`
	BackchannelURI     *string   `in:"backchannel_logout_uri" doc:"Where the app is told that a session has ended (OpenID Connect Back-Channel Logout): an https URL in a public network; in the sandbox of a development server also http to this machine, and private networks. Nowhere when nothing is said."`
	BackchannelSession *bool     `in:"backchannel_logout_session_required" doc:"Whether logout tokens must name the session; they always do."`
	InitiateURI        *string   `in:"initiate_login_uri" doc:"Where the app begins sign-ins (OpenID Connect Core 4): the link of our pages where a sign-in is over. An https URL; in the sandbox and for native apps also http to this machine. No link when nothing is said."`
	Origins            *[]string `in:"origins" doc:"Pages of these origins may call the token paths, such as https://app.example.com: exactly as browsers send it."`
	Methods            *[]string `in:"methods" doc:"By which users may log in: email, password, recovery, sms, totp. All when nothing is said."`
	SMSAlone           bool      `in:"sms_alone" doc:"Beside methods: yes, sms may be the only second factor among them. It is recorded (NIST SP 800-63B-4 3.1.3.3)."`
	Scopes             *[]string `in:"scopes" doc:"What it may ask for, a list or one text with blanks between: openid email profile phone offline_access when nothing is said, and scopes of your own."`
	FirstParty         *bool     `in:"first_party" doc:"Whether it is the organization's own, so that nobody is asked for consent. It is, unless you say no: apps are registered by the organization's administrator."`
	Profile            *string   `in:"token_profile" doc:"standard (RFC 9068, the default), or gateway for clients that read the gateway's claims."`
	Audience           *string   `in:"audience" doc:"aud of its access tokens, with the gateway profile alone; the client_id when nothing is said."`
	IDTokenAlg         *string   `in:"id_token_signed_response_alg" doc:"ES256 (the default) or RS256, which the gateway profile always has."`
	Active             *bool     `in:"active" doc:"Whether it works."`
}

type appChangeIn struct {
	Name               *string   `in:"name" doc:"As when it was created, as all that follows. What is not said stays; an empty text in a list clears it."`
	RedirectURIs       *[]string `in:"redirect_uris" doc:"The whole list."`
	LogoutURIs         *[]string `in:"post_logout_redirect_uris" doc:"The whole list."`
	BackchannelURI     *string   `in:"backchannel_logout_uri" doc:"Empty for nowhere."`
	BackchannelSession *bool     `in:"backchannel_logout_session_required"`
	InitiateURI        *string   `in:"initiate_login_uri" doc:"Empty for no link."`
	Origins            *[]string `in:"origins" doc:"The whole list."`
	Methods            *[]string `in:"methods" doc:"The whole list."`
	SMSAlone           bool      `in:"sms_alone" doc:"Beside methods: yes, sms may be the only second factor among them."`
	Scopes             *[]string `in:"scopes" doc:"The whole list. What was granted before keeps its scopes."`
	FirstParty         *bool     `in:"first_party" doc:"Whether nobody is asked for consent."`
	Profile            *string   `in:"token_profile" doc:"standard or gateway. The algorithm of ID tokens goes with it, unless it is said, too."`
	Audience           *string   `in:"audience" doc:"aud of access tokens of the gateway profile."`
	IDTokenAlg         *string   `in:"id_token_signed_response_alg" doc:"ES256 or RS256."`
	Active             *bool     `in:"active" doc:"false ends everything that the app was granted, for good."`
}

type appOut struct {
	Type               string   `json:"__type__"`
	Domain             string   `json:"__domain__"`
	Environment        string   `json:"__environment__"`
	ClientID           string   `json:"client_id"`
	ClientSecret       *string  `json:"client_secret,omitempty"` // in answers that made one only
	Name               string   `json:"name"`
	ClientType         string   `json:"client_type"`
	ApplicationType    string   `json:"application_type"`
	RedirectURIs       []string `json:"redirect_uris"`
	LogoutURIs         []string `json:"post_logout_redirect_uris"`
	BackchannelURI     *string  `json:"backchannel_logout_uri"`
	BackchannelSession bool     `json:"backchannel_logout_session_required"`
	InitiateURI        *string  `json:"initiate_login_uri"`
	Origins            []string `json:"origins"`
	Methods            []string `json:"methods"`
	Scopes             []string `json:"scopes"`
	FirstParty         bool     `json:"first_party"`
	Profile            string   `json:"token_profile"`
	Audience           *string  `json:"audience"`
	IDTokenAlg         string   `json:"id_token_signed_response_alg"`
	Active             bool     `json:"active"`
	InsertedAt         string   `json:"inserted_at"`
	UpdatedAt          string   `json:"updated_at"`
}

// Values of application_type (OpenID Connect Registration 2).
const (
	webApp    = "web"
	nativeApp = "native"
)

func appShape(c pipeline.Call) func(app.App) appOut {
	return func(a app.App) appOut {
		out := appOut{
			Type: "App", Domain: c.Org.Domain, Environment: c.Tenant.Env, ClientID: a.ID, Name: a.Name, ClientType: a.Type, ApplicationType: webApp,
			RedirectURIs: orEmpty(a.RedirectURIs), LogoutURIs: orEmpty(a.LogoutURIs), BackchannelURI: orNull(a.BackchannelURI), BackchannelSession: a.BackchannelSession, InitiateURI: orNull(a.InitiateURI), Origins: orEmpty(a.Origins), Methods: orEmpty(a.Methods),
			Scopes: orEmpty(a.Scopes), FirstParty: a.FirstParty, Profile: a.Profile, Audience: orNull(a.Audience), IDTokenAlg: a.IDTokenAlg,
			Active: a.Active, InsertedAt: stamp(a.CreatedAt), UpdatedAt: stamp(a.UpdatedAt),
		}
		if a.Native {
			out.ApplicationType = nativeApp
		}
		return out
	}
}

func manager(c pipeline.Call) app.Caller { return app.Caller{Tenant: c.Tenant, By: by(c)} }

func (a *API) createApp(ctx context.Context, c pipeline.Call, in appIn) (appOut, error) {
	if kind := in.ApplicationType; kind != "" && kind != webApp && kind != nativeApp {
		return appOut{}, fault.New(fault.Invalid, "invalid_parameter", "application_type must be web or native")
	}
	made, value, err := a.Apps.Create(ctx, manager(c), app.New{Type: in.ClientType, Native: in.ApplicationType == nativeApp, Change: app.Change{
		Name: in.Name, RedirectURIs: in.RedirectURIs, LogoutURIs: in.LogoutURIs, BackchannelURI: in.BackchannelURI, BackchannelSession: in.BackchannelSession, InitiateURI: in.InitiateURI, Origins: in.Origins, Methods: in.Methods, SMSAlone: in.SMSAlone, Scopes: split(in.Scopes),
		FirstParty: in.FirstParty, Profile: in.Profile, Audience: in.Audience, IDTokenAlg: in.IDTokenAlg, Active: in.Active,
	}})
	if err != nil {
		return appOut{}, err
	}
	out := appShape(c)(made)
	out.ClientSecret = orNull(value.Reveal())
	return out, nil
}

func (a *API) listApps(ctx context.Context, c pipeline.Call, in pageIn) (list[appOut], error) {
	result, err := a.Apps.List(ctx, c.Tenant, in.page())
	if err != nil {
		return list[appOut]{}, err
	}
	return listOf(result, appShape(c)), nil
}

func (a *API) readApp(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (appOut, error) {
	found, err := a.Apps.Read(ctx, c.Tenant, c.Path("app"))
	return appShape(c)(found), err
}

func (a *API) updateApp(ctx context.Context, c pipeline.Call, in appChangeIn) (appOut, error) {
	in.Scopes = split(in.Scopes)
	changed, err := a.Apps.Update(ctx, manager(c), c.Path("app"), app.Change(in))
	return appShape(c)(changed), err
}

func (a *API) deleteApp(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (deleted[appOut], error) {
	gone, err := a.Apps.Delete(ctx, manager(c), c.Path("app"))
	return deleted[appOut]{Deleted: true, Resource: appShape(c)(gone)}, err
}

func (a *API) rotateAppSecret(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (appOut, error) {
	changed, value, err := a.Apps.RotateSecret(ctx, manager(c), c.Path("app"))
	if err != nil {
		return appOut{}, err
	}
	out := appShape(c)(changed)
	out.ClientSecret = orNull(value.Reveal())
	return out, nil
}

// split takes scopes as a list, or as one text with blanks between.
func split(scopes *[]string) *[]string {
	if scopes == nil {
		return nil
	}
	words := strings.Fields(strings.Join(*scopes, " "))
	return &words
}
