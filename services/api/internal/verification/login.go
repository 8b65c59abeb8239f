package verification

import (
	"context"
	"strings"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/exchange"
	"countersign.dev/services/api/internal/pipeline"
)

type initiateIn struct {
	Usage      string      `in:"usage_type" doc:"INITIAL_AUTHENTICATION or PASSWORDLESS_AUTHENTICATION to begin a login, MULTIFACTOR_AUTHENTICATION to go on with one."`
	RequestID  secret.Text `in:"request_id" doc:"The request id; also the header requestId."`
	RequestToo secret.Text `in:"requestId" doc:"As request_id."`
	Medium     string      `in:"medium_id" doc:"Of the list of methods. By it the user is found, where the call names none."`
	Email      string      `in:"email" doc:"Address of the user."`
	Identifier string      `in:"identifier" doc:"Address of the user, or any other name, by which nobody is found."`
	Mobile     string      `in:"mobile_number" doc:"By which nobody is found."`
	Username   string      `in:"username" doc:"As identifier."`
	Sub        string      `in:"sub" doc:"The masked id that this request was given for the user."`
	Q          string      `in:"q" doc:"As sub."`
	TrackID    secret.Text `in:"track_id" doc:"Of the login that goes on; also the header trackId. It may be left out."`
	TrackToo   secret.Text `in:"trackId" doc:"As track_id."`
}

type startedOut struct {
	Exchange *exchangeOut `json:"exchange_id"`
	Text     string       `json:"medium_text"`
	Sub      string       `json:"sub" doc:"The masked id of the user, for this request alone."`
	Q        string       `json:"q" doc:"As sub."`
	StatusID string       `json:"status_id"`
}

func (a *API) initiate(ctx context.Context, c pipeline.Call, in initiateIn) (startedOut, error) {
	m, err := methodOf(c.Path("method"))
	if err != nil {
		return startedOut{}, err
	}
	start := exchange.Initiation{
		RequestID: orHeader(c, headerRequest, in.RequestID, in.RequestToo),
		Usage:     exchange.Usage(strings.ToUpper(in.Usage)), Method: m,
		Who:     named{in.Email, in.Identifier, in.Mobile, in.Username, in.Sub, in.Q, in.Medium}.who(),
		TrackID: orHeader(c, headerTrack, in.TrackID, in.TrackToo),
	}
	switch {
	case start.RequestID.IsZero():
		return startedOut{}, missing("request_id")
	case start.Usage == "":
		return startedOut{}, missing("usage_type")
	}
	step, err := a.Flows.Initiate(ctx, from(c), start)
	if err != nil {
		return startedOut{}, err
	}
	return startedOut{exchanged(step), step.MediumText, step.Sub, step.Sub, step.StatusID.Reveal()}, nil
}

type verifyIn struct {
	ExchangeID secret.Text `in:"exchange_id" doc:"Of the start."`
	PassCode   secret.Text `in:"pass_code" doc:"The code, as text: a number loses its leading zeros."`
	Passcode   secret.Text `in:"passcode" doc:"As pass_code."`
	Password   secret.Text `in:"password" doc:"Of PASSWORD."`
	RequestID  secret.Text `in:"request_id" doc:"Compared where it is sent; also the header requestId."`
	RequestToo secret.Text `in:"requestId" doc:"As request_id."`
	Sub        string      `in:"sub" doc:"Compared where it is sent."`
	Q          string      `in:"q" doc:"As sub."`
}

// verification reads a proof.
func (in verifyIn) verification(c pipeline.Call) (exchange.Verification, error) {
	m, err := methodOf(c.Path("method"))
	if err != nil {
		return exchange.Verification{}, err
	}
	v := exchange.Verification{
		ExchangeID: in.ExchangeID, Method: m, Code: firstSecret(in.PassCode, in.Passcode, in.Password),
		RequestID: orHeader(c, headerRequest, in.RequestID, in.RequestToo), Sub: first(in.Sub, in.Q),
	}
	if m == exchange.Password {
		v.Code = firstSecret(in.Password, v.Code)
	}
	switch {
	case v.ExchangeID.IsZero():
		err = missing("exchange_id")
	case v.Code.IsZero():
		err = exchange.ErrNoCode
	}
	return v, err
}

// provenOut is the answer to a proof. What is there after the contract's keys
// is ours.
type provenOut struct {
	Exchange *exchangeOut `json:"exchange_id,omitempty"`
	Sub      string       `json:"sub" doc:"As at the start."`
	Q        string       `json:"q" doc:"As sub."`
	StatusID string       `json:"status_id" doc:"As at the start."`
	TrackID  string       `json:"track_id,omitempty" doc:"To go on with, where the login needs more."`
	MFA      bool         `json:"mfa_required" doc:"The login needs a proof with MULTIFACTOR_AUTHENTICATION."`
	Reenrol  bool         `json:"reenrolment_required" doc:"A recovery code was used: the login needs a new factor."`
}

func proven(s exchange.Step) provenOut {
	return provenOut{
		Exchange: exchanged(s), Sub: s.Sub, Q: s.Sub, StatusID: s.StatusID.Reveal(), TrackID: s.TrackID.Reveal(),
		MFA: s.Needs == exchange.SecondFactor, Reenrol: s.Needs == exchange.NewFactor,
	}
}

func (a *API) verify(ctx context.Context, c pipeline.Call, in verifyIn) (provenOut, error) {
	v, err := in.verification(c)
	if err != nil {
		return provenOut{}, err
	}
	step, err := a.Flows.Verify(ctx, from(c), v)
	if err != nil {
		return provenOut{}, err
	}
	return proven(step), nil
}

type endIn struct {
	ExchangeID secret.Text `in:"exchange_id" doc:"Of the start."`
}

type cancelOut struct {
	Cancelled bool `json:"cancelled"`
}

func (a *API) cancel(ctx context.Context, c pipeline.Call, in endIn) (cancelOut, error) {
	m, err := methodOf(c.Path("method"))
	if err != nil {
		return cancelOut{}, err
	}
	if in.ExchangeID.IsZero() {
		return cancelOut{}, missing("exchange_id")
	}
	if err := a.Flows.Cancel(ctx, m, in.ExchangeID); err != nil {
		return cancelOut{}, err
	}
	return cancelOut{true}, nil
}

type finishIn struct {
	RequestID  secret.Text `in:"requestId" doc:"The request id."`
	RequestToo secret.Text `in:"request_id" doc:"As requestId."`
	StatusID   secret.Text `in:"status_id" doc:"Of the last proof."`
	Method     string      `in:"verificationType" doc:"The method, compared where it is sent."`
	Sub        string      `in:"sub" doc:"The masked id of the user, compared where it is sent."`
	Q          string      `in:"q" doc:"As sub."`
}

func (a *API) finish(ctx context.Context, c pipeline.Call, in finishIn) (secret.Text, error) {
	f := exchange.Finish{
		RequestID: orHeader(c, headerRequest, in.RequestID, in.RequestToo), StatusID: in.StatusID, Sub: first(in.Sub, in.Q),
	}
	if f.RequestID.IsZero() {
		return secret.Text{}, missing("requestId")
	}
	if f.StatusID.IsZero() {
		return secret.Text{}, missing("status_id")
	}
	if in.Method != "" {
		m, err := methodOf(in.Method)
		if err != nil {
			return secret.Text{}, err
		}
		f.Method = m
	}
	return a.Flows.Finish(ctx, from(c), f)
}

type loginIn struct {
	RequestID  secret.Text `in:"requestId" doc:"The request id."`
	RequestToo secret.Text `in:"request_id" doc:"As requestId."`
	Username   string      `in:"username" doc:"Address of the user, or the masked id where username_type is sub."`
	Type       string      `in:"username_type" doc:"email, or sub. By other names nobody is found."`
	Password   secret.Text `in:"password" doc:"The password."`
}

func (in loginIn) who() exchange.Who {
	if strings.EqualFold(in.Type, "sub") {
		return exchange.Who{Sub: in.Username}
	}
	return named{username: in.Username}.who()
}

func (a *API) login(ctx context.Context, c pipeline.Call, in loginIn) (secret.Text, error) {
	l := exchange.Login{RequestID: orHeader(c, headerRequest, in.RequestID, in.RequestToo), Who: in.who(), Password: in.Password}
	switch {
	case l.RequestID.IsZero():
		return secret.Text{}, missing("requestId")
	case in.Username == "":
		return secret.Text{}, missing("username")
	case l.Password.IsZero():
		return secret.Text{}, exchange.ErrNoCode
	}
	return a.Flows.Login(ctx, from(c), l)
}

type continueIn struct {
	RequestID  secret.Text `in:"requestId" doc:"Compared where it is sent."`
	RequestToo secret.Text `in:"request_id" doc:"As requestId."`
}

func (a *API) goOn(ctx context.Context, c pipeline.Call, in continueIn) (secret.Text, error) {
	trackID := inPath(c, "track_id")
	if trackID.IsZero() {
		return secret.Text{}, exchange.ErrTrack
	}
	return a.Flows.Continue(ctx, from(c), trackID, orHeader(c, headerRequest, in.RequestID, in.RequestToo))
}
