package exchange

import (
	"context"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/session"
)

// Enrol starts an enrolment of the user of an access token, whose sign-in must
// be recent and with all that the user has. It returns ErrFresh,
// ErrInactive, and factor.ErrEnrolled for a second one of a method without a
// name.
func (s *Service) Enrol(ctx context.Context, from From, of grant.Session, in Enrolment) (Enrolling, error) {
	o, standing, err := s.ofToken(ctx, of)
	if err != nil {
		return Enrolling{}, err
	}
	if err := s.fresh(of, standing); err != nil {
		return Enrolling{}, err
	}
	return s.enrol(ctx, o, standing, in, attempt{Sub: of.User.ID, GrantID: of.ID}, from)
}

// EnrolInLogin starts an enrolment that a login waits for: one after a recovery
// code, or of a user without a second factor whose login is otherwise complete.
func (s *Service) EnrolInLogin(ctx context.Context, from From, trackID secret.Text, in Enrolment) (Enrolling, error) {
	o, of, err := s.tracked(ctx, trackID, secret.Text{})
	if err != nil {
		return Enrolling{}, err
	}
	standing, err := s.Factors.Find(ctx, of.is.Tenant, of.is.UserID)
	if fault.KindOf(err) == fault.NotFound {
		return Enrolling{}, ErrTrack.Because(err)
	}
	if err != nil {
		return Enrolling{}, err
	}
	if of.is.State == waits || of.is.State == enough && standing.Enrolled() {
		return Enrolling{}, ErrInactive
	}
	return s.enrol(ctx, o, standing, in, attempt{Request: o.key, Sub: of.is.Sub, Track: of.key}, from)
}

func (s *Service) enrol(ctx context.Context, o opened, standing factor.Standing, in Enrolment, a attempt, from From) (Enrolling, error) {
	if in.Method != TOTP && in.Method != SMS {
		return Enrolling{}, inactiveOr(in.Method)
	}
	w := o.all(standing, from)
	issued, err := s.Factors.Enrol(ctx, w, factor.Enrolment{Method: named(in.Method), Phone: in.Phone, Name: in.Name})
	if err != nil {
		return Enrolling{}, err
	}
	// What waits now is what this exchange id confirms, and nothing that is
	// started later.
	after, err := s.Factors.Find(ctx, o.is.Tenant, standing.User.ID)
	if err != nil {
		return Enrolling{}, err
	}
	a.Purpose, a.Method, a.FactorID = enrol, in.Method, after.Waiting.ID
	text := plain(in.Method)
	if in.Method == SMS {
		text = secret.MaskPhone(after.Waiting.Phone)
	}
	step, err := s.start(ctx, a, text)
	return Enrolling{Step: step, Issued: issued}, err
}

func inactiveOr(m Method) error {
	if named(m) == "" {
		return ErrMethod
	}
	return ErrInactive
}

// Confirm takes the first code of an enrolment. A login that waited for it is
// proven by it.
func (s *Service) Confirm(ctx context.Context, from From, v Verification) (Enrolled, error) {
	h, err := s.attempted(ctx, v, enrol)
	if err != nil {
		return Enrolled{}, err
	}
	o, standing, of, err := s.enrolling(ctx, h.is)
	if err != nil {
		return Enrolled{}, err
	}
	if v.Code.IsZero() {
		return Enrolled{}, ErrNoCode
	}
	code, err := s.shape(ctx, from, v)
	if err != nil {
		return Enrolled{}, err
	}
	if err := s.count(ctx, &h); err != nil {
		return Enrolled{}, err
	}
	confirmed, err := s.Factors.ConfirmEnrolment(ctx, o.all(standing, from), code)
	if err != nil {
		return Enrolled{}, s.giveBack(ctx, h, err)
	}
	if !confirmed.OK() {
		return Enrolled{}, ErrCode
	}
	out := Enrolled{Codes: confirmed.Codes}
	if out.Step, err = s.pass(ctx, &h, h.is.Track); err != nil {
		return Enrolled{}, err
	}
	if of != nil {
		if err := s.reenrolled(ctx, o, of, h.is.Method); err != nil {
			return Enrolled{}, s.lost(ctx, h, err)
		}
		out.Needs, out.TrackID = of.is.needs(), secret.New(of.is.Named)
	}
	return out, s.settle(ctx, h.is)
}

// enrolling finds whose enrolment an attempt is: that of an access token, which
// is still good, or of a login that waits.
func (s *Service) enrolling(ctx context.Context, a attempt) (o opened, standing factor.Standing, of *held[track], err error) {
	if a.Request == "" {
		live, err := s.Live.Live(ctx, a.GrantID)
		if fault.KindOf(err) == fault.Malformed {
			return o, standing, nil, ErrExchange.Because(err)
		}
		if err != nil {
			return o, standing, nil, err
		}
		if o, standing, err = s.ofToken(ctx, live); err != nil {
			return o, standing, nil, err
		}
	} else {
		found, ok, err := fetch[track](ctx, s, a.Track)
		if err != nil || !ok || s.over(found.is) {
			return o, standing, nil, orElse(err, ErrExchange)
		}
		if o, err = s.openKey(ctx, a.Request); err != nil {
			return o, standing, nil, err
		}
		if standing, err = s.Factors.Find(ctx, o.is.Tenant, found.is.UserID); err != nil {
			return o, standing, nil, err
		}
		of = &found
	}
	if standing.Waiting.ID != a.FactorID {
		return o, standing, nil, ErrExchange
	}
	return o, standing, of, nil
}

// reenrolled goes on with a login whose user has enrolled a factor for it.
func (s *Service) reenrolled(ctx context.Context, o opened, of *held[track], m Method) error {
	if of.is.State != needsFactor {
		return nil
	}
	done, waited, err := s.Logins.Reenrolled(ctx, o.is.Name, o.is.Tenant, of.is.UserID, o.is.ClientID, amrOf(m))
	if err != nil || !waited {
		return orElse(err, ErrTrack)
	}
	if done.MustChange || done.Lapsed {
		return ErrPassword
	}
	now := s.Now()
	return s.advance(ctx, of, func(t *track) { t.Login, t.State, t.LastAt = done.Login, enough, now })
}

// all is the user with all that the user has.
func (o opened) all(standing factor.Standing, from From) factor.Whose {
	return factor.Whose{Tenant: o.is.Tenant, Org: o.org, Standing: standing, Source: from.Source, By: from.by(), Page: true}
}

// ofToken is what a call with an access token is about: the user, and a stand-in
// for the request that there is none of.
func (s *Service) ofToken(ctx context.Context, of grant.Session) (o opened, standing factor.Standing, err error) {
	o.is.Tenant, o.is.ClientID = of.Tenant, of.ClientID
	if o.org, err = s.Organizations.Organization(ctx, of.Tenant.Account, of.Org); err != nil {
		return o, standing, err
	}
	standing, err = s.Factors.Find(ctx, of.Tenant, of.User.ID)
	return o, standing, err
}

func (s *Service) fresh(of grant.Session, standing factor.Standing) error {
	enrolled := standing.Connection.Active && standing.Enrolled()
	if s.Now().Sub(of.AuthTime) > session.Fresh || enrolled && of.ACR != grant.TwoFactors {
		return ErrFresh
	}
	return nil
}

// Own lists what the user of an access token has set up.
func (s *Service) Own(ctx context.Context, of grant.Session) ([]Own, error) {
	_, standing, err := s.ofToken(ctx, of)
	if err != nil {
		return nil, err
	}
	out := []Own{}
	for _, f := range standing.Factors {
		m := TOTP
		text := plain(TOTP)
		if f.Method == factor.SMS {
			m, text = SMS, secret.MaskPhone(f.Phone)
		}
		out = append(out, Own{Method: m, Medium: f.ID, Name: f.Name, Text: text, CreatedAt: f.ConfirmedAt, UsedAt: f.UsedAt})
	}
	if left := standing.Recovery.Left(); left > 0 {
		out = append(out, Own{Method: BackupCode, Text: plain(BackupCode), CreatedAt: standing.Recovery.CreatedAt, UsedAt: standing.Recovery.LastUsedAt, Left: left})
	}
	return out, nil
}

// Remove removes what a user has set up of a method, and of one medium where
// one is named. It returns ErrFresh and ErrSetUp.
func (s *Service) Remove(ctx context.Context, from From, of grant.Session, m Method, medium string) error {
	o, standing, err := s.ofToken(ctx, of)
	if err != nil {
		return err
	}
	if err := s.fresh(of, standing); err != nil {
		return err
	}
	removed := 0
	for _, f := range standing.Factors {
		if f.Method != named(m) || medium != "" && f.ID != medium {
			continue
		}
		if _, err := s.Factors.Remove(ctx, o.all(standing, from), f.ID); err != nil {
			return err
		}
		removed++
	}
	if removed == 0 {
		return ErrSetUp
	}
	return nil
}

// Rename gives a medium of the user of an access token a name. Without its id it
// is the only one of the method. It returns ErrFresh and ErrSetUp.
func (s *Service) Rename(ctx context.Context, from From, of grant.Session, m Method, medium, name string) (string, error) {
	o, standing, err := s.ofToken(ctx, of)
	if err != nil {
		return "", err
	}
	if err := s.fresh(of, standing); err != nil {
		return "", err
	}
	var found []factor.Factor
	for _, f := range standing.Factors {
		if f.Method == named(m) && (medium == "" || f.ID == medium) {
			found = append(found, f)
		}
	}
	if len(found) != 1 {
		return "", ErrSetUp
	}
	f, err := s.Factors.Rename(ctx, o.all(standing, from), found[0].ID, name)
	return f.Name, err
}
