// Package activity owns the record of what happened: who did what to whom,
// when, and how it ended.
//
// A rule makes a [Record] and hands it, as an entry of the outbox, to the
// method of its store that changes the state; both are written in one
// transaction. The store puts the record into a chain: its hash covers the
// record before, under a key that the database does not have. Records are
// never changed or deleted, and [Verifier] finds what was tampered with.
//
// What is recorded is also published on EVENTS, but for the few actions that
// strangers can cause as often as they like; see [Record.Quiet].
package activity

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/services/api/internal/tenant"
)

// Results of actions.
const (
	Success = "success"
	Failure = "failure"
)

// Who acts, where it is no API key.
const (
	User     = "user"     // somebody in a browser, on a page of ours
	System   = "system"   // a limit or a clock
	Operator = "operator" // somebody with the tools of the command line
)

// CodeRefused is the one action that is recorded and not published: whoever
// guesses at many accounts would push everybody's events out of the stream.
// What guessing leads to (mfa.failed, factors.disabled) is published.
const CodeRefused = "code.refused"

// By is who caused something, and in which HTTP request.
type By struct {
	Actor   string
	TraceID string
}

// Key is who an API key is, as an actor.
func Key(clientID string) string { return "api_key:" + clientID }

// Record is one thing that happened.
type Record struct {
	ID     string
	Tenant tenant.ID
	// Action is a type of event.PublicTypes, or CodeRefused.
	Action string
	Result string
	By
	UserID string // whom it concerns; empty for nobody
	// Data says more, as words: no secret, no address, no number, nothing that
	// a person typed.
	Data map[string]string
	At   time.Time
}

// Quiet reports whether the record is not published.
func (r Record) Quiet() bool { return r.Action == CodeRefused }

// Check finds what must not be written.
func (r Record) Check() error {
	switch {
	case r.ID == "" || r.At.IsZero() || r.Actor == "":
		return errors.New("a record needs an id, a time and somebody who acted")
	case r.Result != Success && r.Result != Failure:
		return errors.New("the result of a record is success or failure")
	case !r.Quiet() && !slices.Contains(event.PublicTypes(), r.Action):
		return fmt.Errorf("action %s is not part of the contract", r.Action)
	}
	return nil
}

// Public is the record as an event, at its place in the chain.
func (r Record) Public(at Place) event.Public {
	return event.Public{
		ID: r.ID, Type: r.Action, Result: r.Result, Actor: r.Actor, TraceID: r.TraceID, Env: r.Tenant.Env, OrgID: r.Tenant.Org, UserID: r.UserID,
		At: r.At.UnixMilli(), Data: r.Data, Activity: &event.Place{Chain: at.Chain, Number: at.Number, Hash: at.Hash},
	}
}
