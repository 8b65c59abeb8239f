package logs_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/logs"
	"countersign.dev/pkg/secret"
)

func TestValuesUnderTheseKeysAreHidden(t *testing.T) {
	t.Parallel()
	hidden := []string{
		"code", "token", "secret", "password", "authorization", "cookie", "phone", "phone_number", "email", "to",
		"Code", "TOKEN", "Authorization", "Set-Cookie", "totp_code", "access_token", "accessToken", "client_secret",
		"new_password", "user.email", "user_email", "mail_to", "mail-to", "sendTo", "phoneNumber", "codes", "tokens",
		"recovery_codes", "emails", "api_key", "dsn", "magic_link", "otp", "x-api-key", "credentials",
	}
	shown := []string{
		"proto", "photo", "auto", "goto", "code_id", "token_type", "email_count", "phone_country", "cookies_seen",
		"status", "route", "fault", "request_id", "key_id", "stop", "tone", "blink", "shipping",
	}
	for _, format := range formats {
		for _, key := range hidden {
			for name, line := range lines(t, format, key) {
				if strings.Contains(line, "canary") || !strings.Contains(line, "***") {
					t.Errorf("%s, %s under %q: %s", format, name, key, line)
				}
			}
		}
		for _, key := range shown {
			for name, line := range lines(t, format, key) {
				if !strings.Contains(line, "canary") {
					t.Errorf("%s, %s under %q is hidden without need: %s", format, name, key, line)
				}
			}
		}
	}
}

// lines logs a canary under the key in every place a key can stand.
func lines(t *testing.T, format logs.Format, key string) map[string]string {
	t.Helper()
	out := map[string]string{}
	writes := map[string]func(*slog.Logger){
		"a string":           func(l *slog.Logger) { l.Info("m", key, "canary") },
		"an error":           func(l *slog.Logger) { l.Info("m", key, errors.New("canary")) },
		"a list":             func(l *slog.Logger) { l.Info("m", key, []string{"canary"}) },
		"a bound value":      func(l *slog.Logger) { l.With(key, "canary").Info("m") },
		"in a group":         func(l *slog.Logger) { l.Info("m", slog.Group("g", key, "canary")) },
		"in an open group":   func(l *slog.Logger) { l.WithGroup("g").Info("m", key, "canary") },
		"a group of the key": func(l *slog.Logger) { l.Info("m", slog.Group(key, "value", "canary")) },
		"a group opened":     func(l *slog.Logger) { l.WithGroup(key).With("value", "canary").Info("m") },
		"a key of a map":     func(l *slog.Logger) { l.Info("m", "body", map[string]any{key: []string{"canary"}}) },
		"deep in a map": func(l *slog.Logger) {
			l.Info("m", "body", []any{map[string]any{"x": map[string]any{key: map[string]int{"canary": 1}}}})
		},
	}
	for name, write := range writes {
		out[name] = record(t, format, write)
	}
	return out
}

func TestStructsAreReadByTheirJSONNames(t *testing.T) {
	t.Parallel()
	type body struct {
		UserEmail string `json:"user_email"`
		Inner     *struct{ Token string }
		Name      string
		Secret    secret.Text
	}
	value := body{UserEmail: "canary", Name: "Ada", Secret: secret.New("canary"), Inner: &struct{ Token string }{"canary"}}
	headers := http.Header{"Authorization": {"Bearer canary"}, "Accept": {"text/html"}}
	for _, format := range formats {
		line := record(t, format, func(l *slog.Logger) { l.Info("m", "body", &value, "headers", headers) })
		if strings.Contains(line, "canary") || !strings.Contains(line, "Ada") || !strings.Contains(line, "text/html") {
			t.Errorf("%s: %s", format, line)
		}
	}
}

func TestTextIsScrubbedOfAddressesNumbersAndCredentials(t *testing.T) {
	t.Parallel()
	dial := &url.Error{Op: "Get", URL: "https://api.example.com/v1?to=%2B4915112345667&token=canary&page=2", Err: errors.New("refused")}
	cases := map[string]struct {
		value any
		want  string
	}{
		"a refused recipient":             {errors.New("550 5.1.1 <john@example.com>: unknown"), "550 5.1.1 <j•••@e•••.com>: unknown"},
		"an address at the end":           {"mail for john@example.com.", "mail for j•••@e•••.com"},
		"an escaped address":              {"GET /users/john%40example.com/x", "GET /users/j•••@e•••.com/x"},
		"a number in a provider's answer": {errors.New("The 'To' number +4915112345667 is not valid"), "The 'To' number +49•••••67 is not valid"},
		"an African number":               {"+254712345678", "+25•••••78"},
		"an escaped number":               {"/Messages?from=%2B15005550006", "/Messages?from=+15•••••06"},
		"the URL of a failed request":     {dial, `Get "https://api.example.com/v1?to=***&token=***&page=2": refused`},
		"a URL with a password":           {"dial nats://app:canary@nats.example.com:4222: refused", "dial nats://***@nats.example.com:4222: refused"},
		"a password with an at sign":      {"postgres://app:can@ary@db/x", "postgres://***@db/x"},
		"settings of a connection":        {"host=db password='can ary' user=app", "host=db password=*** user=app"},
		"a URL value":                     {&url.URL{Scheme: "redis", Host: "r", User: url.UserPassword("a", "canary")}, "redis://***@r"},
		"what holds neither":              {"1+1=2 at 50% on 2026-03-01T00:00:00+0100", "1+1=2 at 50% on 2026-03-01T00:00:00+0100"},
		"a duration":                      {1500 * time.Millisecond, ""},
		"a nil error in an interface":     {(*url.Error)(nil), "<nil>"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, format := range formats {
				text := record(t, format, func(l *slog.Logger) { l.Info("m", "value", c.value) })
				if strings.Contains(text, "canary") || strings.Contains(text, "john") || strings.Contains(text, "4915112") {
					t.Errorf("%s: %s", format, text)
				}
			}
			got := fields(t, record(t, logs.JSON, func(l *slog.Logger) { l.Info("m", "value", c.value) }))["value"]
			if c.want != "" && got != c.want {
				t.Errorf("got  %v\nwant %v", got, c.want)
			}
		})
	}
	line := record(t, logs.JSON, func(l *slog.Logger) { l.Info("mail to john@example.com", "a", map[string]int{"x@example.com": 1}) })
	if strings.Contains(line, "john") || strings.Contains(line, "x@") {
		t.Errorf("a message or a key of a map: %s", line)
	}
}

func TestNoValueBreaksTheLine(t *testing.T) {
	t.Parallel()
	values := map[string]any{
		"nil": nil, "a channel": make(chan int), "a function": func() {}, "a cycle": cycle(), "NaN in a struct": struct{ F float64 }{nan()},
		"bytes": []byte("canary"), "text that fails": fails{}, "a nil stringer": (*time.Time)(nil), "a complex number": complex(1, 2),
		"a pointer to a pointer": new(new("canary@example.com")), "an any": any("x"), "a named string": logs.JSON,
		"a pointer to a string": new("john@example.com"),
	}
	for name, value := range values {
		for _, format := range formats {
			t.Run(name+" as "+string(format), func(t *testing.T) {
				t.Parallel()
				line := record(t, format, func(l *slog.Logger) { l.Info("m", "value", value, "after", "there") })
				if !strings.Contains(line, "there") || strings.Contains(line, "canary") || strings.Contains(line, "john") {
					t.Errorf("got %s", line)
				}
			})
		}
	}
}

type fails struct{}

func (fails) MarshalText() ([]byte, error) { return nil, fmt.Errorf("canary") }

func cycle() any {
	type node struct{ Next any }
	n := &node{}
	n.Next = n
	return n
}

func nan() float64 {
	var zero float64
	return zero / zero
}
