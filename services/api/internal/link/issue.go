package link

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/challenge"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/login"
	"countersign.dev/services/api/internal/notice"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/template"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// Claims tell workers that sending has become pointless.
type Claims interface {
	Withdraw(ctx context.Context, deliveryID string) (bool, error)
}

// Index makes keyed digests.
type Index interface {
	Sum(purpose string, parts ...string) []byte
}

// Service is the rules of links.
type Service struct {
	Store  Store
	Outbox *outbox.Composer
	Claims Claims
	Relay  outbox.Waker
	Logins *login.Service
	// Templates are organizations' own words.
	Templates *template.Service
	Index     Index
	BaseURL   string // what links start with; nothing else decides it
	Now       func() time.Time
	Log       *slog.Logger
}

// Mails per address, whoever asks and for whichever organization.
const (
	mailsPerHour = 3
	mailsPerDay  = 10
	// In the sandbox nothing is sent, and callers that send themselves bound
	// their own sending: the counts are this much wider there.
	wider = 100
)

// New is what a link is asked for with.
type New struct {
	Kind        event.Kind
	RequestKind string // prefix of the request's public id
	Tenant      tenant.ID
	Org         tenant.Organization
	// User is whom it is for; without one, Email says where it goes, and
	// MayCreate whether following it makes a user.
	User        *user.User
	Email       user.Address
	MayCreate   bool
	Purpose     Purpose
	Template    string // of the mail
	Words       string // id of the organization's own template that a connection names; may be empty
	RedirectURI string // empty leads to a page of ours
	Flow        string // see Link
	ClientID    string
	// ByCaller hands the link to the caller instead of sending it.
	ByCaller bool
	Life     time.Duration
	TraceID  string
}

// Issued is a link that was asked for.
type Issued struct {
	RequestID string
	URL       secret.Text // only with ByCaller
	ExpiresAt time.Time
}

// Issue makes a link and has it sent: it is accepted once it is in the
// database, and leaves when the bus takes it. It returns ErrMails when the
// address had its share.
func (s *Service) Issue(ctx context.Context, n New) (Issued, error) {
	now := s.Now().Truncate(time.Millisecond)
	token := id.Token()
	l := Link{
		RequestID: id.Request(n.RequestKind), Digest: digest(token), Tenant: n.Tenant, Email: n.Email, Purpose: n.Purpose,
		RedirectURI: n.RedirectURI, Flow: n.Flow, ClientID: n.ClientID, CreatedAt: now, ExpiresAt: now.Add(n.Life),
	}
	if n.User != nil {
		l.UserID, l.Email = n.User.ID, n.User.Email
	}
	l.Void = n.User == nil && !n.MayCreate
	issued := Issued{RequestID: l.RequestID, ExpiresAt: l.ExpiresAt}
	var entries []outbox.Entry
	if n.ByCaller {
		issued.URL = s.url(token)
	} else {
		mail, err := s.mail(ctx, n, l, token)
		if err != nil {
			return Issued{}, err
		}
		l.DeliveryID, entries = mail.ID, append(entries, mail)
	}
	superseded, err := s.Store.PutLink(ctx, l, s.budgets(n, l), entries)
	if err != nil {
		return Issued{}, err
	}
	s.withdraw(ctx, superseded)
	s.Relay.Wake()
	return issued, nil
}

// mail is the message with the link. It is made for a void link too, though it
// stays here: asking costs the same for every address.
func (s *Service) mail(ctx context.Context, n New, l Link, token secret.Text) (outbox.Entry, error) {
	own, err := s.Templates.Find(ctx, template.Wanted{Tenant: n.Tenant, Org: n.Org, Kind: n.Template, Chosen: n.Words})
	if err != nil {
		return outbox.Entry{}, err
	}
	locale := notice.Locale(n.Org, n.User)
	words := own.In(locale, n.Org.Locale)
	return s.Outbox.Mail(outbox.Mail{
		Tenant: n.Tenant, UserID: l.UserID, Kind: n.Kind, RequestID: l.RequestID, TraceID: n.TraceID, To: l.Email.Mailbox(), Life: n.Life,
		Content: event.Mail{
			Template: n.Template, Link: s.url(token).Reveal(), Brand: n.Org.Name, Color: n.Org.Color, LogoURL: n.Org.LogoURL,
			Locale: locale, Words: words, GivenName: notice.GivenName(words, n.User),
		},
	})
}

func (s *Service) url(token secret.Text) secret.Text {
	return secret.New(s.BaseURL + "/magic-link/verify/" + token.Reveal())
}

func (s *Service) budgets(n New, l Link) []challenge.Budget {
	if n.ByCaller {
		return budgets("link|"+who(s.Index, n.Tenant.Env, l.Email), wider)
	}
	return Mails(s.Index, n.Tenant.Env, l.Email)
}

// Mails are the budgets that every mail which a stranger can ask for is taken
// from, whatever is in it. They are keyed by the canonical address, across
// organizations. There is always one: its row also keeps parallel requests for
// an address in a queue.
func Mails(index Index, env string, address user.Address) []challenge.Budget {
	factor := 1
	if env == tenant.Sandbox {
		factor = wider
	}
	return budgets("mail|"+who(index, env, address), factor)
}

func budgets(key string, factor int) []challenge.Budget {
	return []challenge.Budget{
		{Key: key, Span: time.Hour, Most: mailsPerHour * factor, Fault: ErrMails},
		{Key: key, Span: 24 * time.Hour, Most: mailsPerDay * factor, Fault: ErrMails},
	}
}

func who(index Index, env string, address user.Address) string {
	return fmt.Sprintf("%x", index.Sum("mail.address", env, address.Canonical)[:16])
}

// withdraw keeps messages that were replaced from being sent. One that cannot
// be kept holds a link that is dead.
func (s *Service) withdraw(ctx context.Context, deliveries []string) {
	for _, deliveryID := range deliveries {
		if _, err := s.Claims.Withdraw(ctx, deliveryID); err != nil {
			s.Log.WarnContext(ctx, "claim not withdrawn", "delivery_id", deliveryID, "error", err)
		}
	}
}

// digest is the stored form of 256 random bits: nobody can try candidates.
func digest(token secret.Text) []byte {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return sum[:]
}

// Digest is the stored form of a password code.
func Digest(code secret.Text) []byte { return digest(code) }

// withQuery adds parameters to a redirect URI that was registered.
func withQuery(uri string, params url.Values) (secret.Text, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return secret.Text{}, fmt.Errorf("read redirect uri: %w", err)
	}
	query := u.Query()
	maps.Copy(query, params)
	u.RawQuery = query.Encode()
	return secret.New(u.String()), nil
}
