package httpapi

import (
	"context"

	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/tenant"
)

type connectionIn struct {
	Active     *bool     `in:"active" doc:"Whether second factors can be enrolled and asked for."`
	Delivery   *string   `in:"delivery" doc:"Who sends the codes: worker (Countersign does, and no answer holds a code) or caller (the answer that makes a code holds it, for keys with the scope codes:read)."`
	Countries  *[]string `in:"countries" doc:"Where text messages may go in the default environment: ISO 3166 codes of two letters, such as DE. The list replaces the one before; none means nowhere."`
	SMSPerHour *int      `in:"sms_per_hour" doc:"Most text messages an hour, 1 to 1000000."`
	SMSPerDay  *int      `in:"sms_per_day" doc:"Most text messages a day, 1 to 10000000."`
	Issuer     *string   `in:"issuer" doc:"What authenticator apps show above the code. An empty text: the organization's name."`
	Algorithm  *string   `in:"algorithm" doc:"Of apps enrolled from now on: SHA1, SHA256 or SHA512. Many apps know SHA1 alone and show wrong codes for the others."`
	Digits     *int      `in:"digits" doc:"Of apps enrolled from now on: 6 or 8."`
	Period     *int      `in:"period" doc:"Of apps enrolled from now on, in seconds: 30 or 60."`

	Passwordless *bool `in:"passwordless" doc:"Whether users may sign in by a code alone: of an authenticator app, a text message, a mail, or a recovery code, where the app allows the method. Off until it is switched on."`
}

type connectionOut struct {
	Type        string   `json:"__type__"`
	Domain      string   `json:"__domain__"`
	Environment string   `json:"__environment__"`
	ID          string   `json:"id"`
	Active      bool     `json:"active"`
	Delivery    string   `json:"delivery"`
	Countries   []string `json:"countries"`
	SMSPerHour  int      `json:"sms_per_hour"`
	SMSPerDay   int      `json:"sms_per_day"`
	Issuer      *string  `json:"issuer"`
	Algorithm   string   `json:"algorithm"`
	Digits      int      `json:"digits"`
	Period      int      `json:"period"`

	Passwordless bool `json:"passwordless"`

	InsertedAt string `json:"inserted_at"`
	UpdatedAt  string `json:"updated_at"`
}

func connectionShape(c pipeline.Call, connection tenant.Connection) connectionOut {
	return connectionOut{
		Type: "TotpConnection", Domain: c.Org.Domain, Environment: c.Tenant.Env, ID: connection.ID, Active: connection.Active,
		Delivery: connection.Delivery, Countries: orEmpty(connection.Countries),
		SMSPerHour: connection.SMSPerHour, SMSPerDay: connection.SMSPerDay,
		Issuer: orNull(connection.Issuer), Algorithm: connection.App.Algorithm, Digits: connection.App.Digits, Period: connection.App.Period,
		Passwordless: connection.Passwordless,
		InsertedAt:   stamp(connection.CreatedAt), UpdatedAt: stamp(connection.UpdatedAt),
	}
}

func (a *API) readConnection(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (connectionOut, error) {
	connection, err := a.Connections.Get(ctx, c.Tenant)
	return connectionShape(c, connection), err
}

func (a *API) updateConnection(ctx context.Context, c pipeline.Call, in connectionIn) (connectionOut, error) {
	connection, err := a.Connections.Update(ctx, c.Tenant, tenant.ConnectionChange(in))
	return connectionShape(c, connection), err
}
