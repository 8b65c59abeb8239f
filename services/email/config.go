package email

import (
	"errors"

	"countersign.dev/pkg/conf"
	"countersign.dev/pkg/courier/inbox"
	"countersign.dev/pkg/service"
	"countersign.dev/services/email/internal/provider/own"
	"countersign.dev/services/email/internal/provider/smtp"
)

// Config is the email worker's configuration. Every field is an environment
// variable with the prefix COUNTERSIGN_; each may be given as X_FILE instead.
type Config struct {
	service.Config

	// Provider sends the mails of the default environment. Those of the
	// sandbox go to the inbox, whatever it says.
	Provider string      `env:"EMAIL_PROVIDER,required" doc:"who sends mails of the default environment: smtp, or none to leave them to other workers"`
	SMTP     smtp.Config `envPrefix:"SMTP_"`
	// Own is about mail servers of organizations.
	Own own.Config `envPrefix:"SMTP_OWN_"`
}

const providerNone = "none"

// Validate names every mistake that the types do not show.
func (c Config) Validate() error {
	return errors.Join(c.Config.Validate(), c.validateProvider())
}

func (c Config) validateProvider() error {
	switch c.Provider {
	case "", providerNone: // an empty one is told by its tag
		return nil
	case inbox.Name:
		if !c.Dev {
			return conf.Wrong(key("EMAIL_PROVIDER"), "the inbox shows every code and link and sends none: it is for the sandbox and the dev command only")
		}
		return nil
	case smtp.Name:
		var mistakes []error
		for _, mistake := range c.server().Check() {
			mistakes = append(mistakes, conf.Wrong(key("SMTP_"+mistake.Key), "%s", mistake.Text))
		}
		if _, err := own.ParseNetworks(c.Own.Allow); err != nil {
			mistakes = append(mistakes, conf.Wrong(key("SMTP_OWN_ALLOW"), "%v", err))
		}
		return errors.Join(mistakes...)
	}
	return conf.Wrong(key("EMAIL_PROVIDER"), "is smtp or none")
}

// withDefaults fills what a configuration made in code left out. One that was
// read has the defaults of its tags.
func (c Config) withDefaults() Config {
	c.Config = c.WithDefaults()
	if c.SMTP.Connections == 0 {
		c.SMTP.Connections = 4
	}
	return c
}

// server is the mail server, with what the worker knows about it.
func (c Config) server() smtp.Config {
	server := c.SMTP
	server.Insecure = c.InsecureDev
	return server
}

func key(name string) string { return conf.Prefix + name }
