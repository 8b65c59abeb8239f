package session_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/session"
)

// fromSession is a login that came of a session.
func (w *world) fromSession(sessionID string) grant.New {
	return grant.New{
		Tenant: w.tenant, UserID: w.user.ID, ClientID: w.key.ID, SessionID: sessionID, Scope: []string{grant.OpenID}, AMR: []string{grant.Password},
	}
}

// No code is made of a session that is not there.
// Covers R-040 for codes of sessions.
func TestACodeNeedsItsSession(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ended, late, theirs := w.beginID(), w.beginID(), w.newUser("ben@acme.test")
		w.must(w.one.End(t.Context(), w.tenant, ended, closed()))
		stranger := w.fromSession(late)
		stranger.UserID = theirs.ID
		for name, n := range map[string]grant.New{
			"one that has ended": w.fromSession(ended), "one that never was": w.fromSession(id.UUID()), "another user's": stranger,
		} {
			if _, err := w.grants.NewCode(t.Context(), n); !errors.Is(err, session.ErrNone) {
				t.Errorf("a code of %s: %v", name, err)
			}
		}
		if _, err := w.grants.NewCode(t.Context(), w.fromSession(late)); err != nil {
			t.Errorf("a code of a good one: %v", err)
		}
		w.pass(25 * time.Hour)
		if _, err := w.grants.NewCode(t.Context(), w.fromSession(late)); !errors.Is(err, session.ErrNone) {
			t.Errorf("a code of one that is too old: %v", err)
		}
		// A client that names an app has to be one that is active.
		n := w.fromSession("")
		n.ClientID = "app_" + "aaaaaaaaaaaaaaaaaaaaaaaaaaa"
		if _, err := w.grants.NewCode(t.Context(), n); err == nil {
			t.Error("a code for an app that is not there")
		}
	})
}

func (w *world) beginID() string {
	_, of := w.begin()
	return of.ID
}

// Of codes that are made while their session ends, none is worth anything
// after that.
// Covers R-040 for codes that are made as their session ends.
func TestNoCodeOutlivesItsSession(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for range 10 {
			sessionID := w.beginID()
			codes := make([]secret.Text, 16)
			var all sync.WaitGroup
			for i := range codes {
				all.Go(func() {
					code, err := w.grants.NewCode(t.Context(), w.fromSession(sessionID))
					if err != nil && !errors.Is(err, session.ErrNone) {
						t.Errorf("a code: %v", err)
					}
					codes[i] = code
				})
			}
			all.Go(func() {
				if err := w.two.End(t.Context(), w.tenant, sessionID, closed()); err != nil {
					t.Errorf("end: %v", err)
				}
			})
			all.Wait()
			for _, code := range codes {
				if _, err := w.grants.Redeem(t.Context(), code, grant.Binding{ClientID: w.key.ID, MayOmitURI: true}); !errors.Is(err, grant.ErrInvalid) {
					t.Errorf("a code of a session that has ended: %v", err)
				}
			}
		}
	})
}
