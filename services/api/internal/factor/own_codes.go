package factor

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/outbox"
)

// shownFor is how long new recovery codes are kept for their page, unless the
// user has saved them before: a page that was lost on the way is opened again.
const shownFor = 10 * time.Minute

// sealPurpose keeps recovery codes apart from all else that is sealed.
const sealPurpose = "own_recovery_codes"

// onShelf is what is kept of them: those of a set that was replaced meanwhile
// are shown to nobody.
type onShelf struct {
	Set   string   `json:"set"`
	Lines []string `json:"lines"`
}

// NewCodes gives the user five recovery codes in place of those that are left,
// for this session to show. It returns ErrChanged where somebody was first.
func (o *Own) NewCodes(ctx context.Context, self Self) error {
	if err := self.enrolled(); err != nil {
		return err
	}
	if !slices.ContainsFunc(self.Factors, Factor.Takes) {
		return guard.ErrShut // they would open what wrong codes have shut
	}
	return o.Guard.InTurn(ctx, self.subject(), func(ctx context.Context) error {
		set, codes, err := o.mint(o.Now().Truncate(time.Millisecond))
		if err != nil {
			return err
		}
		mail, err := o.mail(ctx, self.Whose, event.TemplateNoticeRecoveryCodesReplaced, "")
		if err != nil {
			return err
		}
		happened := o.happened(self.Whose, event.TypeRecoveryCodes, map[string]string{"count": strconv.Itoa(len(set.Tags))})
		r := Replacement{Tenant: self.Tenant, UserID: self.User.ID, Old: self.Recovery.ID, Set: set}
		if err := o.wake(o.Changes.ReplaceSet(ctx, r, []outbox.Entry{happened, mail})); err != nil {
			return err
		}
		return o.keep(context.WithoutCancel(ctx), self, set.ID, codes)
	})
}

// keep puts codes where Codes finds them.
func (o *Own) keep(ctx context.Context, self Self, set string, codes []RecoveryCode) error {
	plain, err := json.Marshal(onShelf{set, strings.Split(Lines(codes), "\n")})
	if err != nil {
		return fmt.Errorf("encode recovery codes: %w", err)
	}
	sealed, err := o.Keys.Seal(sealPurpose, codesKey(self), plain)
	if err != nil {
		return fmt.Errorf("seal recovery codes: %w", err)
	}
	return o.Shelf.Put(ctx, codesKey(self), sealed, shownFor)
}

// Codes are the recovery codes that this session has still to save, a line
// each; none where there are none.
func (o *Own) Codes(ctx context.Context, self Self) ([]string, error) {
	sealed, err := o.Shelf.Get(ctx, codesKey(self))
	if err != nil || sealed == nil {
		return nil, err
	}
	plain, err := o.Keys.Open(sealPurpose, codesKey(self), sealed)
	if err != nil {
		return nil, fmt.Errorf("open recovery codes: %w", err)
	}
	var kept onShelf
	if err := json.Unmarshal(plain, &kept); err != nil {
		return nil, fmt.Errorf("read recovery codes: %w", err)
	}
	if kept.Set != self.Recovery.ID {
		return nil, nil
	}
	return kept.Lines, nil
}

// Saved forgets the codes: nobody shows them again.
func (o *Own) Saved(ctx context.Context, self Self) error {
	_, err := o.Shelf.Delete(ctx, codesKey(self))
	return err
}

func codesKey(self Self) string { return self.key("own-codes") }
