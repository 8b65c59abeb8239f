package smtp

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"countersign.dev/pkg/courier"
	"countersign.dev/pkg/fault"
)

// pool counts the connections in use and keeps those at rest. Whoever has
// entered owns one connection: one at rest, or a new one when there is none.
// That keeps all of them within the limit.
type pool struct {
	places chan struct{}
	idle   time.Duration

	mu      sync.Mutex
	resting []*conn // the one that was used last comes last, and goes first
	closed  bool
	leaving sync.WaitGroup // goodbyes
}

func newPool(connections int, idle time.Duration) *pool {
	return &pool{places: make(chan struct{}, connections), idle: idle}
}

// enter waits for a place. Who stops waiting has sent nothing.
func (p *pool) enter(ctx context.Context) error {
	err := ctx.Err()
	if err == nil {
		select {
		case p.places <- struct{}{}:
			return nil
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	return &courier.Failure{Reason: reasonBusy, Cause: err}
}

func (p *pool) leave() { <-p.places }

// take returns a connection at rest, nil when there is none.
func (p *pool) take() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.resting) - 1
	if last < 0 {
		return nil
	}
	c := p.resting[last]
	p.resting = p.resting[:last]
	c.resting.Stop()
	return c
}

// give lets a connection rest, for a while.
func (p *pool) give(c *conn) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		c.goodbye()
		return
	}
	defer p.mu.Unlock()
	p.resting = append(p.resting, c)
	c.resting = time.AfterFunc(p.idle, func() { p.expire(c) })
}

// expire ends the rest of a connection. Its goodbye takes a place, as whatever
// the server sees does; when there is none, those who have entered take every
// connection at rest, this one too.
func (p *pool) expire(c *conn) {
	select {
	case p.places <- struct{}{}:
		defer p.leave()
	default:
		return
	}
	p.mu.Lock()
	i := slices.Index(p.resting, c)
	if i < 0 {
		p.mu.Unlock()
		return
	}
	p.resting = slices.Delete(p.resting, i, i+1)
	p.leaving.Add(1)
	p.mu.Unlock()
	defer p.leaving.Done()
	c.goodbye()
}

// close ends all rest and waits for the goodbyes.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	for _, c := range p.resting {
		c.resting.Stop()
		p.leaving.Go(c.goodbye)
	}
	p.resting = nil
	p.mu.Unlock()
	p.leaving.Wait()
}

// pace spreads mails evenly over each second.
type pace struct {
	every time.Duration // between two mails; zero is no limit

	mu   sync.Mutex
	next time.Time
}

// wait returns when the next mail may begin. A caller whose time would be over
// by then is told at once.
func (p *pace) wait(ctx context.Context) error {
	if p.every == 0 {
		return nil
	}
	p.mu.Lock()
	now := time.Now()
	at := p.next
	if at.Before(now) {
		at = now
	}
	deadline, limited := ctx.Deadline()
	if limited && at.After(deadline) {
		p.mu.Unlock()
		return fault.RetryAfter(at.Sub(now), &courier.Failure{Reason: courier.ReasonRateLimited, Cause: errors.New("by our own limit")})
	}
	p.next = at.Add(p.every)
	p.mu.Unlock()
	timer := time.NewTimer(at.Sub(now))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return &courier.Failure{Reason: reasonBusy, Cause: ctx.Err()}
	}
}
