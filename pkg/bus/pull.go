package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	nextSubject = "$JS.API.CONSUMER.MSG.NEXT." // + stream + "." + consumer
	ackPrefix   = "$JS.ACK."                   // reply of every real message
	pullLife    = 30 * time.Second             // of one request for a message
	pullBeat    = 2 * time.Second              // the server's sign of life meanwhile: two missed ones are a loss
)

var errSilent = errors.New("the server went silent")

// puller asks for one message at a time. The client library's iterators fetch
// ahead, and a message that waits behind a busy worker is a code that arrives
// late although another replica was idle; its single fetches drop what arrives
// while they give up. Here the subscription outlives each request, so that
// whatever the server hands out is seen.
type puller struct {
	nc      *nats.Conn
	sub     *nats.Subscription
	subject string
	request []byte
	asked   bool
}

func newPuller(nc *nats.Conn, stream, durable string) (*puller, error) {
	sub, err := nc.SubscribeSync(nc.NewInbox())
	if err != nil {
		return nil, fmt.Errorf("subscribe for messages: %w", err)
	}
	return &puller{
		nc:      nc,
		sub:     sub,
		subject: nextSubject + stream + "." + durable,
		request: fmt.Appendf(nil, `{"batch":1,"expires":%d,"idle_heartbeat":%d}`, pullLife, pullBeat),
	}, nil
}

// next waits for a message until ctx ends. Any other error means that the
// request is void: the consumer or the server may be gone.
func (p *puller) next(ctx context.Context) (*nats.Msg, error) {
	for {
		if !p.asked {
			if err := p.nc.PublishRequest(p.subject, p.sub.Subject, p.request); err != nil {
				return nil, fmt.Errorf("ask for a message: %w", err)
			}
			p.asked = true
		}
		msg, err := p.receive(ctx)
		if err != nil {
			p.asked = false
			return nil, err
		}
		if strings.HasPrefix(msg.Reply, ackPrefix) {
			p.asked = false
			return msg, nil
		}
		switch status := msg.Header.Get("Status"); status {
		case "100": // still waiting
		case "404", "408": // nothing came in time; ask again
			p.asked = false
		default:
			p.asked = false
			return nil, fmt.Errorf("ask for a message: %s %s", status, msg.Header.Get("Description"))
		}
	}
}

func (p *puller) receive(ctx context.Context) (*nats.Msg, error) {
	patience, cancel := context.WithTimeout(ctx, 2*pullBeat)
	defer cancel()
	msg, err := p.sub.NextMsgWithContext(patience)
	if err != nil && ctx.Err() == nil && patience.Err() != nil {
		return nil, errSilent
	}
	return msg, err
}

// giveBack ends the subscription and returns to the server, without delay,
// what it had handed out and nobody has begun.
func (p *puller) giveBack() {
	if !p.nc.IsConnected() || p.sub.Drain() != nil {
		_ = p.sub.Unsubscribe()
		return
	}
	for {
		msg, err := p.sub.NextMsg(time.Second)
		if err != nil {
			_ = p.sub.Unsubscribe()
			return
		}
		if strings.HasPrefix(msg.Reply, ackPrefix) {
			_ = msg.Nak()
		}
	}
}
