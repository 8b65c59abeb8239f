package ephemeraltest

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/ephemeral"
)

// tally counts answers of parallel callers.
type tally struct {
	mu    sync.Mutex
	count map[string]int
	err   error
}

func (c *tally) add(answer string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count == nil {
		c.count = map[string]int{}
	}
	c.count[answer]++
	if err != nil {
		c.err = err
	}
}

func (c *tally) want(t *testing.T, round int, want map[string]int) {
	t.Helper()
	if c.err != nil {
		t.Fatalf("round %d: %v", round, c.err)
	}
	for answer, n := range want {
		if c.count[answer] != n {
			t.Fatalf("round %d: got %v, want %v", round, c.count, want)
		}
	}
}

func raceRight(t *testing.T, s ephemeral.Store) {
	for round := range rounds {
		mustArm(t, s, key, sample())
		var c tally
		together(writers, func(int) {
			v, err := s.Consume(t.Context(), key, []byte("right"), time.Now())
			c.add(string(v.Outcome), err)
		})
		c.want(t, round, map[string]int{"right": 1, "used": writers - 1})
	}
}

func raceWrong(t *testing.T, s ephemeral.Store) {
	const guesses, times = 64, 50
	for round := range times {
		code := sample()
		mustArm(t, s, key, code)
		var c tally
		together(guesses, func(i int) {
			v, err := s.Consume(t.Context(), key, []byte("wrong"+strconv.Itoa(i)), time.Now())
			c.add(string(v.Outcome), err)
		})
		c.want(t, round, map[string]int{"wrong": code.Tries, "spent": guesses - code.Tries})
	}
}

func raceSwap(t *testing.T, s ephemeral.Store) {
	var old []byte // there is none in the first round
	for round := range rounds {
		if round%10 == 9 { // and now and then again
			if _, err := s.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			old = nil
		}
		var c tally
		var won []byte
		together(writers, func(i int) {
			next := []byte(strconv.Itoa(round) + "." + strconv.Itoa(i))
			ok, err := s.Swap(t.Context(), key, old, next, long)
			c.add(strconv.FormatBool(ok), err)
			if ok {
				won = next // more than one writer here is a race that is seen
			}
		})
		c.want(t, round, map[string]int{"true": 1})
		wantValue(t, s, key, won)
		old = won
	}
}

func raceDelete(t *testing.T, s ephemeral.Store) {
	for round := range rounds {
		put(t, s, key, "x")
		var c tally
		together(writers, func(int) {
			ok, err := s.Delete(t.Context(), key)
			c.add(strconv.FormatBool(ok), err)
		})
		c.want(t, round, map[string]int{"true": 1})
	}
}

func raceDisarm(t *testing.T, s ephemeral.Store) {
	for round := range rounds {
		mustArm(t, s, key, sample())
		var c tally
		together(writers, func(i int) {
			if i%2 == 0 {
				ok, err := s.Disarm(t.Context(), key, "id")
				c.add("disarmed "+strconv.FormatBool(ok), err)
				return
			}
			v, err := s.Consume(t.Context(), key, []byte("right"), time.Now())
			c.add(string(v.Outcome), err)
		})
		// Either it was used, or it was taken away: never both, never neither.
		if n := c.count["disarmed true"] + c.count["right"]; n != 1 || c.err != nil {
			t.Fatalf("round %d: got %v, %v", round, c.count, c.err)
		}
	}
}

// raceArm checks that every code but the last is handed to exactly one caller
// as the one it replaced.
func raceArm(t *testing.T, s ephemeral.Store) {
	armedBefore := ""
	for round := range rounds {
		var c tally
		together(writers, func(i int) {
			before, err := s.Arm(t.Context(), key, named(strconv.Itoa(round)+"."+strconv.Itoa(i)), long)
			id := ""
			if before != nil {
				id = before.ID
			}
			c.add(id, err)
		})
		if c.err != nil {
			t.Fatal(c.err)
		}
		last, err := s.Armed(t.Context(), key)
		if err != nil || last == nil {
			t.Fatalf("round %d: nothing is armed: %v", round, err)
		}
		if len(c.count) != writers || c.count[armedBefore] != 1 || c.count[last.ID] != 0 {
			t.Fatalf("round %d: %d codes were replaced, want %d", round, len(c.count), writers)
		}
		armedBefore = last.ID
	}
}

func raceAllow(t *testing.T, s ephemeral.Store) {
	for round := range rounds {
		limit := "rate:{" + strconv.Itoa(round) + "}"
		var c tally
		together(writers, func(int) {
			a, err := s.Allow(t.Context(), limit, ephemeral.Rate{Burst: 7, Per: time.Hour})
			c.add(strconv.FormatBool(a.OK), err)
		})
		c.want(t, round, map[string]int{"true": 7, "false": writers - 7})
	}
}
