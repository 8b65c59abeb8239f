package pages

import (
	"context"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/flow"
	"countersign.dev/services/api/internal/pipeline"
)

// What the forms of the sign-in page send, and who takes it. page_token is read
// by the pipeline, in all of them.

type signInIn struct {
	Request secret.Text `in:"requestId" doc:"The request that the page is about."`
	View    string      `in:"view_type" doc:"login; looked at by nobody yet."`
	Lang    string      `in:"lang" doc:"Languages for the page, the most wanted first."`
}

// stepForm is a form with nothing to say but that it was sent.
type stepForm struct {
	Request   secret.Text `in:"requestId" doc:"The request that the form is about."`
	PageToken secret.Text `in:"page_token"`
}

type turnForm struct {
	Request   secret.Text `in:"requestId" doc:"The request that the form is about."`
	PageToken secret.Text `in:"page_token"`
	To        string      `in:"to" doc:"The step."`
}

type addressForm struct {
	Request   secret.Text `in:"requestId" doc:"The request that the form is about."`
	PageToken secret.Text `in:"page_token"`
	Email     string      `in:"email"`
}

type passwordForm struct {
	Request   secret.Text `in:"requestId" doc:"The request that the form is about."`
	PageToken secret.Text `in:"page_token"`
	Email     string      `in:"email"`
	Password  secret.Text `in:"password"`
}

type renewForm struct {
	Request   secret.Text `in:"requestId" doc:"The request that the form is about."`
	PageToken secret.Text `in:"page_token"`
	Password  secret.Text `in:"password"`
}

type codeForm struct {
	Request   secret.Text `in:"requestId" doc:"The request that the form is about."`
	PageToken secret.Text `in:"page_token"`
	Code      secret.Text `in:"code"`
}

type enrolForm struct {
	Request   secret.Text `in:"requestId" doc:"The request that the form is about."`
	PageToken secret.Text `in:"page_token"`
	Method    string      `in:"method" doc:"totp or sms."`
	Phone     string      `in:"phone" doc:"Of sms: the number, with its country code."`
}

type savedForm struct {
	Request   secret.Text `in:"requestId" doc:"The request that the form is about."`
	PageToken secret.Text `in:"page_token"`
	Saved     string      `in:"saved" doc:"yes where the box is ticked."`
}

type consentForm struct {
	Request   secret.Text `in:"requestId" doc:"The request that the form is about."`
	PageToken secret.Text `in:"page_token"`
	Allow     string      `in:"allow" doc:"yes or no."`
}

// signInPage is what the page is made of.
type signInPage struct {
	view    flow.View
	request secret.Text
	token   secret.Text
	lang    string
}

func (p *SignIn) show(ctx context.Context, c pipeline.Call, in signInIn) (signInPage, error) {
	view, err := p.Flows.Look(ctx, in.Request, browserOf(c))
	return signInPage{view, in.Request, c.PageToken, in.Lang}, err
}

// recoveryFile is what is saved.
type recoveryFile struct{ codes []string }

func (p *SignIn) save(ctx context.Context, c pipeline.Call, in signInIn) (recoveryFile, error) {
	codes, err := p.Flows.Recovery(ctx, in.Request, browserOf(c))
	return recoveryFile{codes}, err
}

func (p *SignIn) turn(ctx context.Context, c pipeline.Call, in turnForm) (pipeline.Departure, error) {
	out, err := p.Flows.Turn(ctx, in.Request, browserOf(c), flow.Step(in.To))
	return p.onward(out), err
}

func (p *SignIn) address(ctx context.Context, c pipeline.Call, in addressForm) (pipeline.Departure, error) {
	out, err := p.Flows.Address(ctx, in.Request, browserOf(c), in.Email)
	return p.onward(out), err
}

func (p *SignIn) password(ctx context.Context, c pipeline.Call, in passwordForm) (pipeline.Departure, error) {
	out, err := p.Flows.Password(ctx, in.Request, browserOf(c), in.Email, in.Password)
	return p.onward(out), err
}

func (p *SignIn) link(ctx context.Context, c pipeline.Call, in addressForm) (pipeline.Departure, error) {
	out, err := p.Flows.Link(ctx, in.Request, browserOf(c), in.Email)
	return p.onward(out), err
}

func (p *SignIn) shown(ctx context.Context, c pipeline.Call, in codeForm) (pipeline.Departure, error) {
	out, err := p.Flows.Shown(ctx, in.Request, browserOf(c), in.Code)
	return p.onward(out), err
}

func (p *SignIn) forgot(ctx context.Context, c pipeline.Call, in addressForm) (pipeline.Departure, error) {
	out, err := p.Flows.Forgot(ctx, in.Request, browserOf(c), in.Email)
	d := p.onward(out)
	// The page for the new password finds back with it.
	cookies := pipeline.CookiesOf(p.BaseURL)
	d.Cookies = append(d.Cookies, cookies.Make(cookies.Name(ReturnCookie), in.Request, int(returnCookieLife.Seconds())))
	return d, err
}

func (p *SignIn) renew(ctx context.Context, c pipeline.Call, in renewForm) (pipeline.Departure, error) {
	out, err := p.Flows.Renew(ctx, in.Request, browserOf(c), in.Password)
	return p.onward(out), err
}

func (p *SignIn) code(ctx context.Context, c pipeline.Call, in codeForm) (pipeline.Departure, error) {
	out, err := p.Flows.Code(ctx, in.Request, browserOf(c), in.Code)
	return p.onward(out), err
}

func (p *SignIn) send(ctx context.Context, c pipeline.Call, in stepForm) (pipeline.Departure, error) {
	out, err := p.Flows.Send(ctx, in.Request, browserOf(c))
	return p.onward(out), err
}

func (p *SignIn) recover(ctx context.Context, c pipeline.Call, in codeForm) (pipeline.Departure, error) {
	out, err := p.Flows.Recover(ctx, in.Request, browserOf(c), in.Code)
	return p.onward(out), err
}

func (p *SignIn) enrol(ctx context.Context, c pipeline.Call, in enrolForm) (pipeline.Departure, error) {
	out, err := p.Flows.Enrol(ctx, in.Request, browserOf(c), in.Method, in.Phone)
	return p.onward(out), err
}

func (p *SignIn) confirm(ctx context.Context, c pipeline.Call, in codeForm) (pipeline.Departure, error) {
	out, err := p.Flows.Confirm(ctx, in.Request, browserOf(c), in.Code)
	return p.onward(out), err
}

func (p *SignIn) saved(ctx context.Context, c pipeline.Call, in savedForm) (pipeline.Departure, error) {
	out, err := p.Flows.Saved(ctx, in.Request, browserOf(c), in.Saved == "yes")
	return p.onward(out), err
}

func (p *SignIn) consent(ctx context.Context, c pipeline.Call, in consentForm) (pipeline.Departure, error) {
	out, err := p.Flows.Consent(ctx, in.Request, browserOf(c), in.Allow == "yes")
	return p.onward(out), err
}

func (p *SignIn) again(ctx context.Context, c pipeline.Call, in stepForm) (pipeline.Departure, error) {
	out, err := p.Flows.Again(ctx, in.Request, browserOf(c))
	return p.onward(out), err
}
