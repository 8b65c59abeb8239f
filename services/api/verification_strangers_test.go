package api_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// anyID and countdown are what is random in an answer of the verification flow,
// and what passes.
var (
	anyID     = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	countdown = regexp.MustCompile(`Retry-After: \d+`)
)

// faceless is an answer without what is random in it.
func faceless(r *reply) string {
	text := anyID.ReplaceAllString(alike(r, "nobody"), "ID")
	return countdown.ReplaceAllString(strings.ReplaceAll(text, r.header.Get("X-Request-Id"), "REQUEST"), "Retry-After: N")
}

// Users with all methods, users with none, addresses that are nobody's and names
// that are no addresses are told the same at every step before a proof, for as
// long as somebody goes on guessing; and nobody gets a message.
// Covers R-065 for the verification flow: the list, each start, wrong proofs, and the limit.
func TestAStrangerLearnsNothingOfUsers(t *testing.T) {
	t.Parallel()
	h := codesAlone(t, embedded(t))
	c := h.pages()
	for i, method := range []string{"TOTP", "SMS", "EMAIL", "PASSWORD", "BACKUPCODE"} {
		name := func(what string) string { return fmt.Sprintf("e%s%d@acme.test", what, i) }
		full, bare, nobody := name("va"), name("be"), name("ve")
		phone := numbered(10 + i)
		rich := h.withApp(full)
		sms := h.call("POST", h.enrollment(rich.user), "method=sms", "phone_number="+phone, "device_name=Phone").want(201)
		h.call("PUT", h.enrollment("validation/"+rich.user), "code="+h.code(sms)).want(200).wantSuccess(true)
		h.withPassword(full, plain)
		h.newUser(bare, "")

		told := map[string][]string{}
		for _, who := range []string{full, bare, nobody} {
			say := func(r *reply) *reply {
				told[who] = append(told[who], faceless(r))
				return r
			}
			s := c.leads()
			say(s.says(s.list, "request_id="+s.request, "identifier="+who))
			say(s.says("/verification-srv/v2/setup/public/configured/check/"+method, "request_id="+s.request, "email="+who))
			say(s.initiate(method, further, "email="+who))
			started := say(s.initiate(method, initial, "email="+who))
			wrong := map[string]string{"PASSWORD": plain + "!", "BACKUPCODE": strings.Repeat("K7QD", 4)}[method]
			if wrong == "" {
				wrong = rich.wrong()
			}
			for range 7 {
				say(s.prove(method, started, wrong))
			}
			say(s.prove(method, say(s.initiate(method, initial, "email="+who)), wrong))
			say(s.says(s.list, "request_id="+s.request, "identifier="+who))
		}
		for _, who := range []string{bare, nobody} {
			for j := range told[full] {
				if told[who][j] != told[full][j] {
					t.Errorf("%s, answer %d: a user with all of it is told\n%s\n%s is told\n%s", method, j, told[full][j], who, told[who][j])
				}
			}
		}
	}
	// All that was sent has gone out by the time that this has.
	h.received("ana@acme.test", func() *reply { return c.leads().initiate("EMAIL", initial, "email=ana@acme.test") })
	if codes := h.codesTo("eve2@acme.test"); len(codes) != 0 {
		t.Errorf("nobody got %d codes", len(codes))
	}
	s := c.leads()
	list := func(name string) string { return faceless(s.says(s.list, "request_id="+s.request, name)) }
	want := list("email=ana@acme.test")
	for _, other := range []string{"username=ana", "mobile_number=+4915112345678", "identifier=%00", "email=no address"} {
		if got := list(other); got != want {
			t.Errorf("%s is told %s", other, got)
		}
	}
}
