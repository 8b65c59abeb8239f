package activity

import (
	"context"

	"countersign.dev/services/api/internal/tenant"
)

// Ledger reads chains, of every tenant.
type Ledger interface {
	// Ends lists the ends of chains after one, in order, a page at a time; the
	// zero End is before all.
	Ends(ctx context.Context, after End, most int) ([]End, error)
	// End reads the end of one chain again; ok is false when it is gone.
	End(ctx context.Context, t tenant.ID, chain int) (end End, ok bool, err error)
	// Chain reads records of a chain after a number, in order.
	Chain(ctx context.Context, t tenant.ID, chain int, after int64, most int) ([]Entry, error)
	// Loose lists chains that have records and no end.
	Loose(ctx context.Context) ([]End, error)
}

// Break is where a chain does not hold.
type Break struct {
	Tenant tenant.ID
	Chain  int
	Number int64 // of the first record that does not fit
	Why    string
}

// Report is what Verify found.
type Report struct {
	Chains  int
	Records int64
	Breaks  []Break
}

// Sound reports whether everything holds.
func (r Report) Sound() bool { return len(r.Breaks) == 0 }

// Verifier reads all chains and computes them again.
//
// It finds records that were changed, added, removed or moved, the last ones
// included. It cannot find that a chain was put back, end and all, to what it
// was at an earlier moment, or removed as a whole with its end: for that the
// events of the same records, on a bus that somebody else keeps, hold the
// number and hash of each.
type Verifier struct {
	Ledger Ledger
	Chain  Chain
	// Each hears of every chain when it is done; nil hears nothing.
	Each func(Report)
}

// portion is how many rows are read at once.
const portion = 500

// Verify reads everything. Records may be written meanwhile.
func (v *Verifier) Verify(ctx context.Context) (report Report, err error) {
	var after End
	for {
		ends, err := v.Ledger.Ends(ctx, after, portion)
		if err != nil {
			return report, err
		}
		for _, end := range ends {
			records, broken, err := v.chain(ctx, end.Tenant, end.Place.Chain)
			if err != nil {
				return report, err
			}
			report.Chains, report.Records = report.Chains+1, report.Records+records
			if broken != nil {
				report.Breaks = append(report.Breaks, *broken)
			}
			if v.Each != nil {
				v.Each(report)
			}
			after = end
		}
		if len(ends) < portion {
			break
		}
	}
	loose, err := v.Ledger.Loose(ctx)
	report.Chains += len(loose)
	for _, end := range loose {
		report.Breaks = append(report.Breaks, Break{end.Tenant, end.Place.Chain, 1, "the end of the chain is missing"})
	}
	return report, err
}

// chain computes one chain again.
func (v *Verifier) chain(ctx context.Context, t tenant.ID, chain int) (records int64, broken *Break, err error) {
	var last Place
	again := false
	for {
		entries, err := v.Ledger.Chain(ctx, t, chain, last.Number, portion)
		if err != nil {
			return records, nil, err
		}
		for _, entry := range entries {
			records++
			if why := v.misfit(last, entry); why != "" {
				return records, &Break{t, chain, last.Number + 1, why}, nil
			}
			last = entry.Place
		}
		if len(entries) > 0 {
			again = false
			continue
		}
		// The end is read after the last record, so it is never behind it.
		end, ok, err := v.Ledger.End(ctx, t, chain)
		switch {
		case err != nil:
			return records, nil, err
		case !ok:
			return records, &Break{t, chain, last.Number, "the end of the chain is missing"}, nil
		case end.Number > last.Number && !again:
			again = true // one more was written just now, or the last is gone
			continue
		}
		return records, v.ends(end, last), nil
	}
}

// misfit says why an entry is not the one after last.
func (v *Verifier) misfit(last Place, entry Entry) string {
	if entry.Number != last.Number+1 {
		return "a record is missing"
	}
	want, err := v.Chain.Next(last.Hash, entry.Number, entry.Record)
	if err != nil || want.Place != entry.Place {
		return "a record was changed"
	}
	return ""
}

// ends says whether a chain ends where its end says.
func (v *Verifier) ends(end End, last Place) *Break {
	var why string
	switch {
	case end.Number > last.Number:
		why = "the last records are missing"
	case end.Number < last.Number:
		why = "there are records after the end of the chain"
	case end.Place != last || v.Chain.seal(end) != end.Seal:
		why = "the end of the chain was changed"
	default:
		return nil
	}
	return &Break{end.Tenant, end.Place.Chain, last.Number + 1, why}
}
