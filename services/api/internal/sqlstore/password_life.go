package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"time"

	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

var _ password.ReminderStore = (*Store)(nil)

// remember keeps the password that is about to be replaced, where its
// connection says so, and of those before it as many as that says.
func remember(ctx context.Context, tx *sql.Tx, u user.User) error {
	t := u.Tenant
	if _, err := exec(ctx, tx, stmt("remember password",
		`INSERT INTO password_history (account_id, org_id, environment, user_id, number, hash)
		SELECT p.account_id, p.org_id, p.environment, p.user_id, p.number, p.hash
		FROM passwords p JOIN password_connections c ON c.account_id = p.account_id AND c.org_id = p.org_id AND c.environment = p.environment
		WHERE p.account_id = $1 AND p.org_id = $2 AND p.environment = $3 AND p.user_id = $4 AND c.history_depth > 0`,
		t.Account, t.Org, t.Env, u.ID)); err != nil {
		return err
	}
	_, err := exec(ctx, tx, stmt("forget passwords",
		`DELETE FROM password_history WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 AND number <= (
			SELECT p.number - c.history_depth
			FROM passwords p JOIN password_connections c ON c.account_id = p.account_id AND c.org_id = p.org_id AND c.environment = p.environment
			WHERE p.account_id = $1 AND p.org_id = $2 AND p.environment = $3 AND p.user_id = $4)`,
		t.Account, t.Org, t.Env, u.ID))
	return err
}

// FormerHashes implements password.Store.
func (s *Store) FormerHashes(ctx context.Context, t tenant.ID, userID string, most int) ([]string, error) {
	return many(ctx, s.read, stmt("read former passwords",
		`SELECT hash FROM password_history WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 ORDER BY number DESC LIMIT $5`,
		t.Account, t.Org, t.Env, userID, most), scanID)
}

// ExpiringConnections implements password.ReminderStore.
func (s *Store) ExpiringConnections(ctx context.Context, after tenant.ID, most int) ([]password.Expiring, error) {
	return many(ctx, s.read, stmt("list connections whose passwords expire",
		`SELECT c.account_id, c.org_id, c.environment, c.time_to_live, `+organizationColumns+`
		FROM password_connections c JOIN organizations ON organizations.account_id = c.account_id AND organizations.id = c.org_id
		WHERE c.time_to_live > 0 AND (c.org_id, c.environment) > ($1, $2) AND organizations.deleted_at IS NULL
		ORDER BY c.org_id, c.environment LIMIT $3`, after.Org, after.Env, most), func(row scanner) (e password.Expiring, err error) {
		var ttl int64
		e.Org = emptyOrganization()
		err = row.Scan(slices.Concat([]any{&e.Tenant.Account, &e.Tenant.Org, &e.Tenant.Env, &ttl}, organizationInto(&e.Org))...)
		e.TTL = time.Duration(ttl) * time.Millisecond
		return e, err
	})
}

// remindedAtOnce bounds a transaction of reminders: others wait for the end of
// their chain of the activity meanwhile.
const remindedAtOnce = 32

// dueReminders is what a password needs whose user is to be told; its index is
// passwords_age.
const dueReminders = `account_id = $1 AND org_id = $2 AND environment = $3 AND changed_at > $4 AND changed_at <= $5 AND reminded_age < $6
	AND must_change = FALSE`

func dueArguments(d password.Due) []any {
	return []any{d.Tenant.Account, d.Tenant.Org, d.Tenant.Env, millis(d.After), millis(d.Until), d.Age.Milliseconds()}
}

// Remind implements password.ReminderStore. Mostly nothing is due, and then
// nothing is locked. Users are locked before their passwords, as by whoever
// sets or deletes one; who is in hand elsewhere is left to the next sweep.
func (s *Store) Remind(ctx context.Context, d password.Due, remind password.Remind) (taken int, err error) {
	due, err := many(ctx, s.read, stmt("look for passwords that expire",
		`SELECT user_id FROM passwords WHERE `+dueReminders+` ORDER BY changed_at LIMIT $7`, append(dueArguments(d), remindedAtOnce)...), scanID)
	if err != nil || len(due) == 0 {
		return 0, err
	}
	err = s.inTx(ctx, "remind of passwords", limit, func(ctx context.Context, tx *sql.Tx) error {
		users, err := s.lockUsers(ctx, tx, d.Tenant, due)
		if err != nil || len(users) == 0 {
			return err
		}
		changed, err := takeReminders(ctx, tx, d, users)
		if err != nil {
			return err
		}
		taken = len(changed)
		var entries []outbox.Entry
		for _, u := range users {
			at, mine := changed[u.ID]
			if !mine || !u.Active {
				continue
			}
			more, err := remind(u, at)
			if err != nil {
				return err
			}
			entries = append(entries, more...)
		}
		return s.insertEntries(ctx, tx, entries)
	})
	return taken, err
}

// lockUsers holds those of some users who are in nobody else's hands, in the
// order of their chains of the activity, so that two transactions that record
// something of many users never wait for each other.
func (s *Store) lockUsers(ctx context.Context, tx *sql.Tx, t tenant.ID, userIDs []string) ([]user.User, error) {
	c := below(t)
	c.andAny("id", userIDs)
	users, err := many(ctx, tx, stmt("lock users", `SELECT `+userColumns+` FROM users WHERE `+c.text+s.dialect.skipLocked, c.args...), s.scanUser)
	slices.SortFunc(users, func(a, b user.User) int { return cmp.Compare(activity.ChainOf(a.ID), activity.ChainOf(b.ID)) })
	return users, err
}

// takeReminders notes the reminder of each password that is still due, and
// returns when those were set, by user.
func takeReminders(ctx context.Context, tx *sql.Tx, d password.Due, users []user.User) (map[string]time.Time, error) {
	c := &conditions{args: dueArguments(d)}
	var userIDs []string
	for _, u := range users {
		userIDs = append(userIDs, u.ID)
	}
	c.andAny("user_id", userIDs)
	changed := map[string]time.Time{}
	_, err := many(ctx, tx, stmt("note reminders",
		`UPDATE passwords SET reminded_age = $6 WHERE `+dueReminders+` AND `+c.text+` RETURNING user_id, changed_at`, c.args...),
		func(row scanner) (none struct{}, err error) {
			var userID string
			var at time.Time
			err = row.Scan(&userID, instant{&at})
			changed[userID] = at
			return none, err
		})
	return changed, err
}

// ForcePassword implements password.Store.
func (s *Store) ForcePassword(ctx context.Context, p password.Password, at time.Time, entries []outbox.Entry) (forced bool, err error) {
	t := p.Tenant
	err = s.inTx(ctx, "force another password", limit, func(ctx context.Context, tx *sql.Tx) error {
		touched, err := exec(ctx, tx, stmt("force another password",
			`UPDATE passwords SET must_change = TRUE
			WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 AND number = $5 AND must_change = FALSE`,
			t.Account, t.Org, t.Env, p.UserID, p.Number))
		if forced = touched == 1; err != nil || !forced {
			return err
		}
		if err := endLogins(ctx, tx, user.User{ID: p.UserID, Tenant: t}, "", at); err != nil {
			return err
		}
		return s.insertEntries(ctx, tx, entries)
	})
	return forced && err == nil, err
}
