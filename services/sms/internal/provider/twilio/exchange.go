package twilio

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

const (
	connectWithin = 5 * time.Second
	longestAnswer = 64 << 10 // octets; a message resource has about one thousand
)

// errAnswered ends the library's part when Twilio answered anything but yes.
var errAnswered = errors.New("answered with an error")

// newTransport makes what all calls share. HTTP/1.1 only: one request at a
// time on a connection is what makes "no connection" mean "not sent".
func newTransport(caFile string) (*http.Transport, error) {
	var roots *x509.CertPool // nil means the system's
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("read CA file: %w", err)
		}
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM(pem) {
			return nil, errors.New("the CA file holds no PEM certificate")
		}
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment, // an installation may have only one way out
		DialContext:            (&net.Dialer{Timeout: connectWithin}).DialContext,
		TLSHandshakeTimeout:    connectWithin,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		Protocols:              &protocols,
		DisableCompression:     true, // nothing to gain, and no small answer that unpacks to a large one
		MaxIdleConnsPerHost:    32,
		IdleConnTimeout:        60 * time.Second,
		MaxResponseHeaderBytes: longestAnswer,
	}, nil
}

// exchange is one request and its answer. It is the library's transport for
// this one call and carries its context.
type exchange struct {
	ctx  context.Context //nolint:containedctx // lives for one call; the library has no other way to take it
	base *url.URL
	next http.RoundTripper
	most int64 // octets of an answer that is read; zero means longestAnswer

	connected atomic.Bool // the request may have left
	status    int         // 0 without an answer
	header    http.Header
	body      []byte
}

// RoundTrip sends the request to the configured address under the call's
// context, reads all of the answer and closes it.
func (x *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := httptrace.WithClientTrace(x.ctx, &httptrace.ClientTrace{
		// A second try starts here only when nothing of the first was written:
		// the transport repeats a POST in no other case.
		GetConn: func(string) { x.connected.Store(false) },
		GotConn: func(httptrace.GotConnInfo) { x.connected.Store(true) },
	})
	out := req.Clone(ctx)
	out.URL.Scheme, out.URL.Host = x.base.Scheme, x.base.Host
	out.URL.Path = strings.TrimSuffix(x.base.Path, "/") + req.URL.Path
	out.Host = ""
	res, err := x.next.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	x.status, x.header = res.StatusCode, res.Header
	most := cmp.Or(x.most, longestAnswer)
	x.body, err = io.ReadAll(io.LimitReader(res.Body, most+1))
	switch {
	case res.StatusCode/100 != 2:
		return nil, errAnswered // a body that broke off matters little now
	case err != nil:
		return nil, fmt.Errorf("read answer: %w", err)
	case int64(len(x.body)) > most:
		return nil, errors.New("the answer is too long")
	}
	res.Body = io.NopCloser(bytes.NewReader(x.body))
	return res, nil
}
