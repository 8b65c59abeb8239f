package httpapi

import (
	"context"

	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/session"
)

// sessionOut has nothing that a browser would be believed by.
type sessionOut struct {
	Type        string   `json:"__type__"`
	Domain      string   `json:"__domain__"`
	Environment string   `json:"__environment__"`
	ID          string   `json:"id"` // the sid of its tokens
	UserID      string   `json:"user_id"`
	Source      *string  `json:"source"` // the network that it began in, null when that was not known
	AMR         []string `json:"amr"`    // what was proven, as in ID tokens
	ACR         string   `json:"acr"`
	InsertedAt  string   `json:"inserted_at"`
	SignedInAt  string   `json:"signed_in_at"` // the last time from the start
	LastUsedAt  string   `json:"last_used_at"`
	ExpiresAt   string   `json:"expires_at"` // whatever is done with it until then
}

func sessionShape(c pipeline.Call) func(session.Session) sessionOut {
	return func(of session.Session) sessionOut {
		return sessionOut{
			Type: "Session", Domain: c.Org.Domain, Environment: c.Tenant.Env, ID: of.ID, UserID: of.User.ID, Source: orNull(of.Source), AMR: orEmpty(of.AMR), ACR: of.ACR,
			InsertedAt: stamp(of.CreatedAt), SignedInAt: stamp(of.AuthTime), LastUsedAt: stamp(of.SeenAt), ExpiresAt: stamp(of.ExpiresAt),
		}
	}
}

func (a *API) listSessions(ctx context.Context, c pipeline.Call, in pageIn) (list[sessionOut], error) {
	u, err := a.Users.Find(ctx, c.Tenant, c.Path("user"))
	if err != nil {
		return list[sessionOut]{}, err
	}
	all, err := a.Sessions.List(ctx, c.Tenant, u.ID)
	if err != nil {
		return list[sessionOut]{}, err
	}
	page := in.page()
	result := listing.Result[session.Session]{Page: page, Total: len(all)}
	if from := page.Offset(); from < len(all) {
		result.Items = all[from:min(from+page.Per, len(all))]
	}
	return listOf(result, sessionShape(c)), nil
}

func (a *API) endSession(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (deleted[sessionOut], error) {
	u, err := a.Users.Find(ctx, c.Tenant, c.Path("user"))
	if err != nil {
		return deleted[sessionOut]{}, err
	}
	gone, err := a.Sessions.EndOf(ctx, session.Whose{Tenant: c.Tenant, UserID: u.ID}, c.Path("session"), closed(c))
	return deleted[sessionOut]{Deleted: true, Resource: sessionShape(c)(gone)}, err
}

// endUserSessions answers with the sessions that were there to be seen.
func (a *API) endUserSessions(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (deleted[[]sessionOut], error) {
	u, err := a.Users.Find(ctx, c.Tenant, c.Path("user"))
	if err != nil {
		return deleted[[]sessionOut]{}, err
	}
	all, err := a.Sessions.List(ctx, c.Tenant, u.ID)
	if err != nil {
		return deleted[[]sessionOut]{}, err
	}
	gone := make([]sessionOut, 0, len(all))
	for _, of := range all {
		gone = append(gone, sessionShape(c)(of))
	}
	return deleted[[]sessionOut]{Deleted: true, Resource: gone}, a.Sessions.EndUser(ctx, session.Whose{Tenant: c.Tenant, UserID: u.ID}, "", closed(c))
}

// endedOut says how much has ended.
type endedOut struct {
	Type        string `json:"__type__"`
	Domain      string `json:"__domain__"`
	Environment string `json:"__environment__"`
	Count       int    `json:"count"`
}

func (a *API) endAllSessions(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (deleted[endedOut], error) {
	n, err := a.Sessions.EndAll(ctx, c.Tenant, by(c))
	return deleted[endedOut]{Deleted: true, Resource: endedOut{"Sessions", c.Org.Domain, c.Tenant.Env, n}}, err
}

func closed(c pipeline.Call) session.Cause { return session.Cause{Why: session.Closed, By: by(c)} }
