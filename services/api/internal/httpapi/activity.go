package httpapi

import (
	"context"

	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/pipeline"
)

type activityIn struct {
	UserID string `in:"user" doc:"What concerns the user with this id alone."`
	Action string `in:"action" doc:"One action alone, such as factor.enrolled."`
	Page   int    `in:"page|current_page" doc:"Page, counted from 1."`
	Per    int    `in:"per_page" doc:"Items of a page: 10 when nothing is said, at most 200."`
}

type activityOut struct {
	Type        string            `json:"__type__"`
	Domain      string            `json:"__domain__"`
	Environment string            `json:"__environment__"`
	ID          string            `json:"id"`
	Action      string            `json:"action"`
	Result      string            `json:"result"`
	Actor       string            `json:"actor"`
	UserID      *string           `json:"user_id"`
	TraceID     *string           `json:"trace_id"`
	Data        map[string]string `json:"data"`
	At          string            `json:"at"`
	Chain       int               `json:"chain"`
	Number      int64             `json:"number"`
	Hash        string            `json:"hash"`
}

func (a *API) activity(ctx context.Context, c pipeline.Call, in activityIn) (list[activityOut], error) {
	result, err := a.Activity.Activity(ctx, c.Tenant, activity.Filter{UserID: in.UserID, Action: in.Action}, pageIn{in.Page, in.Per}.page())
	if err != nil {
		return list[activityOut]{}, err
	}
	return listOf(result, func(e activity.Entry) activityOut {
		return activityOut{
			Type: "Activity", Domain: c.Org.Domain, Environment: c.Tenant.Env, ID: e.ID, Action: e.Action, Result: e.Result, Actor: e.Actor,
			UserID: orNull(e.UserID), TraceID: orNull(e.TraceID), Data: e.Data, At: micro(e.At), Chain: e.Chain, Number: e.Number, Hash: e.Hash,
		}
	}), nil
}
