package token

import (
	"cmp"
	"context"
	"time"

	"github.com/go-jose/go-jose/v4"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/user"
)

// LogoutLife is how long a logout token is good: one is made for each try.
const LogoutLife = 2 * time.Minute

// The forms of logout tokens: with a type of their own none passes for an ID
// token, nor an ID token for one (OpenID Connect Back-Channel Logout 1.0, 2.4).
var (
	logoutES = form{"logout+jwt", jose.ES256}
	logoutRS = form{"logout+jwt", jose.RS256}
)

// Logout is a session that has ended, and the app that is told.
type Logout struct {
	App       app.App
	UserID    string
	SessionID string
}

// logoutClaims have no nonce.
type logoutClaims struct {
	registered
	Audience string                         `json:"aud"`
	Session  string                         `json:"sid"`
	Events   map[string]map[string]struct{} `json:"events"`
}

// IssueLogout makes a logout token. Its issuer, subject, audience and algorithm
// are those of the ID tokens that the app got in the session.
func (s *Service) IssueLogout(ctx context.Context, l Logout) (secret.Text, error) {
	of := grant.Session{Org: l.App.Org, Profile: l.App.Profile, User: user.User{ID: l.UserID}}
	c := logoutClaims{
		registered: s.registered(s.IssuerOf(of), Subject(of), LogoutLife), Audience: l.App.ID, Session: l.SessionID,
		Events: map[string]map[string]struct{}{"http://schemas.openid.net/event/backchannel-logout": {}},
	}
	if l.App.Profile == app.Gateway {
		c.Audience = cmp.Or(l.App.Audience, l.App.ID)
	}
	as := logoutES
	if l.App.IDTokenAlg == RS256 {
		as = logoutRS
	}
	// iat lies a second back (see registered): the life counts from there.
	c.Expiry = c.IssuedAt + int64(LogoutLife.Seconds())
	return s.sign(ctx, draft{as, "", c})
}
