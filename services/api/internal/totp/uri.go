package totp

import (
	"net/url"
	"strconv"
	"strings"

	"countersign.dev/pkg/secret"
)

// URI is the key's address, which apps read from a QR code or a link; it holds
// the secret. Issuer and account are what the app shows beside the codes.
//
// It is put together here because net/url and the library leave characters of
// a path as they are that apps split at: an issuer with a colon would become
// another issuer with another account. The one colon of the label that is not
// escaped stands between the two.
func (k Key) URI(issuer, account string) secret.Text {
	var uri strings.Builder
	uri.WriteString("otpauth://totp/" + escape(issuer) + ":" + escape(account))
	uri.WriteString("?secret=" + escape(k.Secret.Reveal()))
	uri.WriteString("&issuer=" + escape(issuer))
	uri.WriteString("&algorithm=" + escape(k.Algorithm))
	uri.WriteString("&digits=" + strconv.Itoa(k.Digits))
	uri.WriteString("&period=" + strconv.Itoa(k.Period))
	return secret.New(uri.String())
}

// escape leaves only the unreserved characters of RFC 3986. A blank is %20:
// where + means one in a query, it is itself in a path.
func escape(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }
