package flow

import (
	"time"

	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/session"
)

// step is what a request needs next.
type step int

const (
	signIn       step = iota // somebody signs in, with all that they have
	secondFactor             // who is signed in adds a second factor
	finish                   // enough is proven
	giveBack                 // the app gets an error
)

// next decides from a request, the browser's session (nil for none) and
// whether its user has a second factor. Nothing else counts: that a session
// never counts for less than the user has is here.
func next(r Request, has *session.Session, enrolled bool, now time.Time) (step, *Refusal) {
	if r.Unknown {
		return giveBack, refusedUnmet
	}
	if !counts(r, has, now) {
		return unless(r, signIn)
	}
	switch strong := has.ACR == grant.TwoFactors; {
	case strong:
		return finish, nil
	case enrolled:
		return unless(r, secondFactor)
	case r.ACR == grant.TwoFactors:
		return giveBack, refusedUnmet
	}
	return finish, nil
}

// counts reports whether the session is one that the app takes.
func counts(r Request, has *session.Session, now time.Time) bool {
	switch {
	case has == nil, r.Prompts(promptLogin), r.Prompts(promptSelect):
		return false
	case r.Subject != "" && r.Subject != has.User.ID:
		return false
	case r.MaxAge == 0: // the same second is too old, too: it forces a login
		return false
	case r.MaxAge > 0 && now.Sub(has.AuthTime) > r.MaxAge:
		return false
	}
	return true
}

// unless shows a page, where the app allows one.
func unless(r Request, page step) (step, *Refusal) {
	if r.Prompts(promptNone) {
		return giveBack, refusedLogin
	}
	return page, nil
}
