// Package email is the worker that sends mails.
//
//	request -> challenge -> event -> WORKER -> provider
//
// This file is its wiring and table of contents: pkg/service takes the events
// of channel email from the bus and hands each to a pkg/courier worker, which
// asks pkg/claim whether it may send, composes the mail here with
// internal/text and calls a provider (internal/provider/...). What became of
// it goes back over the bus.
//
// Codes, links and news have consumers of their own in both environments
// (classes.go), so that a code never waits behind a flood of news. Mails of
// organizations with a mail server of their own come on a channel of their own
// in a lane for each organization, and go out by internal/provider/own. Nothing of
// the sandbox ever reaches a provider: its messages come back with their
// results and are read in the sandbox inbox.
package email

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"countersign.dev/pkg/courier"
	"countersign.dev/pkg/courier/inbox"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/service"
	"countersign.dev/services/email/internal/provider/own"
	"countersign.dev/services/email/internal/provider/smtp"
	"countersign.dev/services/email/internal/text"
)

// Version is the version of the whole project; release builds set it with
// -ldflags "-X countersign.dev/services/email.Version=...".
var Version = "dev"

// Parts are what the one binary shares between the services of one process.
type Parts = service.Parts

// Service is a wired email worker.
type Service = service.Service

// New wires the worker and binds its operations port. It fails on a
// configuration that cannot work; Redis, NATS and the mail server may be down,
// the work then waits for them.
func New(_ context.Context, cfg Config, parts Parts) (*Service, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s, err := service.New(service.Trade{
		Name: "email", Version: Version, Channel: event.ChannelEmail, Line: "mail", What: "mails", Compose: compose, Series: series(),
	}, cfg.Config, parts)
	if err != nil {
		return nil, err
	}
	if err := wire(s, cfg); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// wire adds a consumer for each class and environment.
func wire(s *Service, cfg Config) error {
	for _, c := range sandboxConsumers() {
		s.Keep(c)
	}
	switch cfg.Provider {
	case providerNone:
		s.Unsent(key("EMAIL_PROVIDER") + " is none")
	case inbox.Name:
		for _, c := range consumers(cfg.SMTP.Connections) {
			s.Keep(c)
		}
		s.Keep(lanes())
	case smtp.Name:
		if err := wireOwn(s, cfg.Own); err != nil {
			return err
		}
		server, err := smtp.New(cfg.server())
		if err != nil {
			return err
		}
		s.Closing(func() error { server.Close(); return nil })
		sender := service.Sender{Name: smtp.Name, Provider: s.Guarded(server)}
		for _, c := range consumers(cfg.SMTP.Connections) {
			s.Send(c, sender)
		}
	default:
		return fmt.Errorf("%s: no such provider", key("EMAIL_PROVIDER"))
	}
	return nil
}

// wireOwn adds the lanes of organizations with a mail server of their own.
func wireOwn(s *Service, cfg own.Config) error {
	cfg.Log = s.Log()
	servers, err := own.New(cfg)
	if err != nil {
		return fmt.Errorf("%s: %w", key("SMTP_OWN_CA_FILE"), err)
	}
	s.Closing(func() error { servers.Close(); return nil })
	s.Gauge("countersign_email_own_servers_held", "Mail servers of organizations that mails are held back from.", servers.Held)
	s.Send(lanes(), service.Sender{Name: own.Name, Provider: servers})
	return nil
}

// compose writes the mail of an opened content.
func compose(_ event.Requested, content []byte) (courier.Message, error) {
	var m event.Mail
	if json.Unmarshal(content, &m) != nil || m.To == "" {
		return courier.Message{}, errors.New("open content: it is not a mail")
	}
	mail, err := text.Render(m)
	if err != nil {
		return courier.Message{}, fmt.Errorf("render mail: %w", err)
	}
	return courier.Message{To: m.To, Subject: mail.Subject, Text: mail.Text, HTML: mail.HTML, Stock: mail.Stock}, nil
}
