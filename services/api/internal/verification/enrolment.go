package verification

import (
	"context"
	"errors"
	"slices"
	"strings"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/exchange"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/pipeline"
)

type setupIn struct {
	Mobile string `in:"mobile_number" doc:"Of SMS: number in E.164, such as +4915112345678; the user's own when it is left out."`
	Phone  string `in:"phone" doc:"As mobile_number."`
	Number string `in:"phone_number" doc:"As mobile_number."`
	Device string `in:"device_name" doc:"What the user calls the device. A further one needs a name."`
	Name   string `in:"friendly_name" doc:"As device_name."`
}

type setupStartedOut struct {
	Exchange *exchangeOut `json:"exchange_id"`
	Sub      string       `json:"sub" doc:"The id of the user who is signed in, or else the masked one."`
	StatusID string       `json:"status_id"`
	Client   string       `json:"authenticator_client_id" doc:"The app."`
	Text     string       `json:"medium_text,omitempty"`
	Secret   string       `json:"totp_secret,omitempty" doc:"Of TOTP, shown this once."`
	URI      string       `json:"totp_uri,omitempty" doc:"Of TOTP: what a QR code holds. Shown this once."`
}

func (in setupIn) enrolment(c pipeline.Call) (exchange.Enrolment, error) {
	m, err := methodOf(c.Path("method"))
	return exchange.Enrolment{Method: m, Phone: first(in.Mobile, in.Phone, in.Number), Name: first(in.Device, in.Name)}, err
}

func enrolling(e exchange.Enrolling, clientID string) setupStartedOut {
	return setupStartedOut{
		Exchange: exchanged(e.Step), Sub: e.Sub, StatusID: e.StatusID.Reveal(), Client: clientID, Text: e.MediumText,
		Secret: e.Issued.Secret.Reveal(), URI: e.Issued.URI.Reveal(),
	}
}

func (a *API) enrol(ctx context.Context, c pipeline.Call, in setupIn) (setupStartedOut, error) {
	wanted, err := in.enrolment(c)
	if err != nil {
		return setupStartedOut{}, err
	}
	started, err := a.Flows.Enrol(ctx, from(c), c.User, wanted)
	if err != nil {
		return setupStartedOut{}, err
	}
	return enrolling(started, c.User.ClientID), nil
}

func (a *API) enrolInLogin(ctx context.Context, c pipeline.Call, in setupIn) (setupStartedOut, error) {
	wanted, err := in.enrolment(c)
	if err != nil {
		return setupStartedOut{}, err
	}
	trackID := inPath(c, "track_id")
	if trackID.IsZero() {
		return setupStartedOut{}, exchange.ErrTrack
	}
	stands, err := a.Flows.Precheck(ctx, trackID)
	if err != nil {
		return setupStartedOut{}, err
	}
	a.serve(ctx, c, stands.ClientID)
	started, err := a.Flows.EnrolInLogin(ctx, from(c), trackID, wanted)
	if err != nil {
		return setupStartedOut{}, err
	}
	return enrolling(started, stands.ClientID), nil
}

type setupConfirmedOut struct {
	Exchange *exchangeOut `json:"exchange_id,omitempty"`
	Sub      string       `json:"sub" doc:"As at the start."`
	StatusID string       `json:"status_id" doc:"As at the start."`
	TrackID  string       `json:"track_id,omitempty" doc:"To go on with, where the login needs more."`
	MFA      bool         `json:"mfa_required" doc:"The login needs a proof with MULTIFACTOR_AUTHENTICATION."`
	Reenrol  bool         `json:"reenrolment_required" doc:"The login needs another new factor."`
	Codes    []string     `json:"recovery_codes,omitempty" doc:"New recovery codes, where there are any. Shown this once; they are proven as BACKUPCODE."`
}

func (a *API) confirm(ctx context.Context, c pipeline.Call, in verifyIn) (setupConfirmedOut, error) {
	v, err := in.verification(c)
	if err != nil {
		return setupConfirmedOut{}, err
	}
	done, err := a.Flows.Confirm(ctx, from(c), v)
	if err != nil {
		return setupConfirmedOut{}, err
	}
	step := proven(done.Step)
	out := setupConfirmedOut{Exchange: step.Exchange, Sub: step.Sub, StatusID: step.StatusID, TrackID: step.TrackID, MFA: step.MFA, Reenrol: step.Reenrol}
	if len(done.Codes) > 0 {
		out.Codes = strings.Split(factor.Lines(done.Codes), "\n")
	}
	return out, nil
}

type statusOfOut struct {
	StatusID string `json:"status_id"`
	Type     string `json:"verification_type"`
	Done     bool   `json:"authenticated"`
}

func (a *API) status(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (*statusOfOut, error) {
	statusID := inPath(c, "status_id")
	if statusID.IsZero() {
		return nil, exchange.ErrStatus
	}
	done, m, err := a.Flows.Status(ctx, statusID)
	if err != nil || !done {
		return nil, err
	}
	return &statusOfOut{statusID.Reveal(), string(m), true}, nil
}

type ownOut struct {
	Type         string `json:"type"`
	Verification string `json:"verification_type" doc:"As type."`
	ID           string `json:"id,omitempty"`
	MediumID     string `json:"medium_id,omitempty" doc:"As id."`
	Text         string `json:"medium_text"`
	Name         string `json:"friendly_name"`
	CreatedAt    string `json:"created_at,omitempty"`
	UsedAt       string `json:"last_used_at,omitempty"`
	Left         *int   `json:"codes_left,omitempty" doc:"Of BACKUPCODE."`
}

type ownListOut struct {
	List []ownOut `json:"configured_list"`
}

func (a *API) ownList(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (ownListOut, error) {
	all, err := a.Flows.Own(ctx, c.User)
	if err != nil {
		return ownListOut{}, err
	}
	out := ownListOut{[]ownOut{}}
	for _, one := range all {
		own := ownOut{Type: string(one.Method), Verification: string(one.Method), ID: one.Medium, MediumID: one.Medium, Text: one.Text, Name: one.Name}
		if !one.CreatedAt.IsZero() {
			own.CreatedAt = stamp(one.CreatedAt)
		}
		if !one.UsedAt.IsZero() {
			own.UsedAt = stamp(one.UsedAt)
		}
		if one.Method == exchange.BackupCode {
			own.Left = &one.Left
		}
		out.List = append(out.List, own)
	}
	return out, nil
}

type removeIn struct {
	Medium string `in:"medium_id" doc:"One of what the method is used with; all when it is left out."`
}

type removeOut struct {
	Removed bool `json:"removed"`
}

// remove answers nothing where there was nothing, as the contract wants it.
func (a *API) remove(ctx context.Context, c pipeline.Call, in removeIn) (*removeOut, error) {
	m, err := methodOf(c.Path("method"))
	if err != nil {
		return nil, err
	}
	err = a.Flows.Remove(ctx, from(c), c.User, m, in.Medium)
	switch {
	case errors.Is(err, exchange.ErrSetUp):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &removeOut{true}, nil
}

type friendlyNameIn struct {
	Name   string `in:"friendly_name" doc:"What the user calls it."`
	Medium string `in:"medium_id" doc:"What is renamed, where the path does not name it."`
}

type friendlyNameOut struct {
	Type string `json:"verification_type"`
	Name string `json:"friendly_name"`
}

// rename finds the medium in the body, or in the path, where the contract's
// clients have the id of a login that we need none of.
func (a *API) rename(ctx context.Context, c pipeline.Call, in friendlyNameIn) (friendlyNameOut, error) {
	m, err := methodOf(c.Path("method"))
	if err != nil {
		return friendlyNameOut{}, err
	}
	if in.Name == "" {
		return friendlyNameOut{}, missing("friendly_name")
	}
	medium := first(in.Medium, inPath(c, "medium").Reveal())
	name, err := a.Flows.Rename(ctx, from(c), c.User, m, medium, in.Name)
	if err != nil {
		return friendlyNameOut{}, err
	}
	return friendlyNameOut{string(m), name}, nil
}

type configOut struct {
	List []configuredOut `json:"configured_list"`
}

type configuredOut struct {
	Type         string `json:"type"`
	Verification string `json:"verification_type" doc:"As type."`
	Active       bool   `json:"active" doc:"Whether the app of the access token lets users log in by it."`
}

// inApps are the methods as apps list them.
var inApps = map[exchange.Method]string{
	exchange.TOTP: app.TOTP, exchange.SMS: app.SMS, exchange.Email: app.Email, exchange.Password: app.Password, exchange.BackupCode: app.Recovery,
}

func (a *API) config(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (configOut, error) {
	of, err := a.Apps.AppByID(ctx, c.User.ClientID)
	if fault.KindOf(err) == fault.NotFound {
		err, of.Methods = nil, app.Methods() // an API key's user: no app limits the methods
	}
	if err != nil {
		return configOut{}, err
	}
	out := configOut{[]configuredOut{}}
	for _, m := range methods {
		out.List = append(out.List, configuredOut{string(m), string(m), slices.Contains(of.Methods, inApps[m])})
	}
	return out, nil
}
