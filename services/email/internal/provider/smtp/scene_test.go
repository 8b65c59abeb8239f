package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"countersign.dev/pkg/courier"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/rig/smtpsink"
	"countersign.dev/pkg/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	user     = "relay-user"
	password = "canary-password-0123456789"
	reader   = "ana.canary@example.com"
)

var message = courier.Message{
	DeliveryID: "dlv_0123456789abcdef", To: reader, Subject: "Your link",
	Text: "Open https://login.example.com/l/abc\n", HTML: "<p>Open it</p>\n",
}

func to(address string) courier.Message {
	m := message
	m.To = address
	return m
}

// scene is a sink and a provider that sends to it, over TLS and with a
// password.
type scene struct {
	sink     *smtpsink.Server
	reached  chan smtpsink.At
	provider *Provider
}

type options struct {
	sink   smtpsink.Options
	config Config
	// names of the certificate instead of 127.0.0.1
	names []string
}

// patient outlasts any machine under load.
var patient = Timeouts{Connect: time.Minute, Verb: time.Minute, Block: time.Minute, Dot: time.Minute, Quit: time.Minute}

func stage(tb testing.TB, change ...func(*options)) *scene {
	tb.Helper()
	o := options{
		sink: smtpsink.Options{User: user, Password: password},
		config: Config{
			Host: "127.0.0.1", User: user, Password: secret.New(password), From: "no-reply@countersign.test",
			FromName: "Countersign", Timeouts: patient, Idle: time.Hour,
		},
		names: []string{"127.0.0.1"},
	}
	settings, ca := certificate(tb, "127.0.0.1")
	o.sink.TLS, o.config.CAFile = settings, ca
	for _, c := range change {
		c(&o)
	}
	s := &scene{reached: make(chan smtpsink.At, 10_000)}
	o.sink.Reached = func(at smtpsink.At) {
		select {
		case s.reached <- at:
		default: // nobody looks
		}
	}
	s.sink = smtpsink.New(o.sink)
	listener, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.sink.Serve(listener) }() // ends with Close below
	tb.Cleanup(func() {
		s.sink.Close()
		if err := <-ended; err != nil {
			tb.Error(err)
		}
	})
	if o.config.Port == 0 {
		o.config.Port = listener.Addr().(*net.TCPAddr).Port
	}
	if s.provider, err = New(o.config); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.provider.Close)
	return s
}

func certificate(tb testing.TB, names ...string) (settings *tls.Config, caFile string) {
	tb.Helper()
	settings, pem, err := smtpsink.Certificate(names...)
	if err != nil {
		tb.Fatal(err)
	}
	caFile = filepath.Join(tb.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, pem, 0o600); err != nil {
		tb.Fatal(err)
	}
	return settings, caFile
}

func (s *scene) fail(tb testing.TB, faults ...smtpsink.Fault) {
	tb.Helper()
	if err := s.sink.Fail(faults...); err != nil {
		tb.Fatal(err)
	}
}

// await waits until some connection comes to a point.
func (s *scene) await(tb testing.TB, p smtpsink.Point) smtpsink.At {
	tb.Helper()
	for {
		select {
		case at := <-s.reached:
			if at.Point == p {
				return at
			}
		case <-time.After(time.Minute):
			tb.Fatalf("nobody came to %s", p)
		}
	}
}

func (s *scene) send(tb testing.TB, m courier.Message) error {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 2*time.Minute)
	defer cancel()
	_, err := s.provider.Send(ctx, m)
	return err
}

// mustSend fails the test when a mail is not taken.
func (s *scene) mustSend(tb testing.TB, m courier.Message) {
	tb.Helper()
	if err := s.send(tb, m); err != nil {
		tb.Fatalf("send: %v", err)
	}
}

// instruction names what an error tells the worker to do, and why.
func instruction(err error) string {
	wait, later := fault.RetryTime(err)
	what := "again"
	switch {
	case err == nil:
		return "sent"
	case fault.IsPermanent(err):
		what = "permanent"
	case fault.IsAmbiguous(err):
		what = "ambiguous"
	case later:
		what = "later " + wait.String()
	}
	f, ok := errors.AsType[*courier.Failure](err)
	if !ok {
		return what + " without a reason: " + err.Error()
	}
	return what + " " + f.Reason
}

// silent fails the test when an error shows what it must not.
func silent(tb testing.TB, err error) {
	tb.Helper()
	if err == nil {
		return
	}
	for _, word := range []string{reader, "canary", "sink was told", user} {
		if strings.Contains(err.Error(), word) {
			tb.Errorf("the error shows %q: %v", word, err)
		}
	}
}
