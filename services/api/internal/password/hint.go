package password

import (
	"context"
	"slices"
	"unicode/utf8"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/tenant"
)

// Hint is what a page of ours may tell about new passwords before one is sent.
// It judges nothing: lists, the estimate and the passwords from before are
// looked at when it is set.
type Hint struct {
	Least int      // characters; zero where the organization has no passwords
	Words []string // that whoever guesses tries first, in lower case
}

// Hint reads what an organization asks of a new password. The words are those
// of the address and the organization, which the page shows anyway: the names
// of the user are not among them.
func (s *Service) Hint(ctx context.Context, t tenant.ID, org tenant.Organization, address string) (Hint, error) {
	connection, err := s.Store.PasswordConnection(ctx, t)
	if fault.KindOf(err) == fault.NotFound {
		return Hint{}, nil
	}
	if err != nil {
		return Hint{}, err
	}
	least, _ := connection.policy().Bounds()
	org.EmailDomains = nil
	words := Known{Email: address, Org: org, Host: s.Host}.words()
	return Hint{least, slices.DeleteFunc(words, func(word string) bool { return utf8.RuneCountInString(word) < shortestWord })}, nil
}
