package countersign

import (
	"errors"
	"fmt"
	"time"

	"countersign.dev/services/api"
)

type calibrateCommand struct {
	Target time.Duration `default:"250ms" help:"The most that one hash may take; between 20ms and 10s."`
	Memory int           `default:"512" help:"MiB that all hashes at once may take."`
}

// Run implements the command.
func (c calibrateCommand) Run(p *process) error {
	if c.Target < 20*time.Millisecond || c.Target > 10*time.Second || c.Memory < 1 {
		return errors.New("--target must be between 20ms and 10s, and --memory at least 1 MiB")
	}
	fmt.Fprintln(p.stderr, "Measuring Argon2id; this takes some seconds, in which the machine should have nothing else to do.")
	best := api.Calibrate(c.Target, c.Memory)
	fmt.Fprintf(p.stderr, "One hash takes %d ms while %d are made at once; that is %.0f logins a second, and %d MiB at most.\n",
		best.Took.Milliseconds(), best.Slots, best.PerSecond(), best.Slots*best.MemoryKiB/1024)
	if best.Took > c.Target {
		fmt.Fprintln(p.stderr, "This machine is slower than that: these are the least that a configuration may have.")
	}
	_, err := fmt.Fprintf(p.stdout, "COUNTERSIGN_ARGON2_MEMORY_KIB=%d\nCOUNTERSIGN_ARGON2_TIME=%d\nCOUNTERSIGN_ARGON2_THREADS=%d\n", best.MemoryKiB, best.Passes, best.Threads)
	return err
}
