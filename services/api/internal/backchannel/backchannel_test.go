package backchannel_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/backchannel"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/user"
)

// part decodes a part of a JWT.
func part(t *testing.T, raw string, i int) (out map[string]any) {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[i])
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// What an app hears is what the specification says, in the words of its ID
// tokens, and once.
// Covers R-150 for logout tokens and what is in them.
func TestAnAppHearsOfALogout(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		gateway := w.register(w.app.BackchannelURI, func(a *app.App) { a.Profile, a.Audience, a.IDTokenAlg = app.Gateway, "https://api.test", app.RS256 })
		silent := w.register("")
		of := w.signsIn(w.app, w.app, gateway, silent)
		w.signsIn(w.app) // another session, which stays
		if heard := w.tells(0); len(heard) != 0 {
			t.Fatalf("before the logout: %d", len(heard))
		}
		w.must(w.sessions.End(t.Context(), w.tenant, of.ID, closed()))
		heard := w.tells(0)
		if len(heard) != 2 {
			t.Fatalf("%d were told", len(heard))
		}
		ids := map[any]bool{}
		for _, r := range heard {
			if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.URL.RawQuery != "of=us" || len(r.PostForm) != 1 {
				t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
			}
			raw := r.PostForm.Get("logout_token")
			header, c := part(t, raw, 0), part(t, raw, 1)
			alg, iss, aud := "ES256", issuer, w.app.ID
			sub := w.user.ID
			if c["aud"] == "https://api.test" {
				alg, iss, aud = "RS256", issuer+"/t/"+gateway.Org, "https://api.test"
				sub = c["sub"].(string)
				if !strings.HasSuffix(sub, w.user.ID) {
					t.Errorf("sub %s", sub)
				}
			}
			if header["typ"] != "logout+jwt" || header["alg"] != alg || header["kid"] == nil {
				t.Errorf("header %v", header)
			}
			events, _ := json.Marshal(c["events"])
			life := c["exp"].(float64) - c["iat"].(float64)
			if c["iss"] != iss || c["aud"] != aud || c["sub"] != sub || c["sid"] != of.ID || life > 120 || life < 60 ||
				c["exp"].(float64) <= float64(w.clock().Unix()) || string(events) != `{"http://schemas.openid.net/event/backchannel-logout":{}}` {
				t.Errorf("claims %v", c)
			}
			if _, has := c["nonce"]; has || c["jti"] == nil {
				t.Errorf("claims %v", c)
			}
			ids[c["jti"]] = true
		}
		if len(ids) != 2 {
			t.Error("two tokens have one jti")
		}
		if again := w.tells(backchannel.Lasts); len(again) != 0 {
			t.Errorf("told again %d times", len(again))
		}
	})
}

// An app that is down hears of it when it is back, with a token that is good
// then; and one that stays down is given up after a day.
// Covers R-150 for apps that are down.
func TestAnAppThatIsDownHearsLater(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		of := w.signsIn(w.app)
		for _, status := range []int{500, 302, 400, 201} { // nothing else than 200 and 204 is an answer
			w.answers(status)
			if status == 500 {
				w.must(w.sessions.End(t.Context(), w.tenant, of.ID, closed()))
			}
			if heard := w.tells(10 * time.Minute); len(heard) != 1 {
				t.Fatalf("status %d: it was told %d times", status, len(heard))
			}
			if heard := w.tells(4 * time.Second); len(heard) != 0 {
				t.Fatalf("status %d: at once again", status)
			}
		}
		w.answers(http.StatusNoContent)
		heard := w.tells(time.Hour)
		if len(heard) != 1 {
			t.Fatalf("when it is back it is told %d times", len(heard))
		}
		if c := part(t, heard[0].PostForm.Get("logout_token"), 1); c["exp"].(float64) <= float64(w.clock().Unix()) || c["sid"] != of.ID {
			t.Errorf("claims %v", c)
		}
		if heard := w.tells(time.Hour); len(heard) != 0 {
			t.Error("it is told again")
		}
		w.answers(500)
		w.must(w.sessions.End(t.Context(), w.tenant, w.signsIn(w.app).ID, closed()))
		n := 0
		for range 40 {
			n += len(w.tells(time.Hour))
		}
		if last := w.tried[len(w.tried)-1]; last != backchannel.Failed || n < 20 || n > 26 {
			t.Errorf("after a day: %s, after %d tries", last, n)
		}
	})
}

// An app that is down takes one turn at a time, however many sessions of its
// users have ended; it hears of all of them when it is back.
func TestAnAppThatIsDownLeavesTheOthersTheirTurn(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.answers(500)
		for range 3 {
			w.must(w.sessions.End(t.Context(), w.tenant, w.signsIn(w.app).ID, closed()))
			if heard := w.tells(0); len(heard) > 1 || len(w.tried) != 1 {
				t.Errorf("it is told %d times at once, and was tried %d times", len(heard), len(w.tried))
			}
		}
		w.answers(http.StatusOK)
		n := 0
		for range 3 {
			n += len(w.tells(5 * time.Second))
		}
		if n != 3 {
			t.Errorf("when it is back it hears of %d sessions", n)
		}
	})
}

// Whatever ends a session, its apps hear of it.
// Covers R-150 for all that ends a session.
func TestWhateverEndsASessionIsTold(t *testing.T) {
	off := false
	for name, end := range map[string]func(w *world, of session.Session) error{
		"all but one": func(w *world, _ session.Session) error {
			return w.sessions.EndUser(w.t.Context(), session.Whose{Tenant: w.tenant, UserID: w.user.ID}, w.signsIn(w.app).ID, closed())
		},
		"deactivation": func(w *world, _ session.Session) error {
			_, err := w.users.Update(w.t.Context(), w.tenant, w.user.ID, nil, user.Change{Active: &off})
			return err
		},
		"deletion": func(w *world, _ session.Session) error {
			_, err := w.users.Delete(w.t.Context(), w.tenant, w.user.ID)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				of := w.signsIn(w.app)
				w.must(end(w, of))
				heard := w.tells(0)
				if len(heard) != 1 || part(t, heard[0].PostForm.Get("logout_token"), 1)["sid"] != of.ID {
					t.Fatalf("told %d times", len(heard))
				}
			})
		})
	}
}

// Two processes tell each app once.
func TestOfTwoProcessesOneTells(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for range 12 {
			w.must(w.sessions.End(t.Context(), w.tenant, w.signsIn(w.app).ID, closed()))
		}
		other := w.another()
		var group sync.WaitGroup
		group.Go(func() { w.must(other.Tell(t.Context())) })
		heard := w.tells(0)
		group.Wait()
		heard = append(heard, w.tells(0)...)
		var told []string
		for _, r := range heard {
			told = append(told, part(t, r.PostForm.Get("logout_token"), 1)["sid"].(string))
		}
		slices.Sort(told)
		if n := len(slices.Compact(slices.Clone(told))); n != 12 || len(told) != 12 {
			t.Errorf("%d of 12 were told, in %d requests", n, len(told))
		}
	})
}

// The sandbox of a service that others use is no way into the operator's
// network: an app that listens there is not told, and is asked for again.
// Covers R-150 for where logout tokens are sent from the sandbox.
func TestOnlyADevelopmentServerTellsAppsNearby(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		of := w.signsIn(w.app)
		w.must(w.sessions.End(t.Context(), w.tenant, of.ID, closed()))
		w.teller.Near = false
		if heard := w.tells(0); len(heard) != 0 || !slices.Equal(w.tried, []backchannel.Outcome{backchannel.Later}) {
			t.Errorf("%d were told, tried with %v", len(heard), w.tried)
		}
		w.teller.Near = true
		if heard := w.tells(time.Minute); len(heard) != 1 {
			t.Errorf("on a development server %d were told", len(heard))
		}
	})
}
