package guard

import (
	"context"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/services/api/internal/tenant"
)

// Guessing one password for each of many users is seen by no user's budget, so
// wrong passwords also count by where they come from. A right one does
// not: an office logs in from one address every morning. It does not clear the
// count either, or who guesses would log in as himself in between. So each
// guess is noted with its time before it is compared, and taken out again when
// it was right; that is why this is no rate limit of the ephemeral store.

// Wrong passwords per source, in any ten minutes.
const (
	fromOneSource = 20
	sourceSpan    = 10 * time.Minute
)

// swapTries bounds how often a change is tried when others change the same
// source at once. One of them succeeds each time, and they are no more than
// the slots of all pools.
const swapTries = 200

// Sources is the part of the ephemeral store that the notes are in.
type Sources interface {
	Get(ctx context.Context, key string) ([]byte, error)
	Swap(ctx context.Context, key string, old, next []byte, ttl time.Duration) (bool, error)
}

// network is one that guesses come from, as an account sees it.
type network struct {
	key  string
	most int // wrong ones
}

// networks are those of a source. The caller says where that is and may be
// wrong, so its word counts in its own account.
func networks(t tenant.ID, source netip.Addr) (out []network) {
	if !source.IsValid() {
		return nil
	}
	for _, n := range ephemeral.Networks(source) {
		out = append(out, network{"wrong passwords:{" + t.Account + "|" + t.Env + "|" + n.String() + "}", fromOneSource * n.Times})
	}
	return out
}

// takeFrom notes a guess for each network that it comes from, or returns
// ErrPaused.
func (p *Passwords) takeFrom(ctx context.Context, from []network, now time.Time) error {
	for i, n := range from {
		free := now
		err := p.changeSource(ctx, n.key, now, func(noted []time.Time) []time.Time {
			if len(noted) >= n.most {
				free = noted[0].Add(sourceSpan)
				return noted
			}
			free = now
			return append(noted, now)
		})
		if err == nil && free.After(now) {
			err = pausedUntil(free, now)
		}
		if err != nil {
			_ = p.returnTo(context.WithoutCancel(ctx), from[:i], now) // else they are short of one for a while
			return err
		}
	}
	return nil
}

// returnTo takes out a guess that was not wrong.
func (p *Passwords) returnTo(ctx context.Context, from []network, now time.Time) error {
	for _, n := range from {
		err := p.changeSource(ctx, n.key, now, func(noted []time.Time) []time.Time {
			if i := slices.IndexFunc(noted, now.Truncate(time.Millisecond).Equal); i >= 0 {
				return slices.Delete(noted, i, i+1)
			}
			return noted
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// changeSource changes the notes of a network, the oldest first, without those
// that are past. The change may be called several times; it is written only
// onto what it was made from.
func (p *Passwords) changeSource(ctx context.Context, key string, now time.Time, change func([]time.Time) []time.Time) error {
	for range swapTries {
		old, err := p.Sources.Get(ctx, key)
		if err != nil {
			return err
		}
		before := readNotes(old, now)
		after := change(slices.Clone(before))
		if len(after) == len(before) {
			return nil
		}
		done, err := p.Sources.Swap(ctx, key, old, writeNotes(after), sourceSpan)
		if err != nil || done {
			return err
		}
	}
	return ErrPaused.RetryIn(time.Second)
}

const noteSize = 8 // bytes: unix milliseconds

func readNotes(stored []byte, now time.Time) (noted []time.Time) {
	for ; len(stored) >= noteSize; stored = stored[noteSize:] {
		at := time.UnixMilli(int64(binary.BigEndian.Uint64(stored))) //nolint:gosec // written below
		if now.Sub(at) < sourceSpan {
			noted = append(noted, at)
		}
	}
	slices.SortFunc(noted, time.Time.Compare)
	return noted
}

// writeNotes returns nil for none, which removes the key.
func writeNotes(noted []time.Time) (out []byte) {
	for _, at := range noted {
		out = binary.BigEndian.AppendUint64(out, uint64(at.UnixMilli()))
	}
	return out
}
