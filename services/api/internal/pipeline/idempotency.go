package pipeline

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"countersign.dev/pkg/fault"
)

// A caller that repeats a request with the same Idempotency-Key gets the
// answer of the first one, and what it did is not done again: a lost answer
// need not cost a second text message. The answer rests sealed in the
// ephemeral store, since it may hold what is shown only once.

// IdempotencyHeader is where a caller puts its key.
const IdempotencyHeader = "Idempotency-Key"

const (
	// keptFor is how long an answer can be had again.
	keptFor = 24 * time.Hour
	// runsFor bounds the first request; after it a repeat runs anew, since
	// the process that had it is gone.
	runsFor = 40 * time.Second
	// waitsFor is how long a repeat waits for the first request's answer.
	waitsFor     = 10 * time.Second
	sealAnswer   = "pipeline.idempotent_answer"
	pollInterval = 10 * time.Millisecond
)

var keyPattern = regexp.MustCompile(`^[!-~]{1,128}$`)

var (
	errKey     = fault.New(fault.Malformed, "malformed_idempotency_key", "Idempotency-Key must be 1 to 128 visible ASCII characters, sent once; a random UUID is a good one")
	errReused  = fault.New(fault.Invalid, "idempotency_key_reused", "this Idempotency-Key was used for another request; use a new key for every new request")
	errRunning = fault.New(fault.Unavailable, "request_in_progress", "the first request with this Idempotency-Key is still running; try again")
)

// Answers is the part of the ephemeral store that keeps answers.
type Answers interface {
	Get(ctx context.Context, key string) ([]byte, error)
	Swap(ctx context.Context, key string, old, next []byte, ttl time.Duration) (bool, error)
}

// Sealer seals kept answers.
type Sealer interface {
	Seal(purpose, aad string, plain []byte) ([]byte, error)
	Open(purpose, aad string, sealed []byte) ([]byte, error)
}

// record is what is kept under a key: first that it runs, then its answer.
type record struct {
	// Request is the digest of route, path and input: the same key with
	// another request is refused.
	Request []byte `json:"request"`
	// Since is when the first request began, unix milliseconds.
	Since  int64           `json:"since,omitempty"`
	Answer json.RawMessage `json:"answer,omitempty"`
}

// once runs do, or answers what it answered before under the caller's key.
// Only answers of success are kept: after a fault the key is free again.
func (p *Pipeline) once(ctx context.Context, r *http.Request, route Route, c Call, body []byte, do func(context.Context) (any, error)) (any, error) {
	given := r.Header.Values(IdempotencyHeader)
	if len(given) == 0 || !route.Idempotent {
		return do(ctx)
	}
	if len(given) > 1 || !keyPattern.MatchString(given[0]) {
		return nil, errKey
	}
	slot := p.slot(c, given[0])
	mine := record{Request: requestDigest(r, route, body), Since: time.Now().UnixMilli()}
	wait := time.NewTimer(waitsFor)
	defer wait.Stop()
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		raw, kept, err := p.claim(ctx, slot, mine)
		switch {
		case err != nil:
			return nil, err
		case raw != nil:
			return p.first(ctx, slot, raw, mine, do)
		case !bytes.Equal(kept.Request, mine.Request):
			return nil, errReused
		case kept.Answer != nil:
			return kept.Answer, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-wait.C:
			return nil, errRunning.RetryIn(time.Second)
		case <-poll.C:
		}
	}
}

// slot is bound to the caller's account and environment: keys of different
// tenants never meet, and nothing of the key itself stands in the store.
func (p *Pipeline) slot(c Call, key string) string {
	sum := sha256.Sum256([]byte(c.Tenant.Account + "\x00" + c.Tenant.Env + "\x00" + c.Key.ID + "\x00" + key))
	return "idempotency:{" + hex.EncodeToString(sum[:]) + "}"
}

func requestDigest(r *http.Request, route Route, body []byte) []byte {
	hash := sha256.New()
	fmt.Fprintf(hash, "%s\x00%s\x00%s\x00%s\x00", route.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Get("Content-Type"))
	hash.Write(body)
	return hash.Sum(nil)
}

// claim takes the slot for the caller, or returns what is kept there. The raw
// form of the caller's own record is returned when it was taken.
func (p *Pipeline) claim(ctx context.Context, slot string, mine record) (raw []byte, kept record, err error) {
	old, err := p.Answers.Get(ctx, slot)
	if err != nil {
		return nil, record{}, err
	}
	if old != nil {
		if kept, err = p.openRecord(slot, old); err != nil {
			return nil, record{}, err
		}
		if kept.Answer != nil || mine.Since-kept.Since < runsFor.Milliseconds() {
			return nil, kept, nil
		}
	}
	next, err := p.sealRecord(slot, mine)
	if err != nil {
		return nil, record{}, err
	}
	taken, err := p.Answers.Swap(ctx, slot, old, next, keptFor)
	if err != nil || taken {
		return next, record{}, err
	}
	return nil, record{Request: mine.Request}, nil // somebody else was first: look again
}

// first runs the request and keeps its answer, or frees the slot. It finishes
// even when the caller goes away: that is what the key is for.
func (p *Pipeline) first(ctx context.Context, slot string, raw []byte, mine record, do func(context.Context) (any, error)) (any, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), runsFor/2)
	defer cancel()
	var next []byte // what takes the place of "runs": the answer, or nothing after a fault or a panic
	defer func() {
		if _, err := p.Answers.Swap(ctx, slot, raw, next, keptFor); err != nil {
			// What was done is done and answered; only a repeat has to wait.
			p.Log.WarnContext(ctx, "answer not kept", "error", err)
		}
	}()
	answer, err := do(ctx)
	if err != nil {
		return nil, err
	}
	if mine.Answer, err = encode(answer); err != nil {
		return nil, err
	}
	if next, err = p.sealRecord(slot, mine); err != nil {
		return nil, err
	}
	return mine.Answer, nil
}

// encode renders an answer once, so that every repeat gets the same bytes.
func encode(answer any) (json.RawMessage, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(answer); err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return bytes.TrimSpace(out.Bytes()), nil
}

func (p *Pipeline) sealRecord(slot string, r record) ([]byte, error) {
	plain, err := encode(r)
	if err != nil {
		return nil, err
	}
	sealed, err := p.Sealer.Seal(sealAnswer, slot, plain)
	if err != nil {
		return nil, fmt.Errorf("seal answer: %w", err)
	}
	return sealed, nil
}

func (p *Pipeline) openRecord(slot string, sealed []byte) (record, error) {
	plain, err := p.Sealer.Open(sealAnswer, slot, sealed)
	if err != nil {
		return record{}, fmt.Errorf("open kept answer: %w", err)
	}
	var r record
	if err := json.Unmarshal(plain, &r); err != nil {
		return record{}, fmt.Errorf("decode kept answer: %w", err)
	}
	return r, nil
}
