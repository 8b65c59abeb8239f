package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/transfer"
)

// Two processes on one database, 32 runs of one file at once, 100 rounds: the
// file is imported once, whoever that does, and its user is there once.
func TestOfManyRunsOfOneFileOneGoesOn(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		other := open(t, sqlstore.Config{DSN: b.dsn, Keys: b.keys, Index: b.index})
		t.Cleanup(func() { _ = other.Close() })
		of := b.tenant()
		for round := range 100 {
			errs := together(t, 32, func(ctx context.Context, i int) error {
				s := []*sqlstore.Store{b.Store, other}[i%2]
				f := transfer.File{Tenant: of, Digest: fmt.Sprint("file ", round), Run: id.UUID()}
				at, err := s.BeginImport(ctx, f, noon, nil)
				if err != nil || at.Lines > 0 {
					return errors.Join(err, transfer.ErrTakenOver)
				}
				row := transfer.Row{Line: 1, User: newUser(of, fmt.Sprintf("round%d@acme.test", round)), Hash: "x", ChangedAt: noon}
				return s.ImportUsers(ctx, transfer.Batch{File: f, Mode: transfer.Fail, Rows: []transfer.Row{row}, At: noon}, func([]transfer.Outcome) (transfer.Checkpoint, error) {
					return transfer.Checkpoint{Counts: transfer.Counts{Lines: 1, Created: 1}}, nil
				})
			})
			if ok := tally(t, errs, transfer.ErrTakenOver); ok != 1 {
				t.Fatalf("round %d: %d runs have imported the file", round, ok)
			}
		}
		if n := b.count("users"); n != 100 {
			t.Errorf("%d users", n)
		}
	})
}

// What goes wrong in a portion takes all of it back, and the file begins anew
// once it has come to its end.
func TestAPortionIsWrittenWholeOrNotAtAll(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		f := transfer.File{Tenant: of, Digest: "file", Run: id.UUID()}
		begun := func(f transfer.File, want int64) {
			t.Helper()
			if at, err := b.BeginImport(t.Context(), f, noon, nil); err != nil || at.Lines != want {
				t.Errorf("%+v, %v, want %d lines", at, err, want)
			}
		}
		write := func(f transfer.File, dry bool, err error) error {
			rows := []transfer.Row{{Line: 1, User: newUser(of, "ana@acme.test"), Hash: "x", ChangedAt: noon}}
			return b.ImportUsers(t.Context(), transfer.Batch{File: f, Mode: transfer.Leave, Rows: rows, DryRun: dry, At: noon}, func([]transfer.Outcome) (transfer.Checkpoint, error) {
				return transfer.Checkpoint{Counts: transfer.Counts{Lines: 1}}, err
			})
		}
		begun(f, 0)
		full := errors.New("the disk is full")
		if err := write(f, false, full); !errors.Is(err, full) {
			t.Errorf("%v, want %v", err, full)
		}
		b.must(write(f, true, nil))
		begun(f, 0)
		if n := b.count("users") + b.count("passwords"); n != 0 {
			t.Errorf("%d rows were left", n)
		}
		b.must(write(f, false, nil))
		next := f
		next.Run = id.UUID()
		begun(next, 1)
		b.isErr(write(f, false, nil), transfer.ErrTakenOver)
		b.isErr(b.FinishImport(t.Context(), f, noon, nil), transfer.ErrTakenOver)
		b.must(b.FinishImport(t.Context(), next, noon, nil))
		begun(f, 0)

		for name, stranger := range b.strangers(of) {
			at, err := b.BeginImport(t.Context(), transfer.File{Tenant: stranger, Digest: "file", Run: f.Run}, noon, nil)
			if err != nil {
				b.isErr(err, tenant.ErrNotFound)
			}
			if at.Lines != 0 {
				t.Errorf("%s goes on with somebody else's import", name)
			}
			if lines, err := b.Export(t.Context(), transfer.KindUser, transfer.Scope{Tenant: stranger}, nil, 10); err != nil || len(lines) != 0 {
				t.Errorf("%s has exported %v, %v", name, lines, err)
			}
		}
		_, err := b.DeleteOrganization(t.Context(), of.Account, of.Org, "", noon)
		b.must(err)
		_, err = b.BeginImport(t.Context(), f, noon, nil)
		b.isErr(err, tenant.ErrNotFound)
	})
}

// An export reads each kind in portions and leaves nothing out.
func TestAnExportIsReadInPortions(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		for i := range 7 {
			u := newUser(of, fmt.Sprintf("user%d@acme.test", i))
			b.must(b.CreateUser(t.Context(), u))
		}
		victim := b.inhabit(b.tenant()) // somebody else's
		for _, kind := range transfer.Kinds() {
			var after []any
			seen := map[string]bool{}
			for {
				lines, err := b.Export(t.Context(), kind, transfer.Scope{Tenant: of}, after, 2)
				b.must(err)
				for _, line := range lines {
					seen[fmt.Sprint(line.Place...)] = true
					after = line.Place
				}
				if len(lines) < 2 {
					break
				}
			}
			if kind == transfer.KindUser && len(seen) != 7 {
				t.Errorf("%d users", len(seen))
			}
			theirs, err := b.Export(t.Context(), kind, transfer.Scope{Tenant: victim.Tenant, UserID: victim.ID}, nil, 10)
			if err != nil || kind == transfer.KindUser && len(theirs) != 1 {
				t.Errorf("%s: %v, %v", kind, theirs, err)
			}
			others, err := b.Export(t.Context(), kind, transfer.Scope{Tenant: victim.Tenant, UserID: id.UUID()}, nil, 10)
			if err != nil || len(others) != 0 {
				t.Errorf("%s of nobody: %v, %v", kind, others, err)
			}
		}
	})
}
