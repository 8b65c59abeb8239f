package httpapi

import (
	"context"

	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/pipeline"
)

// passwordStateOut is all that anybody but its user may know of a password.
type passwordStateOut struct {
	Type        string  `json:"__type__"`
	Domain      string  `json:"__domain__"`
	Environment string  `json:"__environment__"`
	UserID      string  `json:"user_id"`
	PasswordID  int     `json:"password_id"`
	MustChange  bool    `json:"must_change"`
	ChangedAt   string  `json:"changed_at"`
	ExpiresAt   *string `json:"expires_at"`
	// RenewableUntil is the end of the grace after that.
	RenewableUntil *string `json:"renewable_until"`
}

func passwordStateShape(c pipeline.Call, s password.State) passwordStateOut {
	return passwordStateOut{
		Type: "PasswordState", Domain: c.Org.Domain, Environment: c.Tenant.Env, UserID: s.UserID, PasswordID: s.Number, MustChange: s.MustChange,
		ChangedAt: stamp(s.ChangedAt), ExpiresAt: stampOrNull(s.Expires), RenewableUntil: stampOrNull(s.Lapses),
	}
}

func (a *API) readPassword(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (passwordStateOut, error) {
	state, err := a.Passwords.State(ctx, asCaller(c), c.Path("user"))
	return passwordStateShape(c, state), err
}

func (a *API) forcePassword(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (passwordStateOut, error) {
	state, err := a.Passwords.Force(ctx, asCaller(c), c.Path("user"))
	return passwordStateShape(c, state), err
}
