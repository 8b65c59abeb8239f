package httpapi

import (
	"time"

	"countersign.dev/services/api/internal/listing"
)

// Timestamps of the contract: ISO 8601 in UTC without a zone.
const (
	seconds      = "2006-01-02T15:04:05"
	microseconds = "2006-01-02T15:04:05.000000"
)

func stamp(t time.Time) string { return t.UTC().Format(seconds) }

func micro(t time.Time) string { return t.UTC().Format(microseconds) }

// stampOrNull is null for the zero time.
func stampOrNull(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := stamp(t)
	return &text
}

// microOrNull is null for the zero time.
func microOrNull(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := micro(t)
	return &text
}

// pageIn takes both paging styles of the contract.
type pageIn struct {
	Page int `in:"page|current_page" doc:"Page, counted from 1."`
	Per  int `in:"per_page" doc:"Items of a page: 10 when nothing is said, at most 200."`
}

func (p pageIn) page() listing.Page { return listing.Of(p.Page, p.Per) }

type list[T any] struct {
	Type       string     `json:"__type__"`
	Data       []T        `json:"data"`
	Total      int        `json:"total"`
	Pagination pagination `json:"pagination"`
}

type pagination struct {
	CurrentPage int  `json:"current_page"`
	NextPage    *int `json:"next_page"`
	PrevPage    *int `json:"prev_page"`
	PerPage     int  `json:"per_page"`
	TotalPages  int  `json:"total_pages"`
}

func listOf[T, S any](result listing.Result[T], shape func(T) S) list[S] {
	data := make([]S, 0, len(result.Items))
	for _, item := range result.Items {
		data = append(data, shape(item))
	}
	pages := (result.Total + result.Page.Per - 1) / result.Page.Per
	out := list[S]{Type: "List", Data: data, Total: result.Total, Pagination: pagination{
		CurrentPage: result.Page.Number, PerPage: result.Page.Per, TotalPages: pages,
	}}
	if n := result.Page.Number; n < pages {
		next := n + 1
		out.Pagination.NextPage = &next
	}
	if n := result.Page.Number; n > 1 {
		prev := n - 1
		out.Pagination.PrevPage = &prev
	}
	return out
}

type deleted[T any] struct {
	Deleted  bool `json:"deleted"`
	Resource T    `json:"resource"`
}

// orEmpty keeps lists from being null.
func orEmpty(items []string) []string {
	if items == nil {
		return []string{}
	}
	return items
}

func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
