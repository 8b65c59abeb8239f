package soak_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/rig/smtpsink"
	"countersign.dev/services/e2e/stage"
)

// A flood of news waits in front of a mail server that takes none of it. Codes
// and links that are asked for then are all sent while not one mail of the
// flood has gone through: nothing but their own kind is ever before them. The
// flood goes through afterwards, each mail once.
//
// Covers R-081 for 5,000 notices that stand still, 20 codes by SMS and 20 links.
func TestCodesOvertakeTheFlood(t *testing.T) {
	t.Parallel()
	const persons, links = 20 / codesEach, 20
	s := mailScene(t)
	c := s.crowd()
	f := newFlood(c, size()*5/2)
	begun := time.Now()
	f.rise()
	s.awaitQueued(f.size)
	rose := time.Since(begun)
	s.startWorker("sms")
	for range workers {
		s.startWorker("email")
	}
	f.awaitAtServer()

	c.users(links)
	texted := s.crowd()
	asking := texted.begin(links, persons)
	c.await(c.each(links, c.askForLink))
	c.await(asking)
	v := texted.texts(0).check()
	s.mails.Await(t, letters.restWithin, "a mail for every link", func() bool { return s.mails.Taken() >= links })
	for i := range links {
		if n := s.mails.TakenFor(addressOf(i)); n != 1 {
			t.Errorf("%d mails for user %d while the flood stood, want one", n, i)
		}
	}
	if n := f.through(); n != 0 {
		t.Errorf("%d of %d notices went through a server that was to take none", n, f.size)
	}
	f.release()
	all := f.size + links + persons // those are told of their new factor
	s.awaitMails(all)
	t.Logf("%d notices queued in %v; codes and links were sent before all of them; through %v later\n%s",
		f.size, rose.Round(time.Second), (time.Since(begun) - rose).Round(time.Second), v)
	if !v.ok() || v.accepted != codesEach*persons || v.messages != codesEach*persons {
		t.Error("the history of the codes is broken, or there are others than asked for")
	}
	s.rest(letters)
	if n := s.mails.Taken(); n != all || f.through() != f.size {
		t.Errorf("%d mails, %d of the flood, want %d and %d", n, f.through(), all, f.size)
	}
}

// flood is news for a few users who change their addresses again and again:
// each change is told to the old one and the new. The mail server holds it
// back until it is released.
type flood struct {
	*crowd
	size    int
	movers  []string    // ids
	homes   [][2]string // addresses of each
	release func()
}

func newFlood(c *crowd, size int) *flood {
	c.t.Helper()
	hold := make(chan struct{})
	f := &flood{crowd: c, size: size, release: sync.OnceFunc(func() { close(hold) })}
	c.t.Cleanup(f.release)
	for i := range 10 {
		homes := [2]string{fmt.Sprintf("mover%d@here.test", i), fmt.Sprintf("mover%d@there.test", i)}
		f.homes = append(f.homes, homes)
		f.movers = append(f.movers, c.app.Call(http.MethodPost, c.app.Path("users"), "email="+homes[0]).Want(201).Text("id"))
		for _, home := range homes {
			if err := c.mails.Fail(smtpsink.Fault{At: smtpsink.Dot, Hold: hold, To: home, Times: size / 20}); err != nil {
				c.t.Fatal(err)
			}
		}
	}
	return f
}

// rise makes the news. A user's moves follow each other.
func (f *flood) rise() {
	f.t.Helper()
	f.await(f.each(len(f.movers), func(i int) {
		p := person{crowd: f.crowd}
		for move := range f.size / 20 {
			r, _ := p.call(http.MethodPut, "users/"+f.movers[i], "email="+f.homes[i][(move+1)%2])
			r.Want(200)
		}
	}))
}

// awaitAtServer waits until all connections that are for news have a mail of
// the flood in them.
func (f *flood) awaitAtServer() {
	f.t.Helper()
	stage.Until(f.t, "the flood stands before the mail server", func() bool { return f.mails.Open() >= workers*inFlight })
}

// through is how much of it the mail server has taken.
func (f *flood) through() (n int) {
	for _, homes := range f.homes {
		n += f.mails.TakenFor(homes[0]) + f.mails.TakenFor(homes[1])
	}
	return n
}
