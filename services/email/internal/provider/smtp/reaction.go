package smtp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"regexp"
	"strconv"
	"time"

	gosmtp "github.com/wneessen/go-mail/smtp"

	"countersign.dev/pkg/courier"
	"countersign.dev/pkg/fault"
)

// point is where in a conversation something happened.
type point string

const (
	atConnect   point = "connect"
	atGreeting  point = "greeting"
	atHello     point = "EHLO"
	atStartTLS  point = "STARTTLS"
	atHandshake point = "TLS"
	atAuth      point = "AUTH"
	atReset     point = "RSET"
	atMail      point = "MAIL"
	atRcpt      point = "RCPT"
	atData      point = "DATA"
	atBody      point = "content" // up to the dot
	atDot       point = "dot"     // the dot and its answer
	atQuit      point = "QUIT"
)

// The reasons that are this provider's own.
const (
	reasonBusy    = "busy"        // no connection was free in time
	reasonAddress = "bad_address" // no command can carry the address
	reasonMessage = "bad_message" // there is no mail to be made of it
)

// laterRcpt is how long to leave a recipient alone whom the server does not
// want now. Greylisting asks for a minute or more.
const laterRcpt = time.Minute

var (
	errNoStartTLS = errors.New("the server does not offer STARTTLS")
	errNoAuth     = errors.New("the server offers neither AUTH PLAIN nor LOGIN")
	errInjected   = errors.New("something stood behind the answer to STARTTLS")
	errOther      = errors.New("the server did not keep to the protocol")
)

// trouble is an error with the point at which it happened.
type trouble struct {
	at  point
	err error
}

// Error shows nothing that the server said: it may repeat the address.
func (t *trouble) Error() string { return string(t.at) + ": " + t.bare().Error() }

// code is what the server answered, 0 when it did not.
func (t *trouble) code() int {
	if reply, ok := errors.AsType[*textproto.Error](t.err); ok {
		return reply.Code
	}
	return 0
}

// react turns a *trouble into the one right instruction:
//
//	point                  4xx, 421     5xx                  no answer, hung up
//	connect, greeting      again        again, breaker   again
//	EHLO                   again        again, breaker   again
//	STARTTLS, TLS, AUTH    again        again, breaker   again
//	MAIL, DATA             again        permanent        again
//	RCPT                   in a minute  permanent        again
//	content                                              again
//	dot                    again        permanent        nobody knows
//
// A connection that cannot be trusted is like a 5xx of STARTTLS. What is wrong
// with the server or our account there is not the mail's fault: it holds every
// mail back until an operator has mended it, and loses none.
func react(err error) error {
	t, ok := errors.AsType[*trouble](err)
	if !ok {
		return err
	}
	failure := func(reason string) *courier.Failure { return &courier.Failure{Reason: reason, Cause: t.cause()} }
	code := t.code()
	switch {
	case errors.Is(t.err, errAddress):
		return unsendable(t.err)
	case errors.Is(t.err, ErrForbidden):
		return failure(courier.ReasonForbidden)
	case t.distrusted(), errors.Is(t.err, errInjected):
		return failure(courier.ReasonTLS)
	case errors.Is(t.err, errNoAuth):
		return failure(courier.ReasonCredentials)
	case code == 421:
		return failure(courier.ReasonServer + ":421")
	case code/100 == 4 && t.at == atRcpt:
		return fault.RetryAfter(laterRcpt, failure(courier.ReasonRefused+":"+strconv.Itoa(code)))
	case code/100 == 4:
		return failure(courier.ReasonServer + ":" + strconv.Itoa(code))
	case code/100 == 5 && t.ours(code) != "":
		return failure(t.ours(code))
	case code/100 == 5:
		return fault.Permanent(failure(courier.ReasonRefused + ":" + strconv.Itoa(code)))
	case t.at == atDot && code == 0:
		return fault.Ambiguous(failure(courier.ReasonNoAnswer))
	case t.at == atDot:
		return fault.Ambiguous(failure(courier.ReasonUnreadable))
	case code != 0:
		return failure(courier.ReasonUnreadable)
	case t.at == atConnect:
		return failure(courier.ReasonUnreachable)
	}
	return failure(courier.ReasonNoAnswer)
}

// unsendable ends a mail that no server would take from us.
func unsendable(cause error) error {
	reason := reasonMessage
	if errors.Is(cause, errAddress) {
		reason = reasonAddress
	}
	return fault.Permanent(&courier.Failure{Reason: reason, Cause: cause})
}

// ours is the reason of a refusal that is about us or the server, and not about
// the mail: it holds for every mail. Empty is about the mail.
func (t *trouble) ours(code int) string {
	switch t.at {
	case atConnect, atGreeting, atHello:
		return courier.ReasonRedirected
	case atStartTLS, atHandshake:
		return courier.ReasonTLS
	case atAuth:
		return courier.ReasonCredentials
	}
	if code == 530 || code == 534 || code == 535 || code == 538 { // "sign in first"
		return courier.ReasonCredentials
	}
	return ""
}

// distrusted reports a TLS that failed for another reason than a connection
// that ended.
func (t *trouble) distrusted() bool {
	switch {
	case errors.Is(t.err, errNoStartTLS):
		return true
	case t.at != atHandshake, errors.Is(t.err, errInjected), contextual(t.err):
		return false
	}
	if op, ok := errors.AsType[*net.OpError](t.err); ok {
		return op.Op == "remote error" // an alert: the server does not want us
	}
	return !errors.Is(t.err, io.EOF) && !errors.Is(t.err, io.ErrUnexpectedEOF)
}

func contextual(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// clean reports an error after which the connection is still good: the server
// said no to this mail, and goes on.
func clean(err error) bool {
	t, ok := errors.AsType[*trouble](err)
	if !ok || t.at == atReset {
		return false
	}
	code := t.code()
	return errors.Is(t.err, errAddress) || (code/100 == 4 || code/100 == 5) && code != 421
}

// hungUp reports that the server is gone and certainly does not have the mail.
func hungUp(err error) bool {
	t, ok := errors.AsType[*trouble](err)
	if !ok {
		return false
	}
	code := t.code()
	return code == 421 || t.at == atReset || code == 0 && t.at != atDot && !errors.Is(t.err, errAddress)
}

var enhanced = regexp.MustCompile(`^[245]\.[0-9]{1,3}\.[0-9]{1,3}\b`)

// cause is what the log may know.
func (t *trouble) cause() error { return fmt.Errorf("at %s: %w", t.at, t.bare()) }

// bare takes everything off an error that is the server's own words.
func (t *trouble) bare() error {
	if reply, ok := errors.AsType[*textproto.Error](t.err); ok {
		text := strconv.Itoa(reply.Code)
		if status := enhanced.FindString(reply.Msg); status != "" {
			text += " " + status
		}
		return errors.New("answered " + text)
	}
	for _, known := range []error{errNoStartTLS, errNoAuth, errInjected, errAddress, ErrForbidden, context.Canceled, context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF} {
		if errors.Is(t.err, known) {
			return known
		}
	}
	if e, ok := errors.AsType[*net.OpError](t.err); ok {
		return e
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](t.err); ok {
		return e
	}
	if e, ok := errors.AsType[x509.HostnameError](t.err); ok {
		return e
	}
	if t.at == atHandshake {
		return errors.New("no TLS came about")
	}
	return errOther
}

// remember keeps the error of a command that the library goes on after.
type remember struct{ err error }

var _ gosmtp.ResponseErrorHandler = (*remember)(nil)

// HandleError keeps err and gives it back.
func (r *remember) HandleError(_, _ string, _ *textproto.Conn, err error) error {
	r.err = err
	return err
}
