package bus

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// link knows whether there is a connection, and tells those who wait for the
// next one or must notice the end of this one.
type link struct {
	mu     sync.Mutex
	era    context.Context // the life of one connection, handed out by wait; nil between two
	lose   context.CancelFunc
	up     chan struct{} // closed while there is an era
	closed chan struct{}
}

func newLink() *link {
	return &link{up: make(chan struct{}), closed: make(chan struct{})}
}

// open starts an era; it is told twice about the first one.
func (l *link) open() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.era != nil {
		return
	}
	l.era, l.lose = context.WithCancel(context.Background())
	close(l.up)
}

// lost ends the era.
func (l *link) lost() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.era == nil {
		return
	}
	l.lose()
	l.era, l.up = nil, make(chan struct{})
}

// wait returns the current era, as soon as there is one. The era is a context
// that ends when its connection is lost.
func (l *link) wait(ctx context.Context) (context.Context, error) {
	for ctx.Err() == nil {
		l.mu.Lock()
		era, up := l.era, l.up
		l.mu.Unlock()
		if era != nil {
			return era, nil
		}
		select {
		case <-up:
		case <-ctx.Done():
		}
	}
	return nil, ctx.Err()
}

// ended waits until the library has run its last callback.
func (l *link) ended() {
	<-l.closed
	l.lost()
}

// options are where the traps of the client library are: it would buffer what
// is published while the server is away and send it minutes later, and would
// give up for good after some tries or a refused login.
func (b *Bus) options() []nats.Option {
	opts := []nats.Option{
		nats.Name("countersign-" + b.cfg.Name),
		nats.Timeout(2 * time.Second),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(b.cfg.ReconnectWait),
		nats.ReconnectJitter(b.cfg.ReconnectWait/2, b.cfg.ReconnectWait/2),
		nats.ReconnectBufSize(-1),
		// A server that is gone without a goodbye is noticed in 10 to 15 s
		// instead of four minutes.
		nats.PingInterval(5 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.ConnectHandler(b.connected),
		nats.ReconnectHandler(b.connected),
		nats.DisconnectErrHandler(b.disconnected),
		nats.ClosedHandler(func(*nats.Conn) { close(b.link.closed) }),
		nats.ErrorHandler(b.asyncError),
	}
	if b.cfg.Name != "" {
		// Answers come to a place of this service's own, so that rights on
		// the server can keep one service from hearing those of another.
		opts = append(opts, nats.CustomInboxPrefix("_INBOX."+b.cfg.Name))
	}
	if b.cfg.Conn != nil {
		return append(opts, nats.InProcessServer(b.cfg.Conn))
	}
	if b.cfg.CAFile != "" {
		opts = append(opts, nats.RootCAs(b.cfg.CAFile))
	}
	if b.cfg.CredsFile != "" {
		opts = append(opts, nats.UserCredentials(b.cfg.CredsFile))
	}
	return opts
}

func (b *Bus) connected(nc *nats.Conn) {
	b.link.open()
	b.log.Info("bus connected", slog.String("server", nc.ConnectedUrlRedacted()))
}

func (b *Bus) disconnected(_ *nats.Conn, err error) {
	b.link.lost()
	if err != nil {
		b.log.Warn("bus connection lost", slog.Any("error", err))
	}
}

// asyncError logs what no caller waits for, such as a missing permission.
func (b *Bus) asyncError(_ *nats.Conn, _ *nats.Subscription, err error) {
	b.log.Error("bus", slog.Any("error", err))
}
