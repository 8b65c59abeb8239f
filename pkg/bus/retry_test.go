package bus

import (
	"math"
	"testing"
	"time"
)

//
func TestRetriesFollowTheTableWithJitter(t *testing.T) {
	t.Parallel()
	table := Config{}.withDefaults().RetryTable
	steps := []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second}
	const rounds = 2000
	for n := 1; n <= serverLimit; n++ {
		step := steps[min(n, len(steps))-1]
		var sum, squares float64
		for range rounds {
			got := wait(table, n)
			if got < step/2 || got > step*3/2 {
				t.Fatalf("after try %d: %s, want %s ±50 %%", n, got, step)
			}
			share := float64(got) / float64(step)
			sum += share
			squares += share * share
		}
		// An even spread over a width of 1 has the mean 1 and the deviation
		// 1/√12; a wave would have none.
		mean := sum / rounds
		deviation := math.Sqrt(squares/rounds - mean*mean)
		if math.Abs(mean-1) > 0.05 || math.Abs(deviation-1/math.Sqrt(12)) > 0.03 {
			t.Errorf("after try %d: mean %.3f and deviation %.3f of the step, want 1 and 0.289", n, mean, deviation)
		}
	}
}

func TestLifeIsWholeSecondsRoundedUp(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ rest, want time.Duration }{
		"over":                    {-time.Minute, time.Second},
		"just now":                {0, time.Second},
		"less than the least":     {time.Millisecond, time.Second},
		"a whole second":          {time.Second, time.Second},
		"a little more than that": {time.Second + 1, 2 * time.Second},
		"five minutes":            {5 * time.Minute, 5 * time.Minute},
	}
	for name, c := range cases {
		if got := life(c.rest); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestDefaultsAreThoseOfTheDocumentation(t *testing.T) {
	t.Parallel()
	c := Config{}.withDefaults()
	if c.PublishDeadline != 2*time.Second || c.AckWait != 30*time.Second || c.Grace != 20*time.Second || c.ReconnectWait > time.Second {
		t.Errorf("times %s, %s, %s, %s", c.PublishDeadline, c.AckWait, c.Grace, c.ReconnectWait)
	}
	if want := (Limits{Challenges: 64 << 20, Messages: 256 << 20, Deliveries: 64 << 20, Dead: 64 << 20, Events: 256 << 20, Replicas: 1}); c.Limits != want {
		t.Errorf("limits %+v, want %+v", c.Limits, want)
	}
	if parkAfterPanics != 5 || parkAfterTries != 20 || serverLimit <= parkAfterTries {
		t.Error("the ends of the line have moved")
	}
}
