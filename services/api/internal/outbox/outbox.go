// Package outbox makes what must leave the house after a change of state: a
// mail to somebody, or a public event.
//
// A rule composes entries and hands them to the method of its store that
// changes the state; both are written in one transaction, so that neither
// exists without the other. After the commit the rule wakes the relay, which
// publishes. An entry stays open until the bus has it (an event) or until its
// delivery has ended (a mail): whatever is lost on the way is published again.
//
// Codes of text messages do not come this way: they are dead before a second
// try would help, and each costs money. Those of mails do, with a life as short
// as theirs.
package outbox

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/tenant"
)

// Kind says what an entry is.
type Kind string

// The kinds.
const (
	Message Kind = "message" // for a worker; open until its delivery has ended
	Event   Kind = "event"   // for the public; open until the bus has it
)

// Kinds are all kinds.
func Kinds() []Kind { return []Kind{Message, Event} }

// Entry is one mail or one public event that is to leave.
type Entry struct {
	ID     string // the delivery's, or the event's
	Tenant tenant.ID
	Kind   Kind
	// Delivery is the record of a message; it is written with the entry.
	Delivery delivery.Delivery
	// Record is what an event tells of. It is written to the activity, and the
	// event says where it stands there.
	Record activity.Record
	// Payload is what goes on the bus, as JSON: a message still without its n.
	// That of an event is made when its record has its place.
	Payload   []byte
	ExpiresAt time.Time // of a message; an event has no end
	CreatedAt time.Time
}

// Row is an entry that was taken to be published.
type Row struct {
	ID        string
	Kind      Kind
	N         int // of this publication, from 1
	Payload   []byte
	ExpiresAt time.Time
}

// Backlog is what is open of one kind.
type Backlog struct {
	Kind   Kind
	Open   int
	Oldest time.Time // when the oldest was written; zero when there is none
}

// Waker is told after a commit that there is something to publish. Telling it
// never waits and may be left out: the relay also looks by itself.
type Waker interface{ Wake() }

// Sealer seals the content for the worker.
type Sealer interface {
	Seal(purpose, aad string, plain []byte) ([]byte, error)
}

// Composer makes entries.
type Composer struct {
	Keys Sealer
	Host string // of the login page, for the texts
	Now  func() time.Time
}

// Mail is a mail to be sent.
type Mail struct {
	Tenant tenant.ID
	UserID string // empty: to somebody who is no user yet
	Kind   event.Kind
	// RequestID is the public id of what asked for it; TraceID of the HTTP
	// request. Without a RequestID it gets one.
	RequestID string
	TraceID   string
	// To is the address as it is written. Only the worker sees it.
	To string
	// Content says the rest. To, Host, At and, with a link or a code,
	// LifeMinutes are filled in.
	Content event.Mail
	// Life is how long sending it makes sense, and how long its link or code is
	// good.
	Life time.Duration
}

// maxPayload keeps a mail far below what the bus takes: one that it refuses
// would be tried until it expires.
const maxPayload = 64 << 10

// Mail seals the content of a mail for the worker and makes its delivery. The
// delivery's id is the entry's.
func (c *Composer) Mail(m Mail) (Entry, error) {
	if m.Life <= 0 || m.To == "" || m.Kind == "" || m.Kind == event.KindChallenge {
		return Entry{}, errors.New("compose mail: it needs a kind that is no challenge, an address and a life")
	}
	now := c.Now().Truncate(time.Millisecond)
	deliveryID := id.Request("delivery")
	if m.RequestID == "" {
		m.RequestID = id.Request(string(m.Kind))
	}
	sealed, err := c.seal(m, deliveryID, now)
	if err != nil {
		return Entry{}, err
	}
	payload, err := json.Marshal(event.Requested{
		Kind: m.Kind, DeliveryID: deliveryID, RequestID: m.RequestID, TraceID: m.TraceID, Channel: event.ChannelEmail,
		Env: m.Tenant.Env, OrgID: m.Tenant.Org, CreatedAt: now.UnixMilli(), ExpiresAt: now.Add(m.Life).UnixMilli(), Sealed: sealed,
	})
	if err != nil {
		return Entry{}, fmt.Errorf("encode mail: %w", err)
	}
	if len(payload) > maxPayload {
		return Entry{}, errors.New("compose mail: its content is too large")
	}
	return Entry{
		ID: deliveryID, Tenant: m.Tenant, Kind: Message, Payload: payload, ExpiresAt: now.Add(m.Life), CreatedAt: now,
		Delivery: delivery.Delivery{
			ID: deliveryID, Tenant: m.Tenant, UserID: m.UserID, RequestID: m.RequestID, TraceID: m.TraceID,
			Channel: event.ChannelEmail, To: secret.MaskEmail(m.To), State: delivery.Pending,
			ExpiresAt: now.Add(m.Life), CreatedAt: now, UpdatedAt: now,
		},
	}, nil
}

func (c *Composer) seal(m Mail, deliveryID string, now time.Time) ([]byte, error) {
	content := m.Content
	content.To, content.Host = m.To, c.Host
	if content.At == 0 {
		content.At = now.UnixMilli()
	}
	if (content.Link != "" || content.Code != "") && content.LifeMinutes == 0 {
		content.LifeMinutes = int(m.Life / time.Minute)
	}
	var plain bytes.Buffer
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false) // a page would be half as large again
	if err := encoder.Encode(content); err != nil {
		return nil, fmt.Errorf("encode content: %w", err)
	}
	sealed, err := c.Keys.Seal(event.SealContent, deliveryID, plain.Bytes())
	if err != nil {
		return nil, fmt.Errorf("seal content: %w", err)
	}
	return sealed, nil
}

// Event records what has happened now and, unless the record is a quiet one,
// publishes it. Id, time and, where nothing is said, success are filled in.
func (c *Composer) Event(r activity.Record) Entry {
	r.ID, r.At, r.Result = id.Request("event"), c.Now().Truncate(time.Millisecond), cmp.Or(r.Result, activity.Success)
	return Entry{ID: r.ID, Tenant: r.Tenant, Kind: Event, Record: r, CreatedAt: r.At}
}

// At returns an event's entry with its payload, now that its record has its
// place.
func (e Entry) At(place activity.Place) (Entry, error) {
	var err error
	if e.Payload, err = json.Marshal(e.Record.Public(place)); err != nil {
		return e, fmt.Errorf("encode event: %w", err)
	}
	return e, nil
}

// Check finds what no publication could ever succeed with. The store calls it
// before it writes an entry, so that such a mistake undoes the change that it
// belongs to instead of staying in the outbox for ever.
func (e Entry) Check() error {
	switch e.Kind {
	case Message:
		r, err := Row{N: 1, Payload: e.Payload}.Requested()
		if err == nil && (e.ID != r.DeliveryID || e.ID != e.Delivery.ID || e.Tenant.Org != r.OrgID || e.Tenant.Env != r.Env || r.IsChallenge()) {
			err = errors.New("its parts do not belong together")
		}
		return err
	case Event:
		if e.ID != e.Record.ID || e.Tenant != e.Record.Tenant {
			return errors.New("its parts do not belong together")
		}
		if err := e.Record.Check(); err != nil {
			return err
		}
		return e.Record.Public(activity.Place{}).Validate()
	}
	return errors.New("an entry is a message or an event")
}

// Requested reads the payload of a message, with the n of this publication.
func (r Row) Requested() (event.Requested, error) {
	var requested event.Requested
	if err := json.Unmarshal(r.Payload, &requested); err != nil {
		return requested, fmt.Errorf("read message: %w", err)
	}
	requested.N = r.N
	if err := requested.Validate(); err != nil {
		return requested, fmt.Errorf("read message: %w", err)
	}
	return requested, nil
}

// Public reads the payload of an event.
func (r Row) Public() (event.Public, error) {
	public, err := event.Decode[event.Public](r.Payload)
	if err != nil {
		return public, fmt.Errorf("read event: %w", err)
	}
	return public, nil
}
