package twilio

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"countersign.dev/pkg/courier"
	"countersign.dev/pkg/fault"
)

// How long to wait when Twilio says "too many" and not for how long, and at
// most.
const (
	defaultRetry = time.Second
	longestRetry = 10 * time.Minute // as long as any code lives
)

// failure is the one right reaction to what came back, nil for success.
func (x *exchange) failure(err error) error {
	switch {
	case x.status == 0 && err != nil && !x.connected.Load():
		return &courier.Failure{Reason: courier.ReasonUnreachable, Cause: bare(err)}
	case x.status == 0 && err != nil:
		return fault.Ambiguous(&courier.Failure{Reason: courier.ReasonNoAnswer, Cause: bare(err)})
	case x.status/100 == 2 && err != nil:
		// The resource itself may be in the decoder's error.
		return unreadable(errors.New("the answer is not a message resource"))
	case x.status/100 == 2:
		return nil
	case x.status == http.StatusTooManyRequests:
		return fault.RetryAfter(x.retryAfter(), &courier.Failure{Reason: courier.ReasonRateLimited})
	case x.status >= 500 || x.status == http.StatusRequestTimeout:
		return fault.Ambiguous(&courier.Failure{Reason: courier.ReasonServer + ":" + strconv.Itoa(x.status)})
	case x.status/100 == 3:
		return fault.Permanent(&courier.Failure{Reason: courier.ReasonRedirected})
	case x.aboutCredentials():
		return fault.Permanent(&courier.Failure{Reason: courier.ReasonCredentials})
	}
	return fault.Permanent(&courier.Failure{Reason: courier.ReasonRefused + ":" + strconv.Itoa(x.code())})
}

// unreadable is a yes without the id: the message is probably on its way.
func unreadable(cause error) error {
	return fault.Ambiguous(&courier.Failure{Reason: courier.ReasonUnreadable, Cause: cause})
}

// aboutCredentials tells a refused account from a refused message: Twilio
// answers 403 to both, with a code from 21000 on for the message.
func (x *exchange) aboutCredentials() bool {
	if x.status == http.StatusUnauthorized {
		return true
	}
	code := x.code()
	return x.status == http.StatusForbidden && (code < 21000 || code > 69999)
}

// code is Twilio's error code, or the HTTP status of an answer that is not
// Twilio's.
func (x *exchange) code() int {
	var body struct {
		Code int `json:"code"`
	}
	if json.Unmarshal(x.body, &body) != nil || body.Code < 10000 || body.Code > 99999 {
		return x.status
	}
	return body.Code
}

// retryAfter reads the header in both its forms.
func (x *exchange) retryAfter() time.Duration {
	text := x.header.Get("Retry-After")
	wait := defaultRetry
	if seconds, err := strconv.Atoi(text); err == nil {
		// Bounded before it is multiplied: a huge number must not wrap.
		wait = time.Duration(min(max(seconds, 0), int(longestRetry/time.Second))) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = time.Until(at)
	}
	return min(max(wait, defaultRetry), longestRetry)
}

// bare takes the request's URL, which names the account, off an error.
func bare(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
