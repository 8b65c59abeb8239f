package twilio

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/courier"
)

var since = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// entry is a message of Twilio's list: ours, a minute after since, but for
// what changes says.
func entry(changes ...string) map[string]any {
	out := map[string]any{
		"sid": sid, "to": message.To, "body": message.Text, "status": "queued", "date_sent": nil,
		"date_created": since.Add(time.Minute).Format(time.RFC1123Z),
	}
	for i := 0; i < len(changes); i += 2 {
		out[changes[i]] = changes[i+1]
	}
	return out
}

// pages answers a list page by page, with the tokens that Twilio puts into the
// address of the next one.
func pages(t *testing.T, list ...[]map[string]any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if user, password, _ := r.BasicAuth(); user != account || password != token {
			t.Errorf("asked as %q", user)
		}
		if r.Method != http.MethodGet || r.URL.Path != "/2010-04-01/Accounts/"+account+"/Messages.json" || q.Get("To") != message.To {
			t.Errorf("asked %s %s", r.Method, r.URL)
		}
		for name := range q {
			if strings.HasPrefix(name, "DateSent") {
				t.Errorf("%s leaves out what still waits", name)
			}
		}
		n := 0
		if at := q.Get("Page"); at != "" {
			_, _ = fmt.Sscan(at, &n)
			if q.Get("PageToken") != "PA"+at {
				t.Errorf("page %d without its token", n)
			}
		}
		var next any
		if n+1 < len(list) {
			next = fmt.Sprintf("https://elsewhere.example/other.json?To=%%2B1&Page=%d&PageToken=PA%d", n+1, n+1)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"messages": append([]map[string]any{}, list[n]...), "next_page_uri": next})
	}
}

func TestListTellsWhatTwilioTook(t *testing.T) {
	t.Parallel()
	other, old := entry("body", "111222 is your code."), entry("date_created", since.Add(-time.Second).Format(time.RFC1123Z))
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		found  bool
		reason string // why it does not tell
		calls  int32
	}{
		"an empty list":             {pages(t, nil), false, "", 1},
		"it is there":               {pages(t, []map[string]any{entry()}), true, "", 1},
		"behind others":             {pages(t, []map[string]any{other, other, entry()}), true, "", 1},
		"on the next page":          {pages(t, []map[string]any{other}, []map[string]any{other}, []map[string]any{entry()}), true, "", 3},
		"of a trial account":        {pages(t, []map[string]any{entry("body", "Sent from a trial account - "+message.Text)}), true, "", 1},
		"without its line end":      {pages(t, []map[string]any{entry("body", message.Text+"\n")}), true, "", 1},
		"without a date":            {pages(t, []map[string]any{entry("date_created", "")}), true, "", 1},
		"only another text":         {pages(t, []map[string]any{other}), false, "", 1},
		"only an old one":           {pages(t, []map[string]any{old}), false, "", 1},
		"old ones end the reading":  {pages(t, []map[string]any{other, old}, []map[string]any{old}, []map[string]any{entry()}), false, "", 2},
		"to another number":         {pages(t, []map[string]any{entry("to", "+4915100000000")}), false, "", 1},
		"a text that was redacted":  {pages(t, []map[string]any{entry("body", "")}), false, "unsure", 1},
		"redacted, and another one": {pages(t, []map[string]any{entry("body", ""), entry()}), true, "", 1},
		"redacted long ago":         {pages(t, []map[string]any{entry("body", "", "date_created", since.Add(-time.Hour).Format(time.RFC1123Z))}), false, "", 1},
		"a SID that is none":        {pages(t, []map[string]any{entry("sid", "+4915112345678")}), false, "unsure", 1},
		"more than a person gets": {
			pages(t, []map[string]any{other}, []map[string]any{other}, []map[string]any{other}, []map[string]any{other}, []map[string]any{other}),
			false, "unsure", 4},
		"an error of the server": {refuse(500, 20500), false, "server_error:500", 1},
		"too many":               {refuse(429, 20429), false, "rate_limited", 1},
		"wrong credentials":      {refuse(401, 20003), false, "credentials", 1},
		"no answer":              {hangUp, false, "no_answer", 1},
		"a page of somebody":     {say(200, "<html>"), false, "unreadable_answer", 1},
		"no list at all":         {say(200, `{}`), false, "unreadable_answer", 1},
		"half a list":            {say(200, `{"messages": [{"sid": "`), false, "unreadable_answer", 1},
		"an endless list":        {say(200, `{"messages": [{"body": "`+strings.Repeat("x", 1<<20)+`"}]}`), false, "unreadable_answer", 1},
		"moved":                  {say(307, "", "Location", "/elsewhere"), false, "redirected", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, c.answer)
			got, err := provider(t, s.URL).Find(t.Context(), message, since)
			if (got == sid) != c.found || (got != "") != c.found || reason(err) != c.reason || (err != nil) != (c.reason != "") {
				t.Errorf("found %q, %q (%v); want %t, %q", got, reason(err), err, c.found, c.reason)
			}
			if calls := s.calls.Load(); calls != c.calls {
				t.Errorf("%d calls, want %d", calls, c.calls)
			}
			silent(t, err)
		})
	}
}

// A page of fifty messages as long as any is read to its end.
func TestLongPageIsRead(t *testing.T) {
	t.Parallel()
	var page []map[string]any
	for range listPage - 1 {
		page = append(page, entry("body", strings.Repeat("ü", 1600)))
	}
	s := serve(t, pages(t, append(page, entry())))
	if got, err := provider(t, s.URL).Find(t.Context(), message, since); got != sid || err != nil {
		t.Errorf("found %q, %v", got, err)
	}
}

func TestLookEndsWithItsDeadline(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := serve(t, func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got, err := provider(t, s.URL).Find(ctx, message, since); got != "" || reason(err) != courier.ReasonNoAnswer {
		t.Errorf("found %q, %v", got, err)
	}
}
