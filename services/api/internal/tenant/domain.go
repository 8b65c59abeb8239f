package tenant

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"countersign.dev/pkg/fault"
)

// An organization claims the domains of its people's addresses. In the sandbox
// a claim counts at once. Elsewhere it counts once the DNS has shown that who
// claims the domain also rules it, and then for one organization of the whole
// installation. Either way it only finds an organization: whoever is found by
// it has shown nothing yet.

// DomainClaim is one e-mail domain that an organization claims.
type DomainClaim struct {
	AccountID string
	OrgID     string
	Domain    string // as EmailDomain writes it
	// Token is what the DNS must show. Everybody can read it there, so it is
	// no secret; it tells the organizations apart that claim one domain.
	Token    string
	ProvenAt time.Time // zero while it is only said
}

// Verification is what became of looking for the proof of a claim.
type Verification struct {
	Domain   string
	Verified bool
	Reason   Reason // why not
	// Record and Value are the name and the text of the TXT record to set.
	Record string
	Value  string
}

// Reason is a word for why a domain is not proven.
type Reason string

// The reasons.
const (
	RecordNotFound Reason = "record_not_found"
	LookupFailed   Reason = "lookup_failed"
	// DomainTaken: the DNS shows another organization's record as well, and
	// that one came first.
	DomainTaken Reason = "domain_taken"
)

const (
	recordLabel = "_countersign."
	recordKey   = "countersign-domain="
	// lookupTime is how long the DNS may take. Somebody waits for the answer
	// and can ask again.
	lookupTime = 2 * time.Second
	claimants  = 100 // read at once
)

// Resolver asks the DNS. The wiring gives one; without it nothing is proven.
type Resolver interface {
	// LookupTXT returns the texts under a name, none where there is no such
	// name.
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// DomainStore keeps claims of e-mail domains. They live with the list of the
// organization that makes them.
type DomainStore interface {
	// DomainClaim returns a claim. It gets the token unless it has one. It
	// returns ErrNotFound when the organization does not claim the domain.
	DomainClaim(ctx context.Context, account, orgID, domain, token string) (DomainClaim, error)
	// ProveDomain marks the claim proven, in one transaction. Another
	// organization's proof of the domain ends with it, unless seen holds that
	// one's token: then nothing changes and it returns ErrDomainProven. It
	// returns ErrNotFound when the claim has gone.
	ProveDomain(ctx context.Context, claim DomainClaim, seen []string, now time.Time) error
	// DomainClaimants returns, in order, ids of an account's organizations
	// that claim the domain, from behind an id on; with proven set only the
	// one that has proven it.
	DomainClaimants(ctx context.Context, account, domain string, proven bool, after string, most int) ([]string, error)
	// DomainClaims returns claims of a domain in all accounts, a proven one
	// first; at most so many.
	DomainClaims(ctx context.Context, domain string, most int) ([]DomainClaim, error)
	// OrganizationByID finds a living one, or returns ErrNotFound.
	OrganizationByID(ctx context.Context, account, orgID string) (Organization, error)
}

// ErrDomainProven is between store and rule: callers read the reason.
var ErrDomainProven = errors.New("another organization has proven the domain")

// ErrOrganizationRequired does not say which ones there are: to whom an
// address belongs is not everybody's business.
var ErrOrganizationRequired = fault.New(fault.Invalid, "organization_required", "the e-mail domain does not tell which organization is meant; name it as org_domain")

// The same profile as that of users' addresses, so that both mean the same.
var domainProfile = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true))

// EmailDomain brings the domain of an e-mail address into the one form in
// which domains are compared: ASCII, lower case. It reports whether text is a
// domain at all.
func EmailDomain(text string) (string, bool) {
	if len(text) > maxDomainLength || !utf8.ValidString(text) {
		return "", false
	}
	ascii, err := domainProfile.ToASCII(text)
	if err != nil || !strings.Contains(ascii, ".") || strings.HasSuffix(ascii, ".") {
		return "", false
	}
	return ascii, true
}

// ClaimedDomains are the domains among the texts of an organization's list,
// each once.
func ClaimedDomains(list []string) []string {
	var out []string
	for _, text := range list {
		if domain, ok := EmailDomain(text); ok && !slices.Contains(out, domain) {
			out = append(out, domain)
		}
	}
	return out
}

// ByEmailDomain finds the organization of an account to whose people the
// domain belongs, among those that reaches lets the caller know of. It returns
// ErrNotFound, or ErrOrganizationRequired where several claim it. What it
// returns is no authorization.
func (s *Service) ByEmailDomain(ctx context.Context, account, env, domain string, reaches func(orgID string) bool) (Organization, error) {
	domain, ok := EmailDomain(domain)
	if !ok {
		return Organization{}, ErrNotFound
	}
	found, after := "", ""
	for {
		ids, err := s.Store.DomainClaimants(ctx, account, domain, env != Sandbox, after, claimants)
		if err != nil {
			return Organization{}, err
		}
		for _, id := range ids {
			switch {
			case !reaches(id):
			case found != "":
				return Organization{}, ErrOrganizationRequired
			default:
				found = id
			}
			after = id
		}
		if len(ids) < claimants {
			break
		}
	}
	if found == "" {
		return Organization{}, ErrNotFound
	}
	return s.Store.OrganizationByID(ctx, account, found)
}

// Place finds where people sign in who say nothing but their address: at the
// organization that has proven their domain, whichever account it is in. One
// that nobody has proven leads to the sandbox of the only organization that
// claims it; where several do, nobody can tell which is meant. It returns
// ErrNotFound. What it returns is no authorization, and tells nothing but what
// the sign-in page of an organization shows to everybody.
func (s *Service) Place(ctx context.Context, domain string) (Organization, string, error) {
	domain, ok := EmailDomain(domain)
	if !ok {
		return Organization{}, "", ErrNotFound
	}
	claims, err := s.Store.DomainClaims(ctx, domain, 2)
	if err != nil {
		return Organization{}, "", err
	}
	env := Default
	switch {
	case len(claims) > 0 && !claims[0].ProvenAt.IsZero():
	case len(claims) == 1:
		env = Sandbox
	default:
		return Organization{}, "", ErrNotFound
	}
	org, err := s.Store.OrganizationByID(ctx, claims[0].AccountID, claims[0].OrgID)
	return org, env, err
}

// VerifyEmailDomain looks in the DNS for the proof of a claim and says what
// has to stand there. A claim that is proven stays so until the organization
// gives it up or another one proves it while this one's record is gone. It
// returns ErrNotFound for a domain that the organization does not claim.
func (s *Service) VerifyEmailDomain(ctx context.Context, org Organization, domain string) (Verification, error) {
	domain, ok := EmailDomain(domain)
	if !ok {
		return Verification{}, ErrNotFound
	}
	claim, err := s.Store.DomainClaim(ctx, org.AccountID, org.ID, domain, rand.Text())
	if err != nil {
		return Verification{}, err
	}
	v := Verification{Domain: domain, Verified: !claim.ProvenAt.IsZero(), Record: recordLabel + domain, Value: recordKey + claim.Token}
	if v.Verified {
		return v, nil
	}
	seen, ok := s.lookUp(ctx, v.Record)
	switch {
	case !ok:
		v.Reason = LookupFailed
		return v, nil
	case !slices.Contains(seen, claim.Token):
		v.Reason = RecordNotFound
		return v, nil
	}
	switch err := s.Store.ProveDomain(ctx, claim, seen, s.Now()); {
	case errors.Is(err, ErrDomainProven):
		v.Reason = DomainTaken
	case err != nil:
		return Verification{}, err
	default:
		v.Verified = true
	}
	return v, nil
}

// lookUp returns the tokens that the DNS shows, or false when it shows
// nothing to rely on.
func (s *Service) lookUp(ctx context.Context, record string) (tokens []string, ok bool) {
	if s.Resolver == nil {
		return nil, false
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	// The dot at its end keeps the name from being looked for below the
	// machine's own domain, whose owner would prove what is not theirs.
	texts, err := s.Resolver.LookupTXT(ctx, record+".")
	if err != nil {
		return nil, false
	}
	for _, text := range texts {
		if token, ours := strings.CutPrefix(strings.TrimSpace(text), recordKey); ours {
			tokens = append(tokens, token)
		}
	}
	return tokens, true
}
