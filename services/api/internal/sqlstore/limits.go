package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"countersign.dev/services/api/internal/challenge"
)

// A number that a source asks for counts once per span: until then asking for
// it again is free.
const takeSource = `
INSERT INTO source_numbers (source_key, number_index, counted_at) VALUES ($1, $2, $3)
ON CONFLICT (source_key, number_index) DO UPDATE SET counted_at = EXCLUDED.counted_at
WHERE source_numbers.counted_at + CAST($4 AS BIGINT) <= $3`

func reserveSource(ctx context.Context, tx *sql.Tx, b challenge.Budget, send challenge.Send) error {
	counts, err := exec(ctx, tx, stmt("count number of source", takeSource, b.Key, send.Number, millis(send.At), b.Span.Milliseconds()))
	if err != nil || counts == 0 {
		return err
	}
	return reserveBudget(ctx, tx, b, send.At)
}

// The statement locks the row of a prefix, makes it where there is none, and
// reads it. The rule decides in Go, under the lock.
const lockPrefix = `
INSERT INTO prefix_conversions (prefix, since, sends, verified, sends_before, verified_before) VALUES ($1, $2, 0, 0, 0, 0)
ON CONFLICT (prefix) DO UPDATE SET prefix = EXCLUDED.prefix
RETURNING since, sends, verified, sends_before, verified_before, closed_until`

// changePrefix changes the conversion of a prefix by a rule. What the rule
// refuses with an error stays as it was.
func changePrefix(ctx context.Context, tx *sql.Tx, prefix string, now time.Time, rule func(challenge.Conversion) (challenge.Conversion, error)) error {
	var c challenge.Conversion
	err := one(ctx, tx, nil, stmt("lock prefix", lockPrefix, prefix, millis(now)),
		instant{&c.Since}, &c.Sends, &c.Verified, &c.SendsBefore, &c.VerifiedBefore, instant{&c.ClosedUntil})
	if err != nil {
		return err
	}
	if c, err = rule(c); err != nil {
		return err
	}
	_, err = exec(ctx, tx, stmt("count prefix",
		`UPDATE prefix_conversions SET since = $2, sends = $3, verified = $4, sends_before = $5, verified_before = $6, closed_until = $7
		WHERE prefix = $1`, prefix, millis(c.Since), c.Sends, c.Verified, c.SendsBefore, c.VerifiedBefore, millis(c.ClosedUntil)))
	return err
}

func reservePrefix(ctx context.Context, tx *sql.Tx, send challenge.Send) error {
	w := send.Watch
	if w == nil {
		return nil
	}
	return changePrefix(ctx, tx, w.Prefix, send.At, func(c challenge.Conversion) (challenge.Conversion, error) {
		next, ok := c.Send(send.At, w.Enough)
		if !ok {
			return c, refused(challenge.ErrPrefix, next.ClosedUntil, send.At)
		}
		w.After = next
		return next, nil
	})
}

func returnPrefix(ctx context.Context, tx *sql.Tx, send challenge.Send) error {
	if send.Watch == nil {
		return nil
	}
	return changePrefix(ctx, tx, send.Watch.Prefix, send.At, func(c challenge.Conversion) (challenge.Conversion, error) {
		return c.Unsend(send.At), nil
	})
}

// Stop implements challenge.Store.
func (s *Store) Stop(ctx context.Context, stop challenge.Stop) (alarm bool, err error) {
	err = s.inTx(ctx, "record stopped send", limit, func(ctx context.Context, tx *sql.Tx) error {
		if alarm, err = taken(ctx, tx, stop.Alarm, stop.At); err != nil {
			return err
		}
		seen, err := taken(ctx, tx, stop.Seen, stop.At)
		if err != nil || !seen {
			return err
		}
		return createDelivery(ctx, tx, stop.Delivery)
	})
	return alarm && err == nil, err
}

// taken takes from a budget and reports whether there was something left.
func taken(ctx context.Context, tx *sql.Tx, b challenge.Budget, now time.Time) (bool, error) {
	if b.Key == "" {
		return false, nil
	}
	var used int64
	err := one(ctx, tx, errNone, stmt("reserve budget", takeBudget, b.Key, b.Span.Milliseconds(), millis(now), b.Most), &used)
	if errors.Is(err, errNone) {
		return false, nil
	}
	return err == nil, err
}

// Known implements challenge.Store.
func (s *Store) Known(ctx context.Context, number []byte, since time.Time) (known bool, err error) {
	err = one(ctx, s.read, nil, stmt("look for number",
		`SELECT EXISTS (SELECT 1 FROM known_numbers WHERE number_index = $1 AND verified_at >= $2)`, number, millis(since)), &known)
	return known, err
}

// Verified implements challenge.Store. Of many parallel calls for an unknown
// number one finds it unknown: they wait for its row.
func (s *Store) Verified(ctx context.Context, number []byte, prefix string, since, now time.Time) (opened bool, err error) {
	err = s.inTx(ctx, "make number known", limit, func(ctx context.Context, tx *sql.Tx) error {
		var before time.Time
		if err := one(ctx, tx, nil, stmt("make number known",
			`INSERT INTO known_numbers (number_index, verified_at) VALUES ($1, $2)
			ON CONFLICT (number_index) DO UPDATE SET before_that = known_numbers.verified_at, verified_at = EXCLUDED.verified_at
			RETURNING before_that`, number, millis(now)), instant{&before}); err != nil {
			return err
		}
		if prefix == "" || !before.Before(since) {
			return nil
		}
		return changePrefix(ctx, tx, prefix, now, func(c challenge.Conversion) (challenge.Conversion, error) {
			next, open := c.Verify(now)
			opened = open
			return next, nil
		})
	})
	return opened && err == nil, err
}

// forgetLimits drops what bounds nothing any more.
func (s *Store) forgetLimits(ctx context.Context, before, now time.Time) error {
	for _, drop := range []statement{
		stmt("drop numbers of sources",
			`DELETE FROM source_numbers WHERE counted_at < $1 AND (source_key, number_index) IN (
				SELECT source_key, number_index FROM source_numbers WHERE counted_at < $1 ORDER BY counted_at LIMIT $2`+s.dialect.skipLocked+`)`,
			millis(before), portion),
		stmt("drop known numbers",
			`DELETE FROM known_numbers WHERE verified_at < $1 AND number_index IN (
				SELECT number_index FROM known_numbers WHERE verified_at < $1 ORDER BY verified_at LIMIT $2`+s.dialect.skipLocked+`)`,
			millis(now.Add(-challenge.KnownFor)), portion),
		stmt("drop prefixes",
			`DELETE FROM prefix_conversions WHERE since < $1 AND prefix IN (
				SELECT prefix FROM prefix_conversions WHERE since < $1 ORDER BY since LIMIT $2`+s.dialect.skipLocked+`)`,
			millis(before), portion),
		stmt("drop links",
			`DELETE FROM links WHERE expires_at < $1 AND digest IN (
				SELECT digest FROM links WHERE expires_at < $1 ORDER BY expires_at LIMIT $2`+s.dialect.skipLocked+`)`,
			millis(before), portion),
		stmt("drop password codes",
			`DELETE FROM password_codes WHERE expires_at < $1 AND digest IN (
				SELECT digest FROM password_codes WHERE expires_at < $1 ORDER BY expires_at LIMIT $2`+s.dialect.skipLocked+`)`,
			millis(before), portion),
	} {
		if _, err := s.inPortions(ctx, drop); err != nil {
			return err
		}
	}
	if err := s.dropDevices(ctx, now); err != nil {
		return err
	}
	return s.forgetPasswords(ctx, now)
}
