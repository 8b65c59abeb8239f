package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"countersign.dev/services/e2e/fakes/twilio"
)

func TestServesUntilItIsStoppedAndShowsNoNumber(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	lines, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := start(ctx, []string{"-addr", "127.0.0.1:0"}, []string{"FAKE_TWILIO_AUTH_TOKEN=fromtheenvironment"}, out)
		_ = out.Close()
		ended <- err
	}()
	printed := bufio.NewScanner(lines)
	printed.Scan()
	_, addr, _ := strings.Cut(printed.Text(), " on ")

	form := url.Values{"To": {"+4915112345678"}, "From": {"+15005550006"}, "Body": {"747723"}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		"http://"+addr+"/2010-04-01/Accounts/"+twilio.AccountSID+"/Messages.json", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(twilio.AccountSID, "fromtheenvironment")
	client := &http.Client{}
	answered := make(chan int, 1)
	go func() {
		res, err := client.Do(req)
		if err != nil {
			answered <- 0
			return
		}
		_ = res.Body.Close()
		answered <- res.StatusCode
	}()
	printed.Scan()
	if line := printed.Text(); !strings.Contains(line, " to +49•••••78: 201 SM") || strings.Contains(line, "747723") {
		t.Errorf("printed %q", line)
	}
	if status := <-answered; status != http.StatusCreated {
		t.Errorf("status %d", status)
	}
	client.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestWrongFlagIsRefused(t *testing.T) {
	t.Parallel()
	if err := start(t.Context(), []string{"-no-such"}, nil, io.Discard); err == nil {
		t.Error("it was taken")
	}
}
