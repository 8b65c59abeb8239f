package ephemeral

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

// The deadlines. A call dials, reads and writes under its own ones and has one
// for everything together, so that a caller can answer within 2 s.
const (
	callWithin = 1500 * time.Millisecond
	dialWithin = time.Second
	ioWithin   = 300 * time.Millisecond
)

// Redis is the Store that several processes share: one server, Sentinel or
// Cluster. Values are strings, codes are hashes, rate limits are strings.
type Redis struct {
	client redis.UniversalClient
	prefix string
	now    func() time.Time
}

var _ Store = (*Redis)(nil)

// NewRedis makes the client; it does not connect. Errors say what is wrong
// with the configuration and never repeat the URL.
func NewRedis(c RedisConfig) (*Redis, error) {
	options, err := c.options()
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	r := &Redis{prefix: c.Prefix, now: c.Now}
	if r.prefix == "" {
		r.prefix = defaultPrefix
	}
	if r.now == nil {
		r.now = time.Now
	}
	// The library prints to stderr, past our log. It says nothing there that
	// the errors do not say.
	logging.Disable()
	r.client = redis.NewUniversalClient(options)
	return r, nil
}

// Close gives the connections back. Nothing may be called afterwards.
func (r *Redis) Close() error { return r.client.Close() }

// Get implements Store.
func (r *Redis) Get(ctx context.Context, key string) ([]byte, error) {
	text, err := r.do(ctx, "get", r.prefix+key).Text()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, failed("get", err)
	}
	return []byte(text), nil
}

// Put implements Store.
func (r *Redis) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	ms, err := millis(ttl)
	if err != nil {
		return fmt.Errorf("put: %w", err)
	}
	if err := r.do(ctx, "set", r.prefix+key, kept(value), "px", ms).Err(); err != nil {
		return failed("put", err)
	}
	return nil
}

// Swap implements Store.
func (r *Redis) Swap(ctx context.Context, key string, old, next []byte, ttl time.Duration) (bool, error) {
	var ms int64
	if next != nil {
		var err error
		if ms, err = millis(ttl); err != nil {
			return false, fmt.Errorf("swap: %w", err)
		}
	}
	n, err := r.run(ctx, swapScript, key, flag(old != nil), kept(old), flag(next != nil), kept(next), ms).Int()
	if err != nil {
		return false, failed("swap", err)
	}
	return n == 1, nil
}

// Delete implements Store.
func (r *Redis) Delete(ctx context.Context, key string) (bool, error) {
	n, err := r.do(ctx, "del", r.prefix+key).Int()
	if err != nil {
		return false, failed("delete", err)
	}
	return n == 1, nil
}

// Arm implements Store.
func (r *Redis) Arm(ctx context.Context, key string, code Code, ttl time.Duration) (*Code, error) {
	if err := code.check(); err != nil {
		return nil, fmt.Errorf("arm: %w", err)
	}
	ms, err := millis(ttl)
	if err != nil {
		return nil, fmt.Errorf("arm: %w", err)
	}
	before, err := r.run(ctx, armScript, key, ms,
		"id", code.ID, "ref", code.Ref, "digest", code.Digest, "tries", code.Tries,
		"issued", code.IssuedAt.UnixMilli(), "expires", code.ExpiresAt.UnixMilli(), "used", "0").Slice()
	if err != nil {
		return nil, failed("arm", err)
	}
	return r.decode("arm", before)
}

// Armed implements Store.
func (r *Redis) Armed(ctx context.Context, key string) (*Code, error) {
	args := []any{"hmget", r.prefix + key}
	for _, field := range codeFields {
		args = append(args, field)
	}
	fields, err := r.do(ctx, args...).Slice()
	if err != nil {
		return nil, failed("armed", err)
	}
	code, err := r.decode("armed", fields)
	if code != nil {
		code.Digest = nil
	}
	return code, err
}

// decode reads codeFields; nil for no code and for a used one.
func (r *Redis) decode(doing string, fields []any) (*Code, error) {
	f := reply(fields)
	if len(f) != len(codeFields) || f[0] == nil || f.text(6) == "1" {
		return nil, nil
	}
	tries, err := f.number(3)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	issued, err := f.time(4)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	expires, err := f.time(5)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	code := Code{
		ID: f.text(0), Ref: f.text(1), Digest: []byte(f.text(2)),
		Tries: int(tries), IssuedAt: issued, ExpiresAt: expires,
	}
	return code.seen(r.now()), nil
}

// Disarm implements Store.
func (r *Redis) Disarm(ctx context.Context, key, id string) (bool, error) {
	n, err := r.run(ctx, disarmScript, key, id).Int()
	if err != nil {
		return false, failed("disarm", err)
	}
	return n == 1, nil
}

// Consume implements Store.
func (r *Redis) Consume(ctx context.Context, key string, digest []byte, now time.Time) (Verdict, error) {
	fields, err := r.run(ctx, consumeScript, key, digest, now.UnixMilli()).Slice()
	if err != nil {
		return Verdict{}, failed("consume", err)
	}
	f := reply(fields)
	v := Verdict{Outcome: Outcome(f.text(0))}
	if v.Outcome == None {
		return v, nil
	}
	v.ID, v.Ref = f.text(1), f.text(2)
	if v.IssuedAt, err = f.time(3); err != nil {
		return Verdict{}, fmt.Errorf("consume: %w", err)
	}
	left, err := f.number(4)
	if err != nil {
		return Verdict{}, fmt.Errorf("consume: %w", err)
	}
	v.TriesLeft = int(left)
	return v, nil
}

// Allow implements Store. The clock is that of Redis, one for all callers.
func (r *Redis) Allow(ctx context.Context, key string, rate Rate) (Allowance, error) {
	p, err := rate.pace()
	if err != nil {
		return Allowance{}, fmt.Errorf("allow: %w", err)
	}
	answer, err := r.run(ctx, allowScript, key, p.step, p.depth).Int64Slice()
	if err != nil {
		return Allowance{}, failed("allow", err)
	}
	if len(answer) != 2 {
		return Allowance{}, errors.New("allow: the script's answer has another shape")
	}
	return Allowance{OK: answer[0] == 1, RetryAfter: time.Duration(answer[1]) * time.Microsecond}, nil
}

// Ping implements Store.
func (r *Redis) Ping(ctx context.Context) error {
	if err := r.do(ctx, "ping").Err(); err != nil {
		return failed("ping", err)
	}
	return nil
}

func flag(set bool) string {
	if set {
		return "1"
	}
	return "0"
}

// failed turns an error of the client into ours.
func failed(doing string, err error) error {
	if answer, ok := errors.AsType[redis.Error](err); ok && strings.Contains(answer.Error(), "WRONGTYPE") {
		return fmt.Errorf("%s: %w", doing, errKind)
	}
	return unavailable(doing, err)
}

// reply is an array that Redis answered: strings, integers and nils.
type reply []any

func (f reply) text(i int) string {
	if i >= len(f) {
		return ""
	}
	s, _ := f[i].(string)
	return s
}

func (f reply) number(i int) (int64, error) {
	if i < len(f) {
		switch v := f[i].(type) {
		case int64:
			return v, nil
		case string:
			return strconv.ParseInt(v, 10, 64)
		}
	}
	return 0, fmt.Errorf("field %d of the answer is not a number", i)
}

func (f reply) time(i int) (time.Time, error) {
	ms, err := f.number(i)
	return time.UnixMilli(ms), err
}
