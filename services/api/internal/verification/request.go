package verification

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/exchange"
	"countersign.dev/services/api/internal/pipeline"
)

type generateIn struct {
	ClientID     string `in:"client_id" doc:"The app."`
	RedirectURI  string `in:"redirect_uri" doc:"Where the code is sent: one that the app has registered, character by character."`
	Scope        string `in:"scope" doc:"What the app asks for, of what it may."`
	ResponseType string `in:"response_type" doc:"code, and nothing else."`
	ResponseMode string `in:"response_mode" doc:"fragment, as when it is left out, or query."`
	State        string `in:"state" doc:"Comes back as it is."`
	Nonce        string `in:"nonce" doc:"Comes back in the ID token."`
	Challenge    string `in:"code_challenge" doc:"Of PKCE. The contract's clients send none; whoever can should."`
	Method       string `in:"code_challenge_method" doc:"S256, and nothing else."`
	Locales      string `in:"ui_locales" doc:"Languages for the page, the most wanted first."`
}

type requestOut struct {
	RequestID string `json:"requestId"`
	Group     string `json:"groupname"`
	Lang      string `json:"lang"`
	View      string `json:"view_type"`
}

// What every request is, since there is nothing else to be.
const (
	group     = "default"
	viewLogin = "login"
)

func (a *API) generate(ctx context.Context, c pipeline.Call, in generateIn) (requestOut, error) {
	a.serve(ctx, c, in.ClientID)
	requestID, view, err := a.Flows.Generate(ctx, exchange.Asked{
		ClientID: in.ClientID, RedirectURI: in.RedirectURI, Scope: in.Scope, ResponseType: in.ResponseType, ResponseMode: in.ResponseMode,
		State: in.State, Nonce: in.Nonce, Challenge: in.Challenge, Method: in.Method, Locale: in.Locales,
	})
	if err != nil {
		return requestOut{}, err
	}
	return requestOut{requestID.Reveal(), group, lang(view), viewLogin}, nil
}

func lang(v exchange.View) string { return first(v.Locale, "en") }

// serve narrows who may read the answer to pages of the app's origins. Where
// the app is not found the answer says nothing that is anybody's.
func (a *API) serve(ctx context.Context, c pipeline.Call, clientID string) {
	if c.Request.Header.Get("Origin") == "" || clientID == "" {
		return
	}
	if found, err := a.Apps.AppByID(ctx, clientID); err == nil {
		c.ServeApp(found)
	}
}

// look is what the request id of the path stands for.
func (a *API) look(ctx context.Context, c pipeline.Call) (exchange.View, error) {
	requestID := inPath(c, "request_id")
	if requestID.IsZero() {
		return exchange.View{}, exchange.ErrRequest
	}
	view, err := a.Flows.Look(ctx, requestID)
	if err == nil {
		a.serve(ctx, c, view.ClientID)
	}
	return view, err
}

type stateOut struct {
	RequestID string `json:"requestId"`
	ClientID  string `json:"client_id"`
	Group     string `json:"groupname"`
	Lang      string `json:"lang"`
	View      string `json:"view_type"`
	ExpiresAt string `json:"expires_at"`
}

// state says 404 where other calls say 400: it is asked for nothing else.
func (a *API) state(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (stateOut, error) {
	view, err := a.look(ctx, c)
	if errors.Is(err, exchange.ErrRequest) {
		return stateOut{}, gone(exchange.ErrRequest)
	}
	if err != nil {
		return stateOut{}, err
	}
	return stateOut{c.Path("request_id"), view.ClientID, group, lang(view), viewLogin, stamp(view.ExpiresAt)}, nil
}

// gone is a fault as that of a path that leads to nothing.
func gone(f *fault.Error) error {
	out := *f
	out.Kind = fault.NotFound
	return &out
}

type tenantOut struct {
	Name  string   `json:"tenant_name"`
	Login []string `json:"allowLoginWith"`
}

// tenantInfo is about the organization where a request id tells which. The
// installation holds many, and says nothing of any of them by itself.
func (a *API) tenantInfo(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (tenantOut, error) {
	out := tenantOut{"Countersign", []string{"EMAIL"}}
	requestID := orHeader(c, headerRequest)
	if requestID.IsZero() {
		return out, nil
	}
	view, err := a.Flows.Look(ctx, requestID)
	if err != nil {
		return tenantOut{}, err
	}
	a.serve(ctx, c, view.ClientID)
	out.Name = view.Org.Name
	return out, nil
}

type publicOut struct {
	ClientID     string   `json:"client_id"`
	ClientName   string   `json:"client_name"`
	Tenant       string   `json:"tenant_name"`
	LogoURI      string   `json:"logo_uri"`
	PolicyURI    string   `json:"policy_uri" doc:"Always empty: apps have none."`
	TosURI       string   `json:"tos_uri" doc:"Always empty: apps have none."`
	Passwordless bool     `json:"passwordless_enabled" doc:"Whether a login may begin with a code alone."`
	Methods      []string `json:"login_methods" doc:"What a login may begin with."`
	Login        []string `json:"allowLoginWith"`
	Providers    []string `json:"login_providers" doc:"Always empty: nobody else signs users in."`
}

func (a *API) publicInfo(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (publicOut, error) {
	view, err := a.look(ctx, c)
	if err != nil {
		return publicOut{}, err
	}
	out := publicOut{
		ClientID: view.ClientID, ClientName: view.App, Tenant: view.Org.Name, LogoURI: view.Org.LogoURL, Passwordless: view.Passwordless,
		Methods: []string{}, Login: []string{"EMAIL"}, Providers: []string{},
	}
	for _, m := range view.Methods {
		out.Methods = append(out.Methods, string(m))
	}
	return out, nil
}

type trackOut struct {
	TrackID   string      `json:"track_id"`
	ClientID  string      `json:"client_id"`
	Sub       string      `json:"sub" doc:"The masked id of the user, for this request alone."`
	Q         string      `json:"q" doc:"As sub."`
	View      string      `json:"view_type" doc:"mfa while a second factor is missing, enrolment while a new one is, login when nothing is."`
	MFA       bool        `json:"mfa_required"`
	Reenrol   bool        `json:"reenrolment_required"`
	Methods   []methodOut `json:"configured_list" doc:"What the user may prove."`
	Fields    []string    `json:"missing_fields" doc:"Always empty: logins ask for no data of users."`
	Providers []string    `json:"login_providers" doc:"Always empty."`
}

// views are the pages of the contract's clients, by what a login needs.
var views = map[exchange.Needs]string{exchange.Nothing: viewLogin, exchange.SecondFactor: "mfa", exchange.NewFactor: "enrolment"}

func (a *API) track(ctx context.Context, c pipeline.Call) (*trackOut, error) {
	trackID := inPath(c, "track_id")
	p, err := a.Flows.Precheck(ctx, trackID)
	if err != nil {
		return nil, err
	}
	a.serve(ctx, c, p.ClientID)
	return &trackOut{
		TrackID: trackID.Reveal(), ClientID: p.ClientID, Sub: p.Sub, Q: p.Sub, View: views[p.Needs],
		MFA: p.Needs == exchange.SecondFactor, Reenrol: p.Needs == exchange.NewFactor, Methods: listed(p.Methods), Fields: []string{}, Providers: []string{},
	}, nil
}

// trackInfo wants both ids to be of one app; that both are of one login the
// steps that follow compare.
func (a *API) trackInfo(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (trackOut, error) {
	view, err := a.look(ctx, c)
	if err != nil {
		return trackOut{}, err
	}
	out, err := a.track(ctx, c)
	if err != nil {
		return trackOut{}, err
	}
	if out.ClientID != view.ClientID {
		return trackOut{}, exchange.ErrTrack
	}
	return *out, nil
}

// idForm is what an id may look like at all.
var idForm = regexp.MustCompile(`^[A-Za-z0-9_-]{8,128}$`)

// precheck answers nothing for a login that is unknown or too old, as the
// contract wants it.
func (a *API) precheck(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (*trackOut, error) {
	if !idForm.MatchString(inPath(c, "track_id").Reveal()) {
		return nil, exchange.ErrTrack
	}
	out, err := a.track(ctx, c)
	if errors.Is(err, exchange.ErrTrack) {
		return nil, nil
	}
	return out, err
}

type mediumOut struct {
	ID       string `json:"id"`
	MediumID string `json:"medium_id" doc:"As id."`
	Text     string `json:"medium_text"`
	Key      string `json:"key_name" doc:"As medium_text."`
}

type methodOut struct {
	Type         string      `json:"type"`
	Verification string      `json:"verification_type" doc:"As type."`
	Mediums      []mediumOut `json:"mediums"`
}

func listed(all []exchange.Configured) []methodOut {
	out := []methodOut{}
	for _, one := range all {
		m := methodOut{string(one.Method), string(one.Method), []mediumOut{}}
		for _, medium := range one.Mediums {
			m.Mediums = append(m.Mediums, mediumOut{medium.ID, medium.ID, medium.Text, medium.Text})
		}
		out = append(out, m)
	}
	return out
}

type listIn struct {
	RequestID  secret.Text `in:"request_id" doc:"The request id; also the header requestId."`
	RequestToo secret.Text `in:"requestId" doc:"As request_id."`
	Email      string      `in:"email" doc:"Address of the user."`
	Identifier string      `in:"identifier" doc:"Address of the user, or any other name, by which nobody is found."`
	Mobile     string      `in:"mobile_number" doc:"By which nobody is found."`
	Username   string      `in:"username" doc:"As identifier."`
	Sub        string      `in:"sub" doc:"The masked id that this request was given for the user."`
	Q          string      `in:"q" doc:"As sub."`
}

func (in listIn) who() exchange.Who {
	return named{in.Email, in.Identifier, in.Mobile, in.Username, in.Sub, in.Q, ""}.who()
}

type listOut struct {
	List []methodOut `json:"configured_list"`
}

func (a *API) list(ctx context.Context, c pipeline.Call, in listIn) (listOut, error) {
	requestID := orHeader(c, headerRequest, in.RequestID, in.RequestToo)
	if requestID.IsZero() {
		return listOut{}, missing("request_id")
	}
	list, err := a.Flows.Methods(ctx, requestID, in.who())
	if err != nil {
		return listOut{}, err
	}
	return listOut{listed(list)}, nil
}

type checkOut struct {
	Type       string `json:"type"`
	Configured bool   `json:"configured" doc:"Whether the list of methods has it."`
}

func (a *API) check(ctx context.Context, c pipeline.Call, in listIn) (checkOut, error) {
	m, err := methodOf(c.Path("method"))
	if err != nil {
		return checkOut{}, err
	}
	list, err := a.list(ctx, c, in)
	if err != nil {
		return checkOut{}, err
	}
	out := checkOut{Type: string(m)}
	for _, one := range list.List {
		out.Configured = out.Configured || strings.EqualFold(one.Type, out.Type)
	}
	return out, nil
}
