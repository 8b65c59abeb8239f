package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"
)

// conn is one connection to the server. One goroutine uses it at a time.
type conn struct {
	cfg    *Config
	limit  func(point) time.Duration
	raw    net.Conn
	client *smtp.Client
	// cutShort says that the last transaction has no end, so that RSET has to
	// come first.
	cutShort bool
	unhold   func() bool
	resting  *time.Timer
}

// hold ties the connection to a context: when it ends, whatever waits for the
// server stops waiting. The library has no other way to be told.
func (c *conn) hold(ctx context.Context) {
	c.unhold = context.AfterFunc(ctx, func() { _ = c.raw.SetDeadline(time.Unix(1, 0)) })
}

// release unties it. False says that the context has ended and the connection
// is no longer good.
func (c *conn) release() bool { return c.unhold() }

// drop closes the connection without a word.
func (c *conn) drop() {
	c.unhold()
	_ = c.raw.Close()
}

// step runs one exchange with the server under a deadline of its own. Its
// error is a *trouble.
func (c *conn) step(ctx context.Context, at point, exchange func() error) error {
	err := c.raw.SetDeadline(time.Now().Add(c.limit(at)))
	// The context is asked after the deadline was set: if it ends later, the
	// deadline that its end sets comes later too.
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = exchange()
	} else if at == atDot {
		at = atBody // nothing of the dot has left
	}
	if err == nil {
		return nil
	}
	if ended := ctx.Err(); ended != nil {
		err = errors.Join(ended, err)
	}
	return &trouble{at: at, err: err}
}

// open greets, goes on with TLS and signs in.
func (c *conn) open(ctx context.Context, settings *tls.Config) error {
	transport := c.raw
	if c.cfg.TLS == TLSImplicit {
		secured := tls.Client(c.raw, settings)
		if err := c.step(ctx, atHandshake, func() error { return secured.HandshakeContext(ctx) }); err != nil {
			return err
		}
		transport = secured
	}
	err := c.step(ctx, atGreeting, func() (err error) {
		c.client, err = smtp.NewClient(transport, c.cfg.Host)
		return err
	})
	if err != nil {
		return err
	}
	// Without SMTPUTF8 wherever it is not needed: the next server on the way
	// may not have it.
	c.client.SkipSMTPUTF8(true)
	if err := c.step(ctx, atHello, c.hello); err != nil {
		return err
	}
	if c.cfg.TLS == TLSStart {
		if err := c.startTLS(ctx, settings); err != nil {
			return err
		}
	}
	if c.cfg.User != "" {
		return c.signIn(ctx)
	}
	return nil
}

// hello says EHLO. The library tries HELO where that is refused, which would
// turn a server that is busy into one without TLS.
func (c *conn) hello() error {
	refused := &remember{}
	c.client.ErrorHandlerRegistry.RegisterHandler(c.cfg.Host, "ehlo", refused)
	if err := c.client.Hello(c.cfg.Hello); refused.err == nil {
		return err
	}
	return refused.err
}

// startTLS never goes on in plain text, nor with what was said before TLS.
func (c *conn) startTLS(ctx context.Context, settings *tls.Config) error {
	if offered, _ := c.client.Extension("STARTTLS"); !offered {
		return &trouble{at: atHandshake, err: errNoStartTLS}
	}
	plain := c.client.Text
	err := c.step(ctx, atStartTLS, func() error { return c.client.StartTLS(settings) })
	if plain.R.Buffered() > 0 {
		return &trouble{at: atHandshake, err: errInjected}
	}
	// The library's one call is three steps: the command, TLS, EHLO.
	if t, ok := errors.AsType[*trouble](err); ok {
		state, begun := c.client.TLSConnectionState()
		switch {
		case begun && state.HandshakeComplete:
			t.at = atHello
		case begun:
			t.at = atHandshake
		}
	}
	return err
}

// signIn uses PLAIN or LOGIN, which the verified TLS around them makes as good
// as any.
func (c *conn) signIn(ctx context.Context) error {
	_, offered := c.client.Extension("AUTH")
	mechanisms := strings.Fields(strings.ToUpper(offered))
	secret, plain := c.cfg.Password.Reveal(), c.cfg.TLS == TLSNone
	var auth smtp.Auth
	switch {
	case slices.Contains(mechanisms, "PLAIN"):
		auth = smtp.PlainAuth("", c.cfg.User, secret, c.cfg.Host, plain)
	case slices.Contains(mechanisms, "LOGIN"):
		auth = smtp.LoginAuth(c.cfg.User, secret, c.cfg.Host, plain)
	default:
		return &trouble{at: atAuth, err: errNoAuth}
	}
	return c.step(ctx, atAuth, func() error { return c.client.Auth(auth) })
}

// send is one transaction with one recipient. Its error is a *trouble.
func (c *conn) send(ctx context.Context, l letter) error {
	c.hold(ctx)
	if c.cutShort {
		if err := c.step(ctx, atReset, c.client.Reset); err != nil {
			return err
		}
		c.cutShort = false
	}
	if l.to.utf8 || l.from.utf8 {
		if has, _ := c.client.Extension("SMTPUTF8"); !has {
			return &trouble{at: atRcpt, err: errAddress}
		}
		c.client.SkipSMTPUTF8(false)
		defer c.client.SkipSMTPUTF8(true)
	}
	c.cutShort = true
	if err := c.step(ctx, atMail, func() error { return c.client.Mail("<" + l.from.text + ">") }); err != nil {
		return err
	}
	if err := c.step(ctx, atRcpt, func() error { return c.client.Rcpt("<" + l.to.text + ">") }); err != nil {
		return err
	}
	err := c.content(ctx, l.data)
	c.cutShort = err != nil
	return err
}

// content writes the mail and waits for the answer to its final dot.
func (c *conn) content(ctx context.Context, data []byte) error {
	var body interface {
		Write(p []byte) (int, error)
		Close() error
	}
	err := c.step(ctx, atData, func() (err error) {
		body, err = c.client.Data()
		return err
	})
	if err != nil {
		return err
	}
	// Flushed before the dot is written: what fails here certainly has none.
	err = c.step(ctx, atBody, func() error {
		if _, err := body.Write(data); err != nil {
			return err
		}
		return c.client.Text.W.Flush()
	})
	if err != nil {
		return err
	}
	return c.step(ctx, atDot, body.Close)
}

// goodbye closes a connection at rest as the protocol wants it. How that goes
// is of no interest: every mail on it was answered.
func (c *conn) goodbye() {
	_ = c.raw.SetDeadline(time.Now().Add(c.limit(atQuit)))
	_ = c.client.Quit()
	_ = c.raw.Close()
}
