package sqlstore_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"time"

	"countersign.dev/services/api/internal/challenge"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

func newDigest() []byte {
	sum := sha256.Sum256([]byte(id.Token().Reveal()))
	return sum[:]
}

// linkFor is a link of a user, or of an address when there is none.
func linkFor(of tenant.ID, u *user.User, address user.Address, purpose link.Purpose) link.Link {
	l := link.Link{
		RequestID: id.Request("password-request"), Digest: newDigest(), Tenant: of, Email: address, Purpose: purpose, RedirectURI: "https://app.example/cb",
		ClientID: id.UUID(), CreatedAt: noon, ExpiresAt: noon.Add(time.Hour),
	}
	if u != nil {
		l.UserID, l.Email = u.ID, u.Email
	}
	return l
}

// putLink stores a link that nobody mails, within a budget that is never spent.
func (b *bench) putLink(l link.Link) {
	b.t.Helper()
	_, err := b.PutLink(b.t.Context(), l, []challenge.Budget{wide(l)}, nil)
	b.must(err)
}

func wide(l link.Link) challenge.Budget {
	return challenge.Budget{Key: "mail|" + l.Email.Canonical, Span: time.Hour, Most: 1_000_000, Fault: link.ErrMails}
}

func codeOf(l link.Link) link.Code {
	return link.Code{
		Digest: newDigest(), RequestID: l.RequestID, Tenant: l.Tenant, UserID: l.UserID, Email: l.Email, Purpose: l.Purpose, ClientID: l.ClientID,
		Proofs: []string{"email"}, CreatedAt: noon, ExpiresAt: noon.Add(link.CodeLife),
	}
}

func fresh(l link.Link) user.User {
	return user.User{ID: id.UUID(), Tenant: l.Tenant, Email: l.Email, EmailVerified: true, Active: true, CreatedAt: noon, UpdatedAt: noon}
}

// next is what a code makes of a password.
func next(c link.Code, u user.User) password.Next {
	return password.Next{Code: c, Hash: "hash", User: u, At: noon}
}

func silent(user.User, bool) ([]outbox.Entry, error) { return nil, nil }

// live reports whether a link can be followed at a time.
func (b *bench) live(l link.Link, at time.Time) bool {
	b.t.Helper()
	_, _, err := b.Link(b.t.Context(), l.Digest, at)
	if err != nil && !errors.Is(err, link.ErrDead) {
		b.t.Fatal(err)
	}
	return err == nil
}

// Two processes on one database, 32 callers at once, 100 rounds: one of them
// follows a link, one of them sets a password with the code, one of them logs
// in by a link.
// Covers R-022 for links and password codes.
func TestLinksAndCodesAreUsedOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		stores := []*sqlstore.Store{b.Store, open(t, sqlstore.Config{DSN: b.dsn, Keys: b.keys})}
		of := b.tenant()
		rounds := 100
		for round := range rounds {
			address := user.Address{Written: id.UUID() + "@example.com"}
			address.Canonical = address.Written
			l := linkFor(of, nil, address, link.Create)
			b.putLink(l)
			code := codeOf(l)
			followed := tally(t, together(t, 32, func(ctx context.Context, i int) error {
				mine := code
				if i > 0 {
					mine.Digest = newDigest()
				}
				return stores[i%2].UseForCode(ctx, l.Digest, mine, noon)
			}), link.ErrDead)
			one := codeOf(l)         // whoever followed, this code is there once
			one.Purpose = link.Reset // that of a first password would not be good twice anyway
			b.must(b.PutPasswordCode(t.Context(), one))
			set := tally(t, together(t, 32, func(ctx context.Context, i int) error {
				_, _, err := stores[i%2].SetPassword(ctx, next(one, fresh(l)), silent)
				return err
			}), password.ErrCode)
			in := linkFor(of, nil, address, link.Login)
			b.putLink(in)
			logged := tally(t, together(t, 32, func(ctx context.Context, i int) error {
				_, err := stores[i%2].UseForLogin(ctx, in.Digest, fresh(in), nil, noon)
				return err
			}), link.ErrDead)
			if followed != 1 || set != 1 || logged != 1 {
				t.Fatalf("round %d: %d followed, %d set a password, %d logged in, want 1 each", round, followed, set, logged)
			}
		}
		if n := b.count("users"); n != rounds {
			t.Errorf("%d users of %d addresses", n, rounds)
		}
	})
}

// What ends a link: its time, a newer one of its address, a new password, its
// user's end or another address, its organization's end. Nothing else of
// another tenant, slot or address does.
// Covers R-061 for what ends a link, on both engines.
func TestWhatEndsALink(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		ends := map[string]func(l link.Link, u user.User) time.Time{
			"an hour": func(link.Link, user.User) time.Time { return noon.Add(time.Hour) },
			"a newer one": func(l link.Link, u user.User) time.Time {
				b.putLink(linkFor(l.Tenant, &u, u.Email, link.Create))
				return noon
			},
			"a new password": func(l link.Link, u user.User) time.Time {
				c := codeOf(l)
				b.must(b.PutPasswordCode(t.Context(), c))
				_, _, err := b.SetPassword(t.Context(), next(c, u), silent)
				b.must(err)
				return noon
			},
			"a deactivated user": func(l link.Link, u user.User) time.Time {
				_, err := b.UpdateUser(t.Context(), l.Tenant, u.ID, nil, func(u *user.User) error { u.Active = false; return nil })
				b.must(err)
				return noon
			},
			"another address": func(l link.Link, u user.User) time.Time {
				_, err := b.UpdateUser(t.Context(), l.Tenant, u.ID, nil, func(u *user.User) error {
					u.Email = user.Address{Written: id.UUID() + "@example.org"}
					u.Email.Canonical = u.Email.Written
					return nil
				})
				b.must(err)
				return noon
			},
			"a deleted user": func(l link.Link, u user.User) time.Time {
				_, err := b.DeleteUser(t.Context(), l.Tenant, u.ID, noon)
				b.must(err)
				return noon
			},
		}
		for name, end := range ends {
			of := b.tenant()
			u, other := b.user(of), b.user(of)
			l := linkFor(of, &u, u.Email, link.Reset)
			b.putLink(l)
			b.putLink(linkFor(of, &u, u.Email, link.Login))         // another slot
			b.putLink(linkFor(of, &other, other.Email, link.Reset)) // another address
			if !b.live(l, noon.Add(time.Hour-time.Millisecond)) {
				t.Fatalf("before %s: the link is dead", name)
			}
			if at := end(l, u); b.live(l, at) {
				t.Errorf("after %s the link is live", name)
			}
			if err := b.UseForCode(t.Context(), l.Digest, codeOf(l), noon.Add(time.Hour)); !errors.Is(err, link.ErrDead) {
				t.Errorf("after %s the link is followed: %v", name, err)
			}
		}
	})
}

// A void link opens nothing, and its mail is a delivery that failed.
func TestAVoidLinkOpensNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		l := linkFor(of, nil, user.Address{Written: "no@example.com", Canonical: "no@example.com"}, link.Create)
		l.Void = true
		b.putLink(l)
		if b.live(l, noon) {
			t.Error("it is live")
		}
	})
}

// The budget of an address bounds its links, and a refused one changes nothing.
// Covers R-109 for links, on both engines.
func TestMailsToAnAddressAreBounded(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		u := b.user(of)
		narrow := func(l link.Link) []challenge.Budget {
			budget := wide(l)
			budget.Most = 3
			return []challenge.Budget{budget}
		}
		errs := together(t, 32, func(ctx context.Context, _ int) error {
			l := linkFor(of, &u, u.Email, link.Reset)
			_, err := b.PutLink(ctx, l, narrow(l), nil)
			return err
		})
		if ok := tally(t, errs, link.ErrMails); ok != 3 {
			t.Errorf("%d links were made, want 3", ok)
		}
		if n := b.count("links"); n != 3 {
			t.Errorf("%d rows, want 3", n)
		}
	})
}

// The code of a first password replaces none, whatever came between; that of a
// reset does, and what it replaces is counted.
func TestAFirstPasswordReplacesNone(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		u := b.user(of)
		set := func(purpose link.Purpose, hash string) (password.Password, error) {
			c := codeOf(linkFor(of, &u, u.Email, purpose))
			b.must(b.PutPasswordCode(t.Context(), c))
			n := next(c, u)
			n.Hash = hash
			p, _, err := b.SetPassword(t.Context(), n, silent)
			return p, err
		}
		if p, err := set(link.Create, "first"); err != nil || p.Number != 1 {
			t.Fatalf("a first password: %+v, %v", p, err)
		}
		if _, err := set(link.Create, "another first"); !errors.Is(err, password.ErrCode) {
			t.Fatalf("a first password over another: %v", err)
		}
		if p, err := set(link.Reset, "second"); err != nil || p.Number != 2 || p.Hash != "second" {
			t.Fatalf("a reset: %+v, %v", p, err)
		}
		if _, err := b.CreatePassword(t.Context(), password.Password{Tenant: of, UserID: u.ID, Number: 1, Hash: "direct", ChangedAt: noon}, silent); !errors.Is(err, password.ErrHas) {
			t.Errorf("direct creation over a password: %v", err)
		}
		stale, err := b.Password(t.Context(), of, u.ID)
		b.must(err)
		_, err = set(link.Reset, "third")
		b.must(err)
		b.must(b.ReplaceHash(t.Context(), stale, "newer form of the one before", noon))
		if p, err := b.Password(t.Context(), of, u.ID); err != nil || p.Hash != "third" || p.Number != 3 {
			t.Errorf("a late rehash has overwritten a change: %+v, %v", p, err)
		}
	})
}

// What is stored of links and codes opens nothing, and strangers find none of
// it.
// Covers R-042 for links and password codes.
func TestLinksAtRestOpenNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		u := b.user(of)
		token := id.Token()
		sum := sha256.Sum256([]byte(token.Reveal()))
		l := linkFor(of, &u, u.Email, link.Reset)
		l.Digest = sum[:]
		b.putLink(l)
		rows := strings.Join(b.rows(`SELECT * FROM links`), "\n")
		if strings.Contains(rows, token.Reveal()) || !strings.Contains(rows, l.RequestID) {
			t.Error("the row holds the token, or is not there")
		}
		c := codeOf(l)
		b.must(b.PutPasswordCode(t.Context(), c))
		for name, stranger := range b.strangers(of) {
			if name == "another organization" {
				continue // a code is looked for within the caller's account and environment; its organization is compared by the rule
			}
			if _, _, err := b.PasswordCode(t.Context(), stranger.Account, stranger.Env, c.Digest, noon); !errors.Is(err, password.ErrCode) {
				t.Errorf("%s finds the code: %v", name, err)
			}
			if p, err := b.Password(t.Context(), stranger, u.ID); err != nil || p.Number != 0 {
				t.Errorf("%s finds a password: %v", name, err)
			}
		}
	})
}
