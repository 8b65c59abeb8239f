package sqlstore_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"countersign.dev/pkg/rig"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/user"
)

const (
	usersNumber   = "+41791234567" // of newUser
	factorsNumber = "+41790000001" // of inhabit
)

func TestTheFileShowsNoNumber(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := newBench(t, "sqlite:"+filepath.Join(dir, "test.db"))
	u := b.inhabit(b.tenant())
	b.must(b.Close())
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	b.must(err)
	seen := false
	for _, file := range files {
		content, err := os.ReadFile(file)
		b.must(err)
		seen = seen || bytes.Contains(content, []byte(u.Email.Canonical)) // we do look at the right place
		for _, number := range []string{usersNumber, factorsNumber} {
			if bytes.Contains(content, []byte(number[3:])) {
				t.Errorf("%s holds the number %s", filepath.Base(file), number)
			}
		}
	}
	if !seen {
		t.Error("the address is in no file: nothing was looked at")
	}
}

func TestNoRowShowsANumber(t *testing.T) {
	t.Parallel()
	b := newBench(t, rig.Postgres(t))
	u := b.inhabit(b.tenant())
	var dump strings.Builder
	for _, table := range tables(b) {
		for _, row := range b.rows(`SELECT CAST(` + table + ` AS TEXT) FROM ` + table) {
			dump.WriteString(row)
		}
	}
	text := dump.String()
	if !strings.Contains(text, u.Email.Canonical) {
		t.Error("the address is in no row: nothing was looked at")
	}
	for _, number := range []string{usersNumber, factorsNumber} {
		for _, form := range []string{number[3:], hex.EncodeToString([]byte(number[3:]))} {
			if strings.Contains(text, form) {
				t.Errorf("a row holds the number %s as %s", number, form)
			}
		}
	}
}

func TestASealedNumberOpensInItsRowOnly(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		one, two := b.inhabit(of), b.inhabit(of)
		for _, statement := range []string{
			`UPDATE users SET phone_sealed = (SELECT phone_sealed FROM users WHERE id = $1) WHERE id = $2`,
			`UPDATE sms_factors SET phone_sealed = (SELECT phone_sealed FROM sms_factors WHERE user_id = $1) WHERE user_id = $2`,
		} {
			_, err := b.DB().ExecContext(t.Context(), statement, one.ID, two.ID)
			b.must(err)
		}
		if u, err := b.UserByID(t.Context(), of, two.ID); err == nil {
			t.Errorf("a moved number opened: %+v", u)
		}
		if f, err := b.SMS(t.Context(), of, two.ID); err == nil {
			t.Errorf("a moved number opened: %+v", f)
		}
		if s, err := b.Standing(t.Context(), of, user.Key{ID: two.ID}); err == nil {
			t.Errorf("a moved number opened: %+v", s)
		}
		if gone, err := b.DeleteUser(t.Context(), of, two.ID); err != nil || gone.ID != two.ID || gone.Phone != "" {
			t.Errorf("DeleteUser = %+v, %v, want the user without its number", gone, err)
		}
		if _, err := b.UserByID(t.Context(), of, one.ID); err != nil {
			t.Error(err)
		}
		stranger := open(t, sqlstore.Config{DSN: b.dsn})
		if _, err := stranger.UserByID(t.Context(), of, one.ID); err == nil {
			t.Error("a number opened with other keys")
		}
		if _, err := stranger.UpdateUser(t.Context(), of, one.ID, nil, func(*user.User) error { return nil }); err == nil {
			t.Error("a user was updated without its number being readable")
		}
	})
}
