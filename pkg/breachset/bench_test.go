package breachset_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/breachset"
)

const benchKeys = 4_000_000

// onDisk writes a file and opens it again.
func onDisk(b *testing.B, name string, text []byte) *os.File {
	b.Helper()
	path := filepath.Join(b.TempDir(), name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		b.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = file.Close() })
	return file
}

// BenchmarkBreachLookup asks for hashes that are in a file, beside its floor: a
// binary search by ReadAt in the sorted hashes themselves, 20 bytes each.
func BenchmarkBreachLookup(b *testing.B) {
	in := hashes(0, benchKeys)
	made, info := build(b, in)
	set, err := breachset.Open(onDisk(b, "filter", made.text), info.Size)
	if err != nil {
		b.Fatal(err)
	}
	var raw bytes.Buffer
	for _, h := range in {
		raw.Write(h[:])
	}
	sorted := onDisk(b, "sorted", raw.Bytes())
	search := func(h breachset.Hash) bool {
		var record breachset.Hash
		at := sort.Search(benchKeys, func(i int) bool {
			if _, err := sorted.ReadAt(record[:], int64(i)*20); err != nil {
				b.Fatal(err)
			}
			return bytes.Compare(record[:], h[:]) >= 0
		})
		if at == benchKeys {
			return false
		}
		if _, err := sorted.ReadAt(record[:], int64(at)*20); err != nil {
			b.Fatal(err)
		}
		return record == h
	}
	const step = 7_919 // so that neighbours are not asked one after the other
	n := 0
	floor := time.Now()
	for i := range 200_000 {
		if !search(in[i*step%benchKeys]) {
			b.Fatal("the floor does not find it")
		}
	}
	floorEach := time.Since(floor) / 200_000
	for b.Loop() {
		if found, err := set.Has(in[n*step%benchKeys]); err != nil || !found {
			b.Fatalf("%v, %v", found, err)
		}
		n++
	}
	b.ReportMetric(float64(floorEach.Nanoseconds()), "floor-ns/op")
	b.ReportMetric(float64(info.Size)/benchKeys, "bytes/key")
	b.ReportMetric(20, "floor-bytes/key")
}

// BenchmarkBreachBuild reads a list and builds from it, beside its floor: the
// lines are read and forgotten.
func BenchmarkBreachBuild(b *testing.B) {
	var list strings.Builder
	for i, h := range hashes(0, benchKeys) {
		fmt.Fprintf(&list, "%X:%d\r\n", h[:], i%1000+1)
	}
	file := onDisk(b, "list", []byte(list.String()))
	read := func(each func(breachset.Hash) error) {
		lines := breachset.NewLines(io.NewSectionReader(file, 0, 1<<40), "", breachset.Place{})
		for {
			seen, err := lines.Next()
			if err == io.EOF { //nolint:errorlint // is never wrapped
				return
			}
			if err == nil {
				err = each(seen.Hash)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	begun := time.Now()
	read(func(breachset.Hash) error { return nil })
	floor := time.Since(begun)
	out, err := os.Create(filepath.Join(b.TempDir(), "filter"))
	if err != nil {
		b.Fatal(err)
	}
	defer out.Close()
	for b.Loop() {
		builder := breachset.NewBuilder(out, 1, listed)
		read(builder.Add)
		if _, err := builder.Finish(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(benchKeys/(b.Elapsed().Seconds()/float64(b.N)), "keys/s")
	b.ReportMetric(benchKeys/floor.Seconds(), "floor-keys/s")
}
