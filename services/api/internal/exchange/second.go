package exchange

import (
	"context"
	"errors"
	"net/url"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/flow"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/login"
	"countersign.dev/services/api/internal/mailcode"
	"countersign.dev/services/api/internal/notice"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// state is where a login stands that has begun.
type state string

const (
	waits       state = "waits"        // for a second factor
	needsFactor state = "needs_factor" // for an enrolment, after a recovery code
	enough      state = "enough"       // is proven
)

// track is a login that has begun.
type track struct {
	Named    string      `json:"track_id"` // the id itself, for the answers
	Request  string      `json:"request"`  // key
	Tenant   tenant.ID   `json:"tenant"`
	ClientID string      `json:"client_id"`
	UserID   string      `json:"user_id"`
	Sub      string      `json:"sub"`
	Login    login.Login `json:"login"`
	State    state       `json:"state"`
	At       time.Time   `json:"at"`      // of the first proof
	LastAt   time.Time   `json:"last_at"` // of the last one
}

func (s *Service) over(t track) bool { return s.Now().Sub(t.At) >= TrackLife }

// needs is what the app reads of a state.
func (t track) needs() Needs {
	switch t.State {
	case waits:
		return SecondFactor
	case needsFactor:
		return NewFactor
	case enough:
	}
	return Nothing
}

// takes reports whether a login in this state goes on with a method. One that
// has all it needs takes no second factor: nothing that waits is of it.
func (t track) takes(m Method) bool {
	if m == Email { // a mailbox is no second factor: it is added to what was enough without it
		return t.State == enough
	}
	return t.State == waits
}

// amrOf is what a method proves, in the words of tokens.
func amrOf(m Method) string {
	switch m {
	case TOTP:
		return grant.App
	case SMS:
		return grant.SMS
	case Email:
		return grant.Mail
	case Password:
		return grant.Password
	case BackupCode:
		return grant.Recovery
	}
	return ""
}

// login is one that begins with a proof.
func (o opened) login(userID, proof string, at time.Time) login.Login {
	return login.Login{
		RequestID: o.is.Name, Tenant: o.is.Tenant, UserID: userID, ClientID: o.is.ClientID, RedirectURI: o.is.RedirectURI,
		AMR: []string{proof}, At: at, Browser: true,
	}
}

func addressOf(p person) (user.Address, error) { return user.ParseAddress(p.Address) }

// caller is who checks a password.
func (o opened) caller(from From) link.Caller {
	return link.Caller{App: o.is.ClientID, RequestID: o.is.Name, Tenant: o.is.Tenant, Org: o.org, By: from.by()}
}

func (s *Service) verifyPassword(ctx context.Context, o opened, h *held[attempt], t trial) (Step, error) {
	if err := s.count(ctx, h); err != nil {
		return Step{}, err
	}
	if t.person.Address == "" {
		return Step{}, ErrCode
	}
	v, err := s.Passwords.Challenge(ctx, o.caller(t.from), t.person.Address, t.typed, t.from.Source)
	if err != nil {
		return Step{}, s.giveBack(ctx, *h, err)
	}
	switch {
	case !v.Valid || v.UserID != t.person.UserID: // or made since the request has named the address
		return Step{}, ErrCode
	case v.MustChange, v.Lapsed:
		return Step{}, orElse(s.kill(ctx, *h), ErrPassword)
	}
	return s.begin(ctx, o, h, t.person, v.Completed)
}

// begin keeps a login that has begun with a first proof. One that the user had
// begun before in this request ends.
func (s *Service) begin(ctx context.Context, o opened, h *held[attempt], p person, done login.Completed) (Step, error) {
	if done.MustChange || done.Lapsed {
		return Step{}, orElse(s.kill(ctx, *h), ErrPassword)
	}
	trackID := id.Opaque()
	step, err := s.pass(ctx, h, keyOf(keptTrack, trackID))
	if err != nil {
		return Step{}, err
	}
	t := o.track(p, done, s.Now())
	t.Named = trackID.Reveal()
	if err := s.keepTrack(ctx, &o, t, trackID); err != nil {
		return Step{}, err
	}
	step.Needs, step.TrackID = t.needs(), trackID
	return step, s.settle(ctx, h.is)
}

func (o opened) track(p person, done login.Completed, now time.Time) track {
	t := track{
		Request: o.key, Tenant: o.is.Tenant, ClientID: o.is.ClientID, UserID: done.Login.UserID, Sub: p.Sub, Login: done.Login,
		State: enough, At: now, LastAt: now,
	}
	switch {
	case done.MFARequired && done.Login.AMR[0] == grant.Recovery:
		t.State = needsFactor
	case done.MFARequired:
		t.State = waits
	}
	return t
}

func (s *Service) keepTrack(ctx context.Context, o *opened, t track, trackID secret.Text) error {
	key, before := keyOf(keptTrack, trackID), ""
	if err := put(ctx, s, key, t, TrackLife+remembered); err != nil {
		return err
	}
	gone, err := change(ctx, s, &o.held, s.left(o.is), func(r *request) error {
		people := append([]person{}, r.People...)
		for i := range people {
			if people[i].Sub == t.Sub {
				before, people[i].Track = people[i].Track, key
			}
		}
		r.People = people
		return nil
	})
	if gone {
		return ErrRequest
	}
	return orElse(err, s.drop(ctx, before))
}

// verifySecond takes the second proof of a login that has begun.
func (s *Service) verifySecond(ctx context.Context, o opened, h *held[attempt], t trial) (Step, error) {
	of, ok, err := fetch[track](ctx, s, h.is.Track)
	if err != nil || !ok || s.over(of.is) || of.is.UserID != t.person.UserID || !of.is.takes(h.is.Method) {
		return Step{}, orElse(err, ErrExchange)
	}
	standing, known, err := s.standing(ctx, o, t.person)
	if err != nil || !known {
		return Step{}, orElse(err, ErrExchange)
	}
	if err := s.count(ctx, h); err != nil {
		return Step{}, err
	}
	right, err := s.compareSecond(ctx, o, h.is.Method, standing, t)
	if err != nil {
		return Step{}, s.giveBack(ctx, *h, err)
	}
	if !right {
		return Step{}, ErrCode
	}
	step, err := s.pass(ctx, h, h.is.Track)
	if err != nil {
		return Step{}, err
	}
	if err := s.goOn(ctx, o, &of, h.is.Method); err != nil {
		return Step{}, s.lost(ctx, *h, err)
	}
	step.Needs, step.TrackID = of.is.needs(), secret.New(of.is.Named)
	return step, s.settle(ctx, h.is)
}

// lost is why a right proof has led to nothing. A login that ends in another
// password is over with that.
func (s *Service) lost(ctx context.Context, h held[attempt], why error) error {
	if errors.Is(why, ErrPassword) {
		return orElse(s.kill(ctx, h), why)
	}
	return why
}

func (s *Service) compareSecond(ctx context.Context, o opened, m Method, standing factor.Standing, t trial) (bool, error) {
	if m == Email {
		w := mailcode.Whose{Tenant: o.is.Tenant, Org: o.org, User: &standing.User, Address: standing.User.Email, RequestID: o.is.Name, Finishes: true, By: t.from.by()}
		checked, err := s.Mails.Check(ctx, w, t.typed)
		return err == nil && checked.OK(), err
	}
	checked, err := s.Factors.Validate(ctx, o.whose(standing, m, t.from), t.code)
	if err != nil {
		return false, err
	}
	if checked.Wrong() && checked.InARow >= failures {
		err = s.Notices.Tell(ctx, notice.About{Org: o.org, User: standing.User, By: t.from.by()},
			event.TemplateNoticeSecondFactorFailing, event.TypeMFAFailed)
	}
	return checked.OK(), err
}

// failures is how many wrong codes in a row are news.
const failures = 3

// goOn adds a proof to a login. What that is worth package login says.
func (s *Service) goOn(ctx context.Context, o opened, of *held[track], m Method) error {
	l, next, now := of.is.Login, enough, s.Now()
	switch m {
	case Email:
		l.AMR = append(append([]string{}, l.AMR...), amrOf(m))
	case BackupCode:
		waited, err := s.Logins.Recovered(ctx, o.is.Name, o.is.Tenant, of.is.UserID, o.is.ClientID)
		if err != nil || !waited {
			return orElse(err, ErrExchange)
		}
		next = needsFactor
	case TOTP, SMS, Password:
		done, waited, err := s.Logins.Continue(ctx, o.is.Name, o.is.Tenant, of.is.UserID, o.is.ClientID, amrOf(m))
		if err != nil || !waited {
			return orElse(err, ErrExchange)
		}
		if done.MustChange || done.Lapsed {
			return ErrPassword
		}
		l = done.Login
	}
	return s.advance(ctx, of, func(t *track) { t.Login, t.State, t.LastAt = l, next, now })
}

func (s *Service) advance(ctx context.Context, of *held[track], edit func(*track)) error {
	gone, err := change(ctx, s, of, TrackLife+remembered, func(t *track) error {
		edit(t)
		return nil
	})
	if gone {
		return ErrTrack
	}
	return err
}

// lead ends a login, or says what it still needs. Of many that come here with
// one login, one gets its code; and of all logins of one request, one.
func (s *Service) lead(ctx context.Context, o opened, of held[track]) (secret.Text, error) {
	t := of.is
	if t.State != enough {
		return s.back(o, map[string]string{
			"error": "interaction_required", "error_description": "the login needs another step: go on with track_id",
			"track_id": t.Named, "requestId": o.is.ID, "sub": t.Sub, "q": t.Sub, "view_type": viewOf(t.State),
		})
	}
	taken, err := take(ctx, s, of)
	if err == nil && taken {
		taken, err = take(ctx, s, o.held)
	}
	if err != nil || !taken {
		return secret.Text{}, orElse(err, ErrTrack)
	}
	made, code, err := s.Grants.Begin(ctx, grant.New{
		Tenant: t.Tenant, UserID: t.UserID, ClientID: t.ClientID, RedirectURI: o.is.RedirectURI, Challenge: o.is.Challenge, Nonce: o.is.Nonce,
		Scope: o.is.Scope, AMR: t.Login.AMR, AuthTime: t.LastAt,
	})
	if err != nil {
		return secret.Text{}, err
	}
	// A new password ends what is stored by then; what was stored since is
	// found here.
	if err := s.Logins.Current(ctx, t.Login); err != nil {
		return secret.Text{}, orElse(s.Grants.Revoke(ctx, t.Tenant, made.ID), err)
	}
	return s.back(o, map[string]string{"code": code.Reveal()})
}

func viewOf(s state) string {
	if s == needsFactor {
		return "enrolment"
	}
	return "mfa"
}

// back leads to the app.
func (s *Service) back(o opened, with map[string]string) (secret.Text, error) {
	values := url.Values{}
	for name, value := range with {
		values.Set(name, value)
	}
	return flow.Way{URI: o.is.RedirectURI, Mode: o.is.Mode, State: o.is.State, Issuer: s.BaseURL}.With(values)
}
