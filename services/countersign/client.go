package countersign

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// client calls the headless API as an app would, and shows each call as the
// curl line that does the same.
type client struct {
	base  string
	token string
	app   bool      // the demo app calls, for a user who has signed in
	out   io.Writer // nil shows nothing
	http  http.Client
}

func newClient(base string, out io.Writer) *client {
	return &client{base: base, out: out, http: http.Client{Timeout: 10 * time.Second}}
}

// answer is a decoded body.
type answer map[string]any

func (a answer) text(name string) string {
	text, _ := a[name].(string)
	return text
}

// call sends form parameters (name=value, in order) and returns the answer. A
// status of 400 or more is an error.
func (c *client) call(ctx context.Context, method, path string, params ...string) (answer, error) {
	status, got, err := c.try(ctx, method, path, params...)
	if err == nil && status >= http.StatusBadRequest {
		return nil, fmt.Errorf("%s %s: status %d: %v", method, path, status, got["error"])
	}
	return got, err
}

// try is call for what may be refused: it returns the status beside the answer.
func (c *client) try(ctx context.Context, method, path string, params ...string) (int, answer, error) {
	c.show(method, path, params)
	form := url.Values{}
	for _, param := range params {
		name, value, _ := strings.Cut(param, "=")
		form.Add(name, value)
	}
	target, body := c.base+path, io.Reader(nil)
	if method == http.MethodGet {
		if len(form) > 0 {
			target += "?" + form.Encode()
		}
	} else {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return 0, nil, fmt.Errorf("make request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return c.send(req)
}

func (c *client) send(req *http.Request) (int, answer, error) {
	res, err := c.http.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("call the API: %w", err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return 0, nil, fmt.Errorf("read the answer: %w", err)
	}
	var decoded answer
	if err := json.Unmarshal(raw, &decoded); err != nil {
		return 0, nil, fmt.Errorf("%s %s: status %d with no JSON", req.Method, req.URL.Path, res.StatusCode)
	}
	return res.StatusCode, decoded, nil
}

// show prints the call as a person would type it after reading dev.env.
func (c *client) show(method, path string, params []string) {
	if c.out == nil {
		return
	}
	var line bytes.Buffer
	line.WriteString("  $ curl -s")
	switch method {
	case http.MethodGet:
		if len(params) > 0 {
			line.WriteString(" -G")
		}
	case http.MethodPost:
		if len(params) == 0 {
			line.WriteString(" -X POST")
		}
	default:
		line.WriteString(" -X " + method)
	}
	fmt.Fprintf(&line, ` "$COUNTERSIGN_URL%s"`, path)
	bearer, of := "TOKEN", ""
	if c.app {
		bearer, of = "ACCESS_TOKEN", "APP_"
	}
	if c.token != "" {
		line.WriteString(` -H "Authorization: Bearer $` + bearer + `"`)
	}
	for _, param := range params {
		name, value, _ := strings.Cut(param, "=")
		quote := "'"
		if strings.HasPrefix(name, "client_") {
			value, quote = "$COUNTERSIGN_"+of+strings.ToUpper(name), `"`
		}
		flag := "-d"
		if strings.ContainsAny(value, "+&% ") {
			flag = "--data-urlencode"
		}
		fmt.Fprintf(&line, " %s %s%s=%s%s", flag, quote, name, value, quote)
	}
	fmt.Fprintln(c.out, line.String())
}
