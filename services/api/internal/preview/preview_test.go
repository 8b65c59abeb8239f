package preview_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/preview"
	"countersign.dev/services/api/internal/tenant"
)

// living are the organizations that there are, by account and id.
type living map[string]tenant.Organization

func (l living) OrganizationByID(_ context.Context, account, id string) (tenant.Organization, error) {
	if org, ok := l[account+"/"+id]; ok {
		return org, nil
	}
	return tenant.Organization{}, tenant.ErrNotFound
}

const base = "https://login.acme.test"

// A ticket opens the pages of its organization for half an hour, and nothing
// else opens any.
func TestATicketOpensItsOwnPagesForHalfAnHour(t *testing.T) {
	t.Parallel()
	begun := time.Date(2031, 5, 6, 7, 8, 9, 500, time.UTC)
	now := begun
	acme, other := tenant.Organization{ID: "org-1", AccountID: "account-1", Name: "Acme"}, tenant.Organization{ID: "org-2", AccountID: "account-1", Name: "Other"}
	ring := func() *seal.Keyring {
		keys, err := seal.Parse("keys", seal.NewKey())
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	there := living{"account-1/org-1": acme, "account-1/org-2": other}
	s := &preview.Service{Organizations: there, Keys: ring(), BaseURL: base, Now: func() time.Time { return now }}
	ticket, err := s.Begin(acme)
	if err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2031, 5, 6, 7, 38, 9, 0, time.UTC); !ticket.ExpiresAt.Equal(want) {
		t.Errorf("it ends at %v, want %v", ticket.ExpiresAt, want)
	}
	text, ours := strings.CutPrefix(ticket.URL.Reveal(), base+"/preview/")
	if !ours || strings.Contains(text, "org-1") || len(text) > 200 {
		t.Fatalf("the address is %s", ticket.URL.Reveal())
	}
	open := func(text string) (string, error) {
		org, err := s.Open(t.Context(), secret.New(text))
		return org.Name, err
	}
	if name, err := open(text); err != nil || name != "Acme" {
		t.Errorf("Open = %q, %v", name, err)
	}
	now = ticket.ExpiresAt.Add(-time.Second)
	if name, err := open(text); err != nil || name != "Acme" {
		t.Errorf("in its last second: Open = %q, %v", name, err)
	}

	strangers := &preview.Service{Organizations: there, Keys: ring(), BaseURL: base, Now: s.Now}
	foreign, err := strangers.Begin(acme)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := s.Keys.Seal("another purpose", "", []byte("account-1|org-1|zzzzzz"))
	if err != nil {
		t.Fatal(err)
	}
	for name, wrong := range map[string]string{
		"none":                     "",
		"another one's":            strings.TrimPrefix(foreign.URL.Reveal(), base+"/preview/"),
		"sealed for another thing": base64.RawURLEncoding.EncodeToString(elsewhere),
		"changed":                  text[:40] + map[bool]string{true: "B", false: "A"}[text[40] == 'A'] + text[41:],
		"cut short":                text[:len(text)-2],
		"too long":                 strings.Repeat(text, 4),
		"no base 64":               "é",
	} {
		if _, err := open(wrong); !errors.Is(err, preview.ErrOver) {
			t.Errorf("%s: err = %v, want ErrOver", name, err)
		}
	}
	delete(there, "account-1/org-1")
	if _, err := open(text); !errors.Is(err, preview.ErrOver) {
		t.Errorf("of a deleted organization: err = %v, want ErrOver", err)
	}
	there["account-1/org-1"] = acme
	now = ticket.ExpiresAt
	if _, err := open(text); !errors.Is(err, preview.ErrOver) {
		t.Errorf("after half an hour: err = %v, want ErrOver", err)
	}
}
