package grant_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// together runs fn n times at the same moment, in both processes by turns.
func (w *world) together(n int, fn func(ctx context.Context, s *grant.Service) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var group sync.WaitGroup
	for i := range n {
		service := w.one
		if i%2 == 1 {
			service = w.two
		}
		group.Go(func() {
			<-start
			errs[i] = fn(w.t.Context(), service)
		})
	}
	close(start)
	group.Wait()
	return errs
}

func TestACodeStandsForItsLogin(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		login := w.login()
		login.Nonce = "n-1"
		login.AMR = []string{grant.SMS, grant.Password, grant.Password, grant.Several}
		code := w.code(login)
		if len(code.Reveal()) != 43 {
			t.Errorf("the code has %d characters, want the 43 of 256 bits", len(code.Reveal()))
		}
		w.pass(grant.CodeLife - time.Millisecond)
		got, err := w.two.Redeem(t.Context(), code, w.bound())
		w.must(err)
		began := w.clock().Add(time.Millisecond - grant.CodeLife)
		want := grant.Session{
			Grant: grant.Grant{
				ID: got.Grant.ID, Tenant: w.tenant, UserID: w.user.ID, ClientID: w.key.ID, Scope: login.Scope,
				AMR: []string{"mfa", "pwd", "sms"}, ACR: "aal2", AuthTime: login.AuthTime, CreatedAt: began, ExpiresAt: began.Add(grant.Absolute),
			},
			User: w.user, Org: "shop", Nonce: "n-1", Refresh: got.Refresh, RefreshExpiresAt: w.clock().Add(grant.Idle),
		}
		want.User.Profile, got.User.Profile = user.Profile{}, user.Profile{}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("Redeem = %+v, want %+v", got, want)
		}
		if org, rest, _ := strings.Cut(got.Refresh.Reveal(), "."); org != "shop" || len(rest) != 43 {
			t.Errorf("the refresh token is %d characters after %q", len(rest), org)
		}
		live, err := w.one.Live(t.Context(), got.Grant.ID)
		want.Nonce, want.Refresh, want.RefreshExpiresAt = "", secret.Text{}, time.Time{}
		if live.User.Profile = (user.Profile{}); err != nil || !reflect.DeepEqual(live, want) {
			t.Errorf("Live = %+v, %v, want %+v", live, err, want)
		}
	})
}

// busy reports whether a call waited for its lock or connection until it gave
// up, as it may on a machine that has other things to do. It changed nothing.
func busy(err error) bool { return fault.KindOf(err) == fault.Unavailable }

// Of 32 parallel redemptions in two processes one gets the tokens. The others
// are uses of a used code, which end them.
//
func TestACodeIsRedeemedOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for round := range 100 {
			code := w.code(w.login())
			var mu sync.Mutex
			var got []grant.Session
			errs := w.together(32, func(ctx context.Context, s *grant.Service) error {
				session, err := s.Redeem(ctx, code, w.bound())
				if err == nil {
					mu.Lock()
					defer mu.Unlock()
					got = append(got, session)
				}
				return err
			})
			replays := 0
			for _, err := range errs {
				if err != nil && !busy(err) {
					w.refused("a parallel redemption", err)
					replays++
				}
			}
			if len(got) > 1 || len(got) == 0 && replays == len(errs) {
				t.Fatalf("round %d: %d redemptions gave tokens, want 1", round, len(got))
			}
			if len(got) == 1 && replays > 0 {
				w.dead("after parallel redemptions", got[0])
			}
		}
		if n := len(w.alarms()); n > 100 {
			t.Errorf("%d alarms for 100 rounds", n)
		}
	})
}

// Covers R-141 for one replay, and for the second after the minute.
func TestAReplayedCodeEndsItsLogin(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		code := w.code(w.login())
		first, err := w.one.Redeem(t.Context(), code, w.bound())
		w.must(err)
		beside := w.session()
		w.pass(time.Hour) // long after the code has expired
		_, err = w.two.Redeem(t.Context(), code, w.bound())
		w.refused("a replay", err)
		w.dead("a replay", first)
		if got := w.alarms(); len(got) != 1 || got[0].What != "code" || got[0].Grant.ID != first.Grant.ID || got[0].Grant.RevokedAt != w.clock() {
			t.Errorf("alarms: %+v", got)
		}
		if _, err := w.one.Live(t.Context(), beside.Grant.ID); err != nil {
			t.Errorf("another login of the user ended too: %v", err)
		}

		late := w.code(w.login())
		w.pass(61 * time.Second)
		_, err = w.one.Redeem(t.Context(), late, w.bound())
		w.refused("after 61 seconds", err)
		w.pass(-61 * time.Second)
		_, err = w.one.Redeem(t.Context(), late, w.bound())
		w.refused("after it was tried too late", err)
	})
}

func s256(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

var verifier = strings.Repeat("aZ09-._~", 16) // 128 characters

// One thing is wrong at a time; then all is right, and the code is dead.
// Covers R-140 for the client, the redirect URI, the verifier, expiry, the user's, organization's and key's state.
// Covers R-139 for the exchange of codes.
func TestASingleMismatchKillsTheCode(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		const uri = "https://app.acme.test/back"
		full := grant.Binding{ClientID: w.key.ID, RedirectURI: uri, Verifier: secret.New(verifier)}
		for name, change := range map[string]func(n *grant.New, b *grant.Binding){
			"another client":               func(_ *grant.New, b *grant.Binding) { b.ClientID = w.other.ID },
			"no client":                    func(_ *grant.New, b *grant.Binding) { b.ClientID = "" },
			"another redirect URI":         func(_ *grant.New, b *grant.Binding) { b.RedirectURI = uri + "/" },
			"another redirect URI, lazily": func(_ *grant.New, b *grant.Binding) { b.RedirectURI, b.MayOmitURI = uri+"/", true },
			"no redirect URI":              func(_ *grant.New, b *grant.Binding) { b.RedirectURI = "" },
			"a redirect URI for none":      func(n *grant.New, _ *grant.Binding) { n.RedirectURI = "" },
			"another verifier":             func(_ *grant.New, b *grant.Binding) { b.Verifier = secret.New(strings.ToUpper(verifier)) },
			"no verifier":                  func(_ *grant.New, b *grant.Binding) { b.Verifier = secret.Text{} },
			"the challenge as verifier":    func(_ *grant.New, b *grant.Binding) { b.Verifier = secret.New(s256(verifier)) },
			"a verifier for no challenge":  func(n *grant.New, _ *grant.Binding) { n.Challenge = "" },
			"42 characters": func(n *grant.New, b *grant.Binding) {
				n.Challenge, b.Verifier = s256(verifier[:42]), secret.New(verifier[:42])
			},
			"129 characters": func(n *grant.New, b *grant.Binding) {
				n.Challenge, b.Verifier = s256(verifier+"a"), secret.New(verifier+"a")
			},
			"a verifier of other characters": func(n *grant.New, b *grant.Binding) {
				n.Challenge, b.Verifier = s256(verifier[:50]+"="), secret.New(verifier[:50]+"=")
			},
		} {
			login, wrong := w.login(), full
			login.RedirectURI, login.Challenge = uri, s256(verifier)
			right := login
			change(&login, &wrong)
			code := w.code(login)
			_, err := w.one.Redeem(t.Context(), code, wrong)
			w.refused(name, err)
			_, err = w.two.Redeem(t.Context(), code, full)
			w.refused(name+", then all right", err)
			if _, err := w.one.Redeem(t.Context(), w.code(right), full); err != nil {
				t.Fatalf("all right: %v", err)
			}
		}
		for _, length := range []int{43, 128} {
			login, b := w.login(), w.bound()
			login.RedirectURI, login.Challenge, b.Verifier = uri, s256(verifier[:length]), secret.New(verifier[:length])
			if _, err := w.one.Redeem(t.Context(), w.code(login), b); err != nil {
				t.Errorf("a verifier of %d characters, and no redirect URI where it may be left out: %v", length, err)
			}
		}
	})
}

// Clients of the verification flow send a verifier with codes that were made
// without a challenge. It counts for nothing, and all else does.
// Covers R-140 for codes without a challenge.
func TestAnIdleVerifierCountsForNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		const uri = "https://app.acme.test/back"
		for name, shown := range map[string]string{
			"none": "", "a good one": verifier, "a letter": "x", "the word for none": "none", "129 characters": verifier + "a", "other characters": strings.Repeat("=", 43),
		} {
			login := w.login()
			login.RedirectURI = uri
			right := grant.Binding{ClientID: w.key.ID, RedirectURI: uri, Verifier: secret.New(shown), IdleVerifier: true}
			code := w.code(login)
			session, err := w.one.Redeem(t.Context(), code, right)
			w.must(err)
			_, err = w.two.Redeem(t.Context(), code, right)
			w.refused(name+", once more", err)
			w.dead(name+", once more", session)

			for what, change := range map[string]func(*grant.New, *grant.Binding){
				"another redirect URI":       func(_ *grant.New, b *grant.Binding) { b.RedirectURI = uri + "/" },
				"no redirect URI":            func(_ *grant.New, b *grant.Binding) { b.RedirectURI = "" },
				"another client":             func(_ *grant.New, b *grant.Binding) { b.ClientID = w.other.ID },
				"another grant":              func(_ *grant.New, b *grant.Binding) { b.GrantID = id.UUID() },
				"a challenge of another one": func(n *grant.New, _ *grant.Binding) { n.Challenge = s256(verifier[1:]) },
			} {
				login, wrong := login, right
				change(&login, &wrong)
				code := w.code(login)
				_, err := w.one.Redeem(t.Context(), code, wrong)
				w.refused(name+", "+what, err)
				_, err = w.two.Redeem(t.Context(), code, right)
				w.refused(name+", "+what+", then all right", err)
			}
			late := w.code(login)
			w.pass(grant.CodeLife)
			_, err = w.one.Redeem(t.Context(), late, right)
			w.refused(name+", after a minute", err)
		}
	})
}

// Every byte of a code counts, and so does its length.
// Covers R-140 for the bytes of the code.
// Covers R-132 for codes and refresh tokens.
func TestOnlyTheWholeCodeIsOne(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		code, refresh := w.code(w.login()), w.session().Refresh.Reveal()
		text := code.Reveal()
		var wrong []string
		for i := range text {
			changed := []byte(text)
			if changed[i]++; changed[i] == ':' || changed[i] == '{' || changed[i] == '[' || changed[i] == '.' || changed[i] == '`' {
				changed[i] = 'a'
			}
			wrong = append(wrong, text[:i], text[i+1:], string(changed))
		}
		wrong = append(wrong, text+"A", text+"=", " "+text, text+"\n", text+"\x00", strings.Repeat(text, 1000), strings.Repeat(".", 100_000), refresh)
		for _, candidate := range wrong {
			_, err := w.two.Redeem(t.Context(), secret.New(candidate), w.bound())
			w.refused("a changed code", err)
		}
		_, rest, _ := strings.Cut(refresh, ".")
		for _, candidate := range []string{
			"", rest, "." + rest, "shop." + rest[1:], "shop." + rest + "A", "shop." + rest + ".", "rival." + rest, "Shop." + rest, "shop.shop." + rest,
			text, "shop." + text, strings.Repeat(".", 100_000), strings.Repeat("a", 9<<10) + refresh, refresh + strings.Repeat("a", 1<<20),
		} {
			_, err := w.two.Refresh(t.Context(), secret.New(candidate), w.key.ID)
			w.refused("a changed refresh token", err)
		}
		if len(w.alarms()) != 0 {
			t.Errorf("alarms: %+v", w.alarms())
		}
		if _, err := w.two.Redeem(t.Context(), code, w.bound()); err != nil {
			t.Errorf("the code itself: %v", err)
		}
		w.next(secret.New(refresh))
	})
}

func TestWhoHasNoBusinessSpoilsACode(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		code := w.code(w.login())
		w.refused("spoiling", w.two.Spoil(t.Context(), code))
		_, err := w.one.Redeem(t.Context(), code, w.bound())
		w.refused("a spoiled code", err)
		used := w.code(w.login())
		session, err := w.one.Redeem(t.Context(), used, w.bound())
		w.must(err)
		w.refused("spoiling a used one", w.two.Spoil(t.Context(), used))
		w.dead("spoiling a used one", session)
	})
}

// Nobody gets a code for a user who cannot log in, and a code says nothing of
// one that could.
func TestWhoCannotHaveAGrant(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for name, change := range map[string]func(n *grant.New){
			"nobody":                  func(n *grant.New) { n.UserID = id.UUID() },
			"the other environment":   func(n *grant.New) { n.Tenant.Env = tenant.Default },
			"another account":         func(n *grant.New) { n.Tenant.Account = id.UUID() },
			"another organization":    func(n *grant.New) { n.Tenant.Org = id.UUID() },
			"somebody is deactivated": func(n *grant.New) { n.UserID = w.deactivated().ID },
		} {
			login := w.login()
			change(&login)
			if _, err := w.one.NewCode(t.Context(), login); !errors.Is(err, user.ErrNotFound) {
				t.Errorf("%s: %v, want not found", name, err)
			}
		}
		for name, change := range map[string]func(n *grant.New){
			"no proof":        func(n *grant.New) { n.AMR = nil },
			"only the word":   func(n *grant.New) { n.AMR = []string{grant.Several} },
			"a strange proof": func(n *grant.New) { n.AMR = []string{"hope"} },
			"no client":       func(n *grant.New) { n.ClientID = "" },
			"no scope":        func(n *grant.New) { n.Scope = nil },
			"a bad challenge": func(n *grant.New) { n.Challenge = "plain" },
		} {
			login := w.login()
			change(&login)
			if _, err := w.one.NewCode(t.Context(), login); err == nil {
				t.Errorf("%s: a code was made", name)
			}
		}
	})
}

func (w *world) deactivated() user.User {
	w.t.Helper()
	u := w.newUser(id.UUID() + "@acme.test")
	w.activate(u, false)
	return u
}

func (w *world) activate(u user.User, active bool) {
	w.t.Helper()
	_, err := w.stores[1].UpdateUser(w.t.Context(), w.tenant, u.ID, nil, func(u *user.User) error { u.Active = active; return nil })
	w.must(err)
}

// Covers R-035 for what a grant records.
func TestProofsOfOneFactorAreOneFactor(t *testing.T) {
	t.Parallel()
	s := &grant.Service{Now: time.Now}
	for proofs, want := range map[string]string{
		"pwd":                    "aal1 pwd",
		"email":                  "aal1 email",
		"email email":            "aal1 email",
		"email pwd":              "aal1 email pwd",
		"sms otp":                "aal1 otp sms",
		"sms sms recovery":       "aal1 recovery sms",
		"pwd mfa":                "aal1 pwd",
		"email pwd mfa":          "aal1 email pwd",
		"pwd sms":                "aal2 mfa pwd sms",
		"email otp":              "aal2 email mfa otp",
		"recovery pwd mfa mfa":   "aal2 mfa pwd recovery",
		"pwd sms otp pwd":        "aal2 mfa otp pwd sms",
		"otp pwd email recovery": "aal2 email mfa otp pwd recovery",
	} {
		d, _, err := s.Draft(grant.New{ClientID: "x", Scope: []string{"openid"}, AMR: strings.Fields(proofs)})
		if got := strings.Join(append([]string{d.Grant.ACR}, d.Grant.AMR...), " "); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", proofs, got, err, want)
		}
	}
}
