package httpapi

import (
	"context"

	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/pipeline"
)

type deliveriesIn struct {
	Page      int    `in:"page|current_page" doc:"Page, counted from 1."`
	Per       int    `in:"per_page" doc:"Items of a page: 10 when nothing is said, at most 200."`
	RequestID string `in:"request_id" doc:"Only what this request sent."`
}

type deliveryOut struct {
	Type       string       `json:"__type__"`
	Domain     string       `json:"__domain__"`
	Env        string       `json:"__environment__"`
	ID         string       `json:"id"`
	RequestID  string       `json:"request_id"`
	Channel    string       `json:"channel"`
	To         string       `json:"to"`
	State      string       `json:"state"`
	Attempts   []attemptOut `json:"attempts"`
	ProviderID *string      `json:"provider_id"`
	Receipt    *string      `json:"receipt"`
	Reason     *string      `json:"reason"`
	CreatedAt  string       `json:"created_at"`
	UpdatedAt  string       `json:"updated_at"`
}

type attemptOut struct {
	At       string `json:"at"`
	Provider string `json:"provider"`
	Answer   string `json:"answer"`
}

type messageOut struct {
	Type      string  `json:"__type__"`
	Domain    string  `json:"__domain__"`
	Env       string  `json:"__environment__"`
	ID        string  `json:"id"`
	Channel   string  `json:"channel"`
	To        string  `json:"to"`
	Subject   *string `json:"subject"`
	Text      string  `json:"text"`
	HTML      *string `json:"html"`
	RequestID string  `json:"request_id"`
	CreatedAt string  `json:"created_at"`
}

func (a *API) deliveries(ctx context.Context, c pipeline.Call, in deliveriesIn) (list[deliveryOut], error) {
	result, err := a.Deliveries.List(ctx, c.Tenant, delivery.Filter{RequestID: in.RequestID}, pageIn{in.Page, in.Per}.page())
	if err != nil {
		return list[deliveryOut]{}, err
	}
	return listOf(result, func(d delivery.Delivery) deliveryOut {
		out := deliveryOut{
			Type: "Delivery", Domain: c.Org.Domain, Env: c.Tenant.Env, ID: d.ID, RequestID: d.RequestID, Channel: d.Channel,
			To: d.To, State: string(d.State), Attempts: []attemptOut{}, ProviderID: orNull(d.ProviderID),
			Receipt: orNull(d.Receipt), Reason: orNull(d.Reason), CreatedAt: micro(d.CreatedAt), UpdatedAt: micro(d.UpdatedAt),
		}
		for _, attempt := range d.Attempts {
			out.Attempts = append(out.Attempts, attemptOut{At: micro(attempt.At), Provider: attempt.Provider, Answer: attempt.Answer})
		}
		return out
	}), nil
}

type inboxIn struct {
	Page      int    `in:"page|current_page" doc:"Page, counted from 1."`
	Per       int    `in:"per_page" doc:"Items of a page: 10 when nothing is said, at most 200."`
	To        string `in:"to" doc:"Only messages to this number or address, written in full."`
	RequestID string `in:"request_id" doc:"Only what this request sent."`
}

func (a *API) inbox(ctx context.Context, c pipeline.Call, in inboxIn) (list[messageOut], error) {
	filter := delivery.Filter{RequestID: in.RequestID}
	if in.To != "" {
		filter.ToIndex = a.Deliveries.ToIndex(in.To)
	}
	result, err := a.Deliveries.Inbox(ctx, c.Tenant, filter, pageIn{in.Page, in.Per}.page())
	if err != nil {
		return list[messageOut]{}, err
	}
	return listOf(result, func(m delivery.Message) messageOut {
		return messageOut{
			Type: "Message", Domain: c.Org.Domain, Env: c.Tenant.Env, ID: m.ID, Channel: m.Channel, To: m.Content.To,
			Subject: orNull(m.Content.Subject), Text: m.Content.Text, HTML: orNull(m.Content.HTML),
			RequestID: m.RequestID, CreatedAt: micro(m.CreatedAt),
		}
	}), nil
}
