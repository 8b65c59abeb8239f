package fault_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"countersign.dev/pkg/fault"
)

var errUsed = fault.New(fault.Conflict, "code_used", "This code was used already. Ask for a new one.")

func TestAFaultAndItsCopies(t *testing.T) {
	t.Parallel()
	withCause := errUsed.Because(io.ErrUnexpectedEOF)
	later := withCause.RetryIn(3 * time.Second)

	if errUsed.Cause != nil || errUsed.After != 0 || withCause.After != 0 {
		t.Error("a copy changed the fault it was made from")
	}
	if later.After != 3*time.Second || !errors.Is(later, io.ErrUnexpectedEOF) {
		t.Errorf("the copy lost a half: %+v", later)
	}
	if got, want := later.Error(), "code_used: This code was used already. Ask for a new one.: unexpected EOF"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	if got, want := errUsed.Error(), "code_used: This code was used already. Ask for a new one."; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	if got := fault.Newf(fault.Invalid, "too_long", "At most %d characters.", 64).Message; got != "At most 64 characters." {
		t.Errorf("Newf made %q", got)
	}
}

func TestIsMatchesByKindAndCode(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		err  error
		want bool
	}{
		"itself":                       {errUsed, true},
		"a copy with a cause":          {errUsed.Because(io.EOF), true},
		"a copy with a retry time":     {errUsed.RetryIn(time.Second), true},
		"wrapped by a caller":          {fmt.Errorf("use code: %w", errUsed), true},
		"joined with another":          {errors.Join(io.EOF, errUsed), true},
		"as the cause of another":      {fault.New(fault.Unavailable, "down", "").Because(errUsed), true},
		"another message, same code":   {fault.New(fault.Conflict, "code_used", "other words"), true},
		"the same code, other kind":    {fault.New(fault.Invalid, "code_used", ""), false},
		"the same kind, other code":    {fault.New(fault.Conflict, "code_expired", ""), false},
		"an error that is not a fault": {io.EOF, false},
		"no error":                     {nil, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := errors.Is(c.err, errUsed); got != c.want {
				t.Errorf("errors.Is(%v) = %v, want %v", c.err, got, c.want)
			}
		})
	}
}

func TestKindOf(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		err  error
		want fault.Kind
	}{
		"a fault":                         {errUsed, fault.Conflict},
		"a wrapped fault":                 {fmt.Errorf("use: %w", errUsed), fault.Conflict},
		"the outer of two faults decides": {fault.New(fault.Limited, "slow_down", "").Because(errUsed), fault.Limited},
		"a fault under an instruction":    {fault.Permanent(errUsed), fault.Conflict},
		"a plain error is internal":       {io.EOF, fault.Internal},
		"a context error is internal":     {context.Canceled, fault.Internal},
		"no error":                        {nil, fault.Internal},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := fault.KindOf(c.err); got != c.want {
				t.Errorf("KindOf(%v) = %v, want %v", c.err, got, c.want)
			}
		})
	}
}

func TestInstructionsOfAWorker(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		err                  error
		permanent, ambiguous bool
		after                time.Duration
		retry                bool
	}{
		"permanent":                    {err: fault.Permanent(io.EOF), permanent: true},
		"retry after a minute":         {err: fault.RetryAfter(time.Minute, io.EOF), after: time.Minute, retry: true},
		"retry at once is a retry too": {err: fault.RetryAfter(0, io.EOF), retry: true},
		"ambiguous":                    {err: fault.Ambiguous(io.EOF), ambiguous: true},
		"no instruction":               {err: io.EOF},
		"no error":                     {},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			texts := map[string]error{}
			if c.err != nil {
				texts = map[string]error{"EOF": c.err, "send: EOF": fmt.Errorf("send: %w", c.err)}
			}
			for text, err := range texts {
				if err.Error() != text || !errors.Is(err, io.EOF) {
					t.Errorf("%q: the instruction changed the text %q or hides the cause", err, text)
				}
				check(t, err, c.permanent, c.ambiguous, c.retry, c.after)
			}
			check(t, c.err, c.permanent, c.ambiguous, c.retry, c.after)
		})
	}
}

func check(t *testing.T, err error, permanent, ambiguous, retry bool, after time.Duration) {
	t.Helper()
	if got := fault.IsPermanent(err); got != permanent {
		t.Errorf("IsPermanent(%v) = %v", err, got)
	}
	if got := fault.IsAmbiguous(err); got != ambiguous {
		t.Errorf("IsAmbiguous(%v) = %v", err, got)
	}
	if got, ok := fault.RetryTime(err); ok != retry || got != after {
		t.Errorf("RetryTime(%v) = %v, %v", err, got, ok)
	}
}
