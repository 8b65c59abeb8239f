package backchannel

import (
	"context"
	"errors"
	"time"

	"countersign.dev/pkg/fault"
)

// places are where apps are being told. They belong to one goroutine, the only
// one of a process that claims: of two that claim at once each might take a
// notice of the same app.
type places struct {
	taken, slow int
	left        chan outcome
}

// outcome is that of a place that is free again.
type outcome struct {
	slow bool // it was one for an app that had failed before
	err  error
}

func newPlaces() *places { return &places{left: make(chan outcome, atOnce)} }

func (p *places) leave(o outcome) error {
	p.taken--
	if o.slow {
		p.slow--
	}
	return o.err
}

// Run tells apps until ctx is done. report hears of faults of the store: what
// could not be read or noted is done at the next look.
func (s *Service) Run(ctx context.Context, report func(error)) error {
	ticker, p := time.NewTicker(every), newPlaces()
	defer ticker.Stop()
	for ctx.Err() == nil {
		var err error
		select {
		case <-ctx.Done():
		case <-ticker.C:
		case o := <-p.left:
			err = p.leave(o)
		}
		if err = errors.Join(err, s.fill(ctx, p)); err != nil && ctx.Err() == nil {
			report(err)
		}
	}
	for p.taken > 0 { // they hear of ctx, too
		_ = p.leave(<-p.left)
	}
	return nil
}

// Tell tries all notices that are due.
func (s *Service) Tell(ctx context.Context) error {
	p := newPlaces()
	err := s.fill(ctx, p)
	for p.taken > 0 {
		err = errors.Join(err, p.leave(<-p.left), s.fill(ctx, p))
	}
	return err
}

// fill begins to tell as many apps as there is place for. Where nothing is due
// it is one look.
func (s *Service) fill(ctx context.Context, p *places) error {
	if p.taken == atOnce || ctx.Err() != nil {
		return nil
	}
	if due, err := s.Store.LogoutsDue(ctx, s.Now()); err != nil || !due {
		return err
	}
	for p.taken < atOnce {
		n, slow, ok, err := s.claim(ctx, p)
		if err != nil || !ok {
			return err
		}
		p.taken++
		if slow {
			p.slow++
		}
		go func() { p.left <- outcome{slow, s.tell(ctx, n)} }()
	}
	return nil
}

// claim takes a notice: one of an app that has not failed before all others.
func (s *Service) claim(ctx context.Context, p *places) (n Notice, slow, ok bool, err error) {
	now := s.Now()
	n, ok, err = s.Store.ClaimLogout(ctx, now, now.Add(lease), false)
	if ok || err != nil || p.slow == slowAtOnce {
		return n, false, ok, err
	}
	n, ok, err = s.Store.ClaimLogout(ctx, now, now.Add(lease), true)
	return n, true, ok, err
}

// tell tries one notice.
func (s *Service) tell(ctx context.Context, n Notice) error {
	a, err := s.Store.AppByID(ctx, n.ClientID)
	if fault.KindOf(err) == fault.NotFound || err == nil && (!a.Active || a.BackchannelURI == "") {
		return s.Store.EndLogout(ctx, n) // nobody listens any more
	}
	if err != nil {
		return err
	}
	switch why := s.try(ctx, n, a); {
	case why == nil:
		s.Observe(ctx, n, Told, nil)
		return s.Store.EndLogout(ctx, n)
	case ctx.Err() != nil: // we stop; the lease runs out
		return nil
	case !s.Now().Before(n.EndedAt.Add(Lasts)):
		s.Observe(ctx, n, Failed, why)
		return s.Store.EndLogout(ctx, n)
	default:
		s.Observe(ctx, n, Later, why)
		due := s.Now().Add(waits[min(n.Tries, len(waits))-1])
		if last := n.EndedAt.Add(Lasts); due.After(last) {
			due = last
		}
		return s.Store.RetryLogout(ctx, n, due)
	}
}
