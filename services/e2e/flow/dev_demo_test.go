package flow_test

import (
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
)

// demoIsServed looks at the app at /demo: that it is where dev says, and
// that signing in leads to the page of a request that the service has taken.
// The walks in services/e2e/clients go on from there.
func (d devPlace) demoIsServed(t *testing.T, printed string) {
	t.Helper()
	address, email, password := d.env(t, "COUNTERSIGN_DEMO_URL"), d.env(t, "COUNTERSIGN_DEMO_EMAIL"), d.env(t, "COUNTERSIGN_DEMO_PASSWORD")
	if address != d.url+"/demo" || !strings.Contains(printed, address+" is an app to sign in to, as "+email+" with the password "+password+"\n") {
		t.Errorf("dev does not name its demo at %q:\n%s", address, printed)
	}
	if status, page := get(t, address); status != http.StatusOK || !strings.Contains(page, email) || strings.Contains(page, "<script") {
		t.Errorf("%s answers %d\n%s", address, status, page)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+"/sign-in", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Jar: jar}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if at := res.Request.URL; res.StatusCode != http.StatusOK || at.Host != d.addr || at.Path != "/login" {
		t.Errorf("signing in leads to %s, which answers %d", at.Redacted(), res.StatusCode)
	}
}

// moved is the same folder at other addresses.
func (d devPlace) moved(t *testing.T) devPlace {
	t.Helper()
	to := newDev(t)
	to.dir = d.dir
	return to
}
