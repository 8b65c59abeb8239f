package verification

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/pkg/web"
	"countersign.dev/services/api/internal/exchange"
	"countersign.dev/services/api/internal/pipeline"
)

// Resets are the rules of forgotten passwords; exchange.Service implements
// them.
type Resets interface {
	StartReset(ctx context.Context, from exchange.From, requestID secret.Text, address string) (resetID secret.Text, err error)
	OpenReset(ctx context.Context, from exchange.From, in exchange.ResetStep) (exchange.Reset, error)
	SetPassword(ctx context.Context, from exchange.From, in exchange.ResetStep) (exchange.Reset, error)
}

// The paths: one for each step, and, of newer clients, one whose query names
// the step.
const (
	pathResets = "/users-srv/resetpassword/"
	pathReset  = "/password-srv/resetpassword"
)

// The steps, as that query names them.
const (
	initiateReset = "initiatereset"
	validateCode  = "validatecode"
	acceptReset   = "acceptreset"
)

var (
	errMedium = fault.New(fault.Malformed, "reset_not_offered", "passwords are reset by a link in a mail alone: send resetMedium EMAIL and processingType LINK")
	errAction = fault.New(fault.Malformed, "action_not_valid", "action must be initiatereset, validatecode or acceptreset")
)

func (a *API) resets() []pipeline.Route {
	initiate := sends("Have a link mailed that resets a password", rateStarts, pipeline.WithinSend, a.reset(a.initiateReset))
	validate := sends("Take the code that such a link has become", rateChecks, pipeline.WithinCheck, a.reset(a.validateCode))
	accept := sends("Set the new password", rateChecks, pipeline.WithinHash, a.reset(a.acceptReset))
	either := sends("Reset a password, by the step that action names", rateChecks, pipeline.WithinHash, a.reset(a.resetByAction))
	either.InQuery = "action"
	routes := slices.Concat(
		under(initiate, pathResets+"initiate"), under(validate, pathResets+"validatecode"), under(accept, pathResets+"accept"), under(either, pathReset),
	)
	for i := range routes {
		routes[i].Write, routes[i].AnswersToo, routes[i].Faults = writeReset, true, []int{http.StatusExpectationFailed}
	}
	return routes
}

// resetsPassword reports whether a path is one of these, where the contract
// says 417 of what is missing.
func resetsPassword(path string) bool {
	return path == pathReset || strings.HasPrefix(path, pathResets)
}

type forgottenIn struct {
	Action     string      `in:"action" doc:"The step, where the path names none: initiatereset, validatecode or acceptreset. It alone may stand in the query."`
	Medium     string      `in:"resetMedium" doc:"Of initiatereset: EMAIL, and nothing else."`
	Processing string      `in:"processingType" doc:"Of initiatereset: LINK, and nothing else."`
	Email      string      `in:"email" doc:"Of initiatereset: address of the user."`
	Username   string      `in:"username" doc:"As email."`
	RequestID  secret.Text `in:"requestId" doc:"Of initiatereset: the request id; also the header requestId. In later steps it is compared where it is sent."`
	RequestToo secret.Text `in:"request_id" doc:"As requestId."`
	ResetID    secret.Text `in:"resetRequestId" doc:"Of the later steps: what initiatereset has answered."`
	RPRQ       secret.Text `in:"rprq" doc:"As resetRequestId."`
	Code       secret.Text `in:"code" doc:"Of validatecode: the password_code that the link has led to the app with."`
	ExchangeID secret.Text `in:"exchangeId" doc:"Of acceptreset: what validatecode has answered."`
	Password   secret.Text `in:"password" doc:"Of acceptreset: the new password."`
	Confirm    secret.Text `in:"confirmPassword" doc:"As password, once more."`
}

func (in forgottenIn) step(c pipeline.Call) exchange.ResetStep {
	return exchange.ResetStep{
		ResetID: firstSecret(in.ResetID, in.RPRQ), RequestID: orHeader(c, headerRequest, in.RequestID, in.RequestToo),
		Code: in.Code, ExchangeID: in.ExchangeID, Plain: in.Password, Confirm: in.Confirm,
	}
}

type forgottenOut struct {
	RPRQ       string `json:"rprq,omitempty" doc:"As resetRequestId."`
	ResetID    string `json:"resetRequestId,omitempty" doc:"For the next step."`
	ExchangeID string `json:"exchangeId,omitempty" doc:"For the last step."`
}

// forgottenAnswer is the envelope, or, for a browser that has sent a form, where it
// goes.
type forgottenAnswer struct {
	Success bool         `json:"success"`
	Status  int          `json:"status" doc:"The status of the answer once more."`
	Data    forgottenOut `json:"data"`
	To      secret.Text  `json:"-"`
}

func writeReset(w http.ResponseWriter, r *http.Request, status int, answer any) {
	if a, _ := answer.(forgottenAnswer); !a.To.IsZero() { // what reset returns
		pipeline.Depart(w, r, http.StatusFound, pipeline.Departure{To: a.To})
		return
	}
	web.WriteJSON(w, status, answer)
}

// taken is what came of a step.
type taken struct {
	out   forgottenOut
	leads url.Values     // what a form's browser takes along
	back  exchange.Reset // the way there
}

// reset makes a handler of a step. A form is answered by the way back to the
// app, where that is known: it is the app's page that tells the person, and
// asks for another password.
func (a *API) reset(step func(context.Context, pipeline.Call, forgottenIn) (taken, error)) pipeline.Handler {
	return pipeline.Handle(func(ctx context.Context, c pipeline.Call, in forgottenIn) (forgottenAnswer, error) {
		forget(&in)
		t, err := step(ctx, c, in)
		kind, _, _ := mime.ParseMediaType(c.Request.Header.Get("Content-Type"))
		if kind == "application/x-www-form-urlencoded" && t.leads != nil {
			if to, ok, lost := t.back.Back(t.leads); ok || lost != nil {
				return forgottenAnswer{To: to}, lost
			}
		}
		return forgottenAnswer{Success: true, Status: http.StatusOK, Data: t.out}, err
	})
}

func (a *API) resetByAction(ctx context.Context, c pipeline.Call, in forgottenIn) (taken, error) {
	switch strings.ToLower(in.Action) {
	case initiateReset:
		return a.initiateReset(ctx, c, in)
	case validateCode:
		return a.validateCode(ctx, c, in)
	case acceptReset:
		return a.acceptReset(ctx, c, in)
	case "":
		return taken{}, missing("action")
	}
	return taken{}, errAction
}

func (a *API) initiateReset(ctx context.Context, c pipeline.Call, in forgottenIn) (taken, error) {
	requestID := orHeader(c, headerRequest, in.RequestID, in.RequestToo)
	address := named{email: in.Email, username: in.Username}.who().Address
	switch {
	case in.Medium == "":
		return taken{}, missing("resetMedium")
	case in.Processing == "":
		return taken{}, missing("processingType")
	case !strings.EqualFold(in.Medium, "EMAIL"), !strings.EqualFold(in.Processing, "LINK"):
		return taken{}, errMedium
	case requestID.IsZero():
		return taken{}, missing("requestId")
	case address == "":
		return taken{}, missing("email")
	}
	id, err := a.Resets.StartReset(ctx, from(c), requestID, address)
	return taken{out: forgottenOut{RPRQ: id.Reveal(), ResetID: id.Reveal()}}, err
}

func (a *API) validateCode(ctx context.Context, c pipeline.Call, in forgottenIn) (taken, error) {
	step := in.step(c)
	switch {
	case step.ResetID.IsZero():
		return taken{}, missing("resetRequestId")
	case step.Code.IsZero():
		return taken{}, missing("code")
	}
	back, err := a.Resets.OpenReset(ctx, from(c), step)
	if err != nil {
		return taken{}, err
	}
	out := forgottenOut{ResetID: step.ResetID.Reveal(), ExchangeID: back.ExchangeID.Reveal()}
	return taken{out, url.Values{"resetRequestId": {out.ResetID}, "exchangeId": {out.ExchangeID}}, back}, nil
}

func (a *API) acceptReset(ctx context.Context, c pipeline.Call, in forgottenIn) (taken, error) {
	step := in.step(c)
	switch {
	case step.ResetID.IsZero():
		return taken{}, missing("resetRequestId")
	case step.ExchangeID.IsZero():
		return taken{}, missing("exchangeId")
	case in.Password.IsZero():
		return taken{}, missing("password")
	case in.Confirm.IsZero():
		return taken{}, missing("confirmPassword")
	}
	back, err := a.Resets.SetPassword(ctx, from(c), step)
	if f := (*fault.Error)(nil); errors.As(err, &f) && f.Kind == fault.Invalid {
		return taken{leads: refusedPassword(step, f), back: back}, err
	}
	if err != nil {
		return taken{}, err
	}
	return taken{leads: url.Values{"suggested_action": {"LOGIN"}}, back: back}, nil
}

// refusedPassword is what the app's page needs to ask for another one, by the
// names of the contract.
func refusedPassword(step exchange.ResetStep, f *fault.Error) url.Values {
	return url.Values{
		"error": {f.Code}, "error_description": {f.Message}, "error_code": {codeOf(pathReset, f)},
		"rprq": {step.ResetID.Reveal()}, "exchangeid": {step.ExchangeID.Reveal()}, "resetMedium": {"EMAIL"},
	}
}
