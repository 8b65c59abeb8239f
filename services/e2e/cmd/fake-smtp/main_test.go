package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	netsmtp "net/smtp"
	"strings"
	"testing"

	"countersign.dev/pkg/rig/smtpsink"
)

func TestServesUntilItIsStoppedAndShowsNoMail(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	lines, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := start(ctx, []string{"-addr", "127.0.0.1:0", "-http-addr", "127.0.0.1:0"},
			[]string{"FAKE_SMTP_USER=u", "FAKE_SMTP_PASSWORD=canary", "FAKE_SMTP_CLOSE_FIRST=1"}, out)
		_ = out.Close()
		ended <- err
	}()
	printed := bufio.NewScanner(lines)
	printed.Scan()
	_, rest, _ := strings.Cut(printed.Text(), " on ")
	addr, log, _ := strings.Cut(rest, ", its log on ")

	send := func() error {
		return netsmtp.SendMail(addr, netsmtp.PlainAuth("", "u", "canary", "127.0.0.1"), "a@example.com", []string{"somebody@example.com"},
			[]byte("Message-ID: <1@example.com>\r\nSubject: 747723\r\n\r\nhi\r\n"))
	}
	if err := send(); err == nil {
		t.Error("the first connection was not closed")
	}
	sent := make(chan error, 1)
	go func() { sent <- send() }() // the line is printed before the answer
	printed.Scan()
	if line := printed.Text(); !strings.Contains(line, " to s•••••.com: taken <1@example.com>") || strings.Contains(line, "747723") {
		t.Errorf("printed %q", line)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	client := &http.Client{}
	res, err := client.Get("http://" + log + "/_log")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var got smtpsink.Log
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil || len(got.Mails) != 1 || got.Mails[0].Subject != "747723" {
		t.Errorf("%+v, %v", got, err)
	}
	client.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestWrongSettingsAreRefused(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"a flag that is not there":  {"-no-such"},
		"a number that is none":     {"-close-first", "some"},
		"a fault that is none":      {"-faults", `{"faults": [{"at": "nowhere"}]}`},
		"faults that are not JSON":  {"-faults", `{`},
		"a certificate without key": {"-tls-cert", "/nowhere"},
	} {
		if err := start(t.Context(), args, nil, io.Discard); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
