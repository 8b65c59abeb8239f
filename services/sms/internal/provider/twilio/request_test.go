package twilio

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/courier"
	"countersign.dev/pkg/secret"
)

func TestRequestIsWhatTwilioExpects(t *testing.T) {
	t.Parallel()
	type call struct {
		path string
		form url.Values
		user string
		pass string
	}
	for name, c := range map[string]struct {
		message courier.Message
		change  func(*Config)
		path    string
		want    url.Values
	}{
		"from a number, without reports": {
			message, func(*Config) {}, "",
			url.Values{"From": {"+15005550006"}, "ValidityPeriod": {"299"}},
		},
		"from a service, with reports, behind a path": {
			message, func(c *Config) {
				c.From, c.MessagingServiceSID = "", "MG0123456789abcdef0123456789abcdef"
				c.CallbackURL = "https://api.example.com/base/"
				c.BaseURL += "/proxy/"
			}, "/proxy",
			url.Values{
				"MessagingServiceSid": {"MG0123456789abcdef0123456789abcdef"}, "ValidityPeriod": {"299"},
				"StatusCallback": {"https://api.example.com/base/callback/twilio/delivery_1"},
			},
		},
		"with hardly any life left": {
			courier.Message{DeliveryID: "a/b?", To: message.To, Text: message.Text, ValidFor: 300 * time.Millisecond},
			func(c *Config) { c.CallbackURL = "https://api.example.com" }, "",
			url.Values{
				"From": {"+15005550006"}, "ValidityPeriod": {"1"},
				"StatusCallback": {"https://api.example.com/callback/twilio/a%2Fb%3F"},
			},
		},
		"with too much life": {
			courier.Message{DeliveryID: "d", To: message.To, Text: message.Text, ValidFor: 100 * time.Hour},
			func(*Config) {}, "",
			url.Values{"From": {"+15005550006"}, "ValidityPeriod": {"36000"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got call
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_ = r.ParseForm()
				got.path, got.form = r.URL.Path, r.PostForm
				got.user, got.pass, _ = r.BasicAuth()
				say(201, good)(w, r)
			}))
			t.Cleanup(s.Close)
			if _, err := provider(t, s.URL, c.change).Send(t.Context(), c.message); err != nil {
				t.Fatal(err)
			}
			c.want.Set("To", message.To)
			c.want.Set("Body", message.Text)
			if got.form.Encode() != c.want.Encode() {
				t.Errorf("form %v, want %v", got.form, c.want)
			}
			if want := c.path + "/2010-04-01/Accounts/" + account + "/Messages.json"; got.path != want {
				t.Errorf("path %s, want %s", got.path, want)
			}
			if got.user != account || got.pass != token {
				t.Errorf("credentials of %q", got.user)
			}
		})
	}
}

func TestCheckNamesEveryMistake(t *testing.T) {
	t.Parallel()
	wrong := Config{
		AccountSID: "AC1", AuthToken: secret.New("canary token"), From: "+1", MessagingServiceSID: "MG1",
		BaseURL: "ftp://x", CallbackURL: "https://u:canary@x",
	}
	var fields []string
	for _, mistake := range wrong.Check() {
		fields = append(fields, mistake.Field)
		if strings.Contains(mistake.Error(), "canary") {
			t.Errorf("a secret is in %v", mistake)
		}
	}
	want := []string{"AccountSID", "AuthToken", "From", "From", "MessagingServiceSID", "BaseURL", "CallbackURL"}
	if !slices.Equal(fields, want) {
		t.Errorf("mistakes in %v", fields)
	}
	if _, err := New(wrong); err == nil {
		t.Error("wrong settings were taken")
	}
	for _, from := range []string{"+15005550006", "12345", "Acme Bank"} {
		if wrong := (Config{AccountSID: account, AuthToken: secret.New(token), From: from}).Check(); wrong != nil {
			t.Errorf("%s: %v", from, wrong)
		}
	}
}
