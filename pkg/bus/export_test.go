package bus

import "context"

// Puller shows the inside of a worker to the tests.
type Puller struct{ *puller }

// NewPuller is what a worker begins with.
func NewPuller(b *Bus, stream, durable string) (Puller, error) {
	p, err := newPuller(b.nc, stream, durable)
	return Puller{p}, err
}

// Ask asks for a message and does not wait for it.
func (p Puller) Ask() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, _ = p.next(ctx)
}

// GiveBack is what a worker ends with.
func (p Puller) GiveBack() { p.giveBack() }
