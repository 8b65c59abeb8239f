package challenge

import (
	"context"
	"errors"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/tenant"
)

// What a limit refuses is refused in view of the operator: a delivery says
// what was stopped and why, and what looks like an attack raises an alarm.

// Alarm is something that an operator should look at.
type Alarm string

// The alarms.
const (
	AlarmPrefix Alarm = "prefix_closed"
	AlarmBlock  Alarm = "number_block"
)

// Stop is a send that was refused.
type Stop struct {
	// Delivery is written as the budget Seen allows it: an attacker must not
	// be able to fill the table.
	Delivery delivery.Delivery
	Seen     Budget
	// Alarm is the budget of the alarm about it; without a key there is none.
	Alarm Budget
	At    time.Time
}

// reserve takes a send from all its budgets, or writes down why not.
func (s *Service) reserve(ctx context.Context, r Request, d delivery.Delivery) (Send, error) {
	known, err := s.known(ctx, r)
	if err != nil {
		return Send{}, err
	}
	send := s.reservation(r, known)
	if err := s.Store.Reserve(ctx, send, d); err != nil {
		s.stopped(ctx, send, r.Prefix, d, err)
		return Send{}, err
	}
	if w := send.Watch; w != nil && w.After.Tripped(send.At) {
		sent, answered := w.After.LastHour(send.At)
		s.alarm(AlarmPrefix)
		s.Log.WarnContext(ctx, "prefix closed: too few of the codes sent there are answered", "prefix", w.Prefix, "sent", sent,
			"answered", answered, "estimated_cost_cents", sent*int64(s.Bounds.orDefault().PriceCents))
	}
	return send, nil
}

// known asks where the answer makes a difference: in the sandbox it does not,
// and there nothing is made known.
func (s *Service) known(ctx context.Context, r Request) (bool, error) {
	if r.Subject.Tenant.Env == tenant.Sandbox {
		return false, nil
	}
	return s.Store.Known(ctx, s.number(r.Subject.Tenant.Env, r.To), s.Now().Add(-KnownFor))
}

// stopped records a refusal by a limit, for at most one send to a number in a
// minute. The caller is refused whether or not that works, even if it has
// stopped listening.
func (s *Service) stopped(ctx context.Context, send Send, prefix string, d delivery.Delivery, why error) {
	limit, ok := errors.AsType[*fault.Error](why)
	if !ok || limit.Kind != fault.Limited {
		return
	}
	if s.Stopped != nil {
		s.Stopped(d.Tenant.Env, limit.Code)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	d.State, d.Reason, d.ExpiresAt = delivery.State(event.Failed), "stopped:"+limit.Code, send.At
	stop := Stop{Delivery: d, Seen: Budget{Key: "stopped:" + hexKey(send.Number), Span: time.Minute, Most: 1}, At: send.At}
	if errors.Is(why, ErrBlock) {
		for _, b := range send.Budgets {
			if b.Fault == ErrBlock {
				stop.Alarm = Budget{Key: "alarm:" + b.Key, Span: b.Span, Most: 1}
			}
		}
	}
	alarm, err := s.Store.Stop(ctx, stop)
	if err != nil {
		s.Log.WarnContext(ctx, "stopped send not recorded", "reason", limit.Code, "error", err)
	}
	if alarm {
		s.alarm(AlarmBlock)
		s.Log.WarnContext(ctx, "neighbouring numbers get no codes for an hour: too many of them were sent one", "prefix", prefix)
	}
}

// verified makes the number of an answered code known. That is for later
// sends: failing to do it does not fail this login.
func (s *Service) verified(ctx context.Context, a Answer) {
	t, now := a.Subject.Tenant, s.Now()
	if t.Env == tenant.Sandbox {
		return
	}
	opened, err := s.Store.Verified(ctx, s.number(t.Env, a.To), a.Prefix, now.Add(-KnownFor), now)
	if err != nil {
		s.Log.WarnContext(ctx, "number not made known", "error", err)
	}
	if opened {
		s.Log.InfoContext(ctx, "prefix opened: the codes sent there are answered after all", "prefix", a.Prefix)
	}
}

func (s *Service) alarm(a Alarm) {
	if s.Alarm != nil {
		s.Alarm(a)
	}
}
