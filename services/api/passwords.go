package api

import (
	"time"

	"countersign.dev/pkg/claim"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/hashing"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/login"
	"countersign.dev/services/api/internal/notice"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/user"
)

// logins are the rules by which somebody logs in with a password or a link.
type logins struct {
	logins      *login.Service
	links       *link.Service
	challenges  *link.Challenges
	passwords   *password.Service
	connections *password.Connections
	reminders   *password.Reminders
}

// hasher makes what makes and evaluates hashes, and the turns at it.
func (s *Service) hasher() (*password.Hasher, error) {
	peppers, err := password.ParsePeppers("COUNTERSIGN_PASSWORD_PEPPERS", s.cfg.PasswordPeppers)
	s.turns = hashing.New(hashing.Config{Observe: s.metrics.hashed})
	return password.NewHasher(s.turns, s.cfg.argon2(), peppers), err
}

// wireLogins builds them on the rules of users and factors.
func (s *Service) wireLogins(keys keyrings, users *user.Service, factors *factor.Service, news *notice.Service, hasher *password.Hasher) (l logins) {
	now := time.Now
	watch := &guard.Passwords{
		Store: s.store, Sources: s.short, Hasher: hasher, Turns: s.turns, Index: keys.index, Policy: guard.DefaultPasswordPolicy(), Now: now, Observe: s.metrics.compared,
	}
	l.logins = &login.Service{Factors: factors, Passwords: s.store, Grants: s.grants, Waiting: s.short, Now: now}
	l.links = &link.Service{
		Store: s.store, Outbox: news.Outbox, Claims: &claim.Book{Store: s.short, Now: now}, Relay: s.outgoing, Logins: l.logins, Index: keys.index,
		BaseURL: s.cfg.BaseURL, Now: now, Log: s.log,
	}
	l.challenges = &link.Challenges{Store: s.store, Users: users, Links: l.links, Now: now}
	l.connections = &password.Connections{Store: s.store, Outbox: news.Outbox, Relay: s.outgoing, Now: now, Log: s.log}
	l.reminders = &password.Reminders{Store: s.store, Notices: news, Now: now}
	l.passwords = &password.Service{
		Store: s.store, Users: users, Links: l.links, Logins: l.logins, Guard: watch, Hasher: hasher, Outbox: news.Outbox, Notices: news, Relay: s.outgoing,
		Index: keys.index, Now: now, Log: s.log,
	}
	return l
}
