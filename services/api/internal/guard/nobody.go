package guard

import (
	"context"

	"countersign.dev/pkg/ephemeral"
)

// Nobody goes the way of Digits for an address without a user, so that a
// stranger cannot tell the two apart: a code is looked for, the guess is taken
// by count, which knows no user to take it from, and then the code is guessed.
// Nothing is right: what is armed there was sent to nobody.
func (g *Guard) Nobody(ctx context.Context, sent Sent, count func(ctx context.Context) error) (ephemeral.Outcome, error) {
	live, err := g.Codes.Armed(ctx, sent.Key)
	if err != nil || live == nil {
		return ephemeral.None, err
	}
	now := g.Now()
	if live.ExpiresAt.Before(now) {
		return ephemeral.Expired, nil // to a user the guess would be given back
	}
	if err := count(ctx); err != nil {
		return ephemeral.None, err
	}
	verdict, err := g.Codes.Consume(ctx, sent.Key, sent.Digest, now)
	if err != nil {
		return ephemeral.None, err
	}
	if verdict.Outcome == ephemeral.Right || verdict.Outcome == ephemeral.Used {
		return ephemeral.Wrong, nil
	}
	return verdict.Outcome, nil
}
