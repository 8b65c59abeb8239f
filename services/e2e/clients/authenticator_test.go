package clients_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"testing"
	"time"
)

// authenticator is an app that shows codes (RFC 6238).
type authenticator struct {
	key  []byte
	last int64 // the step of the newest code that it gave
}

func newAuthenticator(t *testing.T, uri string) *authenticator {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(u.Query().Get("secret"))
	if err != nil {
		t.Fatal(err)
	}
	return &authenticator{key: key}
}

// code returns one that was not used yet. The service takes those of the
// steps before and after the present one, and each step once, so three in a row
// are good and nobody has to wait for half a minute.
func (a *authenticator) code() string {
	a.last = max(time.Now().Unix()/30-1, a.last+1)
	mac := hmac.New(sha1.New, a.key)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(a.last)))
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 15
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[at:])&0x7fffffff%1_000_000)
}

// secret is the key as people type it.
func (a *authenticator) secret() string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(a.key)
}
