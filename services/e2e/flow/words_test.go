package flow_test

import (
	"strings"
	"testing"

	"countersign.dev/services/e2e/stage"
)

// An organization's own words, from the API over the bus and a worker to who
// reads them, in the reader's language; and the name that somebody has chosen,
// as a name.
//
// Covers R-105 for messages in an organization's own words, through processes.
func TestOwnWordsReachTheReader(t *testing.T) {
	t.Parallel()
	sink := stage.NewSink(t)
	s := embedded(t, sink.Settings...)
	all := s.api("serve")
	s.open("default")
	s.allowLinks()
	const address = "ana@acme.test"
	user := s.app.NewUser(address, "")
	s.app.Call("PUT", s.app.Path("users/"+user), "profile[locale]=de-AT", `profile[given_name]={{link}}<a href="https://evil.example">Ana</a>`).Want(200)
	made := s.app.Call("POST", s.app.Path("templates"), "kind=password_create", "locale=de", "active=true", "subject=Willkommen bei {{brand}}",
		"text=Hallo {{given_name}},\n{{link}}\nfür {{minutes}} Minuten", `html=<p>Hallo {{given_name}}</p><a href="{{link}}">Passwort wählen</a>`).Want(201)
	s.requestLink(address).Want(201)
	mail := sink.Mail(t, address, 1)
	link := stage.Link(mail.Text)
	if !strings.HasPrefix(mail.Subject, "Willkommen bei ") || !strings.HasPrefix(link, s.base+"/") || !strings.Contains(mail.Text, "für 60 Minuten") {
		t.Errorf("subject %q, text %q", mail.Subject, mail.Text)
	}
	if !strings.Contains(mail.HTML, `<a href="`+link+`">Passwort wählen</a>`) || !strings.Contains(mail.HTML, `lang="de"`) {
		t.Errorf("page %s", mail.HTML)
	}
	for _, part := range []string{mail.Subject, mail.Text, mail.HTML} {
		if strings.Contains(part, "evil.example") || strings.Contains(part, "{{") || strings.Count(part, link) > 1 {
			t.Errorf("the name is more than a name in %q", part)
		}
	}
	// The link of the organization's mail does what ours does.
	if code := stage.NewBrowser(t, s.base).Follow(link).Get("password_code"); code == "" {
		t.Error("the link leads nowhere")
	}
	// Without the template our words are back.
	s.app.Call("PUT", s.app.Path("templates/"+made.Text("id")), "active=false").Want(200)
	s.requestLink(address).Want(201)
	if ours := sink.Mail(t, address, 2); strings.HasPrefix(ours.Subject, "Willkommen bei ") || stage.Link(ours.Text) == "" {
		t.Errorf("subject %q, text %q", ours.Subject, ours.Text)
	}
	if exit := all.Stop(); exit != 0 {
		t.Errorf("exit code %d", exit)
	}
}
