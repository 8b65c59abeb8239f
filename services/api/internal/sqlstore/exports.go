package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"math/bits"
	"strings"
	"time"

	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/transfer"
)

var _ transfer.Source = (*Store)(nil)

// exported says how the lines of one kind are read. Of order only the columns
// count, which are what a place is made of: an index of the table goes on with
// them behind the tenant.
type exported struct{ lines, order source[transfer.Line] }

// Export implements transfer.Source, by keys: how far it has come costs
// nothing.
func (s *Store) Export(ctx context.Context, kind string, of transfer.Scope, after []any, most int) ([]transfer.Line, error) {
	e, ok := s.exports(of)[kind]
	if !ok {
		return nil, fmt.Errorf("export %s: there is no such kind", kind)
	}
	c := below(of.Tenant)
	switch {
	case of.UserID == "":
	case kind == transfer.KindUser:
		c.and("id", of.UserID)
	default:
		c.and("user_id", of.UserID)
	}
	if after != nil {
		places := make([]string, len(after))
		for i, value := range after {
			places[i] = c.next(value)
		}
		c.join("(" + e.order.columns + ") > (" + strings.Join(places, ", ") + ")")
	}
	return many(ctx, s.read, stmt("export",
		`SELECT `+e.lines.columns+` FROM `+e.lines.table+` WHERE `+c.text+` ORDER BY `+e.order.columns+` LIMIT `+c.next(most), c.args...), e.lines.scan)
}

func (s *Store) exports(of transfer.Scope) map[string]exported {
	users := func(row scanner) (transfer.Line, error) { return s.exportUser(row, of.Hashes) }
	id, ofUser := source[transfer.Line]{columns: `id`}, source[transfer.Line]{columns: `user_id`}
	return map[string]exported{
		transfer.KindUser:     {source[transfer.Line]{usersWithPasswords, userColumns + `, hash, number, must_change, changed_at, hashed_at, checked_at`, users}, id},
		transfer.KindFactor:   {source[transfer.Line]{`factors`, factorColumns, s.exportFactor}, source[transfer.Line]{columns: `user_id, id`}},
		transfer.KindRecovery: {source[transfer.Line]{`recovery_sets`, `user_id, id, used, created_at, last_used_at`, exportRecovery}, ofUser},
		transfer.KindGrant: {
			source[transfer.Line]{`grants`, `user_id, id, client_id, scope, amr, auth_time, created_at, expires_at, revoked_at`, exportGrant}, id,
		},
		transfer.KindDelivery: {source[transfer.Line]{`deliveries`, `user_id, id, channel, recipient, state, reason, created_at`, exportDelivery}, id},
		transfer.KindActivity: {source[transfer.Line]{`activity`, activityColumns, exportActivity}, source[transfer.Line]{columns: `created_at, id`}},
	}
}

// usersWithPasswords has no column of a password with the name of one of a
// user's, so that conditions need no names of tables.
const usersWithPasswords = `users LEFT JOIN (
	SELECT org_id AS password_org, environment AS password_environment, user_id AS password_user, hash, number, must_change, changed_at, hashed_at, checked_at FROM passwords
) passwords ON password_org = users.org_id AND password_environment = users.environment AND password_user = users.id`

func (s *Store) exportUser(row scanner, hashes bool) (transfer.Line, error) {
	var p password.Password
	line := transfer.UserLine{Kind: transfer.KindUser}
	of := []any{&p.Hash, &p.Number, &p.MustChange, instant{&p.ChangedAt}, instant{&p.HashedAt}, instant{&p.CheckedAt}}
	u, err := s.scanUser(behind{row, ifThere(of)})
	if err != nil {
		return transfer.Line{}, err
	}
	line.ID, line.Email, line.EmailVerified, line.Phone, line.PhoneVerified = u.ID, u.Email.Written, u.EmailVerified, u.Phone, u.PhoneVerified
	line.Active, line.Profile, line.Address, line.CreatedAt, line.UpdatedAt = u.Active, u.Profile, u.Address, u.CreatedAt, u.UpdatedAt
	if p.Number > 0 {
		line.Password = &transfer.PasswordLine{
			Number: p.Number, Scheme: password.Scheme(p.Hash), MustChange: p.MustChange, ChangedAt: p.ChangedAt, HashedAt: p.HashedAt, CheckedAt: ifSet(p.CheckedAt),
		}
	}
	if p.Number > 0 && hashes {
		line.PasswordHash, line.PasswordChangedAt, line.MustChange = p.Hash, &p.ChangedAt, p.MustChange
	}
	return transfer.Line{Place: []any{u.ID}, Of: line}, nil
}

// behind reads more columns of a row after those that it is asked for.
type behind struct {
	row  scanner
	more []any
}

// Scan implements scanner.
func (b behind) Scan(into ...any) error { return b.row.Scan(append(into, b.more...)...) }

func (s *Store) exportFactor(row scanner) (transfer.Line, error) {
	var f factor.Factor
	var sealed []byte
	if err := row.Scan(factorInto(&f, &sealed)...); err != nil {
		return transfer.Line{}, err
	}
	if f.Method == factor.SMS {
		if err := s.openFactor(&f, sealed); err != nil {
			return transfer.Line{}, err
		}
	}
	return transfer.Line{Place: []any{f.UserID, f.ID}, Of: transfer.FactorLine{
		Kind: transfer.KindFactor, UserID: f.UserID, ID: f.ID, Method: f.Method, Name: f.Name, Phone: f.Phone, CreatedAt: f.CreatedAt,
		ConfirmedAt: ifSet(f.ConfirmedAt), UsedAt: ifSet(f.UsedAt), DisabledAt: ifSet(f.DisabledAt), DisabledBy: f.DisabledBy,
	}}, nil
}

func exportRecovery(row scanner) (transfer.Line, error) {
	line := transfer.RecoveryLine{Kind: transfer.KindRecovery}
	var set string
	var used uint64
	var last time.Time
	err := row.Scan(&line.UserID, &set, &used, instant{&line.CreatedAt}, instant{&last})
	if set != "" {
		line.Left = recoveryCodes - bits.OnesCount64(used)
	}
	line.LastUsedAt = ifSet(last)
	return transfer.Line{Place: []any{line.UserID}, Of: line}, err
}

func exportGrant(row scanner) (transfer.Line, error) {
	line := transfer.GrantLine{Kind: transfer.KindGrant}
	var revoked time.Time
	err := row.Scan(&line.UserID, &line.ID, &line.ClientID, &line.Scope, &line.AMR, instant{&line.AuthTime}, instant{&line.CreatedAt},
		instant{&line.ExpiresAt}, instant{&revoked})
	line.RevokedAt = ifSet(revoked)
	return transfer.Line{Place: []any{line.ID}, Of: line}, err
}

func exportDelivery(row scanner) (transfer.Line, error) {
	line := transfer.DeliveryLine{Kind: transfer.KindDelivery}
	var userID sql.NullString
	err := row.Scan(&userID, &line.ID, &line.Channel, &line.Recipient, &line.State, &line.Reason, instant{&line.CreatedAt})
	line.UserID = userID.String
	return transfer.Line{Place: []any{line.ID}, Of: line}, err
}

func exportActivity(row scanner) (transfer.Line, error) {
	e, err := scanEntry(row)
	return transfer.Line{Place: []any{e.At.UnixMilli(), e.ID}, Of: transfer.ActivityLine{
		Kind: transfer.KindActivity, UserID: e.UserID, ID: e.ID, Action: e.Action, Result: e.Result, Actor: e.Actor, TraceID: e.TraceID, Data: e.Data,
		At: e.At, Chain: e.Chain, Number: e.Number, Hash: e.Hash,
	}}, err
}

// recoveryCodes is how many codes a set has.
const recoveryCodes = 5

func ifSet(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
