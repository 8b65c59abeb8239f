package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	apps "countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/session"
)

// listeners is how many apps hear of each logout, as many as are told at a time.
const listeners = 8

// exit is a browser that is about to sign out of some apps.
type exit struct{ cookie, hint string }

// lobby is a storefront with apps that its users sign out of.
type lobby struct {
	*storefront
	browser *http.Client
}

// apps registers apps that hear of logouts at an address, or nowhere.
func (l *lobby) apps(uri string) (made []apps.App) {
	l.Helper()
	uris, back := []string{callbackURL}, []string{afterLogout}
	for range listeners {
		a, _, err := l.service.RegisterApp(context.Background(), l.where, apps.New{Change: apps.Change{RedirectURIs: &uris, LogoutURIs: &back, BackchannelURI: &uri}})
		must(l.B, err)
		made = append(made, a)
	}
	return made
}

// exits signs users in, n times, each to all of the apps.
func (l *lobby) exits(n int, in []apps.App) []exit {
	l.Helper()
	ctx, out := context.Background(), make([]exit, n)
	for i := range out {
		who := l.people[i%len(l.people)]
		token, of, err := l.service.BeginSession(ctx, session.New{Tenant: l.where, UserID: who.ID, AMR: []string{grant.Password}})
		must(l.B, err)
		var last string
		for _, a := range in {
			code, err := l.grants.NewCode(ctx, grant.New{
				Tenant: l.where, UserID: who.ID, ClientID: a.ID, SessionID: of.ID, RedirectURI: callbackURL, Challenge: challengeOf(verifierOK),
				Scope: []string{grant.OpenID}, AMR: []string{grant.Password},
			})
			must(l.B, err)
			last = code.Reveal()
		}
		l.app = in[len(in)-1]
		out[i] = exit{session.Set{}.With(session.Realm(l.org, l.where.Env), token).Text().Reveal(), field(l.exchange(last), "id_token")}
	}
	return out
}

// leave signs one browser out and returns how long it waited.
func (l *lobby) leave(e exit) time.Duration {
	l.Helper()
	query := url.Values{"id_token_hint": {e.hint}, "post_logout_redirect_uri": {afterLogout}}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, l.h.base+endSession+"?"+query.Encode(), nil)
	must(l.B, err)
	req.Header.Set("Cookie", "cs_sessions="+e.cookie)
	begun := time.Now()
	res, err := l.browser.Do(req)
	must(l.B, err)
	waited := time.Since(begun)
	must(l.B, res.Body.Close())
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != afterLogout {
		l.Errorf("a logout is answered with %d to %q", res.StatusCode, res.Header.Get("Location"))
	}
	return waited
}

// BenchmarkLogout measures how long a browser waits that signs out of eight apps
// which hear of it and do not answer. Its floor, in turn with it: the same logout
// from apps that hear of nothing.
// Covers R-150 (eight apps that do not answer: the median of logouts is below 300 ms).
func BenchmarkLogout(b *testing.B) {
	onEngines(b, func(f *storefront, n int) {
		release := make(chan struct{})
		hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
		f.Cleanup(hangs.Close)
		f.Cleanup(func() { close(release) })
		l := &lobby{storefront: f, browser: &http.Client{
			Transport:     f.h.client.Transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}}
		quiet, heard := l.exits(n, l.apps("")), l.exits(n, l.apps(hangs.URL+"/logout"))
		var floor, ours []float64
		for i := range n {
			floor = append(floor, l.leave(quiet[i]).Seconds()*1000)
			ours = append(ours, l.leave(heard[i]).Seconds()*1000)
		}
		slices.Sort(floor)
		slices.Sort(ours)
		f.ReportMetric(0, "ns/op")
		f.ReportMetric(floor[n/2], "floor-p50-ms")
		f.ReportMetric(ours[n/2], "ours-p50-ms")
		f.ReportMetric(ours[n/2]/floor[n/2], "x-floor")
		f.ReportMetric(floor[n-1], "floor-most-ms")
		f.ReportMetric(ours[n-1], "ours-most-ms")
		if ours[n/2] > 300 {
			f.Errorf("half of the logouts take %.0f ms and more, want 300 at most", ours[n/2])
		}
	})
}
