package exchange

import (
	"context"
	"slices"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/mailcode"
)

// purpose is what an exchange id is for.
type purpose string

const (
	first  purpose = "first"  // begins a login
	second purpose = "second" // goes on with one
	enrol  purpose = "enrol"  // of a factor
)

// stage is how far an attempt has come.
type stage string

const (
	started stage = "started" // waits for its proof
	proven  stage = "proven"
	used    stage = "used" // of an exchange id: another one has taken its place
)

// attempt is what an exchange id stands for.
type attempt struct {
	Purpose purpose `json:"purpose"`
	Method  Method  `json:"method"`
	Request string  `json:"request"` // key; empty for an enrolment by access token
	Sub     string  `json:"sub"`
	Status  string  `json:"status"`    // key
	Named   string  `json:"status_id"` // the status id, which every step answers
	Track   string  `json:"track"`     // key of the login that it is of, once there is one
	// GrantID is the access token's login, and FactorID what is enrolled.
	GrantID   string    `json:"grant_id,omitempty"`
	FactorID  string    `json:"factor_id,omitempty"`
	Stage     stage     `json:"stage"`
	Tries     int       `json:"tries"`
	Next      string    `json:"next"` // key of the exchange id that took its place
	UsedAt    time.Time `json:"used_at,omitzero"`
	ExpiresAt time.Time `json:"expires_at"`
}

// status is what a status id stands for.
type status struct {
	Purpose   purpose   `json:"purpose"`
	Method    Method    `json:"method"`
	Request   string    `json:"request"`
	Sub       string    `json:"sub"`
	Track     string    `json:"track"`
	Attempt   string    `json:"attempt"` // key of the exchange id that goes with it
	Stage     stage     `json:"stage"`
	UsedAt    time.Time `json:"used_at,omitzero"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Initiate starts a method. Where it begins a login its answer is the same for
// everybody; a message goes out to whoever has what it needs.
func (s *Service) Initiate(ctx context.Context, from From, in Initiation) (Step, error) {
	o, err := s.open(ctx, in.RequestID)
	if err != nil {
		return Step{}, err
	}
	if named(in.Method) == "" {
		return Step{}, ErrMethod
	}
	switch in.Usage {
	case Initial, Passwordless:
		return s.initiateFirst(ctx, from, &o, in)
	case MultiFactor:
		return s.initiateSecond(ctx, from, &o, in)
	}
	return Step{}, ErrUsage
}

func (s *Service) initiateFirst(ctx context.Context, from From, o *opened, in Initiation) (Step, error) {
	connection, err := s.Connections.Connection(ctx, o.is.Tenant)
	if err != nil {
		return Step{}, err
	}
	if !slices.Contains(firsts(o.app, connection), in.Method) {
		return Step{}, ErrInactive
	}
	if in.Method != Password {
		if err := s.Breaker.Sprayed(ctx, o.is.Tenant); err != nil {
			return Step{}, err
		}
	}
	p, err := s.who(ctx, o, in.Who)
	if err != nil {
		return Step{}, err
	}
	begun := time.Now()
	if err := s.sendFirst(ctx, from, *o, p, in.Method); err != nil {
		return Step{}, err
	}
	if err := s.level(ctx, in.Method, begun); err != nil {
		return Step{}, err
	}
	text := plain(in.Method)
	if in.Method == Email && p.Address != "" {
		text = secret.MaskEmail(p.Address) // as it was typed
	}
	return s.start(ctx, attempt{Purpose: first, Method: in.Method, Request: o.key, Sub: p.Sub}, text)
}

// sendFirst sends a code to who has what it goes to. That the user has had too
// many stays between us and the operator: the others have no such limit.
func (s *Service) sendFirst(ctx context.Context, from From, o opened, p person, m Method) error {
	switch m {
	case Email:
		if p.Address == "" {
			return nil
		}
		w, err := s.mailbox(ctx, o, p, from)
		if err != nil {
			return err
		}
		return s.Mails.Send(ctx, w)
	case SMS:
		standing, known, err := s.standing(ctx, o, p)
		if err != nil || !known {
			return err
		}
		_, err = s.Factors.Challenge(ctx, o.whose(standing, SMS, from))
		if kind := fault.KindOf(err); err != nil && kind != fault.Internal && kind != fault.Unavailable {
			s.Log.InfoContext(ctx, "code not sent", "request_id", o.is.Name, "error", err)
			return nil
		}
		return err
	case TOTP, Password, BackupCode:
	}
	return nil
}

// level waits until starting a message has taken as long as it takes at least.
func (s *Service) level(ctx context.Context, m Method, begun time.Time) error {
	if s.Level == 0 || m != SMS && m != Email {
		return nil
	}
	timer := time.NewTimer(s.Level - time.Since(begun))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// mailbox is whose mailed codes are meant.
func (s *Service) mailbox(ctx context.Context, o opened, p person, from From) (mailcode.Whose, error) {
	w := mailcode.Whose{Tenant: o.is.Tenant, Org: o.org, RequestID: o.is.Name, By: from.by()}
	standing, known, err := s.standing(ctx, o, p)
	if err != nil {
		return w, err
	}
	if known {
		w.User, w.Address = &standing.User, standing.User.Email
		w.Finishes = !standing.Connection.Active || !standing.Enrolled()
		return w, nil
	}
	w.Address, err = addressOf(p)
	return w, err
}

// initiateSecond starts a second proof of a login that has begun.
func (s *Service) initiateSecond(ctx context.Context, from From, o *opened, in Initiation) (Step, error) {
	p, t, err := s.begun(ctx, o, in)
	if err != nil {
		return Step{}, err
	}
	list, err := s.seconds(ctx, *o, p, t.is)
	if err != nil {
		return Step{}, err
	}
	i := slices.IndexFunc(list, func(c Configured) bool { return c.Method == in.Method })
	if i < 0 {
		return Step{}, ErrInactive
	}
	standing, known, err := s.standing(ctx, *o, p)
	if err != nil || !known {
		return Step{}, orElse(err, ErrRequest)
	}
	switch in.Method {
	case SMS:
		_, err = s.Factors.Challenge(ctx, o.whose(standing, SMS, from))
	case Email:
		err = s.Mails.Send(ctx, mailcode.Whose{
			Tenant: o.is.Tenant, Org: o.org, User: &standing.User, Address: standing.User.Email, RequestID: o.is.Name, By: from.by(),
		})
	case TOTP, Password, BackupCode:
	}
	if err != nil {
		return Step{}, err
	}
	return s.start(ctx, attempt{Purpose: second, Method: in.Method, Request: o.key, Sub: p.Sub, Track: t.key}, list[i].Mediums[0].Text)
}

// begun is the login that a second proof is of. It is found by the user, or by
// its track id; both have to be of one login.
func (s *Service) begun(ctx context.Context, o *opened, in Initiation) (p person, t held[track], err error) {
	if in.TrackID.IsZero() {
		p, err = s.who(ctx, o, in.Who)
	} else {
		key := keyOf(keptTrack, in.TrackID)
		if p, err = o.person(func(p person) bool { return p.Track == key }); err != nil {
			return person{}, t, orElse(s.drop(ctx, key), ErrTrack)
		}
		if in.Who.Sub != "" && in.Who.Sub != p.Sub {
			return person{}, t, orElse(s.drop(ctx, key), ErrTrack)
		}
	}
	if err != nil {
		return person{}, t, err
	}
	if p.Track == "" {
		return person{}, t, ErrFirst
	}
	t, ok, err := fetch[track](ctx, s, p.Track)
	if err == nil && (!ok || s.over(t.is)) {
		err = ErrFirst
	}
	return p, t, err
}

// start keeps a new attempt under ids of its own.
func (s *Service) start(ctx context.Context, a attempt, text string) (Step, error) {
	exchangeID, statusID := id.Opaque(), id.Opaque()
	key := keyOf(keptAttempt, exchangeID)
	a.Stage, a.ExpiresAt = started, s.Now().Add(Life).Truncate(time.Millisecond)
	a.Status, a.Named = keyOf(keptStatus, statusID), statusID.Reveal()
	st := status{
		Purpose: a.Purpose, Method: a.Method, Request: a.Request, Sub: a.Sub, Track: a.Track, Attempt: key, Stage: started, ExpiresAt: a.ExpiresAt,
	}
	if err := put(ctx, s, a.Status, st, Life+remembered); err != nil {
		return Step{}, err
	}
	step := Step{ExchangeID: exchangeID, ExpiresAt: a.ExpiresAt, StatusID: statusID, Sub: a.Sub, MediumText: text}
	return step, put(ctx, s, key, a, Life+remembered)
}

// orElse is the error that there is, else the other.
func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}
