package transfer

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// Kinds of lines of an export, in the order in which they come.
const (
	KindUser     = "user"
	KindFactor   = "factor"
	KindRecovery = "recovery_codes"
	KindGrant    = "grant"
	KindDelivery = "delivery"
	KindActivity = "activity"
)

// Kinds are all kinds of lines.
func Kinds() []string {
	return []string{KindUser, KindFactor, KindRecovery, KindGrant, KindDelivery, KindActivity}
}

// Scope is whose data is exported: of one user, or of all where UserID is
// empty.
type Scope struct {
	Tenant tenant.ID
	UserID string
	Hashes bool // of passwords, in the form that an import takes
}

// Line is one line of an export, and the place that the next ones come after.
type Line struct {
	Place []any
	Of    any // UserLine, FactorLine, …: what is written
}

// UserLine is a user. An import reads it again.
type UserLine struct {
	Kind          string `json:"kind"`
	ID            string `json:"id"`
	Email         string `json:"email"`
	EmailVerified bool   `json:"email_verified"`
	Phone         string `json:"phone_number,omitempty"`
	PhoneVerified bool   `json:"phone_number_verified"`
	Active        bool   `json:"active"`
	user.Profile
	Address   *user.Postal  `json:"address,omitempty"`
	CreatedAt time.Time     `json:"created_at"`
	UpdatedAt time.Time     `json:"updated_at"`
	Password  *PasswordLine `json:"password,omitempty"`
	// With hashes alone.
	PasswordHash      string     `json:"password_hash,omitempty"`
	PasswordChangedAt *time.Time `json:"password_changed_at,omitempty"`
	MustChange        bool       `json:"must_change,omitempty"`
}

// PasswordLine is what is known of a user's password.
type PasswordLine struct {
	Number     int        `json:"number"`
	Scheme     string     `json:"scheme"`
	MustChange bool       `json:"must_change"`
	ChangedAt  time.Time  `json:"changed_at"`
	HashedAt   time.Time  `json:"hashed_at"`
	CheckedAt  *time.Time `json:"checked_at,omitempty"`
}

// FactorLine is a second factor, without its secret.
type FactorLine struct {
	Kind        string     `json:"kind"`
	UserID      string     `json:"user_id"`
	ID          string     `json:"id"`
	Method      string     `json:"method"`
	Name        string     `json:"name,omitempty"`
	Phone       string     `json:"phone_number,omitempty"`
	CreatedAt   time.Time  `json:"created_at"`
	ConfirmedAt *time.Time `json:"confirmed_at,omitempty"`
	UsedAt      *time.Time `json:"used_at,omitempty"`
	DisabledAt  *time.Time `json:"disabled_at,omitempty"`
	DisabledBy  string     `json:"disabled_by,omitempty"`
}

// RecoveryLine is what is left of a user's recovery codes.
type RecoveryLine struct {
	Kind       string     `json:"kind"`
	UserID     string     `json:"user_id"`
	Left       int        `json:"left"`
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
}

// GrantLine is what a user has let a client have, without its tokens.
type GrantLine struct {
	Kind      string     `json:"kind"`
	UserID    string     `json:"user_id"`
	ID        string     `json:"id"`
	ClientID  string     `json:"client_id"`
	Scope     string     `json:"scope"`
	AMR       string     `json:"amr"`
	AuthTime  time.Time  `json:"auth_time"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt time.Time  `json:"expires_at"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
}

// DeliveryLine is a message that was sent, or not, to a recipient that was
// masked when it was written down.
type DeliveryLine struct {
	Kind      string    `json:"kind"`
	UserID    string    `json:"user_id,omitempty"`
	ID        string    `json:"id"`
	Channel   string    `json:"channel"`
	Recipient string    `json:"recipient"`
	State     string    `json:"state"`
	Reason    string    `json:"reason,omitempty"`
	CreatedAt time.Time `json:"created_at"`
}

// ActivityLine is one record of what happened.
type ActivityLine struct {
	Kind    string            `json:"kind"`
	UserID  string            `json:"user_id,omitempty"`
	ID      string            `json:"id"`
	Action  string            `json:"action"`
	Result  string            `json:"result"`
	Actor   string            `json:"actor"`
	TraceID string            `json:"trace_id,omitempty"`
	Data    map[string]string `json:"data,omitempty"`
	At      time.Time         `json:"at"`
	Chain   int               `json:"chain"`
	Number  int64             `json:"number"`
	Hash    string            `json:"hash"`
}

// Source reads what is kept.
type Source interface {
	// Export lists lines of a kind after a place, which is nil at first, in
	// the order of their places.
	Export(ctx context.Context, kind string, of Scope, after []any, most int) ([]Line, error)
	// Enqueue writes the record of the export.
	Enqueue(ctx context.Context, entries ...outbox.Entry) error
}

// Exporter gives back what is kept.
type Exporter struct {
	Source Source
	Outbox *outbox.Composer
	By     activity.By
	Each   func(lines int64) // hears of every portion; nil hears nothing
}

// Export writes a line of JSON for everything, users first, and returns how
// many. It is recorded before the first line is written. The database may
// change meanwhile: each portion is as it was when it was read.
func (e *Exporter) Export(ctx context.Context, of Scope, to io.Writer) (lines int64, err error) {
	record := activity.Record{
		Tenant: of.Tenant, UserID: of.UserID, Action: event.TypeUsersExported, By: e.By, Data: map[string]string{"hashes": strconv.FormatBool(of.Hashes)},
	}
	if err := e.Source.Enqueue(ctx, e.Outbox.Event(record)); err != nil {
		return 0, err
	}
	out := bufio.NewWriter(to)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for _, kind := range Kinds() {
		if err := e.kind(ctx, kind, of, func(line any) error { lines++; return encoder.Encode(line) }); err != nil {
			return lines, err
		}
		if e.Each != nil {
			e.Each(lines)
		}
	}
	if err := out.Flush(); err != nil {
		return lines, fmt.Errorf("write export: %w", err)
	}
	return lines, nil
}

func (e *Exporter) kind(ctx context.Context, kind string, of Scope, write func(any) error) error {
	var after []any
	for {
		lines, err := e.Source.Export(ctx, kind, of, after, portion)
		if err != nil {
			return err
		}
		for _, line := range lines {
			if err := write(line.Of); err != nil {
				return fmt.Errorf("write export: %w", err)
			}
			after = line.Place
		}
		if len(lines) < portion {
			return nil
		}
	}
}
