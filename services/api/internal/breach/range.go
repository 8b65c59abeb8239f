package breach

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"countersign.dev/pkg/breachset"
)

// Within bounds a question to the range API, waiting for a turn included. With
// the hash of the password that follows, the user has an answer within two
// seconds.
const Within = 1500 * time.Millisecond

const (
	// asked is how many questions are open at once.
	asked = 16
	// longestAnswer is ten times what 1,000 rows take, in bytes.
	longestAnswer = 512 << 10
	prefixDigits  = 5
)

// RangeConfig is where the range API is and how it is asked.
type RangeConfig struct {
	BaseURL   string         // https://host, with at most a path behind it
	UserAgent string         // the API refuses requests without one
	Roots     *x509.CertPool // who signs its certificate; nil: the system's
	Now       func() time.Time
	// Changed is told when it begins to be left alone, with the reason, and with
	// nil when it answers again. It may be nil and must not block.
	Changed func(error)
}

// Range asks the range API. It is safe for concurrent use.
type Range struct {
	base    string
	agent   string
	client  *http.Client
	turns   chan struct{}
	breaker breaker
}

// NewRange makes the client. It asks nothing.
func NewRange(cfg RangeConfig) *Range {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &Range{
		base: strings.TrimRight(cfg.BaseURL, "/"), agent: cfg.UserAgent, turns: make(chan struct{}, asked),
		breaker: breaker{now: cfg.Now, changed: cfg.Changed},
		client: &http.Client{
			Transport: &http.Transport{
				Proxy:                  http.ProxyFromEnvironment, // an installation may have only one way out
				DialContext:            (&net.Dialer{Timeout: Within}).DialContext,
				TLSHandshakeTimeout:    Within,
				TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.Roots},
				Protocols:              &protocols,
				DisableCompression:     true, // no small answer that unpacks to a large one
				MaxIdleConnsPerHost:    asked,
				IdleConnTimeout:        60 * time.Second,
				MaxResponseHeaderBytes: 64 << 10,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// CheckBase says what is wrong with a base URL, "" when nothing is.
func CheckBase(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		return "is https://host, with at most a path behind it"
	}
	return ""
}

// Close drops idle connections.
func (r *Range) Close() { r.client.CloseIdleConnections() }

func (r *Range) ask(ctx context.Context, hash breachset.Hash) Result {
	if !r.breaker.admit() {
		return Paused
	}
	within, cancel := context.WithTimeout(ctx, Within)
	defer cancel()
	select {
	case r.turns <- struct{}{}:
		defer func() { <-r.turns }()
	case <-within.Done(): // says nothing about the API
		return Paused
	}
	found, err := r.has(within, hash)
	switch {
	case err == nil:
		r.breaker.answered()
	case ctx.Err() != nil: // the caller has left
		return Failed
	default:
		r.breaker.failed(err)
		return Failed
	}
	if found {
		return Found
	}
	return Clean
}

// has sends five digits of the hash and looks for the others in the answer.
func (r *Range) has(ctx context.Context, hash breachset.Hash) (bool, error) {
	prefix := strings.ToUpper(hex.EncodeToString(hash[:]))[:prefixDigits]
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+"/range/"+prefix, nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("User-Agent", r.agent)
	req.Header.Set("Add-Padding", "true") // the length of the answer would tell the prefix to whoever watches
	res, err := r.client.Do(req)
	if err != nil {
		return false, bare(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return false, fmt.Errorf("answered with status %d", res.StatusCode)
	}
	return among(res.Body, prefix, hash)
}

// among reads all rows, so that the connection can be used again. A row that
// is none, and an answer without rows, are of somebody else: there is no
// prefix that nobody's password has.
func among(body io.Reader, prefix string, hash breachset.Hash) (found bool, err error) {
	limited := &io.LimitedReader{R: body, N: longestAnswer}
	lines := breachset.NewLines(limited, prefix, breachset.Place{})
	for {
		row, err := lines.Next()
		switch {
		case limited.N <= 0:
			return false, errors.New("the answer is too long")
		case errors.Is(err, io.EOF) && lines.Place().Line == 0:
			return false, errors.New("the answer is empty")
		case errors.Is(err, io.EOF):
			return found, nil
		case err != nil:
			return false, fmt.Errorf("read answer: %w", err)
		}
		found = found || row.Hash == hash && row.Count > 0 // padding counts zero
	}
}

// bare takes the URL out of an error: it holds the digits.
func bare(err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		return outer.Err
	}
	return err
}
