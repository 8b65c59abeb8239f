package sqlstore_test

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"countersign.dev/pkg/rig"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/user"
)

const (
	usersNumber   = "+41791234567" // of newUser
	factorsNumber = "+41790000001" // of inhabit
)

// forms are the ways in which a text, or the bytes of a secret in base 32,
// could stand somewhere.
func forms(t *testing.T, text string) []string {
	t.Helper()
	out := []string{text, hex.EncodeToString([]byte(text))}
	if raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text); err == nil {
		out = append(out, string(raw), hex.EncodeToString(raw), base64.StdEncoding.EncodeToString(raw))
	}
	return out
}

// Covers R-041 for a dump of the database: no form of a secret is in it.
func TestTheFileShowsNoNumber(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := newBench(t, "sqlite:"+filepath.Join(dir, "test.db"))
	u := b.inhabit(b.tenant())
	secret := b.enrolled(newApp(u, factor.Add), factor.Set{}, noon).Key.Secret.Reveal()
	b.must(b.Close())
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	b.must(err)
	seen := false
	for _, file := range files {
		content, err := os.ReadFile(file)
		b.must(err)
		seen = seen || bytes.Contains(content, []byte(u.Email.Canonical)) // we do look at the right place
		for _, hidden := range []string{usersNumber[3:], factorsNumber[3:], secret} {
			for _, form := range forms(t, hidden) {
				if bytes.Contains(content, []byte(form)) {
					t.Errorf("%s holds %s as %q", filepath.Base(file), hidden, form)
				}
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
	secret := b.enrolled(newApp(u, factor.Add), factor.Set{}, noon).Key.Secret.Reveal()
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
	for _, hidden := range []string{usersNumber[3:], factorsNumber[3:], secret} {
		for _, form := range forms(t, hidden) {
			if strings.Contains(text, form) {
				t.Errorf("a row holds %s as %q", hidden, form)
			}
		}
	}
}

// Covers R-041 for the row that a number or a secret is sealed for.
func TestWhatIsSealedOpensInItsRowOnly(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		one, two := b.inhabit(of), b.inhabit(of)
		for _, u := range []user.User{one, two} {
			b.enrolled(newApp(u, factor.Add), factor.Set{}, noon)
		}
		for _, statement := range []string{
			`UPDATE users SET phone_sealed = (SELECT phone_sealed FROM users WHERE id = $1) WHERE id = $2`,
			`UPDATE factors SET sealed = (SELECT sealed FROM factors WHERE user_id = $1 AND method = 'totp') WHERE user_id = $2 AND method = 'totp'`,
		} {
			_, err := b.DB().ExecContext(t.Context(), statement, one.ID, two.ID)
			b.must(err)
		}
		if u, err := b.UserByID(t.Context(), of, two.ID); err == nil {
			t.Errorf("a moved number opened: %+v", u)
		}
		if s, err := b.Standing(t.Context(), of, user.Key{ID: two.ID}); err == nil {
			t.Errorf("a moved number opened: %+v", s)
		}
		if gone, err := b.DeleteUser(t.Context(), of, two.ID, noon); err != nil || gone.ID != two.ID || gone.Phone != "" {
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
