package smtp_test

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	netsmtp "net/smtp"
	"net/textproto"
	"strings"
	"testing"

	"countersign.dev/pkg/rig/smtpsink"
	"countersign.dev/services/e2e/fakes/smtp"
)

type scene struct {
	sink *smtpsink.Server
	addr string
	http *httptest.Server
}

func open(t *testing.T) scene {
	t.Helper()
	sink := smtpsink.New(smtpsink.Options{})
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- sink.Serve(listener) }() // ends with Close below
	admin := httptest.NewServer(smtp.Admin(sink))
	t.Cleanup(func() {
		admin.Close()
		sink.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return scene{sink, listener.Addr().String(), admin}
}

// call returns the body of an answer.
func (s scene) call(t *testing.T, want int, method, path, body string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.http.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.http.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var out json.RawMessage
	if res.StatusCode != want {
		t.Errorf("%s %s %s: %d", method, path, body, res.StatusCode)
	}
	if res.StatusCode == http.StatusOK {
		if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// mail sends one with the client of the standard library.
func (s scene) mail(to string) error {
	return netsmtp.SendMail(s.addr, nil, "a@example.com", []string{to}, []byte("Subject: hi\r\n\r\nthere\r\n"))
}

func TestTheLogShowsAcceptedMails(t *testing.T) {
	t.Parallel()
	s := open(t)
	if err := s.mail("b@example.com"); err != nil {
		t.Fatal(err)
	}
	var log smtpsink.Log
	if err := json.Unmarshal(s.call(t, 200, "GET", "/_log", ""), &log); err != nil {
		t.Fatal(err)
	}
	if len(log.Mails) != 1 || log.Mails[0].Subject != "hi" || len(log.To("b@example.com")) != 1 || log.Count("DATA") != 1 {
		t.Errorf("%+v", log)
	}
	s.call(t, 204, "DELETE", "/_log", "")
	if log := s.sink.Log(); len(log.Mails) != 0 {
		t.Errorf("%+v", log)
	}
}

func TestFaultsOnDemand(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.call(t, 204, "POST", "/_faults", `{"faults": [{"at": "rcpt", "code": 550, "to": "b@example.com"}, {"at": "dot", "code": 451, "times": 2}]}`)
	for i, want := range []int{550, 451} {
		var reply *textproto.Error
		if err := s.mail("b@example.com"); !errors.As(err, &reply) || reply.Code != want {
			t.Errorf("mail %d: %v, want %d", i, err, want)
		}
	}
	s.call(t, 204, "DELETE", "/_faults", "")
	if err := s.mail("b@example.com"); err != nil {
		t.Error(err)
	}
	s.call(t, 400, "POST", "/_faults", `{"faults": [{"at": "rcpt", "cod": 550}]}`)
	s.call(t, 422, "POST", "/_faults", `{"faults": [{"at": "nowhere", "code": 550}]}`)
}

func TestCloseFirst(t *testing.T) {
	t.Parallel()
	s := open(t)
	if err := s.sink.Fail(smtp.CloseFirst(3)...); err != nil {
		t.Fatal(err)
	}
	closing := 0
	for range 3 {
		err := s.mail("b@example.com")
		if err == nil {
			t.Error("it was taken")
		}
		if reply := (*textproto.Error)(nil); errors.As(err, &reply) && reply.Code == 421 {
			closing++
		}
	}
	if err := s.mail("b@example.com"); err != nil || closing != 1 {
		t.Errorf("%v after %d times 421", err, closing)
	}
}
