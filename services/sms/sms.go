// Package sms is the worker that sends text messages.
//
//	request -> challenge -> event -> WORKER -> provider
//
// This file is its wiring and table of contents: pkg/service takes the events
// of channel sms from the bus and hands each to a pkg/courier worker, which
// asks pkg/claim whether it may send, composes the message here with
// internal/text and calls a provider (internal/provider/...). What became of
// it goes back over the bus.
//
// One worker serves both environments with two consumers. Nothing of the
// sandbox ever reaches a provider: its messages come back with their results
// and are read in the sandbox inbox.
package sms

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/courier"
	"countersign.dev/pkg/courier/inbox"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/service"
	"countersign.dev/services/sms/internal/provider/twilio"
	"countersign.dev/services/sms/internal/text"
)

// Version is the version of the whole project; release builds set it with
// -ldflags "-X countersign.dev/services/sms.Version=...".
var Version = "dev"

// Parts are what the one binary shares between the services of one process.
type Parts = service.Parts

// Service is a wired sms worker.
type Service = service.Service

// sandboxWorkers are enough for messages that go nowhere.
const sandboxWorkers = 4

// class is the only one of text messages.
const class = bus.ClassCode

// New wires the worker and binds its operations port. It fails on a
// configuration that cannot work; Redis, NATS and the provider may be down,
// the work then waits for them.
func New(_ context.Context, cfg Config, parts Parts) (*Service, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s, err := service.New(service.Trade{
		Name: "sms", Version: Version, Channel: event.ChannelSMS, Line: "sms", What: "text messages", Compose: compose, Series: series(),
	}, cfg.Config, parts)
	if err != nil {
		return nil, err
	}
	if err := wire(s, cfg); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// wire adds a consumer for each environment.
func wire(s *Service, cfg Config) error {
	s.Keep(service.Consumer{Class: class, Env: event.EnvSandbox, Workers: sandboxWorkers})
	standard := service.Consumer{Class: class, Env: event.EnvDefault, Workers: cfg.Workers}
	switch cfg.Provider {
	case providerNone:
		s.Unsent(key("SMS_PROVIDER") + " is none")
	case inbox.Name:
		s.Keep(standard)
	case twilio.Name:
		account, err := twilio.New(cfg.account())
		if err != nil {
			return err
		}
		s.Closing(func() error { account.Close(); return nil })
		s.Send(standard, service.Sender{Name: twilio.Name, Provider: s.Guarded(account), Finder: account})
	default:
		return fmt.Errorf("%s: no such provider", key("SMS_PROVIDER"))
	}
	return nil
}

// compose makes the text message of an opened content.
func compose(_ event.Requested, content []byte) (courier.Message, error) {
	var sms event.SMS
	if json.Unmarshal(content, &sms) != nil || sms.To == "" {
		return courier.Message{}, errors.New("open content: it is not a text message")
	}
	m := text.Message{Code: sms.Code, Brand: sms.Brand, Host: sms.Host, Locale: sms.Locale}
	if sms.Words != nil {
		m.Words = sms.Words.Text
	}
	body, stock, err := text.Render(m)
	if err != nil {
		return courier.Message{}, fmt.Errorf("render text: %w", err)
	}
	return courier.Message{To: sms.To, Text: body, Stock: stock}, nil
}
