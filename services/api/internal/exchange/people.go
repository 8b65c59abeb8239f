package exchange

import (
	"context"
	"slices"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/user"
)

// who is the user that a call names. Somebody who is named for the first time
// is added to the request, with a masked id; nobody's name is added alike.
func (s *Service) who(ctx context.Context, o *opened, w Who) (person, error) {
	switch {
	case w.Sub != "":
		return o.person(func(p person) bool { return p.Sub == w.Sub })
	case w.Address == "" && w.Other == "":
		return o.person(func(p person) bool { return w.Medium != "" && slices.Contains(s.mediums(p), w.Medium) })
	}
	named := person{Sub: id.Opaque().Reveal(), Other: w.Other}
	if w.Address != "" {
		address, err := user.ParseAddress(w.Address)
		if err != nil {
			named.Other = w.Address
		}
		named.Address = address.Canonical
	}
	if len(named.Other) > longestState {
		return person{}, ErrSub
	}
	same := func(p person) bool { return p.Address == named.Address && p.Other == named.Other }
	if p, err := o.person(same); err == nil {
		return p, nil
	}
	if named.Address != "" {
		found, err := s.Users.Find(ctx, o.is.Tenant, named.Address)
		if err != nil && fault.KindOf(err) != fault.NotFound {
			return person{}, err
		}
		if err == nil && found.Active {
			named.UserID = found.ID
		}
	}
	return s.add(ctx, o, named, same)
}

func (s *Service) add(ctx context.Context, o *opened, named person, same func(person) bool) (person, error) {
	gone, err := change(ctx, s, &o.held, s.left(o.is), func(r *request) error {
		if i := slices.IndexFunc(r.People, same); i >= 0 {
			named = r.People[i]
			return nil
		}
		if len(r.People) >= people {
			return ErrPeople
		}
		r.People = append(slices.Clone(r.People), named)
		return nil
	})
	if gone {
		return person{}, ErrRequest
	}
	return named, err
}

func (o opened) person(which func(person) bool) (person, error) {
	if i := slices.IndexFunc(o.is.People, which); i >= 0 {
		return o.is.People[i], nil
	}
	return person{}, ErrSub
}

// medium is the id of a medium, for one user of one request.
func (s *Service) medium(p person, m Method, factorID string) string {
	return id.FromDigest(s.Index.Sum("exchange.medium", p.Sub, string(m), factorID))
}

// mediums are those that a list may have shown before anything was proven. After
// that the user is known by the masked id.
func (s *Service) mediums(p person) (out []string) {
	for _, m := range []Method{TOTP, SMS, Email, Password, BackupCode} {
		out = append(out, s.medium(p, m, ""))
	}
	return out
}

// Methods lists what the user may use now. Before a first proof that is the
// same for everybody, known or not (S10, R-065); after it, what the user has.
func (s *Service) Methods(ctx context.Context, requestID secret.Text, who Who) ([]Configured, error) {
	o, err := s.open(ctx, requestID)
	if err != nil {
		return nil, err
	}
	p, err := s.who(ctx, &o, who)
	if err != nil {
		return nil, err
	}
	if p.Track != "" {
		t, ok, err := fetch[track](ctx, s, p.Track)
		if err != nil {
			return nil, err
		}
		if ok && !s.over(t.is) {
			return s.seconds(ctx, o, p, t.is)
		}
	}
	connection, err := s.Connections.Connection(ctx, o.is.Tenant)
	if err != nil {
		return nil, err
	}
	out := []Configured{}
	for _, m := range firsts(o.app, connection) {
		out = append(out, Configured{Method: m, Mediums: []Medium{{ID: s.medium(p, m, ""), Text: plain(m)}}})
	}
	return out, nil
}

// plain is what a medium is called of which nothing may be told.
func plain(m Method) string {
	switch m {
	case TOTP:
		return "Authenticator app"
	case SMS:
		return "Text message"
	case Email:
		return "E-mail"
	case Password:
		return "Password"
	case BackupCode:
		return "Recovery code"
	}
	return ""
}

// seconds are what a login that has begun may go on with.
func (s *Service) seconds(ctx context.Context, o opened, p person, t track) ([]Configured, error) {
	out := []Configured{}
	if t.State == needsFactor {
		return out, nil // nothing but an enrolment is open
	}
	standing, known, err := s.standing(ctx, o, p)
	if err != nil || !known {
		return out, err
	}
	enrolled := standing.Connection.Active && standing.Enrolled()
	if t.State == enough {
		if !enrolled && o.app.Allows(app.Email) && !slices.Contains(t.Login.AMR, amrOf(Email)) {
			out = append(out, Configured{Email, []Medium{{s.medium(p, Email, ""), secret.MaskEmail(standing.User.Email.Written)}}})
		}
		return out, nil
	}
	if !enrolled {
		return out, nil
	}
	for _, m := range []Method{TOTP, SMS} {
		if c := s.configured(standing, p, m); o.app.Allows(named(m)) && len(c.Mediums) > 0 {
			out = append(out, c)
		}
	}
	if o.app.Allows(app.Recovery) && standing.Recovery.Left() > 0 && !standing.Recovery.Obliged {
		out = append(out, Configured{BackupCode, []Medium{{s.medium(p, BackupCode, ""), plain(BackupCode)}}})
	}
	return out, nil
}

func (s *Service) configured(standing factor.Standing, p person, m Method) Configured {
	c := Configured{Method: m}
	for _, f := range standing.Factors {
		if f.Method != named(m) || !f.Takes() {
			continue
		}
		text := f.Name
		switch {
		case m == SMS:
			text = secret.MaskPhone(f.Phone)
		case text == "":
			text = plain(m)
		}
		c.Mediums = append(c.Mediums, Medium{s.medium(p, m, f.ID), text})
	}
	return c
}

// named is a method in the words of apps and factors.
func named(m Method) string {
	switch m {
	case TOTP:
		return app.TOTP
	case SMS:
		return app.SMS
	case Email:
		return app.Email
	case Password:
		return app.Password
	case BackupCode:
		return app.Recovery
	}
	return ""
}

// standing reads what is behind a name of a request, as it is at this moment;
// known is false for nobody and for who was deactivated.
func (s *Service) standing(ctx context.Context, o opened, p person) (standing factor.Standing, known bool, err error) {
	if p.UserID == "" {
		return factor.Standing{}, false, nil
	}
	standing, err = s.Factors.Find(ctx, o.is.Tenant, p.UserID)
	if fault.KindOf(err) == fault.NotFound {
		return factor.Standing{}, false, nil
	}
	return standing, err == nil && standing.User.Active, err
}

// whose is the user with the factors of one method alone: a code of another is
// no proof of it.
func (o opened) whose(standing factor.Standing, m Method, from From) factor.Whose {
	if m != BackupCode {
		standing.Factors = slices.DeleteFunc(slices.Clone(standing.Factors), func(f factor.Factor) bool { return f.Method != named(m) })
	}
	return factor.Whose{Tenant: o.is.Tenant, Org: o.org, Standing: standing, Source: from.Source, By: from.by(), Page: true}
}
