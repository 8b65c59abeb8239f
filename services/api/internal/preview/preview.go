// Package preview owns tickets for looking at the hosted pages of an organization
// with sample data.
//
// REQUEST -> challenge -> event -> worker -> provider
//
// A ticket is the address of a preview. It names an organization and a moment
// at which it ends, sealed: nothing is kept of it, and nobody can make or change
// one. It opens nothing but pages about nobody, with what the organization's own
// sign-in page shows to everybody.
package preview

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/tenant"
)

// Life of a ticket.
const Life = 30 * time.Minute

// Path is where tickets lead, below the base URL.
const Path = "/preview/"

// ErrOver answers for tickets that are too old, of an organization that is
// deleted, or none of ours, without saying which; and for pages that no preview
// has.
var ErrOver = fault.New(fault.NotFound, "preview_over", "this preview is over, or has no such page; ask for another one")

// Sealer makes tickets and knows them again; seal.Keyring implements it.
type Sealer interface {
	Seal(purpose, aad string, plain []byte) ([]byte, error)
	Open(purpose, aad string, sealed []byte) ([]byte, error)
}

// Organizations finds those of tickets.
type Organizations interface {
	// OrganizationByID finds a living one, or returns tenant.ErrNotFound.
	OrganizationByID(ctx context.Context, account, orgID string) (tenant.Organization, error)
}

// Service makes tickets and opens them.
type Service struct {
	Organizations Organizations
	Keys          Sealer
	BaseURL       string
	Now           func() time.Time
}

// Ticket is an address that shows pages, until it is over.
type Ticket struct {
	URL       secret.Text
	ExpiresAt time.Time
}

// purpose keeps tickets apart from all else that is sealed, between what one
// says: account, organization and the second in which it ends. It is short, since
// it stands in every link of a preview.
const (
	purpose = "page-preview"
	between = "|"
)

// most is longer than any ticket: what is longer is not opened.
const most = 512

// Begin makes a ticket for the pages of an organization.
func (s *Service) Begin(org tenant.Organization) (Ticket, error) {
	// Whole seconds: the caller is told the same moment as the ticket holds.
	expires := s.Now().Add(Life).UTC().Truncate(time.Second)
	content := strings.Join([]string{org.AccountID, org.ID, strconv.FormatInt(expires.Unix(), 36)}, between)
	sealed, err := s.Keys.Seal(purpose, "", []byte(content))
	if err != nil {
		return Ticket{}, fmt.Errorf("seal ticket: %w", err)
	}
	return Ticket{secret.New(s.BaseURL + Path + base64.RawURLEncoding.EncodeToString(sealed)), expires}, nil
}

// Open finds the organization of a ticket, or returns ErrOver.
func (s *Service) Open(ctx context.Context, ticket secret.Text) (tenant.Organization, error) {
	text := ticket.Reveal()
	if len(text) > most {
		return tenant.Organization{}, ErrOver
	}
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return tenant.Organization{}, ErrOver
	}
	plain, err := s.Keys.Open(purpose, "", sealed)
	if err != nil {
		return tenant.Organization{}, ErrOver.Because(err)
	}
	account, rest, _ := strings.Cut(string(plain), between)
	orgID, until, _ := strings.Cut(rest, between)
	expires, err := strconv.ParseInt(until, 36, 64)
	if err != nil {
		return tenant.Organization{}, fmt.Errorf("read ticket: %w", err)
	}
	if s.Now().Unix() >= expires {
		return tenant.Organization{}, ErrOver
	}
	org, err := s.Organizations.OrganizationByID(ctx, account, orgID)
	if fault.KindOf(err) == fault.NotFound {
		err = ErrOver.Because(err)
	}
	return org, err
}
