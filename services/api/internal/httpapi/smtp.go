package httpapi

import (
	"context"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/mailserver"
	"countersign.dev/services/api/internal/pipeline"
)

type smtpConnectionIn struct {
	Active       *bool       `in:"active" doc:"Whether mails of the default environment go through this server; otherwise they go through the installation's. The sandbox sends nothing, whatever is said."`
	Host         *string     `in:"host" doc:"Name of the mail server; its certificate must have this name. Needed once."`
	Port         *int        `in:"port" doc:"1 to 65535; 587, or 465 with tls, when it was never said. The installation may allow 25, 465, 587 and 2525 alone."`
	Security     *string     `in:"security" doc:"starttls, or tls from the first byte on. One of the two is always asked for."`
	User         *string     `in:"username" doc:"Who signs in at the server. An empty text: nobody, and the password is forgotten."`
	Password     secret.Text `in:"password" doc:"The password, which no answer shows. It must be given again when host, port, security or username change."`
	From         *string     `in:"from_email" doc:"Address that mails come from. Needed once."`
	FromName     *string     `in:"from_name" doc:"Name beside that address; an empty text is none."`
	DKIMDomain   *string     `in:"dkim_domain" doc:"Domain that signs the mails (DKIM): that of the sender, or one above it. An empty text: nothing is signed, and the key is forgotten."`
	DKIMSelector *string     `in:"dkim_selector" doc:"Name of the key below that domain, such as cs1."`
	DKIMKey      secret.Text `in:"dkim_private_key" doc:"A key of RSA with 2048 to 4096 bits, or of Ed25519, in PEM, which no answer shows. Without it one is made for each new domain or selector."`
}

type smtpConnectionOut struct {
	Type        string   `json:"__type__"`
	Domain      string   `json:"__domain__"`
	Environment string   `json:"__environment__"`
	ID          string   `json:"id"`
	Active      bool     `json:"active"`
	Host        string   `json:"host"`
	Port        int      `json:"port"`
	Security    string   `json:"security"`
	User        *string  `json:"username"`
	PasswordSet bool     `json:"password_set"`
	From        string   `json:"from_email"`
	FromName    *string  `json:"from_name"`
	DKIM        *dkimOut `json:"dkim"`
	InsertedAt  string   `json:"inserted_at"`
	UpdatedAt   string   `json:"updated_at"`
}

// dkimOut is what the DNS must show before signatures are of use.
type dkimOut struct {
	Domain     string `json:"domain"`
	Selector   string `json:"selector"`
	RecordName string `json:"record_name"` // of a TXT record
	Record     string `json:"record"`
}

func smtpConnectionShape(c pipeline.Call, connection mailserver.Connection) smtpConnectionOut {
	out := smtpConnectionOut{
		Type: "SmtpConnection", Domain: c.Org.Domain, Environment: c.Tenant.Env, ID: connection.ID, Active: connection.Active,
		Host: connection.Host, Port: connection.Port, Security: connection.Security,
		User: orNull(connection.User), PasswordSet: !connection.Password.IsZero(), From: connection.From, FromName: orNull(connection.FromName),
		InsertedAt: stamp(connection.CreatedAt), UpdatedAt: stamp(connection.UpdatedAt),
	}
	if name, record := connection.Signing.Record(); name != "" {
		out.DKIM = &dkimOut{Domain: connection.Signing.Domain, Selector: connection.Signing.Selector, RecordName: name, Record: record}
	}
	return out
}

func (a *API) readSMTPConnection(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (smtpConnectionOut, error) {
	connection, err := a.MailServers.Get(ctx, c.Tenant)
	return smtpConnectionShape(c, connection), err
}

func (a *API) putSMTPConnection(ctx context.Context, c pipeline.Call, in smtpConnectionIn) (smtpConnectionOut, error) {
	connection, err := a.MailServers.Put(ctx, c.Tenant, by(c), mailserver.Change(in))
	return smtpConnectionShape(c, connection), err
}

func (a *API) removeSMTPConnection(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (deleted[smtpConnectionOut], error) {
	connection, err := a.MailServers.Remove(ctx, c.Tenant, by(c))
	return deleted[smtpConnectionOut]{Deleted: true, Resource: smtpConnectionShape(c, connection)}, err
}
