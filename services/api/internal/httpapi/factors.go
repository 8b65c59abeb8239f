package httpapi

import (
	"context"
	"net/netip"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/apikey"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/login"
	"countersign.dev/services/api/internal/notice"
	"countersign.dev/services/api/internal/pipeline"
)

type challengeIn struct {
	ClientIP string `in:"client_ip" doc:"Address of the person who asks, as your server sees it."`
}

type validateIn struct {
	Code      secret.Text `in:"code" required:"true" doc:"Of an authenticator app, of a text message, or a recovery code, as text: a number loses its leading zeros."`
	RequestID string      `in:"request_id" doc:"The password or magic link challenge that said mfa_required: a right code ends its login, and the answer holds what it would have held."`
}

type challengeOut struct {
	Type             string  `json:"__type__"`
	Domain           string  `json:"__domain__"`
	Environment      string  `json:"__environment__"`
	UserID           string  `json:"user_id"`
	RequestID        string  `json:"request_id"`
	ChallengedAt     string  `json:"challenged_at"`
	ExpiresAt        *string `json:"expires_at"`
	SentAt           *string `json:"sent_at"`
	Code             *string `json:"code"`
	Method           *string `json:"method"` // what was proven
	RecoveryCodeUsed bool    `json:"recovery_code_used"`
	// ReenrolmentRequired says that nothing but an enrolment is open to the
	// user until a new factor is confirmed.
	ReenrolmentRequired bool    `json:"reenrolment_required"`
	Success             bool    `json:"success"`
	Error               *string `json:"error"`
	// What a login came to that waited for a factor.
	AuthorizationCode *string           `json:"authorization_code"`
	ExpiredAt         *string           `json:"expired_at"` // its password, and no code then
	Renew             *passwordRenewOut `json:"renew_password"`
}

// Why a code was not taken, beside success: false. A wrong code may be typed
// again; of an app that shows a used one the next must be waited for; with no
// live code a new one must be asked for.
const (
	wrongCode  = "wrong_code"
	usedCode   = "already_used"
	noLiveCode = "no_live_code"
	// The code was right and is used, but no login of this request waits.
	noSuchLogin = "no_waiting_login"
)

func (a *API) challenge(ctx context.Context, c pipeline.Call, in challengeIn) (challengeOut, error) {
	whose, err := a.asking(ctx, c, in.ClientIP)
	if err != nil {
		return challengeOut{}, err
	}
	issued, err := a.Factors.Challenge(ctx, whose)
	if err != nil {
		return challengeOut{}, err
	}
	out := challengeShape(c, whose, issued.RequestID)
	out.ChallengedAt, out.ExpiresAt, out.Code = micro(issued.IssuedAt), microOrNull(issued.ExpiresAt), codeFor(issued)
	return out, nil
}

func (a *API) validate(ctx context.Context, c pipeline.Call, in validateIn) (challengeOut, error) {
	whose, code, err := a.answer(ctx, c, in.Code, a.Factors.ReadCode)
	if err != nil {
		return challengeOut{}, err
	}
	if err := a.waits(ctx, c, whose, in.RequestID); err != nil {
		return challengeOut{}, err
	}
	checked, err := a.Factors.Validate(ctx, whose, code)
	if err != nil {
		return challengeOut{}, err
	}
	out := a.checkedShape(c, whose, checked, code)
	switch {
	case in.RequestID == "":
		return out, nil
	case checked.Wrong():
		return out, a.failedLogin(ctx, c, whose, checked)
	case checked.ByRecovery():
		// The code is used, and the answer must say so whatever becomes of the
		// login: at worst its user logs in again with the new factor.
		if waits, err := a.Logins.Recovered(ctx, in.RequestID, whose.Tenant, whose.User.ID, c.Key.ID); err != nil || !waits {
			out.Error = orNull(noSuchLogin)
		}
		return out, nil
	case !checked.OK():
		return out, nil
	}
	return out, a.continueLogin(ctx, c, whose, in.RequestID, &out)
}

var errNoLogin = fault.New(fault.NotFound, "not_found", "no login waits under this request_id; it was ended, its time is over, or it is another user's. Begin again with the first factor")

// waits refuses a request of no login before its code is compared.
func (a *API) waits(ctx context.Context, c pipeline.Call, w factor.Whose, requestID string) error {
	if requestID == "" {
		return nil
	}
	waits, err := a.Logins.Waits(ctx, requestID, w.Tenant, w.User.ID, c.Key.ID)
	if err == nil && !waits {
		err = errNoLogin
	}
	return err
}

// failures is how many wrong codes in a row are news.
const failures = 3

// failedLogin tells the user when somebody who has proven the first factor goes
// on failing at the second. Wrong codes count over all logins: whoever
// begins another one after two of them is heard of, too.
func (a *API) failedLogin(ctx context.Context, c pipeline.Call, w factor.Whose, checked factor.Checked) error {
	if checked.InARow < failures {
		return nil
	}
	return a.Notices.Tell(ctx, notice.About{Org: c.Org, User: w.User, By: w.By}, event.TemplateNoticeSecondFactorFailing, event.TypeMFAFailed)
}

// continueLogin ends the login that waited for the second factor.
func (a *API) continueLogin(ctx context.Context, c pipeline.Call, w factor.Whose, requestID string, out *challengeOut) error {
	done, waited, err := a.Logins.Continue(ctx, requestID, w.Tenant, w.User.ID, c.Key.ID, proofOf(*out.Method))
	if err != nil {
		return err
	}
	if !waited {
		out.Error = orNull(noSuchLogin)
		return nil
	}
	out.RequestID = requestID
	out.ExpiredAt = stampOrNull(done.Expired())
	out.AuthorizationCode, out.Renew, err = a.ended(ctx, w, done)
	return err
}

// ended is what a login came to: a code, or a new password that has to be set.
func (a *API) ended(ctx context.Context, w factor.Whose, done login.Completed) (code *string, renew *passwordRenewOut, err error) {
	if !done.MustChange {
		return orNull(done.Code.Reveal()), nil, nil // neither where the password has lapsed
	}
	value, err := a.Passwords.Renew(ctx, w.User, done.Login)
	if err != nil {
		return nil, nil, err
	}
	return nil, renewShape(value), nil
}

// proofOf is what a factor's code proves, in the words of tokens.
func proofOf(method string) string {
	if method == factor.SMS {
		return grant.SMS
	}
	return grant.App
}

func (a *API) checkedShape(c pipeline.Call, whose factor.Whose, checked factor.Checked, code factor.Code) challengeOut {
	out := challengeShape(c, whose, orNew(checked.RequestID, "totp-challenge"))
	out.Success, out.Error, out.ChallengedAt = checked.OK(), reason(checked), micro(checked.IssuedAt)
	if checked.IssuedAt.IsZero() {
		out.ChallengedAt = micro(a.Factors.Now())
	}
	if checked.OK() {
		out.Method = orNull(checked.Method)
	}
	if checked.ByCaller {
		out.Code = orNull(code.Echo().Reveal())
	}
	out.RecoveryCodeUsed, out.ReenrolmentRequired = checked.ByRecovery(), checked.ByRecovery()
	out.SentAt = microOrNull(checked.SentAt)
	return out
}

// by is who calls, for the record.
func by(c pipeline.Call) activity.By {
	return activity.By{Actor: activity.Key(c.Key.ID), TraceID: c.TraceID}
}

// whose finds the user of the path, with what the caller may do.
func (a *API) whose(ctx context.Context, c pipeline.Call) (factor.Whose, error) {
	standing, err := a.Factors.Find(ctx, c.Tenant, c.Path("user"))
	return factor.Whose{
		Tenant: c.Tenant, Org: c.Org, Standing: standing, By: by(c), MaySeeCodes: c.Key.Has(apikey.CodesRead), MayReset: c.Key.Has(apikey.FactorsReset),
	}, err
}

// asking is whose for calls that send: from where the person asks counts, if
// the caller tells it. That is the caller's word alone, so it bounds how much
// the caller sends and nothing else.
func (a *API) asking(ctx context.Context, c pipeline.Call, clientIP string) (factor.Whose, error) {
	source, err := readClientIP(clientIP)
	if err != nil {
		return factor.Whose{}, err
	}
	whose, err := a.whose(ctx, c)
	whose.Source = source
	return whose, err
}

func readClientIP(text string) (netip.Addr, error) {
	if text == "" {
		return netip.Addr{}, nil
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" || addr.IsUnspecified() || addr.IsMulticast() {
		return netip.Addr{}, fault.New(fault.Invalid, "invalid_parameter", "client_ip must be the IP address of a client, such as 203.0.113.7 or 2001:db8::1")
	}
	return addr.Unmap(), nil
}

// reading tells what a text can be a code of.
type reading func(ctx context.Context, source netip.Addr, typed secret.Text) (factor.Code, error)

func (a *API) answer(ctx context.Context, c pipeline.Call, typed secret.Text, read reading) (factor.Whose, factor.Code, error) {
	if typed.IsZero() {
		return factor.Whose{}, factor.Code{}, fault.New(fault.Invalid, "missing_parameter", "code must be provided")
	}
	whose, err := a.whose(ctx, c)
	if err != nil {
		return factor.Whose{}, factor.Code{}, err
	}
	code, err := read(ctx, c.Source, typed)
	return whose, code, err
}

func challengeShape(c pipeline.Call, w factor.Whose, requestID string) challengeOut {
	return challengeOut{
		Type: "TotpChallenge", Domain: c.Org.Domain, Environment: c.Tenant.Env, UserID: w.User.ID, RequestID: requestID,
	}
}

func reason(checked factor.Checked) *string {
	switch {
	case checked.OK():
		return nil
	case checked.Wrong():
		return orNull(wrongCode)
	case checked.Used():
		return orNull(usedCode)
	default:
		return orNull(noLiveCode)
	}
}

// orNew names an answer after its challenge, or gives it an id of its own.
func orNew(requestID, kind string) string {
	if requestID != "" {
		return requestID
	}
	return id.Request(kind)
}
