package flow_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"countersign.dev/services/e2e/stage"
)

const (
	plain   = "2vK79^41aokzi6lc8"
	welcome = "https://app.acme.test/welcome" // where links lead
)

// Request, link, event, worker, mail server, and back over the link's page to
// a password and tokens: in processes of their own, and in one.
func TestLinkToTokens(t *testing.T) {
	t.Parallel()
	t.Run("in processes of their own", func(t *testing.T) {
		t.Parallel()
		sink := stage.NewSink(t)
		s := distributed(t, sink.Settings...)
		processes := map[string]*stage.Process{"api": s.api("api"), "worker": s.trade("email"), "second worker": s.trade("email")}
		s.open("default")
		secrets := linkToTokens(s, sink)
		for name, p := range processes {
			if exit := p.Stop(); exit != 0 {
				t.Errorf("the %s ended with exit code %d", name, exit)
			}
			log := p.Stderr()
			if !strings.Contains(log, `"level":"INFO"`) {
				t.Errorf("the %s wrote no log", name)
			}
			for what, secret := range secrets {
				if strings.Contains(log, secret) {
					t.Errorf("the log of the %s holds the %s", name, what)
				}
			}
		}
	})
	t.Run("in one process", func(t *testing.T) {
		t.Parallel()
		sink := stage.NewSink(t)
		s := embedded(t, sink.Settings...)
		all := s.api("serve")
		s.open("default")
		linkToTokens(s, sink)
		if exit := all.Stop(); exit != 0 {
			t.Errorf("exit code %d", exit)
		}
	})
}

// linkToTokens goes from a user to tokens, and returns what no log may hold.
func linkToTokens(s *scene, sink *stage.Sink) map[string]string {
	s.t.Helper()
	s.allowLinks()
	const address = "ana@acme.test"
	user := s.app.NewUser(address, "")
	asked := s.requestLink(address).Want(201)
	mail := sink.Mail(s.t, address, 1)
	link := stage.Link(mail.Text)
	if asked.Body["magic_link"] != nil || !strings.HasPrefix(link, s.base+"/") || !strings.Contains(mail.HTML, link) || mail.From != "no-reply@acme.test" {
		s.t.Fatalf("the answer is %s, the mail from %s says %s", asked.Raw, mail.From, mail.Text)
	}
	delivery, attempts := s.attempted(asked.Text("request_id"), "accepted")
	if len(attempts) != 1 || delivery["provider_id"] != mail.MessageID || strings.Contains(fmt.Sprint(delivery["to"]), address) {
		s.t.Errorf("the delivery is %v", delivery)
	}

	code := stage.NewBrowser(s.t, s.base).Follow(link).Get("password_code")
	set := s.app.Call("POST", "/api/v2/password", "plain_text="+plain, "password_code="+code).Want(200)
	if set.Text("user_id") != user {
		s.t.Errorf("the password is that of %s", set.Raw)
	}
	tokens := s.app.Call("POST", "/api/v2/oauth/token", "grant_type=authorization_code", "code="+set.Text("code")).Want(200)
	tokens.Text("access_token")
	if news := sink.Mail(s.t, address, 2); stage.Link(news.Text) != "" || news.MessageID == mail.MessageID {
		s.t.Errorf("the user was told of the password by %s", news.Data)
	}
	if used := stage.NewBrowser(s.t, s.base).Open(link); used.Status != http.StatusNotFound {
		s.t.Errorf("the used link shows %d", used.Status)
	}
	return map[string]string{
		"link": link[strings.LastIndexByte(link, '/')+1:], "address": address, "password": plain, "password code": code,
		"access token": tokens.Text("access_token"),
	}
}

// What is asked for while the bus is down is accepted, and leaves when it is
// back.
//
// Covers R-067 for mails, through processes.
func TestMailsWaitForTheBus(t *testing.T) {
	t.Parallel()
	sink := stage.NewSink(t)
	s := distributed(t, sink.Settings...)
	s.api("api")
	s.trade("email")
	s.open("default")
	s.allowLinks()
	asked := map[string]string{} // request by address
	for i := range 5 {
		asked[s.user(fmt.Sprintf("user%d@acme.test", i))] = ""
	}
	s.nats.Stop()
	for address := range asked {
		asked[address] = s.requestLink(address).Want(201).Text("request_id")
	}
	for _, requestID := range asked {
		if state := s.app.Delivery(requestID)["state"]; state != "pending" {
			t.Errorf("a delivery is %v while the bus is down", state)
		}
	}
	if n := sink.Taken(); n != 0 {
		t.Errorf("%d mails were sent while the bus was down", n)
	}
	s.nats.Start()
	back := time.Now()
	for address, requestID := range asked {
		if link := stage.Link(sink.Mail(t, address, 1).Text); link == "" {
			t.Errorf("the mail to %s has no link", address)
		}
		s.app.AwaitState(requestID, "accepted")
	}
	t.Logf("all mails were accepted %v after the bus was back", time.Since(back).Round(time.Millisecond))
	if n := sink.Taken(); n != len(asked) {
		t.Errorf("%d mails for %d requests", n, len(asked))
	}
}

// allowLinks lets the organization's users log in by passwords and links.
func (s *scene) allowLinks() {
	s.t.Helper()
	s.app.Call("PUT", "/api/v2/organizations/"+s.app.Org, "redirect_uris[]="+welcome).Want(200)
	s.app.Call("POST", s.app.Path("password-connection")).Want(201)
	s.app.Call("PUT", s.app.Path("magic-link-connection"), "active=true").Want(200)
}

// user makes one without a phone and returns its address.
func (s *scene) user(address string) string {
	s.t.Helper()
	s.app.NewUser(address, "")
	return address
}

func (s *scene) requestLink(address string) *stage.Reply {
	s.t.Helper()
	return s.app.Call("POST", "/api/v2/password-request", s.of(address)...)
}

// of are the parameters that ask for a link.
func (s *scene) of(address string) []string {
	return []string{"user_email=" + address, "redirect_uri=" + welcome, "org_domain=" + s.app.Org}
}

// sandboxLink is the link that a request has sent to the inbox.
func (s *scene) sandboxLink(asked *stage.Reply) string {
	s.t.Helper()
	id := asked.Want(201).Text("request_id")
	s.app.AwaitState(id, "delivered")
	items := s.app.Call("GET", s.app.Path("inbox"), "request_id="+id).Want(200).Items()
	if len(items) != 1 {
		s.t.Fatalf("%d messages in the inbox, want 1", len(items))
	}
	text, _ := items[0]["text"].(string)
	link := stage.Link(text)
	if link == "" {
		s.t.Fatalf("no link in %q", text)
	}
	return link
}

// linkCalls are the calls of passwords and links for the i-th dependency.
// Everything up to the call itself has happened before it is stopped.
func (s *scene) linkCalls(i int) []call {
	s.t.Helper()
	somebody := func(name string) string { return s.user(fmt.Sprintf("%s%d@acme.test", name, i)) }
	login := func(address string) *stage.Reply {
		return s.app.Call("POST", "/api/v2/magic-link-challenge", s.of(address)...)
	}
	codeFor := func(address string) string {
		return stage.NewBrowser(s.t, s.base).Follow(s.sandboxLink(s.requestLink(address))).Get("password_code")
	}
	set := func(code string) *stage.Reply {
		return s.app.Call("POST", "/api/v2/password", "plain_text="+plain, "password_code="+code)
	}
	known := somebody("known")
	set(codeFor(known)).Want(200)
	code := codeFor(somebody("setting"))
	asking, logging := somebody("asking"), somebody("logging")
	unopened := s.sandboxLink(s.requestLink(somebody("opening")))
	forPassword, forLogin := s.opened(s.requestLink(somebody("pressing"))), s.opened(login(somebody("entering")))
	return []call{
		{"`POST /api/v2/password-request`", func() int { return s.requestLink(asking).Status }},
		{"`POST /api/v2/password`", func() int { return set(code).Status }},
		{"`POST /api/v2/password-challenge`", func() int {
			return s.app.Call("POST", "/api/v2/password-challenge", "user_email="+known, "org_domain="+s.app.Org, "plain_text="+plain).Status
		}},
		{"`POST /api/v2/magic-link-challenge`", func() int { return login(logging).Status }},
		{"a link's page", func() int { return stage.NewBrowser(s.t, s.base).Open(unopened).Status }},
		{"its button, on to a password", func() int { return forPassword("password_code") }},
		{"its button, on to a login", func() int { return forLogin("code") }},
	}
}

// opened opens the link of a request, and returns how to press its button:
// the status is 200 when the browser is sent on with what the app needs.
func (s *scene) opened(asked *stage.Reply) (press func(needs string) int) {
	s.t.Helper()
	browser := stage.NewBrowser(s.t, s.base)
	page := browser.Open(s.sandboxLink(asked))
	return func(needs string) int {
		there := browser.Press(page)
		if there.To != nil && there.To.Query().Get(needs) != "" {
			return http.StatusOK
		}
		return there.Status
	}
}
