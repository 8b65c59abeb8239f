package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestServesUntilItIsStopped(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	lines, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := start(ctx, nil, []string{"FAKE_BREACH_ADDR=127.0.0.1:0"}, out)
		_ = out.Close()
		ended <- err
	}()
	printed := bufio.NewScanner(lines)
	printed.Scan()
	_, addr, _ := strings.Cut(printed.Text(), " on ")

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/range/5BAA6", nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{}
	answered := make(chan string, 1)
	go func() {
		res, err := client.Do(req)
		if err != nil {
			answered <- err.Error()
			return
		}
		text, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		answered <- string(text)
	}()
	printed.Scan()
	if line := printed.Text(); !strings.HasSuffix(line, " /range/5BAA6: 200") {
		t.Errorf("printed %q", line)
	}
	if text := <-answered; !strings.Contains(text, "1E4C9B93F3F0682250B6CF8331B7EE68FD8:") {
		t.Errorf("answered %q", text)
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
