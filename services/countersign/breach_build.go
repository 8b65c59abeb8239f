package countersign

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"countersign.dev/pkg/breachset"
)

type breachBuildCommand struct {
	List     string `arg:"" help:"The list, sorted by hash: a file of lines HASH:COUNT, or a folder of the files of its ranges, named by five digits."`
	Filter   string `arg:"" help:"File to write. One that is there is replaced at the end, and a running api takes the new one by itself."`
	MinCount uint64 `default:"1" help:"Leave out what was seen fewer times."`
	Samples  int    `default:"1000000" help:"How many random hashes to try the filter with, to measure false positives."`

	Every time.Duration `default:"5s" help:"How often to write down how far it is, which is where an interrupted build goes on."`
}

// Run builds beside the place of the filter and moves it there when it is
// whole and has been read again.
func (c breachBuildCommand) Run(ctx context.Context, p *process) error {
	list, err := openList(c.List)
	if err != nil {
		return err
	}
	b := &building{
		reader: listReader{list: list}, path: c.Filter + ".partial", least: max(c.MinCount, 1),
		meter: newMeter(p.stderr), notes: p.stderr, every: c.Every, now: time.Now,
	}
	info, err := b.run(ctx)
	if err != nil {
		return err
	}
	hits, err := measure(b.path, c.Samples)
	if err != nil { // somebody else wrote there too, or the disk lost something: nothing to go on from
		return errors.Join(err, b.forget())
	}
	if err := b.move(c.Filter); err != nil {
		return err
	}
	return b.tell(p.stdout, info, share{hits, c.Samples})
}

type share struct{ of, all int }

func (b *building) tell(out io.Writer, info breachset.Info, measured share) error {
	if n := b.reader.list.missing(); n > 0 {
		fmt.Fprintf(b.notes, "%s of %s files of ranges are missing: their passwords are not in the filter.\n", thousands(int64(n)), thousands(ranges))
	}
	_, err := fmt.Fprintf(out, "lines            %s, %s of them seen too seldom\nhashes           %s\nbytes            %s, %.3f a hash\n"+
		"false positives  %.2e computed, %.2e measured (%s of %s random hashes)\n",
		thousands(b.reader.at.Lines), thousands(b.seldom), thousands(int64(info.Keys)), thousands(info.Size), float64(info.Size)/float64(info.Keys), //nolint:gosec // far fewer
		info.FalsePositives(), float64(measured.of)/float64(max(measured.all, 1)), thousands(int64(measured.of)), thousands(int64(measured.all)))
	return err
}

// building is one build. What it wrote down at a checkpoint is enough for
// another process to go on, whenever this one ends.
type building struct {
	reader listReader
	path   string // of the unfinished file
	least  uint64
	seldom int64
	meter  *meter
	notes  io.Writer
	every  time.Duration // between two checkpoints
	now    func() time.Time
	kept   func() // a checkpoint was written; may be nil

	file    *os.File
	builder *breachset.Builder
}

// checkpoint is what the file beside the unfinished one holds.
type checkpoint struct {
	List   listIdentity    `json:"list"`
	Least  uint64          `json:"least"`
	Seldom int64           `json:"seldom"`
	Place  listPlace       `json:"place"`
	Size   int64           `json:"size"` // of the unfinished file
	State  breachset.State `json:"state"`
}

func (b *building) statePath() string { return b.path + ".state" }

// run builds until the list ends. When ctx ends first, it keeps how far it is.
func (b *building) run(ctx context.Context) (info breachset.Info, err error) {
	b.file, err = os.OpenFile(b.path, os.O_RDWR|os.O_CREATE, 0o644) //nolint:gosec // the api reads it as another user, and it holds no secret
	if err != nil {
		return info, fmt.Errorf("open unfinished filter: %w", err)
	}
	defer func() { b.reader.close(); err = errors.Join(err, b.file.Close()) }()
	if err := b.begin(); err != nil {
		return info, err
	}
	err = b.read(ctx)
	b.meter.end()
	if err != nil {
		return info, err
	}
	if info, err = b.builder.Finish(); err != nil {
		return info, fmt.Errorf("%s: %w", b.reader.list.path, err)
	}
	return info, errors.Join(b.file.Truncate(info.Size), b.file.Sync())
}

// begin goes on where another process stopped, if it was with this list.
func (b *building) begin() error {
	list := b.reader.list
	text, err := os.ReadFile(b.statePath())
	if err == nil {
		var c checkpoint
		written, err := b.size()
		if json.Unmarshal(text, &c) == nil && c.List == list.listIdentity && c.Least == b.least && err == nil && written >= c.Size {
			if builder, ok := breachset.Resume(b.file, b.least, list.Changed, c.State); ok {
				b.builder, b.reader.at, b.seldom = builder, c.Place, c.Seldom
				fmt.Fprintf(b.notes, "Going on at %.1f %%.\n", 100*b.reader.done())
				return nil
			}
		}
		fmt.Fprintln(b.notes, "The list, what to leave out or the unfinished file has changed since the build was interrupted: it begins anew.")
	}
	if err := b.forget(); err != nil {
		return err
	}
	b.builder = breachset.NewBuilder(b.file, b.least, list.Changed)
	return b.file.Truncate(0)
}

// look is how many lines pass between two looks at the clock.
const look = 1 << 14

func (b *building) read(ctx context.Context) error {
	kept := b.now()
	for n := int64(0); ; n++ {
		if n%look == 0 {
			b.meter.at(b.reader.done(), b.reader.at.Lines, "")
			stopped := ctx.Err() != nil
			if now := b.now(); stopped || n > 0 && now.Sub(kept) >= b.every {
				kept = now
				if err := b.keep(); err != nil {
					return err
				}
			}
			if stopped {
				return fmt.Errorf("stopped at %.1f %%; the same command goes on from there", 100*b.reader.done())
			}
		}
		seen, err := b.reader.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if seen.Count < b.least { // padding of a range counts 0, and is in no order
			b.seldom++
			continue
		}
		if err := b.builder.Add(seen.Hash); err != nil {
			return fmt.Errorf("%s: line %d %w", b.reader.file.Name(), b.reader.at.Line, err)
		}
	}
}

// keep makes what was written last, and then says how far it is.
func (b *building) keep() error {
	state, ok, err := b.builder.State()
	if err != nil || !ok {
		return err
	}
	if err := b.file.Sync(); err != nil {
		return fmt.Errorf("sync unfinished filter: %w", err)
	}
	size, err := b.size()
	if err != nil {
		return err
	}
	text, err := json.Marshal(checkpoint{b.reader.list.listIdentity, b.least, b.seldom, b.reader.at, size, state})
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	if err := writeWhole(b.statePath(), text); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	if b.kept != nil {
		b.kept()
	}
	return nil
}

func (b *building) size() (int64, error) {
	info, err := b.file.Stat()
	if err != nil {
		return 0, fmt.Errorf("look at unfinished filter: %w", err)
	}
	return info.Size(), nil
}

// writeWhole replaces a file, so that there is the old or the new one at any
// time, whatever ends.
func writeWhole(path string, text []byte) error {
	file, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return rename(path+".new", path)
}

// rename moves a file and makes that last.
func rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	_ = folder.Sync() // not everywhere is there such a thing
	return folder.Close()
}

// move puts the filter in its place.
func (b *building) move(to string) error {
	if err := rename(b.path, to); err != nil {
		return fmt.Errorf("put filter in its place: %w", err)
	}
	return b.forget()
}

func (b *building) forget() error {
	if err := os.Remove(b.statePath()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove state of build: %w", err)
	}
	return nil
}

// measure reads a filter again as the api does, and counts the hits of random
// hashes, none of which is of a password.
func measure(path string, samples int) (hits int, err error) {
	file, set, err := openFilter(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }()
	for range samples {
		var hash breachset.Hash
		_, _ = rand.Read(hash[:]) // never fails since Go 1.24
		found, err := set.Has(hash)
		if err != nil {
			return 0, err
		}
		if found {
			hits++
		}
	}
	return hits, nil
}
