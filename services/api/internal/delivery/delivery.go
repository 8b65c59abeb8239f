// Package delivery owns the record of what was sent: one row per delivery,
// from "accepted by us" to its end, so that nothing accepted can vanish.
//
// The challenge rules create a delivery as pending. Outcomes of workers and
// receipts of providers arrive in any order and more than once; [Service.Record]
// moves the state only forwards. What nobody reports is ended by
// [Service.Sweep]. In the sandbox the message itself comes back and is kept
// (sealed) for the inbox.
package delivery

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/tenant"
)

// State of a delivery: pending, or the last result that counts.
type State string

// Pending is the state before any result.
const Pending State = "pending"

// Delivery is one message on its way to one person.
type Delivery struct {
	ID         string // delivery_<ksuid>: knowing it is no authority, but nobody can guess it
	Tenant     tenant.ID
	UserID     string // empty when it goes to somebody who is no user yet
	RequestID  string // of the challenge, the link or the notice
	TraceID    string // of the HTTP request
	Channel    string
	To         string // masked
	State      State
	Attempts   []Attempt
	ProviderID string
	Receipt    string // the provider's own last word
	Reason     string
	ExpiresAt  time.Time
	AcceptedAt time.Time // when the provider took it; zero before
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// Attempt is one try of a worker.
type Attempt struct {
	Number   int
	At       time.Time
	Provider string
	Answer   string // result, with its reason behind a colon
}

// Message is what the sandbox would have sent.
type Message struct {
	ID         string
	DeliveryID string
	Tenant     tenant.ID
	Channel    string
	RequestID  string
	CreatedAt  time.Time
	Content    event.Message
}

// SealedMessage is a Message as it is stored.
type SealedMessage struct {
	Message        // Content is empty
	Sealed  []byte // under purpose event.SealMessage, the delivery id as associated data
	ToIndex []byte // keyed digest of the number, for the filter
}

// Update is one outcome applied to one delivery.
type Update struct {
	DeliveryID string
	State      State   // empty: only the attempt is recorded
	From       []State // the states it may follow
	Attempt    *Attempt
	ProviderID string
	Receipt    string
	Reason     string
	Accepted   bool // the provider has it
	At         time.Time
	Message    *SealedMessage
	// AskAgain, when the outbox still has the message, says when it is
	// published again; then the state stays as it is. Zero takes what has a
	// state out of the outbox.
	AskAgain time.Time
}

// Filter narrows lists; empty fields do not.
type Filter struct {
	RequestID string
	ToIndex   []byte
}

// ErrNotFound answers for unknown deliveries.
var ErrNotFound = fault.New(fault.NotFound, "not_found", "not_found")

// Store keeps deliveries and the inbox.
type Store interface {
	// Apply records the attempt (a repeat changes nothing), moves the state
	// by one conditional statement and takes the message out of the outbox,
	// in one transaction. It returns ErrNotFound for an unknown delivery; a
	// state that may not follow is no error.
	Apply(ctx context.Context, u Update) error
	Deliveries(ctx context.Context, t tenant.ID, f Filter, page listing.Page) (listing.Result[Delivery], error)
	Messages(ctx context.Context, t tenant.ID, f Filter, page listing.Page) (listing.Result[SealedMessage], error)
	// AllMessages lists every tenant's newest messages, for the page of dev.
	AllMessages(ctx context.Context, most int) ([]SealedMessage, error)
	// EndSilent moves pending deliveries that expired before overdue to
	// expired, out of the outbox too, and accepted ones without receipt since
	// before unheard to unknown, where receipts are to be had: mail servers
	// send none. It drops inbox messages from before forget.
	EndSilent(ctx context.Context, overdue, unheard, forget, now time.Time) (ended int, err error)
}

// Opener opens what workers sealed.
type Opener interface {
	Open(purpose, aad string, sealed []byte) ([]byte, error)
}

// Index makes digests for looking up sealed values.
type Index interface {
	Sum(purpose string, parts ...string) []byte
}

// Service is the rules of deliveries.
type Service struct {
	Store Store
	Keys  Opener
	Index Index
	Now   func() time.Time
}

// before says which states a result may follow. A late truth (the provider
// has it) overrides a guess (expired, unknown), never another final truth.
var before = map[event.Result][]State{
	event.Accepted:    {Pending, State(event.Expired), State(event.Unknown), State(event.Superseded)},
	event.Delivered:   {Pending, State(event.Accepted), State(event.Expired), State(event.Unknown), State(event.Undelivered), State(event.Superseded)},
	event.Undelivered: {Pending, State(event.Accepted), State(event.Expired), State(event.Unknown), State(event.Superseded)},
	event.Failed:      {Pending},
	event.Expired:     {Pending},
	event.Superseded:  {Pending},
	event.Unknown:     {Pending, State(event.Accepted)},
}

// Record applies a worker's outcome. It returns ErrNotFound for an unknown
// delivery; unsealing a damaged message is a permanent fault.
func (s *Service) Record(ctx context.Context, o event.Outcome) error {
	at := time.UnixMilli(o.At)
	u := Update{
		DeliveryID: o.DeliveryID, From: before[o.Result], ProviderID: o.ProviderID, Reason: o.Reason, At: at,
		Accepted: o.Result == event.Accepted || o.Result == event.Delivered,
	}
	switch o.Result {
	case event.Retrying:
	case event.Deferred:
		u.AskAgain = time.UnixMilli(o.RetryAt)
	case event.Superseded:
		// Only this service replaces messages, and then takes them out of
		// the outbox. What is there still was not replaced: the short-lived
		// store has lost its claim.
		u.State, u.AskAgain = State(o.Result), s.Now().Add(lostClaimAfter)
	default:
		u.State = State(o.Result)
	}
	if o.Attempt > 0 {
		answer := string(o.Result)
		if o.Reason != "" {
			answer += ":" + o.Reason
		}
		u.Attempt = &Attempt{Number: o.Attempt, At: at, Provider: o.Provider, Answer: answer}
	}
	if len(o.Message) > 0 {
		message, err := s.inbox(o)
		if err != nil {
			return fault.Permanent(err)
		}
		u.Message = &message
	}
	return s.Store.Apply(ctx, u)
}

func (s *Service) inbox(o event.Outcome) (SealedMessage, error) {
	content, err := s.open(o.DeliveryID, o.Message)
	if err != nil {
		return SealedMessage{}, err
	}
	return SealedMessage{
		Message: Message{
			// Whose it is and its channel the store takes from the delivery.
			ID: o.DeliveryID, DeliveryID: o.DeliveryID, Tenant: tenant.ID{Org: o.OrgID, Env: o.Env},
			RequestID: o.RequestID, CreatedAt: time.UnixMilli(o.At),
		},
		Sealed: o.Message, ToIndex: s.ToIndex(content.To),
	}, nil
}

func (s *Service) open(deliveryID string, sealed []byte) (event.Message, error) {
	plain, err := s.Keys.Open(event.SealMessage, deliveryID, sealed)
	if err != nil {
		return event.Message{}, fmt.Errorf("open inbox message: %w", err)
	}
	var content event.Message
	if err := json.Unmarshal(plain, &content); err != nil {
		return event.Message{}, fmt.Errorf("decode inbox message: %w", err)
	}
	return content, nil
}

// ToIndex is the digest under which messages to a number or an address are
// found, however the address is capitalized.
func (s *Service) ToIndex(to string) []byte {
	return s.Index.Sum("inbox.to", strings.ToLower(to)) // a number has no letters
}

// Receipt applies a provider's later word about a delivery: result is
// Delivered or Undelivered, or empty when the word changes nothing.
func (s *Service) Receipt(ctx context.Context, deliveryID, providerID, word, reason string, result event.Result) error {
	u := Update{DeliveryID: deliveryID, ProviderID: providerID, Receipt: word, Reason: reason, At: s.Now()}
	if result != "" {
		u.State, u.From, u.Accepted = State(result), before[result], true
	}
	return s.Store.Apply(ctx, u)
}

// List returns deliveries, newest first.
func (s *Service) List(ctx context.Context, t tenant.ID, f Filter, page listing.Page) (listing.Result[Delivery], error) {
	return s.Store.Deliveries(ctx, t, f, page)
}

// Inbox returns messages of the sandbox, opened, newest first.
func (s *Service) Inbox(ctx context.Context, t tenant.ID, f Filter, page listing.Page) (listing.Result[Message], error) {
	sealed, err := s.Store.Messages(ctx, t, f, page)
	if err != nil {
		return listing.Result[Message]{}, err
	}
	items, err := s.openAll(sealed.Items)
	return listing.Result[Message]{Items: items, Total: sealed.Total, Page: sealed.Page}, err
}

// Newest returns the newest messages of every tenant, for the page that only
// dev on loopback serves.
func (s *Service) Newest(ctx context.Context, most int) ([]Message, error) {
	sealed, err := s.Store.AllMessages(ctx, most)
	if err != nil {
		return nil, err
	}
	return s.openAll(sealed)
}

func (s *Service) openAll(sealed []SealedMessage) ([]Message, error) {
	out := make([]Message, 0, len(sealed))
	for _, m := range sealed {
		content, err := s.open(m.DeliveryID, m.Sealed)
		if err != nil {
			return nil, err
		}
		m.Message.Content = content
		out = append(out, m.Message)
	}
	return out, nil
}

// How long silence lasts before it is an answer.
const (
	// overdueAfter leaves the worker time to report an expiry itself.
	overdueAfter = 15 * time.Second
	unheardAfter = 10 * time.Minute
	forgetAfter  = 24 * time.Hour
	// lostClaimAfter keeps a message whose claim was lost from going round
	// faster than the claim can be made again.
	lostClaimAfter = 2 * time.Second
)

// Sweep ends what nobody reported and returns how many it ended.
func (s *Service) Sweep(ctx context.Context) (int, error) {
	now := s.Now()
	return s.Store.EndSilent(ctx, now.Add(-overdueAfter), now.Add(-unheardAfter), now.Add(-forgetAfter), now)
}
