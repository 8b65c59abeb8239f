package pages

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/tenant"
)

// OwnFactors are what users do to their own second factors; factor.Own
// implements it.
type OwnFactors interface {
	Self(ctx context.Context, a factor.Asks) (factor.Self, error)
	Rename(ctx context.Context, self factor.Self, factorID, name string) error
	Remove(ctx context.Context, self factor.Self, factorID string) error
	Enrol(ctx context.Context, self factor.Self, e factor.Enrolment) error
	Waits(ctx context.Context, self factor.Self) (factor.Waiting, error)
	Confirm(ctx context.Context, self factor.Self, typed secret.Text) (factor.Confirmed, error)
	NewCodes(ctx context.Context, self factor.Self) error
	Codes(ctx context.Context, self factor.Self) ([]string, error)
	Saved(ctx context.Context, self factor.Self) error
}

var _ OwnFactors = (*factor.Own)(nil)

// The paths below the page.
const (
	enrolmentPath = "/enrolment"
	codesPath     = "/recovery-codes"
	codesFilePath = "/recovery-codes.txt"
)

// factorRoutes are the part of the table about second factors. What shows a
// secret needs a fresh sign-in as what changes one does.
func (a *Account) factorRoutes() []pipeline.Route {
	page := func(path, summary string, handler pipeline.Handler, write func(http.ResponseWriter, *http.Request, int, any)) pipeline.Route {
		r := a.page(http.MethodGet, AccountPath+path, summary, http.StatusOK)
		r.Fresh, r.Handler, r.Write = true, handler, write
		return r
	}
	saved := a.form(AccountPath+codesPath+"/saved", "Go on from new recovery codes", 0, pipeline.Handle(a.saved))
	saved.Fresh = false // it shows nothing and changes nothing
	return []pipeline.Route{
		a.form(AccountPath+"/factors", "Begin to add an authenticator app or a phone", pipeline.WithinSend, pipeline.Handle(a.enrol)),
		a.form(AccountPath+"/factors/rename", "Rename one of one's own second factors", 0, pipeline.Handle(a.rename)),
		a.form(AccountPath+"/factors/remove", "Remove one of one's own second factors", 0, pipeline.Handle(a.remove)),
		page(enrolmentPath, "Show what an authenticator app has to read, or where a code was sent", pipeline.Handle(a.waiting), a.writeWaiting),
		a.form(AccountPath+enrolmentPath, "Confirm another second factor with its first code", pipeline.WithinHash, pipeline.Handle(a.confirm)),
		page(codesPath, "Show new recovery codes until they are saved", pipeline.Handle(a.codes), a.writeCodes),
		page(codesFilePath, "Save one's own new recovery codes as a text file", pipeline.Handle(a.codes), writeCodesFile),
		a.form(AccountPath+codesPath, "Make new recovery codes in place of the old ones", pipeline.WithinHash, pipeline.Handle(a.newCodes)),
		saved,
	}
}

// self reads what the user of a call has.
func (a *Account) self(ctx context.Context, c pipeline.Call) (factor.Self, error) {
	org, err := a.Organizations.Organization(ctx, c.Tenant.Account, c.Session.Org)
	if err != nil {
		return factor.Self{}, err
	}
	return a.Factors.Self(ctx, factor.Asks{
		Tenant: c.Tenant, Org: org, UserID: c.Session.User.ID, SessionID: c.Session.ID, Source: c.Source,
		By: activity.By{Actor: activity.User, TraceID: c.TraceID},
	})
}

type ownEnrolForm struct {
	PageToken secret.Text `in:"page_token"`
	Method    string      `in:"method" doc:"totp or sms."`
	Name      string      `in:"name" doc:"What the user calls it; must be given beside others."`
	Phone     string      `in:"phone" doc:"Of sms: the number, with its country code."`
}

func (a *Account) enrol(ctx context.Context, c pipeline.Call, in ownEnrolForm) (pipeline.Departure, error) {
	self, err := a.self(ctx, c)
	if err != nil {
		return pipeline.Departure{}, err
	}
	err = a.Factors.Enrol(ctx, self, factor.Enrolment{Method: in.Method, Name: in.Name, Phone: in.Phone})
	return a.to(c, enrolmentPath), err
}

type renameForm struct {
	PageToken secret.Text `in:"page_token"`
	Factor    string      `in:"factor"`
	Name      string      `in:"name"`
}

func (a *Account) rename(ctx context.Context, c pipeline.Call, in renameForm) (pipeline.Departure, error) {
	self, err := a.self(ctx, c)
	if err != nil {
		return pipeline.Departure{}, err
	}
	return a.back(c), a.Factors.Rename(ctx, self, in.Factor, in.Name)
}

type removeForm struct {
	PageToken secret.Text `in:"page_token"`
	Factor    string      `in:"factor"`
}

func (a *Account) remove(ctx context.Context, c pipeline.Call, in removeForm) (pipeline.Departure, error) {
	self, err := a.self(ctx, c)
	if err != nil {
		return pipeline.Departure{}, err
	}
	return a.back(c), a.Factors.Remove(ctx, self, in.Factor)
}

type waitingIn struct {
	Lang string `in:"lang" doc:"Languages for the page, the most wanted first."`
	Said string `in:"said" doc:"What became of the last code: wrong, malformed or used."`
}

// waitingPage is what the page of an enrolment is made of.
type waitingPage struct {
	org     tenant.Organization
	waiting factor.Waiting
	path    string
	said    string
	token   secret.Text
	lang    string
}

func (a *Account) waiting(ctx context.Context, c pipeline.Call, in waitingIn) (waitingPage, error) {
	self, err := a.self(ctx, c)
	if err != nil {
		return waitingPage{}, err
	}
	waiting, err := a.Factors.Waits(ctx, self)
	return waitingPage{self.Org, waiting, a.path(c.Session), in.Said, c.PageToken, in.Lang}, err
}

type ownCodeForm struct {
	PageToken secret.Text `in:"page_token"`
	Code      secret.Text `in:"code"`
}

func (a *Account) confirm(ctx context.Context, c pipeline.Call, in ownCodeForm) (pipeline.Departure, error) {
	self, err := a.self(ctx, c)
	if err != nil {
		return pipeline.Departure{}, err
	}
	confirmed, err := a.Factors.Confirm(ctx, self, in.Code)
	switch {
	case errors.Is(err, factor.ErrMalformed):
		return a.to(c, enrolmentPath+"?said=malformed"), nil
	case err != nil:
		return pipeline.Departure{}, err
	case confirmed.Used():
		return a.to(c, enrolmentPath+"?said=used"), nil
	case !confirmed.OK():
		return a.to(c, enrolmentPath+"?said=wrong"), nil
	}
	d := a.back(c)
	if len(confirmed.Codes) > 0 {
		d = a.to(c, codesPath)
	}
	return a.raised(ctx, c, confirmed.Method, d)
}

// raised notes a first factor in the session that has just proven it: what
// comes next would ask for it again.
func (a *Account) raised(ctx context.Context, c pipeline.Call, method string, d pipeline.Departure) (pipeline.Departure, error) {
	if c.Session.ACR == grant.TwoFactors {
		return d, nil
	}
	proof := grant.App
	if method == factor.SMS {
		proof = grant.SMS
	}
	token, _, err := a.Sessions.Raise(ctx, c.Session, proof)
	if err != nil {
		return pipeline.Departure{}, err
	}
	set := c.Sessions.With(c.Path(pipeline.RealmParameter), token)
	d.Cookies = append(slices.Clone(d.Cookies), pipeline.CookiesOf(a.BaseURL).Sessions(set))
	return d, nil
}

type ownStepForm struct {
	PageToken secret.Text `in:"page_token"`
}

func (a *Account) newCodes(ctx context.Context, c pipeline.Call, _ ownStepForm) (pipeline.Departure, error) {
	self, err := a.self(ctx, c)
	if err != nil {
		return pipeline.Departure{}, err
	}
	return a.to(c, codesPath), a.Factors.NewCodes(ctx, self)
}

// codesPage is what the page of new recovery codes is made of.
type codesPage struct {
	org   tenant.Organization
	lines []string
	path  string
	token secret.Text
	lang  string
}

func (a *Account) codes(ctx context.Context, c pipeline.Call, in accountIn) (codesPage, error) {
	self, err := a.self(ctx, c)
	if err != nil {
		return codesPage{}, err
	}
	lines, err := a.Factors.Codes(ctx, self)
	if err == nil && len(lines) == 0 {
		err = factor.ErrNoCodes
	}
	return codesPage{self.Org, lines, a.path(c.Session), c.PageToken, in.Lang}, err
}

func (a *Account) saved(ctx context.Context, c pipeline.Call, _ ownStepForm) (pipeline.Departure, error) {
	self, err := a.self(ctx, c)
	if err != nil {
		return pipeline.Departure{}, err
	}
	return a.back(c), a.Factors.Saved(ctx, self)
}
