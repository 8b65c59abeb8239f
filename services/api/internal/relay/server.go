package relay

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"countersign.dev/pkg/event"
)

// Servers knows the mail servers of organizations.
type Servers interface {
	// MailServer returns the one that an organization sends by in an
	// environment, nil when it has none or has not switched it on.
	MailServer(ctx context.Context, org, env string) (*event.MailServer, error)
}

// addressed are the mail servers that one round of publications needs, each
// looked up once. Looking at every publication, and not when a mail is written,
// makes what waits follow a change: a password that was mended holds for the
// mails that it has held up.
type addressed struct {
	*line
	mu    sync.Mutex
	known map[string]func() (*event.MailServer, error)
}

// address puts a mail whose organization has a mail server of its own on the
// channel of those, with the server sealed beside the content. The sandbox
// sends nothing, and asks for none.
func (a *addressed) address(ctx context.Context, r event.Requested) (event.Requested, error) {
	if r.Channel != event.ChannelEmail || r.Env != event.EnvDefault || a.Servers == nil {
		return r, nil
	}
	server, err := a.server(ctx, r.OrgID)
	if err != nil || server == nil {
		return r, err
	}
	plain, err := json.Marshal(server) //nolint:gosec // sealed in the next line but one
	if err != nil {
		return r, fmt.Errorf("encode mail server: %w", err)
	}
	if r.Server, err = a.Keys.Seal(event.SealServer, r.DeliveryID, plain); err != nil {
		return r, fmt.Errorf("seal mail server: %w", err)
	}
	r.Channel = event.ChannelOwnEmail
	return r, nil
}

func (a *addressed) server(ctx context.Context, org string) (*event.MailServer, error) {
	a.mu.Lock()
	look, known := a.known[org]
	if !known {
		look = sync.OnceValues(func() (*event.MailServer, error) { return a.Servers.MailServer(ctx, org, event.EnvDefault) })
		a.known[org] = look
	}
	a.mu.Unlock()
	return look()
}
