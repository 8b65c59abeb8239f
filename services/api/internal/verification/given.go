package verification

import (
	"reflect"
	"strings"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/exchange"
	"countersign.dev/services/api/internal/pipeline"
)

// The contract's clients build their forms and bodies of whatever an option
// holds: one that is not set arrives as a text.

// absent reports whether a text says that nothing was given.
func absent(text string) bool { return text == "" || text == "undefined" || text == "null" }

// forget empties the fields of an input that say that nothing was given. Every
// input of this edge goes through it.
func forget(in any) {
	for _, value := range reflect.ValueOf(in).Elem().Fields() {
		switch field := value.Addr().Interface().(type) {
		case *string:
			if absent(*field) {
				*field = ""
			}
		case *secret.Text:
			if absent(field.Reveal()) {
				*field = secret.Text{}
			}
		}
	}
}

// first is the first text that was given.
func first(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// firstSecret is first for secrets.
func firstSecret(texts ...secret.Text) secret.Text {
	for _, text := range texts {
		if !text.IsZero() {
			return text
		}
	}
	return secret.Text{}
}

// The headers in which clients send ids, too.
const (
	headerRequest = "requestId"
	headerTrack   = "trackId"
)

// orHeader is the first secret that was given, or that of a header.
func orHeader(c pipeline.Call, header string, texts ...secret.Text) secret.Text {
	if text := firstSecret(texts...); !text.IsZero() {
		return text
	}
	if given := c.Request.Header.Values(header); len(given) == 1 && !absent(given[0]) {
		return secret.New(given[0])
	}
	return secret.Text{}
}

// inPath is a secret of the path.
func inPath(c pipeline.Call, name string) secret.Text {
	if text := c.Path(name); !absent(text) {
		return secret.New(text)
	}
	return secret.Text{}
}

// missing answers for what has to be given.
func missing(name string) error {
	return fault.Newf(fault.Invalid, "missing_parameter", "%s must be provided", name)
}

// methods are those of the contract.
var methods = []exchange.Method{exchange.TOTP, exchange.SMS, exchange.Email, exchange.Password, exchange.BackupCode}

// methodOf reads a method, in any case.
func methodOf(text string) (exchange.Method, error) {
	for _, m := range methods {
		if strings.EqualFold(text, string(m)) {
			return m, nil
		}
	}
	return "", exchange.ErrMethod
}

// named are the parameters that may name a user.
type named struct{ email, identifier, mobile, username, sub, q, medium string }

// who is the user that is named. An address is found wherever one may stand;
// nobody is found by another name.
func (n named) who() exchange.Who {
	who := exchange.Who{Sub: first(n.sub, n.q), Medium: n.medium, Address: n.email}
	for _, text := range []string{n.identifier, n.username} {
		if strings.Contains(text, "@") {
			who.Address = first(who.Address, text)
		} else {
			who.Other = first(who.Other, text)
		}
	}
	who.Other = first(who.Other, n.mobile)
	if who.Address != "" {
		who.Other = ""
	}
	return who
}
