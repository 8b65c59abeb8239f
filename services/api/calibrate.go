package api

import (
	"time"

	"countersign.dev/services/api/internal/hashing"
	"countersign.dev/services/api/internal/password"
)

// Calibration is what hashing passwords costs on this machine.
type Calibration struct {
	MemoryKiB, Passes, Threads int
	Took                       time.Duration // one hash, while all slots work
	Slots                      int           // hashes at once
}

// PerSecond is how many logins a second the slots allow.
func (c Calibration) PerSecond() float64 { return float64(c.Slots) / c.Took.Seconds() }

// Calibrate measures Argon2id on this machine for some seconds, which should
// have nothing else to do, and suggests parameters: one hash takes target at
// most, and all at once no more than memoryMiB. It never suggests less than the
// least that a configuration may have.
func Calibrate(target time.Duration, memoryMiB int) Calibration {
	slots := hashing.DefaultSlots()
	best := password.Suggest(password.Aim{Target: target, Memory: uint32(min(max(memoryMiB, 1), 1<<21)) << 10, Slots: slots},
		func(p password.Parameters) time.Duration { return password.Measure(slots, p, time.Now) })
	return Calibration{MemoryKiB: int(best.Memory), Passes: int(best.Passes), Threads: int(best.Threads), Took: best.Took, Slots: slots}
}
