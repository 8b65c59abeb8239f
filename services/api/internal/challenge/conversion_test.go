package challenge_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"countersign.dev/services/api/internal/challenge"
)

const enough = 50

var dawn = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

func TestPumpingClosesThePrefix(t *testing.T) {
	t.Parallel()
	for name, pause := range map[string]time.Duration{
		"at once": 0, "one a second": time.Second, "within the hour": 7 * time.Second,
	} {
		var c challenge.Conversion
		accepted, alarms := 0, 0
		for i := range 500 {
			now := dawn.Add(time.Duration(i) * pause)
			next, ok := c.Send(now, enough)
			if c = next; !ok {
				continue
			}
			accepted++
			if c.Tripped(now) {
				alarms++
				if sends, verified := c.LastHour(now); sends != enough || verified != 0 {
					t.Errorf("%s: the alarm says %d of %d", name, verified, sends)
				}
			}
		}
		if accepted != enough || alarms != 1 {
			t.Errorf("%s: of 500 sends that nobody answers %d were accepted, with %d alarms, want %d and 1", name, accepted, alarms, enough)
		}
	}
}

// Somebody who pumps slowly, all day long, gets no more than enough an hour.
func TestPumpingIsBoundedForEver(t *testing.T) {
	t.Parallel()
	var c challenge.Conversion
	var sent []time.Time
	for now := dawn; now.Before(dawn.Add(48 * time.Hour)); now = now.Add(10 * time.Second) {
		next, ok := c.Send(now, enough)
		if c = next; ok {
			sent = append(sent, now)
		}
	}
	for i := range sent {
		if i >= enough && sent[i].Sub(sent[i-enough]) < time.Hour {
			t.Fatalf("%d sends between %v and %v", enough+1, sent[i-enough], sent[i])
		}
	}
}

// simulate runs sends that come at random, one in gap on average, of which a
// share is answered after a while, and returns how many the rule refused.
func simulate(seed uint64, sends int, gap time.Duration, share float64) (refused int) {
	random := rand.New(rand.NewPCG(seed, seed)) // the same people each time
	var c challenge.Conversion
	var answers []time.Time // to come, the next one first
	now := dawn
	for range sends {
		now = now.Add(time.Duration(random.ExpFloat64() * float64(gap)))
		for len(answers) > 0 && answers[0].Before(now) {
			c, _ = c.Verify(answers[0])
			answers = answers[1:]
		}
		next, ok := c.Send(now, enough)
		if c = next; !ok {
			refused++
			continue
		}
		if random.Float64() < share {
			at := now.Add(5*time.Second + time.Duration(random.ExpFloat64()*float64(15*time.Second)))
			i, _ := slices.BinarySearchFunc(answers, at, time.Time.Compare)
			answers = slices.Insert(answers, i, at)
		}
	}
	return refused
}

// people is a part of TestPumpedPrefixesAreClosed: 80 percent answer.
func people(t *testing.T) {
	t.Parallel()
	seeds := uint64(3)
	if testing.Short() {
		seeds = 1
	}
	for _, gap := range []time.Duration{time.Second, 20 * time.Second, 5 * time.Minute, time.Hour} {
		for seed := range seeds {
			if refused := simulate(seed, 100_000, gap, 0.8); refused != 0 {
				t.Errorf("one send in %v, 80 %% answered: %d of 100,000 were refused", gap, refused)
			}
		}
		if simulate(1, 2_000, gap, 0.1) == 0 && gap < time.Minute {
			t.Errorf("one send in %v, 10 %% answered: none was refused, so this test sees nothing", gap)
		}
	}
}

// Many people may come within seconds, before any of them can have answered.
// The prefix closes then, and their answers open it again.
func TestAnswersOpenThePrefixAgain(t *testing.T) {
	t.Parallel()
	var c challenge.Conversion
	for range enough {
		c, _ = c.Send(dawn, enough)
	}
	if _, ok := c.Send(dawn.Add(time.Second), enough); ok {
		t.Fatal("the prefix is open")
	}
	for i := range enough / 5 {
		now := dawn.Add(time.Duration(10+i) * time.Second)
		if _, ok := c.Send(now, enough); ok {
			t.Fatalf("%d answers of %d sends opened the prefix", i, enough)
		}
		next, opened := c.Verify(now)
		if c = next; opened != (i == enough/5-1) {
			t.Fatalf("after %d answers: opened is %v", i+1, opened)
		}
	}
	if _, ok := c.Send(dawn.Add(time.Minute), enough); !ok {
		t.Error("the prefix is closed")
	}
}

func TestAClosedPrefixStartsAfresh(t *testing.T) {
	t.Parallel()
	var c challenge.Conversion
	for range enough {
		c, _ = c.Send(dawn, enough)
	}
	if _, ok := c.Send(dawn.Add(time.Hour-time.Millisecond), enough); ok {
		t.Error("open before its hour was over")
	}
	if _, ok := c.Send(dawn.Add(-time.Hour), enough); ok {
		t.Error("a clock that jumps back opened it")
	}
	// The sends that closed it do not close it again.
	now := dawn.Add(time.Hour)
	for i := range enough - 1 {
		next, ok := c.Send(now, enough)
		if !ok || next.Tripped(now) {
			t.Fatalf("closed again after %d sends", i)
		}
		c = next
	}
	if c, _ = c.Send(now, enough); !c.Tripped(now) {
		t.Error("pumping goes on unnoticed")
	}
}

// The window slides: of the bucket before counts what still lies in the hour.
func TestTheWindowSlides(t *testing.T) {
	t.Parallel()
	var c challenge.Conversion
	for i := range 40 {
		c, _ = c.Send(dawn.Add(time.Duration(i)*time.Second), enough)
	}
	for minutes, want := range map[int]int64{0: 40, 59: 40, 60: 40, 75: 30, 90: 20, 119: 0, 120: 0, 600: 0} {
		now := dawn.Add(time.Duration(minutes) * time.Minute)
		probe, _ := c.Send(now, enough)
		if sends, _ := probe.Unsend(now).LastHour(now); sends != want {
			t.Errorf("after %d minutes %d sends count, want %d", minutes, sends, want)
		}
	}
}
