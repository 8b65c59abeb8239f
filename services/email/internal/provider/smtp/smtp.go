// Package smtp sends mails through one SMTP server: the operator's relay, or
// one of an organization.
//
// The worker calls [Provider.Send]; the package owns the one right reaction to
// each thing that can happen at each point of a conversation (reaction.go). As
// SMTP cannot be asked "did you get this?", what matters is to know whether a
// mail may have been taken: before the final dot it certainly was not, after
// the dot and without an answer nobody knows, and after the answer nothing that
// goes wrong counts any more. Every try of a delivery has the same Message-ID,
// so that the receiving side can fold two copies into one.
//
// The client library (go-mail) speaks the commands and writes the message.
// Connections are kept here: the library's client must not be shared, knows no
// context, and has one deadline for everything that a connection ever does.
package smtp

import (
	"context"
	"crypto"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"countersign.dev/pkg/courier"
)

// Name is how deliveries and metrics call this provider.
const Name = "smtp"

// Provider sends through one server. It is safe for concurrent use.
type Provider struct {
	cfg   Config
	tls   *tls.Config
	key   crypto.Signer // nil signs nothing
	limit func(point) time.Duration
	pace  pace
	pool  *pool
}

var _ courier.Provider = (*Provider)(nil)

// New checks the settings and reads the CA file. It connects to nobody.
func New(cfg Config) (*Provider, error) {
	cfg = cfg.withDefaults()
	for _, mistake := range cfg.Check() {
		return nil, fmt.Errorf("smtp: %w", mistake)
	}
	settings, err := cfg.tlsConfig()
	if err != nil {
		return nil, fmt.Errorf("smtp: %w", err)
	}
	key, err := cfg.signingKey()
	if err != nil {
		return nil, fmt.Errorf("smtp: %w", err)
	}
	p := &Provider{cfg: cfg, tls: settings, key: key, limit: cfg.Timeouts.of, pool: newPool(cfg.Connections, cfg.Idle)}
	if cfg.Rate > 0 {
		p.pace.every = time.Second / time.Duration(cfg.Rate)
	}
	return p, nil
}

// Close says goodbye on the connections that are at rest, and closes those in
// use when their mail is done.
func (p *Provider) Close() { p.pool.close() }

// Send hands one mail to the server and returns its Message-ID. The errors are
// those of [courier.Provider]. When ctx ends, what the server was doing is cut
// short: after the final dot that leaves open whether it has the mail.
func (p *Provider) Send(ctx context.Context, m courier.Message) (courier.Receipt, error) {
	l, err := p.compose(m)
	if err != nil {
		return courier.Receipt{}, unsendable(err)
	}
	if err := p.pace.wait(ctx); err != nil {
		return courier.Receipt{}, err
	}
	if err := p.pool.enter(ctx); err != nil {
		return courier.Receipt{}, err
	}
	defer p.pool.leave()
	if err := p.hand(ctx, l); err != nil {
		return courier.Receipt{}, react(err)
	}
	return courier.Receipt{ProviderID: l.messageID}, nil
}

// hand uses a connection at rest, or a new one. A server that had lost its
// patience with the first is no failure: as long as it certainly does not have
// the mail, it gets it on a new connection.
func (p *Provider) hand(ctx context.Context, l letter) error {
	if c := p.pool.take(); c != nil {
		err := p.transact(ctx, c, l)
		if !hungUp(err) || ctx.Err() != nil {
			return err
		}
	}
	c, err := p.dial(ctx)
	if err != nil {
		return err
	}
	return p.transact(ctx, c, l)
}

// transact sends one mail and keeps the connection for the next, or closes it.
func (p *Provider) transact(ctx context.Context, c *conn, l letter) error {
	err := c.send(ctx, l)
	if err == nil || clean(err) {
		if c.release() {
			p.pool.give(c)
			return err
		}
	}
	c.drop()
	return err
}

// dial makes a connection that is ready for MAIL.
func (p *Provider) dial(ctx context.Context) (*conn, error) {
	dialer := net.Dialer{Timeout: p.limit(atConnect), Control: p.cfg.Control}
	raw, err := dialer.DialContext(ctx, "tcp", p.cfg.address())
	if err != nil {
		return nil, &trouble{at: atConnect, err: err}
	}
	c := &conn{cfg: &p.cfg, limit: p.limit, raw: raw}
	c.hold(ctx)
	if err := c.open(ctx, p.tls); err != nil {
		c.drop()
		return nil, err
	}
	if !c.release() {
		c.drop()
		return nil, &trouble{at: atConnect, err: ctx.Err()}
	}
	return c, nil
}
