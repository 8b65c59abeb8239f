package challenge

import (
	"cmp"
	"fmt"
	"net/netip"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/tenant"
)

// Limits of sending that differ by organization.
type Limits struct {
	OrgPerHour int
	OrgPerDay  int
}

// Send is one message against the budgets it is taken from. Budgets last in
// SQL: a flushed cache must not hand out fresh ones.
type Send struct {
	// Number is the keyed digest of the number, across users and
	// organizations.
	Number []byte
	// Gap before the next send to a number that has not answered: doubled
	// with every unanswered one, up to GapMost. Zero means none.
	Gap, GapMost time.Duration
	// Sources are the networks that the person asked from, where they are
	// known. A number is taken from each budget once per span: they bound how
	// many different numbers one source may ask for.
	Sources []Budget
	Budgets []Budget
	// Watch is nil for a send whose answer is not waited for.
	Watch *Watch
	At    time.Time
}

// Budget allows Most sends in a window of Span that starts with the first.
type Budget struct {
	Key   string
	Span  time.Duration
	Most  int
	Fault *fault.Error // what a caller reads when it is spent
}

// Faults of spent budgets.
var (
	ErrGap    = fault.New(fault.Limited, "resend_too_soon", "a code was just sent to this number; wait before sending another")
	ErrNumber = fault.New(fault.Limited, "number_limit", "too many codes were sent to this number; wait before sending another")
	ErrUser   = fault.New(fault.Limited, "user_limit", "too many codes were sent to this user; wait before sending another")
	ErrOrg    = fault.New(fault.Limited, "organization_limit", "the organization's budget of text messages is spent; raise sms_per_hour or sms_per_day, or wait")
	ErrSource = fault.New(fault.Limited, "source_limit", "codes to too many different numbers were asked for from this address; wait before asking for another number")
	ErrBlock  = fault.New(fault.Limited, "number_block_limit", "too many codes were sent to numbers next to this one; wait, or offer another factor")
	ErrPrefix = fault.New(fault.Limited, "prefix_closed", "codes to numbers of this kind are not being answered, so none are sent for now; offer another factor, or wait")
)

// Send limits per number and user (security.md part 7, R-092, R-093).
const (
	firstGap   = 30 * time.Second
	longestGap = 8 * time.Minute
	perTenMin  = 5
	perDay     = 10
	// In the sandbox nothing is sent, and an app's own tests must not trip
	// over the limits: counts are this much wider, there is no gap, and
	// nothing waits for answers.
	sandboxWider = 100
	// A block is the thousand numbers that differ in their last digits alone.
	blockDigits = 3
)

// KnownFor is how long a number stays known after a code that was sent to it
// has been answered. Who pumps messages for money answers none: known numbers
// are served where unknown ones are not, and their neighbours log in
// together every morning.
const KnownFor = 90 * 24 * time.Hour

// Bounds are the send limits that an installation may change.
type Bounds struct {
	// PerSource is how many different numbers one network may ask for in an
	// hour, where the caller says whom it asks for.
	PerSource int
	// PerBlock is how many codes go to the unknown numbers of a block in an
	// hour.
	PerBlock int
	// PerPrefix is how many codes to the unknown numbers of a prefix in an
	// hour are waited for until too few answers close it.
	PerPrefix int
	// PriceCents is what a message costs, for the estimate in alarms.
	PriceCents int
}

// DefaultBounds are those of security.md part 7.
func DefaultBounds() Bounds {
	return Bounds{PerSource: 5, PerBlock: 10, PerPrefix: 50, PriceCents: 8}
}

// orDefault fills in what is zero.
func (b Bounds) orDefault() Bounds {
	d := DefaultBounds()
	return Bounds{
		PerSource: cmp.Or(b.PerSource, d.PerSource), PerBlock: cmp.Or(b.PerBlock, d.PerBlock),
		PerPrefix: cmp.Or(b.PerPrefix, d.PerPrefix), PriceCents: cmp.Or(b.PriceCents, d.PriceCents),
	}
}

// Validate refuses limits that are off.
func (b Bounds) Validate() error {
	for _, limit := range []struct {
		name  string
		value int
	}{
		{"COUNTERSIGN_SMS_PER_SOURCE", b.PerSource}, {"COUNTERSIGN_SMS_PER_BLOCK", b.PerBlock}, {"COUNTERSIGN_SMS_PER_PREFIX", b.PerPrefix},
	} {
		if limit.value < 1 || limit.value > 1_000_000 {
			return fmt.Errorf("%s (R-016): must be between 1 and 1000000, limits cannot be switched off", limit.name)
		}
	}
	if b.PriceCents < 1 || b.PriceCents > 10_000 {
		return fmt.Errorf("COUNTERSIGN_SMS_PRICE_CENTS: must be between 1 and 10000")
	}
	return nil
}

// reservation lists what a send is taken from, in the order in which rows are
// locked: what fewer sends share comes first.
func (s *Service) reservation(r Request, known bool) Send {
	t, bounds := r.Subject.Tenant, s.Bounds.orDefault()
	wider, gap := 1, firstGap
	if t.Env == tenant.Sandbox {
		wider, gap = sandboxWider, 0
	}
	number := s.number(t.Env, r.To)
	byNumber, byUser, byOrg := "number:"+hexKey(number), "user:"+t.Org+"|"+t.Env+"|"+r.Subject.UserID, "org:"+t.Org+"|"+t.Env
	send := Send{
		Number: number, Gap: gap, GapMost: longestGap, At: s.Now(), Sources: s.sources(t, r.Source, bounds.PerSource*wider),
		Budgets: []Budget{
			{byNumber, 10 * time.Minute, perTenMin * wider, ErrNumber},
			{byNumber, 24 * time.Hour, perDay * wider, ErrNumber},
			{byUser, 24 * time.Hour, perDay * wider, ErrUser},
		},
	}
	if !known {
		block := s.Index.Sum("sms.block", t.Env, r.To[:max(len(r.To)-blockDigits, 0)])
		send.Budgets = append(send.Budgets, Budget{"block:" + hexKey(block), time.Hour, bounds.PerBlock * wider, ErrBlock})
	}
	if !known && t.Env != tenant.Sandbox && r.Prefix != "" {
		send.Watch = &Watch{Prefix: r.Prefix, Enough: bounds.PerPrefix}
	}
	send.Budgets = append(send.Budgets,
		Budget{byOrg, time.Hour, r.Limits.OrgPerHour * wider, ErrOrg},
		Budget{byOrg, 24 * time.Hour, r.Limits.OrgPerDay * wider, ErrOrg})
	return send
}

// sources are the budgets of the networks that a person asks from. The caller
// says where that is and may be wrong, so its word counts in its own account.
func (s *Service) sources(t tenant.ID, from netip.Addr, most int) []Budget {
	if !from.IsValid() {
		return nil
	}
	var out []Budget
	for _, network := range ephemeral.Networks(from) {
		key := "source:" + hexKey(s.Index.Sum("sms.source", t.Account, t.Env, network.String()))
		out = append(out, Budget{key, time.Hour, most * network.Times, ErrSource})
	}
	return out
}
