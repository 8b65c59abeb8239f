package guard

import (
	"cmp"
	"context"
	"crypto/subtle"
	"net/netip"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/tenant"
)

// ClassPassword is the class of passwords, in metrics.
const ClassPassword = "password"

// Whose is whose password is guessed, and from where.
type Whose struct {
	Tenant tenant.ID
	// UserID is empty for an address that is nobody's. It is counted by itself
	// and fails, with the same work and the same refusals as a user's.
	UserID    string
	Canonical string // the address in its one form
	// Source is where the person is, where the caller tells. Not valid is not
	// known: callers are servers, so the address of a request says nothing.
	Source netip.Addr
	// Device is what the browser is known by, to whomever; empty for none.
	Device secret.Text
}

// Compared is what became of a guess.
type Compared struct {
	OK bool
	// Shut says that this wrong guess was the one that shut the password.
	Shut bool
}

// PasswordPolicy bounds guesses of passwords. Who guesses as fast as
// it allows has 110 guesses in a day, and the last of them shuts the password
// before.
type PasswordPolicy struct {
	Free        int           // wrong ones before the first pause
	First, Most time.Duration // the pause doubles with every further one
	Quiet       time.Duration // without a guess, after which pauses begin anew
	Cap         int           // wrong ones in a row that shut a password until it is set anew
	// DeviceCap is how many wrong ones in a row from a known device make it one
	// like any other.
	DeviceCap int
}

// DefaultPasswordPolicy pauses from the fifth wrong password on for 1, 2, 4 …
// 900 seconds, and shuts at 100 (NIST SP 800-63B-4 3.2.2). A device is known
// for ten of them.
func DefaultPasswordPolicy() PasswordPolicy {
	return PasswordPolicy{Free: 4, First: time.Second, Most: 15 * time.Minute, Quiet: 48 * time.Hour, Cap: 100, DeviceCap: 10}
}

// PasswordBudget is what is counted together.
type PasswordBudget struct {
	Key    []byte // keyed digest of whose it is
	Tenant tenant.ID
	UserID string // empty for nobody's
}

// PasswordCount is the answer of counting a guess.
type PasswordCount struct {
	OK     bool
	InARow int       // with this one; set when OK
	Free   time.Time // when not OK: when the next may come, the zero time for not before the password is set anew
}

// PasswordStore keeps the counts where they survive restarts and flushed
// caches.
type PasswordStore interface {
	// CountPassword counts one guess in one conditional statement that commits
	// on its own. During a pause, and at the cap, it counts none.
	CountPassword(ctx context.Context, b PasswordBudget, p PasswordPolicy, now time.Time) (PasswordCount, error)
	// SettlePassword forgets the guesses after a right one, in one statement.
	// After a wrong one it runs the same statement and changes nothing, so
	// that both take the same work.
	SettlePassword(ctx context.Context, b PasswordBudget, right bool) error
}

// Hasher evaluates passwords.
type Hasher interface {
	// CheckSize refuses what is no password before any work.
	CheckSize(candidate secret.Text) error
	// Tags returns the tag of what is stored and that of the candidate, in
	// one evaluation, whether something is stored or not.
	Tags(candidate secret.Text, stored string) (want, got []byte, err error)
}

// Turns bound the evaluations (see package hashing).
type Turns interface {
	// Do runs fn when it is its turn, one at a time of those with one key, or
	// returns a fault of kind Unavailable.
	Do(ctx context.Context, org, key string, fn func(ctx context.Context) error) error
}

// Passwords counts and compares passwords.
type Passwords struct {
	Store   PasswordStore
	Devices DeviceStore // nil knows none
	Sources Sources
	Hasher  Hasher
	Turns   Turns
	Index   Index
	Policy  PasswordPolicy
	Now     func() time.Time
	// Observe hears of every comparison; nil hears nothing.
	Observe func(class string, outcome ephemeral.Outcome)
}

// The refusals. Those of the user and of the source are one: which of them it
// was is nobody's business.
var (
	ErrPaused = fault.New(fault.Limited, "password_paused", "too many wrong passwords; wait before the next try")
	ErrOff    = fault.New(fault.Limited, "password_disabled", "too many wrong passwords in a row; set a new one by a link")
)

// Password guesses a password. What is stored is empty where there is none:
// that costs what a wrong one costs and is counted like one. It takes its turn
// first, so that a guess that gets none is not counted, and so that parallel
// logins of one user with the right password are counted, compared and cleared
// one after the other and none is taken for guessing.
//
// It returns ErrPaused or ErrOff, and compared nothing, when the budget is
// spent, and the faults of its parts.
func (p *Passwords) Password(ctx context.Context, w Whose, candidate secret.Text, stored string) (out Compared, err error) {
	if err := p.Hasher.CheckSize(candidate); err != nil {
		return Compared{}, err
	}
	b := p.budget(w)
	err = p.Turns.Do(ctx, line(w.Tenant), string(b.Key), func(ctx context.Context) (err error) {
		out, err = p.guess(ctx, taken{PasswordBudget: b, source: w.Source, device: w.Device}, candidate, stored)
		return err
	})
	if err != nil {
		return Compared{}, err
	}
	return out, nil
}

// guess counts, evaluates once, compares, and settles the count. From the
// count on it does not end with its caller: a right password whose caller has
// hung up must not stay counted as a wrong one.
func (p *Passwords) guess(ctx context.Context, t taken, candidate secret.Text, stored string) (Compared, error) {
	now := p.Now()
	inARow, err := p.take(ctx, &t, now)
	if err != nil {
		return Compared{}, err
	}
	want, got, err := p.Hasher.Tags(candidate, stored)
	if err != nil {
		return Compared{}, err // stays counted
	}
	ok := subtle.ConstantTimeCompare(want, got) == 1 && stored != ""
	p.observe(ok)
	if err := p.settle(context.WithoutCancel(ctx), t, ok, now); err != nil {
		return Compared{}, err
	}
	return Compared{OK: ok, Shut: !ok && inARow >= p.Policy.Cap}, nil
}

// taken is what a guess is taken from: what its device has where that is known,
// and else the source and the user's budget.
type taken struct {
	PasswordBudget
	source netip.Addr
	device secret.Text
	known  *DeviceBudget // where the guess is counted by its device
}

// take counts a guess, by its device or by source and user, and returns how many
// of the user's were wrong in a row, none for a device's; or it returns a
// refusal: then nothing may be compared.
func (p *Passwords) take(ctx context.Context, t *taken, now time.Time) (inARow int, err error) {
	if err := p.takeFromDevice(ctx, t, now); err != nil || t.known != nil {
		return 0, err
	}
	from := networks(t.Tenant, t.source)
	if err := p.takeFrom(ctx, from, now); err != nil {
		return 0, err
	}
	count, err := p.Store.CountPassword(ctx, t.PasswordBudget, p.Policy, now)
	if err == nil && !count.OK {
		err = pausedUntil(count.Free, now)
	}
	if err != nil {
		// Nothing is compared, so nothing failed. When this fails as well the
		// source is short of one guess for a while.
		_ = p.returnTo(context.WithoutCancel(ctx), from, now)
		return 0, err
	}
	return count.InARow, nil
}

// settle settles all that a guess may have been counted by. Who has a known
// device and the right password ends what others have guessed, as with any
// right password, also where that has shut it.
func (p *Passwords) settle(ctx context.Context, t taken, ok bool, now time.Time) error {
	if t.known != nil {
		if err := p.Devices.SettleDevice(ctx, *t.known, ok); err != nil {
			return err
		}
	}
	if err := p.Store.SettlePassword(ctx, t.PasswordBudget, ok); err != nil || !ok || t.known != nil {
		return err
	}
	return p.returnTo(ctx, networks(t.Tenant, t.source), now)
}

// SamePassword compares a password that its owner is about to set with the one
// before. It counts nothing: who calls it has proven to be the owner by other
// means, and learns only what he knows. No stored password is no match.
func (p *Passwords) SamePassword(ctx context.Context, org string, candidate secret.Text, stored string) (same bool, err error) {
	if err := p.Hasher.CheckSize(candidate); err != nil || stored == "" {
		return false, err
	}
	err = p.Turns.Do(ctx, org, "", func(context.Context) error {
		want, got, err := p.Hasher.Tags(candidate, stored)
		same = err == nil && subtle.ConstantTimeCompare(want, got) == 1
		return err
	})
	return same && err == nil, err
}

// ClearPassword forgets all guesses, also of a password that they have shut:
// its owner has set a new one by a link.
func (p *Passwords) ClearPassword(ctx context.Context, w Whose) error {
	return p.Store.SettlePassword(ctx, p.budget(w), true)
}

func (p *Passwords) budget(w Whose) PasswordBudget {
	kind, name := "user", w.UserID
	if w.UserID == "" {
		kind, name = "address", w.Canonical
	}
	return PasswordBudget{Key: p.Index.Sum("password budget", w.Tenant.Account, w.Tenant.Org, w.Tenant.Env, kind, name), Tenant: w.Tenant, UserID: w.UserID}
}

// line is in whose line a guess waits: its organization's, or the account's
// where the organization does not exist.
func line(t tenant.ID) string { return cmp.Or(t.Org, t.Account) }

func (p *Passwords) observe(ok bool) {
	if p.Observe == nil {
		return
	}
	outcome := ephemeral.Wrong
	if ok {
		outcome = ephemeral.Right
	}
	p.Observe(ClassPassword, outcome)
}

func pausedUntil(free, now time.Time) error {
	if free.IsZero() {
		return ErrOff
	}
	return ErrPaused.RetryIn(max(free.Sub(now), time.Second))
}
