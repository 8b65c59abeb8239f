package smtp

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/rig/smtpsink"
)

// TLS with the right name, or nothing: no password and no mail goes to a
// server that does not prove who it is, however it tries.
//
// Covers R-107 for the SMTP provider.
func TestNothingIsSaidWithoutTLS(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*testing.T, *options)
		fault  smtpsink.Fault
		want   string
		hello  bool
	}{
		"STARTTLS is not offered, or somebody took it out": {
			change: func(_ *testing.T, o *options) { o.sink.NoStartTLS = true }, want: "again tls",
		},
		"the server has no TLS at all": {
			change: func(_ *testing.T, o *options) { o.sink.TLS = nil }, want: "again tls",
		},
		"a certificate of another name": {
			change: func(t *testing.T, o *options) { o.sink.TLS, o.config.CAFile = certificate(t, "mail.example.com") }, want: "again tls",
		},
		"a certificate that nobody trusts": {
			change: func(t *testing.T, o *options) { o.sink.TLS, _ = certificate(t, "127.0.0.1") }, want: "again tls",
		},
		"a certificate of another name, implicit": {
			change: func(t *testing.T, o *options) {
				o.sink.TLS, o.config.CAFile = certificate(t, "mail.example.com")
				o.sink.Implicit, o.config.TLS = true, TLSImplicit
			},
			want: "again tls",
		},
		"plain text where TLS should be": {
			change: func(_ *testing.T, o *options) { o.config.TLS = TLSImplicit }, want: "again tls", hello: true,
		},
		"an answer from before TLS, for after it": {
			fault: smtpsink.Fault{At: smtpsink.StartTLS, Inject: "250-sink.test\r\n250 AUTH PLAIN\r\n"}, want: "again tls",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := stage(t, func(o *options) {
				if c.change != nil {
					c.change(t, o)
				}
			})
			if c.fault.At != "" {
				s.fail(t, c.fault)
			}
			err := s.send(t, message)
			if told := instruction(err); told != c.want {
				t.Errorf("the worker was told %q, want %q: %v", told, c.want, err)
			}
			silent(t, err)
			s.sink.Close() // all that was said has arrived
			log := s.sink.Log()
			for _, l := range log.Connections {
				for _, line := range l.Commands {
					if c.hello { // of TLS, which the server took for lines
						line = strings.ToValidUTF8(line, "")
						if !strings.Contains(line, "AUTH") && !strings.Contains(line, "EHLO") {
							continue
						}
					}
					if !slices.Contains([]string{"EHLO countersign.test", "STARTTLS"}, line) {
						t.Errorf("the server was told %q", line)
					}
				}
			}
			if len(log.Connections) != 1 || len(log.Mails) != 0 {
				t.Errorf("the server saw %+v", log)
			}
		})
	}
}

func TestImplicitTLS(t *testing.T) {
	t.Parallel()
	s := stage(t, func(o *options) { o.sink.Implicit, o.config.TLS = true, TLSImplicit })
	s.mustSend(t, message)
	if log := s.sink.Log(); len(log.Mails) != 1 || !log.Connections[0].TLS || log.Count("AUTH") != 1 {
		t.Errorf("%+v", log)
	}
}

func TestPlainTextToThisMachineWhenAskedFor(t *testing.T) {
	t.Parallel()
	s := stage(t, func(o *options) { o.sink.TLS, o.config.TLS, o.config.Insecure = nil, TLSNone, true })
	s.mustSend(t, message)
	if log := s.sink.Log(); len(log.Mails) != 1 || log.Connections[0].TLS {
		t.Errorf("%+v", log)
	}
}

func TestWrongPassword(t *testing.T) {
	t.Parallel()
	s := stage(t, func(o *options) { o.sink.Password = "another" })
	err := s.send(t, message)
	if told := instruction(err); told != "again credentials" {
		t.Error(told)
	}
	silent(t, err) // the server repeats the user in its answer
}

func TestNoWayToSignIn(t *testing.T) {
	t.Parallel()
	s := stage(t, func(o *options) { o.sink.User = "" })
	if told := instruction(s.send(t, message)); told != "again credentials" {
		t.Error(told)
	}
	if log := s.sink.Log(); log.Count("AUTH") != 0 {
		t.Errorf("%+v", log)
	}
}

// A server that offers LOGIN only, spoken by hand.
func TestLoginWherePlainIsNotOffered(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 1)
	go func() { // ends when the client hangs up
		conn, err := listener.Accept()
		if err != nil {
			said <- err.Error()
			return
		}
		defer conn.Close()
		said <- converse(conn, "220 hi", "250-hi\r\n250 AUTH LOGIN", "334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 ok", "550 no", "221 bye")
	}()
	defer listener.Close()
	s := stage(t, func(o *options) {
		o.config.TLS, o.config.Insecure, o.config.Port = TLSNone, true, listener.Addr().(*net.TCPAddr).Port
	})
	if told := instruction(s.send(t, message)); told != "permanent refused:550" {
		t.Error(told)
	}
	s.provider.Close()
	want := "EHLO countersign.test|AUTH LOGIN|cmVsYXktdXNlcg==|Y2FuYXJ5LXBhc3N3b3JkLTAxMjM0NTY3ODk=|MAIL FROM:<no-reply@countersign.test>|QUIT"
	if got := <-said; got != want {
		t.Errorf("the client said\n%s, want\n%s", got, want)
	}
}

// converse says one answer after the other and returns what it heard between
// them.
func converse(conn net.Conn, answers ...string) string {
	var heard []string
	buffer := make([]byte, 4096)
	for i, answer := range answers {
		if i > 0 {
			n, err := conn.Read(buffer)
			if err != nil {
				return err.Error()
			}
			heard = append(heard, strings.TrimSpace(string(buffer[:n])))
		}
		if _, err := conn.Write([]byte(answer + "\r\n")); err != nil {
			return err.Error()
		}
	}
	return strings.Join(heard, "|")
}

func TestMistakesAreAllTold(t *testing.T) {
	t.Parallel()
	good := Config{Host: "mail.example.com", From: "no-reply@example.com"}
	if wrong := good.Check(); len(wrong) != 0 {
		t.Fatal(wrong)
	}
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"nothing at all":                 {func(c *Config) { *c = Config{} }, "HOST FROM"},
		"a URL for a host":               {func(c *Config) { c.Host = "smtp://mail.example.com" }, "HOST"},
		"a port that is none":            {func(c *Config) { c.Port = 70000 }, "PORT"},
		"TLS that is none of ours":       {func(c *Config) { c.TLS = "opportunistic" }, "TLS"},
		"plain text":                     {func(c *Config) { c.TLS = TLSNone }, "TLS"},
		"plain text to another machine":  {func(c *Config) { c.TLS, c.Insecure = TLSNone, true }, "TLS"},
		"plain text, without the switch": {func(c *Config) { c.TLS, c.Host = TLSNone, "localhost" }, "TLS"},
		"plain text, as it is allowed":   {func(c *Config) { c.TLS, c.Host, c.Insecure = TLSNone, "::1", true }, ""},
		"a user without a password":      {func(c *Config) { c.User = "a" }, "PASSWORD"},
		"a sender with a name":           {func(c *Config) { c.From = "X <x@example.com>" }, "FROM"},
		"a name with a line break":       {func(c *Config) { c.FromName = "A\r\nBcc: b@example.com" }, "FROM_NAME"},
		"a greeting with a line break":   {func(c *Config) { c.Hello = "a\r\nRSET" }, "HELLO"},
		"too many connections":           {func(c *Config) { c.Connections = 65 }, "CONNECTIONS"},
		"less than nothing in a second":  {func(c *Config) { c.Rate = -1 }, "RATE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := good
			c.change(&cfg)
			var keys []string
			for _, m := range cfg.Check() {
				keys = append(keys, m.Key)
			}
			if got := strings.Join(keys, " "); got != c.want {
				t.Errorf("wrong: %q, want %q", got, c.want)
			}
			if _, err := New(cfg); (err == nil) != (c.want == "") {
				t.Errorf("New: %v", err)
			}
		})
	}
}

func TestPortFollowsTLS(t *testing.T) {
	t.Parallel()
	if got := (Config{Host: "a.example"}).withDefaults().address(); got != "a.example:587" {
		t.Error(got)
	}
	if got := (Config{Host: "::1", TLS: TLSImplicit}).withDefaults().address(); got != "[::1]:465" {
		t.Error(got)
	}
}

func TestCAFileThatIsNone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ca.pem")
	for range 2 { // not there, then not PEM
		if p, err := New(Config{Host: "a.example", From: "a@b.example", CAFile: path}); err == nil {
			p.Close()
			t.Error("it was taken")
		}
		if err := os.WriteFile(path, []byte("no PEM"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A caller that has left is no outage of the server's: the breaker looks for
// context.Canceled in the error.
func TestACallerThatLeaves(t *testing.T) {
	t.Parallel()
	for at, want := range map[smtpsink.Point]string{
		smtpsink.EHLO: "again no_answer", smtpsink.Auth: "again no_answer", smtpsink.Rcpt: "again no_answer",
		smtpsink.Dot: "ambiguous no_answer",
	} {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			s := stage(t)
			s.provider.limit = func(point) time.Duration { return time.Hour } // nothing but the caller ends it
			s.fail(t, smtpsink.Fault{At: at, Stall: true})
			ctx, leave := context.WithCancelCause(t.Context())
			told := make(chan error, 1)
			go func() {
				_, err := s.provider.Send(ctx, message)
				told <- err
			}()
			s.await(t, at)
			leave(nil)
			err := <-told
			if got := instruction(err); got != want {
				t.Errorf("told %q, want %q", got, want)
			}
			if !isCanceled(err) {
				t.Errorf("the error does not say who hung up: %v", err)
			}
			s.mustSend(t, message) // on a connection of its own
		})
	}
}
