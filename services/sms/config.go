package sms

import (
	"cmp"
	"errors"
	"net/url"

	"countersign.dev/pkg/conf"
	"countersign.dev/pkg/courier/inbox"
	"countersign.dev/pkg/secret"
	"countersign.dev/pkg/service"
	"countersign.dev/services/sms/internal/provider/twilio"
)

// Config is the sms worker's configuration. Every field is an environment
// variable with the prefix COUNTERSIGN_; each may be given as X_FILE instead.
type Config struct {
	service.Config

	// Provider sends the messages of the default environment. Those of the
	// sandbox go to the inbox, whatever it says.
	Provider string `env:"SMS_PROVIDER,required" doc:"who sends text messages of the default environment: twilio, or none to leave them to other workers"`
	Workers  int    `env:"SMS_WORKERS" envDefault:"16" doc:"messages of the default environment sent at once, 1 to 256"`
	Twilio   Twilio `envPrefix:"TWILIO_"`
	// BaseURL is the api's, for Twilio's reports.
	BaseURL string `env:"BASE_URL" doc:"public URL of the api; Twilio reports the fate of messages to paths under it, and to nowhere when it is empty"`
}

// Twilio is an account at Twilio.
type Twilio struct {
	AccountSID          string      `env:"ACCOUNT_SID" doc:"Twilio account that sends, AC..."`
	AuthToken           secret.Text `env:"AUTH_TOKEN" doc:"Twilio's auth token: sends messages and checks the signature of status callbacks"`
	From                string      `env:"FROM" doc:"sender of text messages: a number in E.164 form, a short code or a name; or set a messaging service"`
	MessagingServiceSID string      `env:"MESSAGING_SERVICE_SID" doc:"Twilio messaging service that chooses the sender, MG...; instead of a sender"`
	BaseURL             string      `env:"BASE_URL" envDefault:"https://api.twilio.com" doc:"Twilio's API; another one for a fake or a proxy"`
	CAFile              string      `env:"CA_FILE" doc:"certificates that sign Twilio's, PEM; the system's when empty"`
}

const providerNone = "none"

// Validate names every mistake that the types do not show.
func (c Config) Validate() error {
	mistakes := []error{c.Config.Validate(), c.validateProvider()}
	if c.Workers < 1 || c.Workers > 256 {
		mistakes = append(mistakes, conf.Wrong(key("SMS_WORKERS"), "is 1 to 256"))
	}
	return errors.Join(mistakes...)
}

// withDefaults fills what a configuration made in code left out. One that was
// read has the defaults of its tags.
func (c Config) withDefaults() Config {
	c.Config = c.WithDefaults()
	c.Workers = cmp.Or(c.Workers, 16)
	c.Twilio.BaseURL = cmp.Or(c.Twilio.BaseURL, twilio.DefaultBaseURL)
	return c
}

func key(name string) string { return conf.Prefix + name }

func (c Config) validateProvider() error {
	switch c.Provider {
	case "", providerNone: // an empty one is told by its tag
		return nil
	case inbox.Name:
		if !c.Dev {
			return conf.Wrong(key("SMS_PROVIDER"), "the inbox shows every code and sends none: it is for the sandbox and the dev command only")
		}
		return nil
	case twilio.Name:
		return c.validateTwilio()
	}
	return conf.Wrong(key("SMS_PROVIDER"), "is twilio or none")
}

// settings says where the fields of a twilio.Config come from.
var settings = map[string]string{
	"AccountSID":          "TWILIO_ACCOUNT_SID",
	"AuthToken":           "TWILIO_AUTH_TOKEN",
	"From":                "TWILIO_FROM",
	"MessagingServiceSID": "TWILIO_MESSAGING_SERVICE_SID",
	"BaseURL":             "TWILIO_BASE_URL",
	"CallbackURL":         "BASE_URL",
}

func (c Config) validateTwilio() error {
	var mistakes []error
	account := c.account()
	account.CallbackURL = c.BaseURL
	for _, mistake := range account.Check() {
		mistakes = append(mistakes, conf.Wrong(key(settings[mistake.Field]), "%s", mistake.Text))
	}
	mistakes = append(mistakes, c.encrypted("TWILIO_BASE_URL", c.Twilio.BaseURL), c.encrypted("BASE_URL", c.BaseURL))
	return errors.Join(mistakes...)
}

func (c Config) encrypted(name, text string) error {
	u, err := url.Parse(text)
	plain := err == nil && u.Scheme == "http" // what does not parse is told elsewhere
	if plain && (!c.InsecureDev || !conf.Loopback(u.Host)) {
		return conf.Wrong(key(name), "must be https; plain http needs %s=true and a loopback host", conf.InsecureDevKey)
	}
	return nil
}

// account is the Twilio account with where it reports to.
func (c Config) account() twilio.Config {
	return twilio.Config{
		AccountSID: c.Twilio.AccountSID, AuthToken: c.Twilio.AuthToken, From: c.Twilio.From,
		MessagingServiceSID: c.Twilio.MessagingServiceSID, BaseURL: c.Twilio.BaseURL, CAFile: c.Twilio.CAFile,
		CallbackURL: c.callbackURL(),
	}
}

// callbackURL leaves out an api that Twilio cannot reach: it would refuse the
// whole message. Only a fake on this machine can report to this machine.
func (c Config) callbackURL() string {
	if local(c.BaseURL) && !local(c.Twilio.BaseURL) {
		return ""
	}
	return c.BaseURL
}

func local(text string) bool {
	u, err := url.Parse(text)
	return err == nil && conf.Loopback(u.Host)
}
