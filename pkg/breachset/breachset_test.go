package breachset_test

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"countersign.dev/pkg/breachset"
)

var listed = time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)

// memory is a file in memory.
type memory struct{ text []byte }

func (m *memory) WriteAt(text []byte, at int64) (int, error) {
	if missing := int(at) + len(text) - len(m.text); missing > 0 {
		m.text = append(m.text, make([]byte, missing)...)
	}
	return copy(m.text[at:], text), nil
}

// hashes are those of the numbers from some number on, in order.
func hashes(from, n int) []breachset.Hash {
	out := make([]breachset.Hash, n)
	for i := range out {
		out[i] = sha1.Sum(binary.BigEndian.AppendUint64(nil, uint64(from+i)))
	}
	slices.SortFunc(out, func(a, b breachset.Hash) int { return bytes.Compare(a[:], b[:]) })
	return out
}

func build(tb testing.TB, in []breachset.Hash) (*memory, breachset.Info) {
	tb.Helper()
	file := &memory{}
	b := breachset.NewBuilder(file, 1, listed)
	for _, h := range in {
		if err := b.Add(h); err != nil {
			tb.Fatal(err)
		}
	}
	info, err := b.Finish()
	if err != nil {
		tb.Fatal(err)
	}
	return file, info
}

func open(tb testing.TB, file *memory) *breachset.Set {
	tb.Helper()
	set, err := breachset.Open(bytes.NewReader(file.text), int64(len(file.text)))
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

// Whatever was put in is found, and of what was not, as much as the file says
// of itself: with few hashes, with fewer and more than are looked at to guess
// how many there will be, and at the ends of the space.
func TestASetHoldsWhatWasPutIn(t *testing.T) {
	t.Parallel()
	least, most := breachset.Hash{}, breachset.Hash(bytes.Repeat([]byte{0xff}, 20))
	for name, in := range map[string][]breachset.Hash{
		"one":                   hashes(0, 1),
		"the least alone":       {least},
		"the greatest alone":    {most},
		"both ends":             {least, most},
		"a bucket full":         hashes(0, 256),
		"some buckets":          hashes(0, 10_000),
		"as many as are looked": hashes(0, 1<<16),
		"one more":              hashes(0, 1<<16+1),
		"many":                  hashes(0, 300_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, info := build(t, in)
			set := open(t, file)
			if set.Info != info || info.Keys != uint64(len(in)) || info.Size != int64(len(file.text)) || !info.Listed.Equal(listed) || info.LeastHit != 1 {
				t.Errorf("the file says %+v, its builder %+v; it has %d bytes", set.Info, info, len(file.text))
			}
			for _, h := range in {
				if found, err := set.Has(h); err != nil || !found {
					t.Fatalf("%x is %v, %v", h, found, err)
				}
			}
			if info.FalsePositives() > 1.0/(1<<16) {
				t.Errorf("%g false positives", info.FalsePositives())
			}
			const tries = 200_000 // three are expected; twenty-five would come once in a billion runs
			wrong := 0
			for i := range uint64(tries) {
				found, err := set.Has(sha1.Sum(binary.BigEndian.AppendUint64(nil, 1<<40+i)))
				if err != nil {
					t.Fatal(err)
				}
				if found {
					wrong++
				}
			}
			if wrong > 25 {
				t.Errorf("%d of %d that are not in it are found", wrong, tries)
			}
		})
	}
}

// The size is what docs/performance.md promises.
func TestASetIsSmall(t *testing.T) {
	t.Parallel()
	_, info := build(t, hashes(0, 500_000))
	if each := float64(info.Size) / float64(info.Keys); each > 2.3 {
		t.Errorf("%.3f bytes a hash", each)
	}
}

// A builder that stops anywhere goes on to the same bytes, from what was in
// the file when it said how far it was, whatever was written afterwards.
func TestABuilderGoesOn(t *testing.T) {
	t.Parallel()
	in := hashes(0, 200_000)
	want, _ := build(t, in)
	for range 12 {
		file := &memory{}
		b := breachset.NewBuilder(file, 1, listed)
		for i, stop := 0, rand.IntN(len(in)); i < len(in); i++ {
			if i == stop {
				b, i = again(t, b, file, in[i:])
				i += stop
				stop += rand.IntN(len(in))
			}
			if err := b.Add(in[i]); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := b.Finish(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(file.text, want.text) {
			t.Fatal("the file differs from one that was built at once")
		}
	}
}

// again lets a builder go on for a while after it said how far it was, drops
// it, and resumes. Before anything is written there is nothing to resume.
func again(t *testing.T, b *breachset.Builder, file *memory, lost []breachset.Hash) (*breachset.Builder, int) {
	t.Helper()
	state, ok, err := b.State()
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return b, 0
	}
	for _, h := range lost[:min(len(lost), 5_000)] {
		if err := b.Add(h); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := b.State(); err != nil { // which writes it
		t.Fatal(err)
	}
	resumed, ok := breachset.Resume(file, 1, listed, state)
	if !ok {
		t.Fatalf("%+v is refused", state)
	}
	return resumed, 0
}

func TestABuilderRefuses(t *testing.T) {
	t.Parallel()
	in := hashes(0, 1<<17)
	dense := make([]breachset.Hash, 1<<16)
	for i := range dense {
		binary.BigEndian.PutUint32(dense[i][8:], uint32(i))
	}
	crowded := append(hashes(0, 1<<17)[:1<<16+1], make([]breachset.Hash, 1<<20)...)
	for i := range crowded[1<<16+1:] {
		h := breachset.Hash(bytes.Repeat([]byte{0xff}, 20))
		binary.BigEndian.PutUint32(h[1:], 1<<31|uint32(i<<11)) // in the last bucket
		crowded[1<<16+1+i] = h
	}
	for name, c := range map[string]struct {
		in   []breachset.Hash
		want error
	}{
		"nothing":                    {nil, breachset.ErrEmpty},
		"a hash before the last one": {[]breachset.Hash{in[5], in[4]}, breachset.ErrOrder},
		"the same, later":            {append(slices.Clone(in), in[0]), breachset.ErrOrder},
		"the same twice":             {[]breachset.Hash{in[4], in[4], in[5]}, nil},
		"what begins more densely than hashes can":     {dense, breachset.ErrUneven},
		"what gets a thousand times denser on the way": {crowded, breachset.ErrUneven},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := breachset.NewBuilder(&memory{}, 1, listed)
			var err error
			for _, h := range c.in {
				if err = b.Add(h); err != nil {
					break
				}
			}
			if err == nil {
				_, err = b.Finish()
			}
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

// The same hash twice is one key.
func TestDuplicatesCountOnce(t *testing.T) {
	t.Parallel()
	in := hashes(0, 1_000)
	once, _ := build(t, in)
	twice, info := build(t, append(slices.Clone(in[:500]), in[499:]...))
	if info.Keys != 1_000 || !bytes.Equal(once.text, twice.text) {
		t.Errorf("%d keys", info.Keys)
	}
}

// Every single damaged byte, a byte too few or too many, and what is no set at
// all are refused.
func TestADamagedFileIsRefused(t *testing.T) {
	t.Parallel()
	file, _ := build(t, hashes(0, 700))
	refused := func(text []byte) bool {
		set, err := breachset.Open(bytes.NewReader(text), int64(len(text)))
		return set == nil && errors.Is(err, breachset.ErrDamaged)
	}
	for at := range file.text {
		text := slices.Clone(file.text)
		text[at] ^= 1 << rand.IntN(8)
		if !refused(text) {
			t.Errorf("byte %d of %d is wrong, and nobody sees it", at, len(text))
		}
	}
	for length := range file.text {
		if !refused(file.text[:length]) {
			t.Errorf("cut to %d bytes", length)
		}
	}
	if !refused(append(slices.Clone(file.text), 0)) {
		t.Error("a byte too many")
	}
	if !refused(bytes.Repeat([]byte("0000000A0E3B9F25FF41DE4B5AC238C2D545C7A8:15\n"), 100)) {
		t.Error("a list is no filter")
	}
}

// A file that could not be read is not called a damaged one.
func TestReadingFails(t *testing.T) {
	t.Parallel()
	if _, err := breachset.Open(broken{}, 1<<20); !errors.Is(err, errBroken) || errors.Is(err, breachset.ErrDamaged) {
		t.Errorf("%v", err)
	}
}

var errBroken = errors.New("input/output error")

type broken struct{}

func (broken) ReadAt([]byte, int64) (int, error) { return 0, errBroken }

func TestWritingFails(t *testing.T) {
	t.Parallel()
	b := breachset.NewBuilder(broken{}, 1, listed)
	if err := b.Add(hashes(0, 1)[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Finish(); !errors.Is(err, errBroken) {
		t.Errorf("%v", err)
	}
}

func (broken) WriteAt([]byte, int64) (int, error) { return 0, errBroken }

func TestStatesThatCannotBe(t *testing.T) {
	t.Parallel()
	b := breachset.NewBuilder(&memory{}, 1, listed)
	for _, h := range hashes(0, 100_000)[:90_000] {
		if err := b.Add(h); err != nil {
			t.Fatal(err)
		}
	}
	good, _, err := b.State()
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*breachset.State){
		"no universe":               func(s *breachset.State) { s.Universe = 0 },
		"a universe beyond all":     func(s *breachset.State) { s.Universe = 1 << 60 },
		"half a hash":               func(s *breachset.State) { s.Last = s.Last[:20] },
		"no hexadecimal digits":     func(s *breachset.State) { s.Last = "x" + s.Last[1:] },
		"a bucket behind the last":  func(s *breachset.State) { s.Bucket = 1 << 30 },
		"a place in no bucket":      func(s *breachset.State) { s.Next = 1<<24 + 1 },
		"more bits than a byte":     func(s *breachset.State) { s.Count = 8 },
		"bits that do not count":    func(s *breachset.State) { s.Spare = 1 << s.Count },
		"a table of another bucket": func(s *breachset.State) { s.Sections[0].Length += 8 },
		"more data than fits":       func(s *breachset.State) { s.Sections[1].Length = 1 << 60 },
	} {
		state := good
		spoil(&state)
		if _, ok := breachset.Resume(&memory{}, 1, listed, state); ok {
			t.Errorf("%s: taken", name)
		}
	}
	if _, ok := breachset.Resume(&memory{}, 1, listed, good); !ok {
		t.Error("the good one is refused")
	}
}

var _ io.WriterAt = broken{}
