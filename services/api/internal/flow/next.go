package flow

import (
	"time"

	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/factor"
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

// need is what an app needs of a user beside a first factor.
type need int

const (
	nothing   need = iota // none is switched on, or the app takes none
	enrolment             // a second factor, which the user does not have yet
	proof                 // that of the user's second factor
)

func needs(a app.App, of factor.Standing) need {
	switch {
	case of.Connection.Active && of.Enrolled():
		return proof
	case mustEnrol(a, of):
		return enrolment
	}
	return nothing
}

// next decides from a request, the browser's session (nil for none) and what
// its user needs. Nothing else counts: that a session never counts for less than
// the user has is here. Who has to enrol signs in first: a session of
// hours ago is not enough to add what somebody proves with.
func next(r Request, has *session.Session, of need, now time.Time) (step, *Refusal) {
	if r.Unknown {
		return giveBack, refusedUnmet
	}
	if !counts(r, has, now) {
		return unless(r, signIn)
	}
	switch strong := has.ACR == grant.TwoFactors; {
	case strong:
		return finish, nil
	case of == enrolment:
		return unless(r, signIn)
	case of == proof:
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
