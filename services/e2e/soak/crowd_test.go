package soak_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"countersign.dev/services/e2e/fakes/twilio"
	"countersign.dev/services/e2e/stage"
)

const (
	// callsAtOnce bounds the requests of all persons together.
	callsAtOnce = 12
	// personsAtOnce bounds those who are under way: the hashes of their first
	// codes are spread over the run, and somebody asks for a code all the time.
	personsAtOnce = 5 * callsAtOnce
	// codesEach is how many codes each person asks for: as many as a number may
	// get at once, since the first of them costs the api five hashes.
	codesEach = 5
	// patience of a person who was refused, before the next try.
	patience = 300 * time.Millisecond
	// messageWithin is when a message has come even if two workers died with it.
	messageWithin = 100 * time.Second

	apiTime = "2006-01-02T15:04:05" // how the API writes moments, in UTC; some with a fraction
)

// crowd are persons who each enrol a phone and ask for codes afterwards, all
// at once, and write down what they were answered. Every other one answers the
// last code, the rest never do: theirs may be sent again for as long as it
// lives.
type crowd struct {
	*scene
	turn  chan struct{} // callsAtOnce of them
	seats chan struct{} // personsAtOnce of them

	mu   sync.Mutex
	asks []ask
	uses []use
	// unknown counts persons whose message two workers in a row may have sent
	// while the provider's list was down: it is not sent a third time, and its
	// delivery says so.
	unknown int
	// unasked counts the codes that those persons did not ask for any more.
	unasked int
}

func (s *scene) crowd() *crowd {
	return &crowd{scene: s, turn: make(chan struct{}, callsAtOnce), seats: make(chan struct{}, personsAtOnce)}
}

// begin lets persons start, from the first one on. The channel is closed when
// all of them are done.
func (c *crowd) begin(first, persons int) <-chan struct{} {
	return c.each(persons, func(i int) { c.person(first + i) })
}

// each lets n persons do something, all at once as far as seats and turns allow.
// The channel is closed when all of them are done.
func (c *crowd) each(n int, do func(i int)) <-chan struct{} {
	done := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			c.seats <- struct{}{}
			defer func() { <-c.seats }()
			do(i)
		})
	}
	go func() { // ends with the persons; await waits for it
		all.Wait()
		close(done)
	}()
	return done
}

func (c *crowd) await(done <-chan struct{}) {
	c.t.Helper()
	limit := time.NewTimer(messageWithin + restWithin)
	defer limit.Stop()
	select {
	case <-done:
	case <-limit.C:
		c.t.Error("the persons do not come to an end")
	}
}

func (c *crowd) person(i int) {
	number := fmt.Sprintf("+49151%08d", 20_000_000+i)
	box := c.twilio.box(number)
	c.turn <- struct{}{}
	user := c.app.NewUser(fmt.Sprintf("user%d@acme.test", i), number)
	<-c.turn
	p := person{crowd: c, i: i, to: number, user: user, seen: map[string]bool{}}

	p.ask("enrolment", "totp-enrollment/"+user, "method=sms")
	if !p.answer(box, http.MethodPut, "totp-enrollment/validation/"+user) {
		p.leaves(codesEach - 1)
		return
	}
	for left := codesEach - 2; left >= 0; left-- {
		p.ask("login", "totp-challenge/"+user)
		if i%40 == 0 { // the code before is nothing to this login
			p.use(http.MethodPost, "totp-challenge/validation/"+user, p.last)
		}
		if left == 0 && i%2 == 1 {
			return
		}
		if !p.answer(box, http.MethodPost, "totp-challenge/validation/"+user) {
			p.leaves(left)
			return
		}
	}
}

// person is one of the crowd.
type person struct {
	*crowd
	i        int
	to, user string          // number or address
	last     string          // the code typed last
	request  string          // the challenge accepted last
	seen     map[string]bool // deliveries whose code was typed
}

// call makes one request when it is this person's turn. A path is one of the
// organization, unless it starts with a slash.
func (p *person) call(method, path string, params ...string) (*stage.Reply, time.Duration) {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	if !strings.HasPrefix(path, "/") {
		path = p.app.Path(path)
	}
	begun := time.Now()
	return p.app.Call(method, path, params...), time.Since(begun)
}

// ask asks for a code or a link, again and again while the answer is "not now".
func (p *person) ask(purpose, path string, params ...string) {
	for p.t.Context().Err() == nil {
		r, took := p.call(http.MethodPost, path, params...)
		a := ask{person: p.i, to: p.to, purpose: purpose, status: r.Status, answered: time.Now(), took: took}
		if r.Status == http.StatusCreated {
			a.requestID = r.Text("request_id")
			a.expires = expiry(r)
		}
		p.crowd.mu.Lock()
		p.asks = append(p.asks, a)
		p.crowd.mu.Unlock()
		switch {
		case a.accepted():
			p.request = a.requestID
			return
		case r.Status != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "":
			p.t.Errorf("person %d: status %d with Retry-After %q: %s", p.i, r.Status, r.Header.Get("Retry-After"), r.Raw)
			return
		}
		p.pause(patience)
	}
}

// answer types the code of each new message until one is right.
func (p *person) answer(box <-chan twilio.Message, method, path string) bool {
	limit := time.NewTimer(messageWithin)
	defer limit.Stop()
	for {
		select {
		case m := <-box:
			if id := deliveryOf(m); !p.seen[id] {
				p.seen[id] = true
				p.last = codeOf(m)
				if p.use(method, path, p.last) {
					return true
				}
			}
		case <-limit.C:
			p.leftWithout()
			return false
		}
	}
}

// leftWithout is a person whom no code reached: that is no loss if the
// delivery says that nobody knows.
func (p *person) leftWithout() {
	if state := p.app.Delivery(p.request)["state"]; state != "unknown" {
		p.t.Errorf("person %d: no code that works within %v, and the delivery is %v", p.i, messageWithin, state)
	}
	p.crowd.mu.Lock()
	defer p.crowd.mu.Unlock()
	p.crowd.unknown++
}

// leaves is a person who asks for no more codes, so many as there were to be.
func (p *person) leaves(unasked int) {
	p.crowd.mu.Lock()
	defer p.crowd.mu.Unlock()
	p.crowd.unasked += unasked
}

// use types one code, again and again while the answer is "not now": that uses
// up none.
func (p *person) use(method, path, code string) bool {
	r, _ := p.call(method, path, "code="+code)
	for r.Status == http.StatusServiceUnavailable && r.Header.Get("Retry-After") != "" && p.t.Context().Err() == nil {
		p.pause(patience)
		r, _ = p.call(method, path, "code="+code)
	}
	r.Want(http.StatusOK)
	u := use{person: p.i, code: code, at: time.Now()}
	if u.right = r.Body["success"] == true; u.right {
		u.requestID = r.Text("request_id")
	}
	p.crowd.mu.Lock()
	defer p.crowd.mu.Unlock()
	p.uses = append(p.uses, u)
	return u.right
}

// expiry is when the API says that a code or a link ends.
func expiry(r *stage.Reply) time.Time {
	for _, name := range []string{"expires_at", "expired_at"} {
		if text, _ := r.Body[name].(string); text != "" {
			at, _ := time.Parse(apiTime, text) // zero fails the checker
			return at
		}
	}
	return time.Time{}
}

// texts closes the books: what the crowd, the provider and the API know when
// nothing is on its way any more.
func (c *crowd) texts(extra int) history {
	c.t.Helper()
	return c.history(texts, extra, func() []message { return textMessages(c.twilio.Log()) })
}

// history closes the books of a channel. What the provider accepted is read
// when everything is at rest.
func (c *crowd) history(of channel, extra int, accepted func() []message) history {
	c.t.Helper()
	deliveries := c.rest(of)
	c.mu.Lock()
	defer c.mu.Unlock()
	return history{
		seed: c.seed, asks: slices.Clone(c.asks), uses: slices.Clone(c.uses), messages: accepted(), deliveries: deliveries, arrived: of.arrived, extra: extra,
	}
}
