package api

import (
	"os"
	"time"

	"countersign.dev/pkg/claim"
	"countersign.dev/pkg/conf"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/hashing"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/login"
	"countersign.dev/services/api/internal/mailcode"
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
	mails       *mailcode.Service
}

// hasher makes what makes and evaluates hashes, and the turns at it.
func (s *Service) hasher() (*password.Hasher, error) {
	peppers, err := password.ParsePeppers("COUNTERSIGN_PASSWORD_PEPPERS", s.cfg.PasswordPeppers)
	s.turns = hashing.New(hashing.Config{Observe: s.metrics.hashed})
	return password.NewHasher(s.turns, s.cfg.argon2(), peppers), err
}

// blocklist reads the operator's own list of passwords, nil when there is none.
func (s *Service) blocklist() (*password.Blocklist, error) {
	if s.cfg.BlocklistFile == "" {
		return nil, nil
	}
	file, err := os.Open(s.cfg.BlocklistFile)
	if err != nil {
		return nil, conf.Wrong("COUNTERSIGN_PASSWORD_BLOCKLIST_FILE", "cannot be opened: %v", err)
	}
	defer func() { _ = file.Close() }()
	list, err := password.ReadBlocklist(file)
	if err != nil {
		return nil, conf.Wrong("COUNTERSIGN_PASSWORD_BLOCKLIST_FILE", "cannot be read: %v", err)
	}
	s.log.Info("list of refused passwords read", "passwords", list.Len())
	return list, nil
}

// wireLogins builds them on the rules of users and factors.
func (s *Service) wireLogins(keys keyrings, users *user.Service, factors *factor.Service, news *notice.Service, hasher *password.Hasher) (l logins, err error) {
	blocklist, err := s.blocklist()
	if err != nil {
		return l, err
	}
	now := time.Now
	watch := &guard.Passwords{
		Store: s.store, Devices: s.store, Sources: s.short, Hasher: hasher, Turns: s.turns, Index: keys.index, Policy: guard.DefaultPasswordPolicy(), Now: now, Observe: s.metrics.compared,
	}
	l.logins = &login.Service{Factors: factors, Passwords: s.store, Grants: s.grants, Waiting: s.short, Now: now}
	l.links = &link.Service{
		Store: s.store, Outbox: news.Outbox, Claims: &claim.Book{Store: s.short, Now: now}, Relay: s.outgoing, Logins: l.logins, Index: keys.index,
		BaseURL: s.cfg.BaseURL, Now: now, Log: s.log, Templates: news.Templates,
	}
	l.challenges = &link.Challenges{Store: s.store, Users: users, Links: l.links, Now: now, Templates: news.Templates}
	l.connections = &password.Connections{Store: s.store, Templates: news.Templates, Outbox: news.Outbox, Relay: s.outgoing, Now: now, Log: s.log}
	l.reminders = &password.Reminders{Store: s.store, Notices: news, Now: now}
	l.passwords = &password.Service{
		Store: s.store, Users: users, Links: l.links, Logins: l.logins, Guard: watch, Hasher: hasher, Outbox: news.Outbox, Notices: news, Relay: s.outgoing,
		Index: keys.index, Host: s.cfg.host(), Blocklist: blocklist, Refused: s.metrics.passwordRefused, LookedUp: s.metrics.passwordLookedUp,
		Now: now, Log: s.log,
	}
	return l, nil
}

// mailcodes builds the rules of codes that stand for an address.
func (s *Service) mailcodes(keys keyrings, watch *guard.Guard, factors *factor.Service, news *notice.Service) *mailcode.Service {
	return &mailcode.Service{
		Store: s.store, Codes: s.short, Claims: &claim.Book{Store: s.short, Now: time.Now}, Guard: watch, Factors: factors, Outbox: news.Outbox,
		Relay: s.outgoing, Templates: news.Templates, Index: keys.index, Now: time.Now, Log: s.log,
	}
}
