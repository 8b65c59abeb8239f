package httpapi

import (
	"context"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/pipeline"
)

type renameIn struct {
	Name string `in:"name" required:"true" doc:"What the user calls the device."`
}

// factorOut shows no secret, and of a number as much as a person needs to know
// it again.
type factorOut struct {
	Type        string  `json:"__type__"`
	Domain      string  `json:"__domain__"`
	Environment string  `json:"__environment__"`
	ID          string  `json:"id"`
	UserID      string  `json:"user_id"`
	Method      string  `json:"method"`
	Name        *string `json:"name"`
	State       string  `json:"state"` // active or disabled
	DisabledBy  *string `json:"disabled_by"`
	DisabledAt  *string `json:"disabled_at"`
	Phone       *string `json:"phone_number"`
	Algorithm   *string `json:"algorithm"`
	Digits      *int    `json:"digits"`
	Period      *int    `json:"period"`
	// Drift is how many seconds an app's clock was ahead of ours when a code
	// of it was accepted last, in whole periods.
	Drift      *int    `json:"drift_seconds"`
	LastUsedAt *string `json:"last_used_at"`
	EnrolledAt string  `json:"enrolled_at"`
}

func factorShape(c pipeline.Call) func(factor.Factor) factorOut {
	return func(f factor.Factor) factorOut {
		out := factorOut{
			Type: "Factor", Domain: c.Org.Domain, Environment: c.Tenant.Env, ID: f.ID, UserID: f.UserID, Method: f.Method, Name: orNull(f.Name), State: "active",
			LastUsedAt: stampOrNull(f.UsedAt), EnrolledAt: stamp(f.ConfirmedAt),
		}
		if !f.Takes() {
			out.State, out.DisabledBy, out.DisabledAt = "disabled", orNull(f.DisabledBy), stampOrNull(f.DisabledAt)
		}
		if f.Method == factor.SMS {
			out.Phone = orNull(secret.MaskPhone(f.Phone))
			return out
		}
		drift := f.Drift * f.Key.Period
		out.Algorithm, out.Digits, out.Period, out.Drift = orNull(f.Key.Algorithm), &f.Key.Digits, &f.Key.Period, &drift
		return out
	}
}

func (a *API) listFactors(ctx context.Context, c pipeline.Call, in pageIn) (list[factorOut], error) {
	whose, err := a.whose(ctx, c)
	if err != nil {
		return list[factorOut]{}, err
	}
	page := in.page()
	result := listing.Result[factor.Factor]{Page: page, Total: len(whose.Factors)}
	if from := page.Offset(); from < len(whose.Factors) {
		result.Items = whose.Factors[from:min(from+page.Per, len(whose.Factors))]
	}
	return listOf(result, factorShape(c)), nil
}

func (a *API) renameFactor(ctx context.Context, c pipeline.Call, in renameIn) (factorOut, error) {
	return a.changeFactor(ctx, c, func(w factor.Whose) (factor.Factor, error) {
		return a.Factors.Rename(ctx, w, c.Path("factor"), in.Name)
	})
}

func (a *API) disableFactor(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (factorOut, error) {
	return a.changeFactor(ctx, c, func(w factor.Whose) (factor.Factor, error) { return a.Factors.Disable(ctx, w, c.Path("factor")) })
}

func (a *API) removeFactor(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (deleted[factorOut], error) {
	out, err := a.changeFactor(ctx, c, func(w factor.Whose) (factor.Factor, error) { return a.Factors.Remove(ctx, w, c.Path("factor")) })
	return deleted[factorOut]{Deleted: true, Resource: out}, err
}

func (a *API) changeFactor(ctx context.Context, c pipeline.Call, change func(factor.Whose) (factor.Factor, error)) (factorOut, error) {
	whose, err := a.whose(ctx, c)
	if err != nil {
		return factorOut{}, err
	}
	f, err := change(whose)
	if err != nil {
		return factorOut{}, err
	}
	return factorShape(c)(f), nil
}

// resetOut lists what was taken away.
type resetOut struct {
	Deleted  bool        `json:"deleted"`
	Resource []factorOut `json:"resource"`
}

func (a *API) resetFactors(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (resetOut, error) {
	whose, err := a.whose(ctx, c)
	if err != nil {
		return resetOut{}, err
	}
	gone := make([]factorOut, 0, len(whose.Factors))
	for _, f := range whose.Factors {
		gone = append(gone, factorShape(c)(f))
	}
	return resetOut{Deleted: true, Resource: gone}, a.Factors.Reset(ctx, whose)
}

// recoveryOut says how it stands with the recovery codes of a user. Nothing
// reads the codes themselves again.
type recoveryOut struct {
	Type                string  `json:"__type__"`
	Domain              string  `json:"__domain__"`
	Environment         string  `json:"__environment__"`
	UserID              string  `json:"user_id"`
	Left                int     `json:"left"`
	LastUsedAt          *string `json:"last_used_at"`
	NextAt              *string `json:"next_at"` // when the next one works; null for now
	ReenrolmentRequired bool    `json:"reenrolment_required"`
	CreatedAt           *string `json:"created_at"`
}

func (a *API) readRecovery(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (recoveryOut, error) {
	whose, err := a.whose(ctx, c)
	if err != nil {
		return recoveryOut{}, err
	}
	set := whose.Recovery
	out := recoveryOut{
		Type: "RecoveryCodes", Domain: c.Org.Domain, Environment: c.Tenant.Env, UserID: whose.User.ID, Left: set.Left(),
		LastUsedAt: stampOrNull(set.LastUsedAt), ReenrolmentRequired: set.Obliged,
	}
	if set.ID != "" {
		out.CreatedAt = stampOrNull(set.CreatedAt)
	}
	if next := set.Next(); next.After(a.Factors.Now()) {
		out.NextAt = stampOrNull(next)
	}
	return out, nil
}
