package twilio

import (
	"net/http"
	"slices"
	"testing"
	"time"
)

func TestListMisbehavesAndLagsOnDemand(t *testing.T) {
	t.Parallel()
	b := start(t, Options{ListLag: time.Hour})
	b.send(t, form())
	b.send(t, form())
	faults := `{"list": [{"status": 503}, {"garbage": true}, {"redirect": "/elsewhere"}, {"stall_ms": 1}]}`
	if a := b.do(t, "POST", "/_faults", faults, ""); a.status != http.StatusNoContent {
		t.Fatalf("faults: %d", a.status)
	}
	if a := b.do(t, "POST", "/_faults", `{"list": [{"status": 503, "store": true}]}`, ""); a.status != http.StatusUnprocessableEntity {
		t.Errorf("a list that stores: %d", a.status)
	}
	path := "/2010-04-01/Accounts/" + AccountSID + "/Messages.json?To=%2B4915112345678"
	for i, want := range []int{503, 200, 307, 200, 200} {
		a := b.do(t, "GET", path, "", AuthToken)
		if a.status != want {
			t.Errorf("look %d: status %d, want %d", i, a.status, want)
		}
		// What is younger than the lag is not shown.
		if list, ok := a.body["messages"].([]any); ok != (i > 2) || len(list) != 0 {
			t.Errorf("look %d: %v", i, a.body)
		}
	}
	var answers []string
	for _, look := range b.Log().Looks {
		answers = append(answers, look.Answer)
		if look.To != "+4915112345678" {
			t.Errorf("a look for %q", look.To)
		}
	}
	if want := []string{"503", "garbage", "redirect", "200", "200"}; !slices.Equal(answers, want) {
		t.Errorf("looks %v, want %v", answers, want)
	}
}
