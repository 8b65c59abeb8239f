package bus

import (
	"context"
	"maps"
	"slices"
	"time"
)

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

// LaneIdle is how long a lane without messages is kept.
const LaneIdle = laneIdle

// OpenLanes shows the lanes of a process to the tests.
type OpenLanes struct{ *openLanes }

// NewOpenLanes is what ServeLanes begins with.
func NewOpenLanes(b *Bus, l Lanes) OpenLanes {
	return OpenLanes{&openLanes{Lanes: l, bus: b, lanes: map[string]*lane{}}}
}

// Follow is one look at subjects with messages, at a time.
func (o OpenLanes) Follow(ctx context.Context, now time.Time, subjects ...string) {
	found := map[string]uint64{}
	for _, subject := range subjects {
		found[subject] = 1
	}
	o.follow(ctx, found, now)
}

// Open are the subjects that have a lane.
func (o OpenLanes) Open() []string { return slices.Sorted(maps.Keys(o.lanes)) }

// Close is what ServeLanes ends with.
func (o OpenLanes) Close() { o.close() }
