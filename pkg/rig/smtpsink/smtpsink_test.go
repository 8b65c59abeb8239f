package smtpsink_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"countersign.dev/pkg/rig/smtpsink"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client speaks line by line.
type client struct {
	t    *testing.T
	conn net.Conn
	*textproto.Conn
}

func open(t *testing.T, options smtpsink.Options) (*smtpsink.Server, func() *client) {
	t.Helper()
	sink := smtpsink.New(options)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- sink.Serve(listener) }() // ends with Close below
	t.Cleanup(func() {
		sink.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return sink, func() *client {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		c := &client{t, conn, textproto.NewConn(conn)}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
}

// say sends a line, when there is one, and checks the code of the answer.
func (c *client) say(code int, line string) string {
	c.t.Helper()
	if line != "" {
		if err := c.PrintfLine("%s", line); err != nil {
			c.t.Fatalf("%s: %v", line, err)
		}
	}
	got, text, err := c.ReadResponse(0)
	if err != nil || got != code {
		c.t.Fatalf("%s: %d %s %v, want %d", line, got, text, err, code)
	}
	return text
}

// gone checks that the sink hung up without a word.
func (c *client) gone(line string) {
	c.t.Helper()
	_ = c.PrintfLine("%s", line)
	if code, text, err := c.ReadResponse(0); err == nil {
		c.t.Fatalf("%s: %d %s, want nothing", line, code, text)
	}
}

func (c *client) mail(code int, content string) {
	c.t.Helper()
	c.say(250, "MAIL FROM:<a@example.com>")
	c.say(250, "RCPT TO:<b@example.com>")
	c.say(354, "DATA")
	c.say(code, content+"\r\n.")
}

func TestItKeepsWhatItAccepts(t *testing.T) {
	t.Parallel()
	stored := make(chan smtpsink.Mail, 1)
	sink, dial := open(t, smtpsink.Options{Stored: func(m smtpsink.Mail) { stored <- m }})
	c := dial()
	c.say(220, "")
	c.say(250, "EHLO me.test")
	c.mail(250, strings.Join([]string{
		"Message-ID: <1@example.com>", "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Content-Type: multipart/alternative; boundary=b", "",
		"--b", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: quoted-printable", "", "a=3Db", "..", "--b",
		"Content-Type: text/html; charset=utf-8", "", "<p>", "--b--",
	}, "\r\n"))
	m := <-stored
	if m.From != "a@example.com" || !slices.Equal(m.To, []string{"b@example.com"}) || m.MessageID != "<1@example.com>" || m.Subject != "Grüße" ||
		m.Text != "a=b\r\n." || m.HTML != "<p>" {
		t.Errorf("%+v", m)
	}
	c.say(221, "QUIT")
	log := sink.Log()
	if len(log.To("b@example.com")) != 1 || log.Count("RCPT") != 1 || len(log.Connections) != 1 || log.Connections[0].TLS {
		t.Errorf("%+v", log)
	}
}

// Only CRLF ends a line, only a dot alone on one ends a mail.
func TestItIsStrict(t *testing.T) {
	t.Parallel()
	sink, dial := open(t, smtpsink.Options{})
	c := dial()
	c.say(220, "")
	c.say(503, "MAIL FROM:<a@example.com>")
	c.say(250, "EHLO me.test")
	c.say(503, "RCPT TO:<b@example.com>")
	c.say(501, "MAIL FROM: a@example.com")
	c.say(555, "MAIL FROM:<a@example.com> SMTPUTF8")
	c.say(250, "MAIL FROM:<a@example.com> BODY=8BITMIME")
	c.say(503, "DATA")
	c.say(555, "RCPT TO:<b@example.com> ORCPT=x")
	c.say(501, "RCPT TO:<b@example.com>x")
	c.say(501, "RCPT TO:<>")
	c.say(250, `RCPT TO:<"a> b"@example.com>`)
	c.say(354, "DATA")
	if err := c.PrintfLine("Subject: x\r\n\r\na\n.\nb\r\n.\nc\r\n.\r"); err != nil { // none of these dots
		t.Fatal(err)
	}
	c.say(250, "\r\n.")
	c.say(500, "WHAT")
	c.say(500, "EHLO a\x00b")
	c.say(250, "RSET")
	c.say(250, "NOOP")
	m := sink.Log().Mails
	if len(m) != 1 || !slices.Equal(m[0].To, []string{`"a> b"@example.com`}) || m[0].Data != "Subject: x\r\n\r\na\n.\nb\r\n\nc\r\n\r\r\n\r\n" {
		t.Errorf("%+v", m)
	}
}

func TestPasswordsComeBehindTLS(t *testing.T) {
	t.Parallel()
	settings, pem, err := smtpsink.Certificate("sink.test")
	if err != nil {
		t.Fatal(err)
	}
	sink, dial := open(t, smtpsink.Options{TLS: settings, User: "u", Password: "canary", SMTPUTF8: true})
	c := dial()
	c.say(220, "")
	if hello := c.say(250, "EHLO me.test"); !strings.Contains(hello, "STARTTLS") || strings.Contains(hello, "AUTH") {
		t.Error(hello)
	}
	c.say(530, "MAIL FROM:<a@example.com>")
	plain := func(password string) string { return base64.StdEncoding.EncodeToString([]byte("\x00u\x00" + password)) }
	c.say(503, "AUTH PLAIN "+plain("canary"))
	c.say(220, "STARTTLS")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	c.Conn = textproto.NewConn(tls.Client(c.conn, &tls.Config{RootCAs: roots, ServerName: "sink.test"}))
	if hello := c.say(250, "EHLO me.test"); strings.Contains(hello, "STARTTLS") || !strings.Contains(hello, "AUTH PLAIN LOGIN") {
		t.Error(hello)
	}
	c.say(530, "MAIL FROM:<a@example.com>")
	c.say(535, "AUTH PLAIN "+plain("wrong"))
	c.say(504, "AUTH CRAM-MD5")
	c.say(334, "AUTH LOGIN")
	c.say(334, base64.StdEncoding.EncodeToString([]byte("u")))
	c.say(235, base64.StdEncoding.EncodeToString([]byte("canary")))
	c.say(250, "MAIL FROM:<a@example.com> SMTPUTF8")
	if shown := fmt.Sprint(sink.Log()); strings.Contains(shown, "canary") || strings.Contains(shown, plain("canary")) {
		t.Errorf("the log shows the password: %s", shown)
	}
}

func TestItMisbehavesAsTold(t *testing.T) {
	t.Parallel()
	sink, dial := open(t, smtpsink.Options{})
	fail := func(faults ...smtpsink.Fault) {
		t.Helper()
		if err := sink.Fail(faults...); err != nil {
			t.Fatal(err)
		}
	}
	fail(smtpsink.Fault{At: smtpsink.Connect, Close: true}, smtpsink.Fault{At: smtpsink.Banner, Code: 554})
	dial().gone("EHLO me.test")
	c := dial()
	c.say(554, "")
	c.say(503, "EHLO me.test")
	c.say(221, "QUIT")

	fail(smtpsink.Fault{At: smtpsink.Rcpt, To: "b@example.com", Code: 450, Times: 2}, smtpsink.Fault{At: smtpsink.Dot, Store: true, Close: true})
	c = dial()
	c.say(220, "")
	c.say(250, "EHLO me.test")
	c.say(250, "MAIL FROM:<a@example.com>")
	c.say(250, "RCPT TO:<c@example.com>")
	c.say(450, "RCPT TO:<b@example.com>")
	c.say(450, "RCPT TO:<b@example.com>")
	c.say(250, "RCPT TO:<b@example.com>")
	c.say(354, "DATA")
	c.gone("x\r\n.")
	if m := sink.Log().Mails; len(m) != 1 || !slices.Equal(m[0].To, []string{"c@example.com", "b@example.com"}) {
		t.Errorf("%+v", m)
	}

	fail(smtpsink.Fault{At: smtpsink.MailFrom, Code: 421})
	c = dial()
	c.say(220, "")
	c.say(250, "EHLO me.test")
	c.say(421, "MAIL FROM:<a@example.com>")
	c.gone("NOOP")

	fail(smtpsink.Fault{At: smtpsink.Quit, Code: 500, Times: 9})
	sink.Behave()
	c = dial()
	c.say(220, "")
	c.say(221, "QUIT")
}

func TestFaultsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	sink := smtpsink.New(smtpsink.Options{})
	defer sink.Close()
	for name, f := range map[string]smtpsink.Fault{
		"nowhere":               {Code: 450},
		"nothing":               {At: smtpsink.Dot},
		"two things":            {At: smtpsink.Dot, Code: 450, Close: true},
		"no reply code":         {At: smtpsink.Dot, Code: 99},
		"stored before it came": {At: smtpsink.Rcpt, Code: 450, Store: true},
		"for whom, too early":   {At: smtpsink.MailFrom, Code: 450, To: "a@example.com"},
		"less than once":        {At: smtpsink.Dot, Code: 450, Times: -1},
	} {
		if err := sink.Fail(smtpsink.Fault{At: smtpsink.Dot, Stall: true}, f); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
}
