package guard

import (
	"context"
	"time"

	"countersign.dev/services/api/internal/device"
	"countersign.dev/services/api/internal/tenant"
)

// Whoever knows an address could keep its user out by guessing: of pauses, and
// of the cap that shuts a password. So the guesses from a browser that the user
// has signed in with are counted apart, each browser's by itself, whatever
// others guess meanwhile and wherever they are. They are counted before
// they are compared like all others, there are fewer of them, and they spend
// nothing of anybody else's.

// DeviceBudget is what the guesses from one device of one user are counted in.
type DeviceBudget struct {
	Digest []byte
	Tenant tenant.ID
	UserID string
}

// DeviceStore keeps the counts of known devices, where those are.
type DeviceStore interface {
	// CountDevice counts one guess in one conditional statement that commits on
	// its own. A device is known that is no stranger's, not past its time, and
	// below the policy's DeviceCap; of one that is not, nothing is counted, and
	// none during a pause.
	CountDevice(ctx context.Context, d DeviceBudget, p PasswordPolicy, now time.Time) (count PasswordCount, known bool, err error)
	// SettleDevice forgets the guesses after a right one, in one statement that
	// runs after a wrong one, too.
	SettleDevice(ctx context.Context, d DeviceBudget, right bool) error
}

// takeFromDevice counts a guess by its device where that is known, or refuses
// it during the device's own pause. It asks for addresses that are nobody's as
// well, so that both take the same work.
func (p *Passwords) takeFromDevice(ctx context.Context, t *taken, now time.Time) error {
	if p.Devices == nil || !device.Shaped(t.device) {
		return nil
	}
	d := DeviceBudget{Digest: device.Digest(t.device), Tenant: t.Tenant, UserID: t.UserID}
	count, known, err := p.Devices.CountDevice(ctx, d, p.Policy, now)
	switch {
	case err != nil:
		return err
	case known && !count.OK:
		return pausedUntil(count.Free, now)
	case known:
		t.known = &d
	}
	return nil
}
