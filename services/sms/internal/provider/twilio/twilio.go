// Package twilio sends text messages through Twilio's Messages API.
//
// The worker calls [Provider.Send]; the package owns the one right reaction
// to each of Twilio's answers. Twilio has no idempotency key, so what matters
// is to know whether a message may have been sent: a request that never got a
// connection certainly was not, one whose answer was lost may have been.
//
// The client library builds the request and reads the resource; everything
// about the connection is done here, because the library takes no context,
// leaks the bodies of errors and drops their headers. It reads no setting
// from the environment either way.
package twilio

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/twilio/twilio-go/client"
	openapi "github.com/twilio/twilio-go/rest/api/v2010"

	"countersign.dev/pkg/courier"
	"countersign.dev/pkg/secret"
)

// Name is how deliveries and metrics call this provider.
const Name = "twilio"

// DefaultBaseURL is Twilio's own.
const DefaultBaseURL = "https://api.twilio.com"

// Config is an account and how to reach it.
type Config struct {
	AccountSID string
	AuthToken  secret.Text
	// Exactly one of these two says who sends.
	From                string // a number in E.164 form or a sender name
	MessagingServiceSID string
	BaseURL             string // default DefaultBaseURL
	// CallbackURL is the public base URL of the api. Twilio reports later
	// states to <CallbackURL>/callback/twilio/<delivery id>; empty means no
	// reports.
	CallbackURL string
	// CAFile holds PEM certificates to trust instead of the system's.
	CAFile  string
	Timeout time.Duration // of one call; default 10 s
}

// Provider sends through one account. It is safe for concurrent use.
type Provider struct {
	cfg       Config
	base      *url.URL
	transport *http.Transport
}

var _ courier.Provider = (*Provider)(nil)

// The bounds of Twilio's ValidityPeriod, in seconds. Without the parameter a
// message would live for ten hours, long after its code.
const (
	shortestValidity = 1
	longestValidity  = 36000
)

var (
	accountShape = regexp.MustCompile(`^AC[0-9a-fA-F]{32}$`)
	serviceShape = regexp.MustCompile(`^MG[0-9a-fA-F]{32}$`)
	tokenShape   = regexp.MustCompile(`^[0-9A-Za-z]+$`)
	senderShape  = regexp.MustCompile(`^(?:\+[1-9][0-9]{6,14}|[0-9]{3,8}|[A-Za-z0-9 ]{1,11})$`)
	sidShape     = regexp.MustCompile(`^(?:SM|MM)[0-9a-fA-F]{32}$`)
)

// Mistake is one setting that cannot work. It shows no value of a secret.
type Mistake struct {
	Field string // of Config
	Text  string // what it should be
}

// Error joins both.
func (m Mistake) Error() string { return m.Field + ": " + m.Text }

// Check lists everything that is wrong with the settings.
func (c Config) Check() []Mistake {
	var wrong []Mistake
	refuse := func(bad bool, field, text string) {
		if bad {
			wrong = append(wrong, Mistake{field, text})
		}
	}
	refuse(!accountShape.MatchString(c.AccountSID), "AccountSID", "is AC and 32 hexadecimal digits")
	refuse(!tokenShape.MatchString(c.AuthToken.Reveal()), "AuthToken", "is missing or has a character that is no letter or digit")
	refuse((c.From == "") == (c.MessagingServiceSID == ""), "From", "set either a sender or a messaging service")
	refuse(c.From != "" && !senderShape.MatchString(c.From), "From",
		"is a number such as +15550001111, a short code, or a name of up to 11 letters and digits")
	refuse(c.MessagingServiceSID != "" && !serviceShape.MatchString(c.MessagingServiceSID), "MessagingServiceSID",
		"is MG and 32 hexadecimal digits")
	refuse(!isBase(c.BaseURL), "BaseURL", "is https://host, with at most a path behind it")
	refuse(!isBase(c.CallbackURL), "CallbackURL", "is https://host, with at most a path behind it")
	return wrong
}

// isBase accepts what a path can be put behind, and nothing at all.
func isBase(text string) bool {
	if text == "" {
		return true
	}
	u, err := url.Parse(text)
	return err == nil && u.Hostname() != "" && u.User == nil && u.RawQuery == "" && u.Fragment == "" &&
		(u.Scheme == "https" || u.Scheme == "http")
}

// New checks the settings and prepares the connection. It sends nothing.
func New(cfg Config) (*Provider, error) {
	if cfg.BaseURL == "" {
		cfg.BaseURL = DefaultBaseURL
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	for _, mistake := range cfg.Check() {
		return nil, fmt.Errorf("twilio: %w", mistake)
	}
	base, err := url.Parse(cfg.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("twilio: base URL: %w", err)
	}
	transport, err := newTransport(cfg.CAFile)
	if err != nil {
		return nil, fmt.Errorf("twilio: %w", err)
	}
	return &Provider{cfg: cfg, base: base, transport: transport}, nil
}

// Close drops idle connections.
func (p *Provider) Close() { p.transport.CloseIdleConnections() }

// Send asks Twilio to deliver one message and returns its SID. The errors are
// those of [courier.Provider].
func (p *Provider) Send(ctx context.Context, m courier.Message) (courier.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	x := &exchange{ctx: ctx, base: p.base, next: p.transport}
	resource, err := p.api(x).CreateMessage(p.params(m))
	if failure := x.failure(err); failure != nil {
		return courier.Receipt{}, failure
	}
	if resource == nil || resource.Sid == nil || !sidShape.MatchString(*resource.Sid) {
		return courier.Receipt{}, unreadable(nil)
	}
	return courier.Receipt{ProviderID: *resource.Sid}, nil
}

// api builds a client for one call. The literal handler keeps the library
// from reading TWILIO_EDGE and TWILIO_REGION.
func (p *Provider) api(x *exchange) *openapi.ApiService {
	return openapi.NewApiService(&client.RequestHandler{Client: &client.Client{
		Credentials: client.NewCredentials(p.cfg.AccountSID, p.cfg.AuthToken.Reveal()),
		HTTPClient: &http.Client{
			Transport: x,
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse
			},
		},
	}})
}

func (p *Provider) params(m courier.Message) *openapi.CreateMessageParams {
	params := &openapi.CreateMessageParams{}
	params.SetPathAccountSid(p.cfg.AccountSID)
	params.SetTo(m.To)
	params.SetBody(m.Text)
	params.SetValidityPeriod(min(max(int(m.ValidFor/time.Second), shortestValidity), longestValidity))
	if p.cfg.MessagingServiceSID != "" {
		params.SetMessagingServiceSid(p.cfg.MessagingServiceSID)
	} else {
		params.SetFrom(p.cfg.From)
	}
	if p.cfg.CallbackURL != "" {
		params.SetStatusCallback(strings.TrimRight(p.cfg.CallbackURL, "/") + "/callback/twilio/" + url.PathEscape(m.DeliveryID))
	}
	return params
}
