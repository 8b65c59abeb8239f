package flow

import (
	"fmt"
	"maps"
	"net/url"

	"countersign.dev/pkg/secret"
)

// Way leads a browser back to an app.
type Way struct {
	// URI is a redirect URI that the app has registered: nobody else decides
	// where a browser is sent. It keeps whatever query it has.
	URI  string
	Mode string // Query or Fragment; empty is Query
	// State is what the app has asked to get back; empty for none.
	State string
	// Issuer is who says so (RFC 9207).
	Issuer string
}

// With is the address that tells the app what its request has come to. It may
// hold a code, which is in no log.
func (w Way) With(values url.Values) (secret.Text, error) {
	told := url.Values{}
	maps.Copy(told, values)
	if w.State != "" {
		told.Set("state", w.State)
	}
	told.Set("iss", w.Issuer)
	to, err := url.Parse(w.URI)
	if err != nil {
		return secret.Text{}, fmt.Errorf("read redirect uri: %w", err)
	}
	if w.Mode == Fragment {
		return secret.New(w.URI + "#" + told.Encode()), nil
	}
	query := to.Query()
	maps.Copy(query, told)
	to.RawQuery = query.Encode()
	return secret.New(to.String()), nil
}
