package password_test

import (
	"testing"
	"time"

	"countersign.dev/services/api/internal/password"
)

// The suggestion is the dearest within the aim, and never below the floor.
//
// Covers R-055 for parameters that fit the machine.
func TestParametersAreSuggestedWithinTheAim(t *testing.T) {
	t.Parallel()
	// A machine on which a MiB and a pass take this long.
	model := func(each time.Duration) func(password.Parameters) time.Duration {
		return func(p password.Parameters) time.Duration {
			return time.Duration(p.Memory) * time.Duration(p.Passes) * each / 1024
		}
	}
	for name, c := range map[string]struct {
		each time.Duration
		aim  password.Aim
		want password.Parameters
	}{
		"a usual machine":        {1500 * time.Microsecond, password.Aim{Target: 250 * time.Millisecond, Memory: 512 << 10, Slots: 1}, password.Parameters{Memory: 64 << 10, Passes: 2, Threads: 1}},
		"a fast machine":         {100 * time.Microsecond, password.Aim{Target: 250 * time.Millisecond, Memory: 512 << 10, Slots: 2}, password.Parameters{Memory: 256 << 10, Passes: 9, Threads: 1}},
		"many slots share":       {100 * time.Microsecond, password.Aim{Target: 250 * time.Millisecond, Memory: 512 << 10, Slots: 8}, password.Parameters{Memory: 64 << 10, Passes: 32, Threads: 1}},
		"no memory to spare":     {1500 * time.Microsecond, password.Aim{Target: 250 * time.Millisecond, Memory: 1, Slots: 4}, password.Parameters{Memory: 19456, Passes: 8, Threads: 1}},
		"slower than it should":  {50 * time.Millisecond, password.Aim{Target: 250 * time.Millisecond, Memory: 512 << 10, Slots: 1}, password.DefaultParameters()},
		"time for nothing else":  {1500 * time.Microsecond, password.Aim{Target: 60 * time.Millisecond, Memory: 512 << 10, Slots: 1}, password.DefaultParameters()},
		"no slot that was named": {1500 * time.Microsecond, password.Aim{Target: 60 * time.Millisecond, Memory: 512 << 10}, password.DefaultParameters()},
	} {
		got := password.Suggest(c.aim, model(c.each))
		if got.Parameters != c.want || got.Validate() != nil || got.Took != model(c.each)(c.want) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
