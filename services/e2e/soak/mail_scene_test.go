package soak_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign.dev/pkg/rig/smtpsink"
	"countersign.dev/services/e2e/stage"
)

// letters are the mails. One that a killed worker held comes again when its
// lease of 90 s has ended, and again so if it met two of them; one that the bus
// has lost comes after two minutes.
var letters = channel{"email", "MESSAGES", "accepted", 6 * time.Minute}

// welcome is where links lead.
const welcome = "https://app.acme.test/welcome"

// mailScene is a foundation whose organization has links sent. No worker sends
// them yet.
func mailScene(t *testing.T) *scene {
	t.Helper()
	s := foundation(t, 0)
	s.app.Call(http.MethodPost, s.app.Path("password-connection")).Want(201)
	s.app.Call(http.MethodPut, "/api/v2/organizations/"+s.app.Org, "redirect_uris[]="+welcome).Want(200)
	return s
}

func addressOf(i int) string { return fmt.Sprintf("user%d@acme.test", i) }

// users makes users to whom links can be sent.
func (c *crowd) users(n int) {
	c.t.Helper()
	c.await(c.each(n, func(i int) {
		p := person{crowd: c}
		r, _ := p.call(http.MethodPost, "users", "email="+addressOf(i))
		r.Want(201)
	}))
}

// askForLink lets a user ask for a link to choose a password.
func (c *crowd) askForLink(i int) {
	p := person{crowd: c, i: i, to: addressOf(i)}
	p.ask("password", "/api/v2/password-request", "user_email="+p.to, "redirect_uri="+welcome, "org_domain="+c.app.Org)
}

// letters closes the books of the mails.
func (c *crowd) letters(extra int) history {
	c.t.Helper()
	return c.history(letters, extra, func() []message { return mailMessages(c.mails.Log()) })
}

// mailMessages are those that the mail server accepted. The delivery of each
// is in its Message-ID.
func mailMessages(log smtpsink.Log) []message {
	var all []message
	for _, m := range log.Mails {
		id, _, _ := strings.Cut(strings.TrimPrefix(m.MessageID, "<"), "@")
		all = append(all, message{
			at: m.At, id: m.MessageID, to: strings.Join(m.To, " "), delivery: id, secret: stage.Link(m.Text),
			text: strings.Join([]string{m.MessageID, m.Subject, m.Text, m.HTML}, "\n"),
		})
	}
	return all
}

// dawdle makes the mail server take a while for the next n mails, so that a
// kill meets some: one half of the time before it has them, the other half
// after.
func (s *scene) dawdle(n int, d time.Duration) {
	s.t.Helper()
	half := int(d / time.Millisecond / 2)
	err := s.mails.Fail(
		smtpsink.Fault{At: smtpsink.Rcpt, DelayMS: half, Times: n},
		smtpsink.Fault{At: smtpsink.Dot, DelayMS: half, Store: true, Times: n},
	)
	if err != nil {
		s.t.Fatal(err)
	}
}

// awaitMails waits until the mail server has taken so many.
func (s *scene) awaitMails(n int) {
	s.t.Helper()
	s.mails.Await(s.t, letters.restWithin, fmt.Sprintf("%d mails", n), func() bool { return s.mails.Taken() >= n })
}

// awaitQueued waits until so many mails are on the bus.
func (s *scene) awaitQueued(n int) {
	s.t.Helper()
	conn, err := nats.Connect(s.natsURL)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		s.t.Fatal(err)
	}
	stage.UntilWithin(s.t, restWithin, fmt.Sprintf("%d mails are on the bus", n), func() bool { return s.queued(js, letters.stream) >= n })
}
