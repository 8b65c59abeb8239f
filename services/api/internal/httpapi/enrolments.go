package httpapi

import (
	"context"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/qr"
)

type enrolIn struct {
	Method   string `in:"method" doc:"The kind of factor: totp (an authenticator app) when nothing is said, or sms."`
	Phone    string `in:"phone_number" doc:"Of sms: number in E.164, such as +4915112345678; the user's own when it is left out."`
	Name     string `in:"device_name" doc:"What the user calls the device. With a name a device is enrolled beside those that the user has: ask for it only when the user has just proven one of them."`
	Force    bool   `in:"force_enroll" doc:"Replaces all factors and recovery codes once the new factor is confirmed; until then the old ones are good. Needs the scope factors:reset."`
	QRFormat string `in:"qr_format" doc:"Of totp: how the QR code is drawn, png when nothing is said, or svg."`
	ClientIP string `in:"client_ip" doc:"Address of the person who asks, as your server sees it. With it one address can ask for codes to few different numbers only."`
}

type confirmIn struct {
	Code      secret.Text `in:"code" required:"true" doc:"The first code, as text: a number loses its leading zeros."`
	RequestID string      `in:"request_id" doc:"The password or magic link challenge for which a recovery code was used: confirming the new factor ends its login."`
}

// enrollmentOut is the contract's superset. What belongs to authenticator
// apps is null for a phone, and the other way round.
type enrollmentOut struct {
	Type          string  `json:"__type__"`
	Domain        string  `json:"__domain__"`
	Environment   string  `json:"__environment__"`
	UserID        string  `json:"user_id"`
	RequestID     string  `json:"request_id"`
	Method        string  `json:"method"`
	DeviceName    *string `json:"device_name"`
	Success       bool    `json:"success"`
	Error         *string `json:"error"`
	EnrolledAt    *string `json:"enrolled_at"`
	ExpiresAt     *string `json:"expires_at"`
	OTPURI        *string `json:"otp_uri"`
	Secret        *string `json:"secret"`
	QRCode        *string `json:"qr_code"`
	Code          *string `json:"code"`
	RecoveryCodes *string `json:"recovery_codes"`
	// What a login came to that waited for a factor.
	AuthorizationCode *string           `json:"authorization_code"`
	ExpiredAt         *string           `json:"expired_at"`
	Renew             *passwordRenewOut `json:"renew_password"`
}

var errQRFormat = fault.New(fault.Invalid, "invalid_parameter", "qr_format must be png or svg")

func (a *API) enrol(ctx context.Context, c pipeline.Call, in enrolIn) (enrollmentOut, error) {
	if in.QRFormat != "" && in.QRFormat != "png" && in.QRFormat != "svg" {
		return enrollmentOut{}, errQRFormat
	}
	whose, err := a.asking(ctx, c, in.ClientIP)
	if err != nil {
		return enrollmentOut{}, err
	}
	issued, err := a.Factors.Enrol(ctx, whose, factor.Enrolment{Method: in.Method, Phone: in.Phone, Name: in.Name, Force: in.Force})
	if err != nil {
		return enrollmentOut{}, err
	}
	out := enrollmentShape(c, whose, issued.RequestID, issued.Method, issued.Name)
	out.ExpiresAt, out.Code = microOrNull(issued.ExpiresAt), codeFor(issued)
	if issued.Method == factor.App {
		out.OTPURI, out.Secret = orNull(issued.URI.Reveal()), orNull(issued.Secret.Reveal())
		out.QRCode, err = drawn(issued.URI, in.QRFormat)
	}
	return out, err
}

// drawn is a QR code that a page can show as it is.
func drawn(uri secret.Text, format string) (*string, error) {
	image, err := qr.Encode(uri)
	if err != nil {
		return nil, err
	}
	if format == "svg" {
		return orNull(qr.DataURI("image/svg+xml", image.SVG())), nil
	}
	png, err := image.PNG()
	return orNull(qr.DataURI("image/png", png)), err
}

func (a *API) confirmEnrolment(ctx context.Context, c pipeline.Call, in confirmIn) (enrollmentOut, error) {
	whose, code, err := a.answer(ctx, c, in.Code, a.Factors.ReadDigits)
	if err != nil {
		return enrollmentOut{}, err
	}
	if err := a.waits(ctx, c, whose, in.RequestID); err != nil {
		return enrollmentOut{}, err
	}
	confirmed, err := a.Factors.ConfirmEnrolment(ctx, whose, code)
	if err != nil {
		return enrollmentOut{}, err
	}
	out := enrollmentShape(c, whose, orNew(confirmed.RequestID, "totp-enrollment"), whose.Waiting.Method, whose.Waiting.Name)
	out.Success, out.EnrolledAt, out.Error = confirmed.OK(), microOrNull(confirmed.EnrolledAt), reason(confirmed.Checked)
	if len(confirmed.Codes) > 0 {
		out.RecoveryCodes = orNull(factor.Lines(confirmed.Codes))
	}
	if in.RequestID != "" && confirmed.OK() {
		a.endByEnrolment(ctx, c, whose, in.RequestID, confirmed.Method, &out)
	}
	return out, nil
}

// endByEnrolment ends the login for which a recovery code was used. The factor
// is enrolled and its recovery codes are shown this once, so whatever happens
// to the login is no reason to answer with an error: its user logs in again.
func (a *API) endByEnrolment(ctx context.Context, c pipeline.Call, w factor.Whose, requestID, method string, out *enrollmentOut) {
	done, ended, err := a.Logins.Reenrolled(ctx, requestID, w.Tenant, w.User.ID, c.Key.ID, proofOf(method))
	if err == nil && ended {
		out.RequestID = requestID
		out.ExpiredAt = stampOrNull(done.Expired())
		out.AuthorizationCode, out.Renew, err = a.ended(ctx, w, done)
	}
	if err != nil || !ended {
		out.Error = orNull(noSuchLogin)
	}
}

func enrollmentShape(c pipeline.Call, w factor.Whose, requestID, method, name string) enrollmentOut {
	return enrollmentOut{
		Type: "TotpEnrollment", Domain: c.Org.Domain, Environment: c.Tenant.Env, UserID: w.User.ID, RequestID: requestID,
		Method: method, DeviceName: orNull(name),
	}
}

func codeFor(issued factor.Issued) *string {
	if !issued.ByCaller {
		return nil
	}
	return orNull(issued.Code.Reveal())
}
