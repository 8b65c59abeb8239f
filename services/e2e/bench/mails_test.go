package bench_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/rig"
	"countersign.dev/pkg/rig/smtpsink"
	"countersign.dev/services/e2e/stage"
)

const (
	mailsAtSpeed = 1500
	mailsSlow    = 400
	slowness     = 50 * time.Millisecond
	// delayed mails are asked for at a rate that leaves the machine at rest.
	delayed      = 200
	betweenThem  = 50 * time.Millisecond
	mailsWithin  = 3 * time.Minute
	connections  = 16  // to the mail server; a quarter of them is for links
	warmingMails = 300 // so that Postgres knows what the tables are like
)

// mailScene is a scene whose key may ask for links to set a password.
func mailScene(b *testing.B) *scene {
	b.Helper()
	s := newScene(b, "default")
	s.app.Call(http.MethodPut, "/api/v2/organizations/"+s.app.Org, "redirect_uris[]="+appURL).Want(http.StatusOK)
	s.app.Call(http.MethodPost, s.app.Path("password-connection"), "delivery=worker").Want(http.StatusCreated)
	return s
}

// ask asks for a mail with a link. An address has three in an hour.
func (s *scene) ask(email string) {
	s.Helper()
	s.app.Call(http.MethodPost, "/api/v2/password-request", "user_email="+email, "redirect_uri="+appURL, "org_domain="+s.app.Org).Want(http.StatusCreated)
}

// warm lets some mails through and returns one of them.
func (s *scene) warm(people []string) smtpsink.Mail {
	s.Helper()
	lanes(len(people), inFlight, func(i int) { s.ask(people[i]) })
	s.mails.Await(s.B, mailsWithin, "the first mails", func() bool { return s.mails.Taken() >= len(people) })
	rig.Analyze(s.B, s.database)
	sample := s.mails.Log().Mails[0]
	s.mails.Clear()
	return sample
}

// taken waits until the mail server has so many mails, and returns when it
// took each of them, in order.
func (s *scene) taken(n int) []time.Time {
	s.Helper()
	s.mails.Await(s.B, mailsWithin, fmt.Sprintf("%d mails", n), func() bool { return s.mails.Taken() >= n })
	var at []time.Time
	for _, m := range s.mails.Log().Mails {
		at = append(at, m.At)
	}
	slices.SortFunc(at, time.Time.Compare)
	return at
}

// BenchmarkMails measures mails a second. Its floor is one warm connection to
// the same mail server, used by nothing but writes and reads of the same
// octets.
//
// chain is all from the request over HTTP to the mail; queued is the worker
// alone, with mails that wait on the bus; the slow ones are that with a mail
// server that takes its time for each mail.
func BenchmarkMails(b *testing.B) {
	s := mailScene(b)
	s.startEmail(connections)
	all := s.people("ana", warmingMails+2*mailsAtSpeed+2*mailsSlow)
	next := func(n int) []string {
		some := all[:n]
		all = all[n:]
		return some
	}
	sample := s.warm(next(warmingMails))
	b.Run("chain", func(b *testing.B) { s.with(b).chain(next(mailsAtSpeed), sample) })
	b.Run("queued", func(b *testing.B) { s.with(b).queued(next(mailsAtSpeed), connections, 0, sample) })
	b.Run("slow-4-of-16", func(b *testing.B) { s.with(b).queued(next(mailsSlow), connections, slowness, sample) })
	b.Run("slow-16-of-64", func(b *testing.B) { s.with(b).queued(next(mailsSlow), 4*connections, slowness, sample) })
}

// with is the scene for a part of the benchmark. What it had started stays the
// whole benchmark's.
func (s *scene) with(b *testing.B) *scene {
	b.Helper()
	part := *s
	part.B = b
	return &part
}

func (s *scene) chain(people []string, sample smtpsink.Mail) {
	before := s.bare(sample, len(people)/2)
	s.mails.Clear()
	base := s.mails.Taken()
	used, begun := s.usage(), time.Now()
	lanes(len(people), inFlight, func(i int) { s.ask(people[i]) })
	asked := time.Since(begun)
	s.mails.Await(s.B, mailsWithin, "all mails", func() bool { return s.mails.Taken() >= base+len(people) })
	took := time.Since(begun)
	s.spent("request to mail", len(people), took, used, s.usage())
	s.compare(float64(len(people))/took.Seconds(), (before+s.bare(sample, len(people)/2))/2)
	s.ReportMetric(float64(len(people))/asked.Seconds(), "asked/s")
}

// queued lets mails wait on the bus before a worker comes.
func (s *scene) queued(people []string, connections int, slowness time.Duration, sample smtpsink.Mail) {
	floor := s.bare(sample, len(people))
	s.stopEmail()
	s.mails.Clear()
	lanes(len(people), inFlight, func(i int) { s.ask(people[i]) })
	if slowness > 0 {
		s.must(s.mails.Fail(smtpsink.Fault{At: smtpsink.Dot, DelayMS: int(slowness.Milliseconds()), Times: len(people)}))
	}
	base := s.mails.Taken()
	s.startEmail(connections)
	used := s.usage() // with the worker's start, but for a few mails
	s.mails.Await(s.B, mailsWithin, "all mails", func() bool { return s.mails.Taken() >= base+len(people) })
	after, at := s.usage(), s.taken(0)
	took := at[len(at)-1].Sub(at[0])
	s.spent("from the bus to mail", len(people), took, used, after)
	ours := float64(len(people)-1) / took.Seconds()
	if slowness > 0 { // so many connections, each of which only waits
		floor = float64(connections/4) / (1/floor + slowness.Seconds())
	}
	s.compare(ours, floor)
}

func (s *scene) compare(ours, floor float64) {
	s.ReportMetric(0, "ns/op")
	s.ReportMetric(ours, "ours/s")
	s.ReportMetric(floor, "floor/s")
	s.ReportMetric(100*ours/floor, "%floor")
}

// BenchmarkMailDelay measures the time from a request to its mail, while the
// machine has nothing else to do. Its floor is the way of the last mile alone,
// over a warm connection.
func BenchmarkMailDelay(b *testing.B) {
	s := mailScene(b)
	s.startEmail(connections)
	people := s.people("eva", warmingMails+delayed)
	sample := s.warm(people[:warmingMails])
	begun, answered := make([]time.Time, delayed), make([]time.Time, delayed)
	used, first := s.usage(), time.Now()
	tick := time.NewTicker(betweenThem)
	defer tick.Stop()
	var calls sync.WaitGroup
	for i := range delayed {
		<-tick.C
		calls.Go(func() {
			begun[i] = time.Now()
			s.ask(people[warmingMails+i])
			answered[i] = time.Now()
		})
	}
	calls.Wait()
	s.mails.Await(s.B, mailsWithin, "all mails", func() bool { return s.mails.Taken() >= warmingMails+delayed })
	s.spent("request to mail", delayed, time.Since(first), used, s.usage())
	s.reportDelays(people[warmingMails:], begun, answered)
	s.ReportMetric(1000/s.bare(sample, delayed), "floor-ms")
}

func (s *scene) reportDelays(people []string, begun, answered []time.Time) {
	s.Helper()
	came := map[string]time.Time{}
	for _, m := range s.mails.Log().Mails {
		came[m.To[0]] = m.At
	}
	request, mail := make([]time.Duration, len(people)), make([]time.Duration, len(people))
	for i, email := range people {
		request[i], mail[i] = answered[i].Sub(begun[i]), came[email].Sub(begun[i])
	}
	s.ReportMetric(0, "ns/op")
	s.ReportMetric(percentile(mail, 0.5), "mail-p50-ms")
	s.ReportMetric(percentile(mail, 0.99), "mail-p99-ms")
	s.ReportMetric(percentile(request, 0.5), "request-p50-ms")
	s.ReportMetric(percentile(request, 0.99), "request-p99-ms")
}

func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// bare sends a mail n times over one connection, with nothing around it, and
// returns how many were taken in a second.
func (s *scene) bare(sample smtpsink.Mail, n int) float64 {
	s.Helper()
	conn, err := new(net.Dialer).DialContext(s.Context(), "tcp", s.smtp())
	s.must(err)
	defer func() { _ = conn.Close() }()
	c := &bare{scene: s, conn: conn, answers: bufio.NewReader(conn)}
	c.read()
	c.say("EHLO bench.test\r\n")
	content := strings.ReplaceAll("\r\n"+sample.Data, "\r\n.", "\r\n..")[2:] + ".\r\n"
	began := time.Now()
	for range n {
		c.say("MAIL FROM:<" + sample.From + "> BODY=8BITMIME\r\n")
		c.say("RCPT TO:<bare@acme.test>\r\n")
		c.say("DATA\r\n")
		c.say(content)
	}
	return float64(n) / time.Since(began).Seconds()
}

// smtp is the mail server's address.
func (s *scene) smtp() string {
	settings := stage.Values(strings.Join(s.mails.Settings, "\n"))
	return net.JoinHostPort(settings["COUNTERSIGN_SMTP_HOST"], settings["COUNTERSIGN_SMTP_PORT"])
}

// bare is a connection without anything around it.
type bare struct {
	*scene
	conn    net.Conn
	answers *bufio.Reader
}

func (c *bare) say(text string) {
	c.Helper()
	_, err := c.conn.Write([]byte(text))
	c.must(err)
	c.read()
}

// read takes one answer, of as many lines as it has.
func (c *bare) read() {
	c.Helper()
	for {
		line, err := c.answers.ReadString('\n')
		if err != nil || len(line) < 4 || line[0] > '3' {
			c.Fatalf("%q: %v", line, err)
		}
		if line[3] == ' ' {
			return
		}
	}
}
