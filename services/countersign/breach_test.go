package countersign

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// hashList makes a list of n passwords' hashes, sorted, with counts of 1 to 20.
// Its first passwords are those that are named.
func hashList(n int, named ...string) string {
	hashes := make([][20]byte, n)
	for i := range hashes {
		hashes[i] = sha1.Sum(binary.BigEndian.AppendUint64(nil, uint64(i)))
		if i < len(named) {
			hashes[i] = sha1.Sum([]byte(named[i]))
		}
	}
	slices.SortFunc(hashes, func(a, b [20]byte) int { return bytes.Compare(a[:], b[:]) })
	var out strings.Builder
	for i, h := range hashes {
		fmt.Fprintf(&out, "%X:%d\r\n", h[:], i%20+1)
	}
	return out.String()
}

// command runs a command of the binary and returns what it printed.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, problems bytes.Buffer
	code = Main(args, nil, &out, &problems)
	return code, out.String(), problems.String()
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// asked are the answers of `breach check` to lines on standard input.
func asked(t *testing.T, filter, lines string) string {
	t.Helper()
	var out bytes.Buffer
	p := &process{stdin: strings.NewReader(lines), stdout: &out, stderr: &out}
	if err := (breachCheckCommand{Filter: filter}).Run(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestBreachBuildAndCheck(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	list, filter := filepath.Join(dir, "list.txt"), filepath.Join(dir, "filter")
	write(t, list, hashList(100_000, "password", "caf\u00e9 au lait"))
	code, out, problems := command(t, "breach", "build", list, filter, "--samples", "1000")
	if code != 0 || !regexp.MustCompile(`^lines            100,000, 0 of them seen too seldom
hashes           100,000
bytes            22\d,\d\d\d, 2\.2\d\d a hash
false positives  1\.5\de-05 computed, .*e[-+]\d\d measured \(\d+ of 1,000 random hashes\)
$`).MatchString(out) {
		t.Errorf("%d %q %q", code, out, problems)
	}
	// The way it was typed does not matter, its end of line neither; an empty
	// line is a password.
	want := "line 1: found\nline 2: found\nline 3: found\nline 4: not found\nline 5: not found\n"
	if got := asked(t, filter, "password\ncaf\u00e9 au lait\r\ncafe\u0301 au lait\n\nnobody has this one"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if left, _ := filepath.Glob(filter + "*"); len(left) != 1 {
		t.Errorf("what is left: %v", left)
	}
}

// Ranges that were downloaded one by one make the same filter, however their
// files are named; padding is left out, and what is missing is told.
func TestBreachBuildFromRanges(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	list := hashList(3_000)
	folder := filepath.Join(dir, "ranges")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for line := range strings.Lines(list) {
		files[line[:5]] += line[5:]
	}
	for prefix, text := range files {
		name := []string{prefix, prefix + ".txt", strings.ToLower(prefix), strings.ToLower(prefix) + ".txt"}[len(text)%4]
		write(t, filepath.Join(folder, name), text+strings.Repeat("0", 35)+":0")
	}
	write(t, filepath.Join(folder, "README"), "not a range")
	write(t, filepath.Join(dir, "list"), list)
	moment := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for _, path := range []string{folder, filepath.Join(dir, "list")} {
		if err := os.Chtimes(path, moment, moment); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"list", "ranges"} {
		code, _, problems := command(t, "breach", "build", filepath.Join(dir, name), filepath.Join(dir, name+".filter"), "--samples", "1")
		missing := fmt.Sprintf("%s of 1,048,576 files of ranges are missing", thousands(int64(ranges-len(files))))
		if code != 0 || (name == "ranges") != strings.Contains(problems, missing) {
			t.Errorf("%s: %d %q", name, code, problems)
		}
	}
	if !bytes.Equal(content(t, filepath.Join(dir, "list.filter")), content(t, filepath.Join(dir, "ranges.filter"))) {
		t.Error("the filters differ")
	}
}

func TestBreachBuildLeavesOutWhatIsSeldom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "list"), hashList(2_000))
	code, out, _ := command(t, "breach", "build", filepath.Join(dir, "list"), filepath.Join(dir, "filter"), "--min-count", "16", "--samples", "1")
	if code != 0 || !strings.Contains(out, "lines            2,000, 1,500 of them seen too seldom\nhashes           500\n") {
		t.Errorf("%d %q", code, out)
	}
}

// What is wrong with a list is told with the file and the line, and the filter
// that is there stays.
func TestBreachBuildRefuses(t *testing.T) {
	t.Parallel()
	lines := strings.SplitAfter(hashList(10), "\n")
	for name, c := range map[string]struct{ list, want string }{
		"a list that is not sorted": {lines[0] + lines[2] + lines[1], "line 3 is out of order: the list must be sorted by hash (LC_ALL=C sort)"},
		"a line that is cut":        {lines[0] + lines[1][:20] + "\n", "line 2 is no SHA-1 hash"},
		"another hash":              {"8846F7EAEE8FB117AD06BDD830B7586C:1\n", "line 1 is no SHA-1 hash"},
		"an empty list":             {"", "the list holds no hash"},
		"a list of padding":         {strings.Repeat("0", 40) + ":0\n", "the list holds no hash"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			list, filter := filepath.Join(dir, "list"), filepath.Join(dir, "filter")
			write(t, list, c.list)
			write(t, filter, "the old one")
			code, out, problems := command(t, "breach", "build", list, filter)
			if code != 1 || out != "" || !strings.Contains(problems, c.want) || !strings.Contains(problems, list) {
				t.Errorf("%d %q %q", code, out, problems)
			}
			if string(content(t, filter)) != "the old one" {
				t.Error("the old filter is gone")
			}
		})
	}
	if code, _, problems := command(t, "breach", "build", "/nowhere/list", filepath.Join(t.TempDir(), "f")); code != 1 || !strings.Contains(problems, "no such file") {
		t.Errorf("no list: %d %q", code, problems)
	}
	if code, _, problems := command(t, "breach", "build", os.DevNull, filepath.Join(t.TempDir(), "f")); code != 1 || !strings.Contains(problems, "neither a file nor a folder") {
		t.Errorf("a device: %d %q", code, problems)
	}
	if code, _, problems := command(t, "breach", "check", "breach_test.go"); code != 1 || !strings.Contains(problems, "breach_test.go is not a filter of breached passwords") {
		t.Errorf("a filter that is none: %d %q", code, problems)
	}
}

// interrupted builds and is told to stop after so many checkpoints.
func interrupted(t *testing.T, list, path string, checkpoints int) string {
	t.Helper()
	found, err := openList(list)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var notes bytes.Buffer
	b := &building{
		reader: listReader{list: found}, path: path, least: 1, meter: newMeter(&notes), notes: &notes, now: time.Now,
		kept: func() {
			if checkpoints--; checkpoints <= 0 {
				stop()
			}
		},
	}
	if _, err := b.run(ctx); err == nil || !strings.Contains(err.Error(), "the same command goes on from there") {
		t.Fatalf("it ended with %v", err)
	}
	return notes.String()
}

// A build that is told to stop goes on where it was, over and over, to the
// same bytes.
func TestBreachBuildGoesOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	list := filepath.Join(dir, "list")
	write(t, list, hashList(300_000))
	if code, _, problems := command(t, "breach", "build", list, filepath.Join(dir, "whole"), "--samples", "1"); code != 0 {
		t.Fatal(problems)
	}
	path := filepath.Join(dir, "filter")
	for i := range 3 {
		notes := interrupted(t, list, path+".partial", 3)
		if (i > 0) != strings.Contains(notes, "Going on at ") {
			t.Errorf("run %d: %q", i, notes)
		}
	}
	code, _, problems := command(t, "breach", "build", list, path, "--samples", "1")
	if code != 0 || !strings.Contains(problems, "Going on at ") {
		t.Errorf("%d %q", code, problems)
	}
	if !bytes.Equal(content(t, filepath.Join(dir, "whole")), content(t, path)) {
		t.Error("the filters differ")
	}
}

// What was begun is dropped when it no longer fits.
func TestBreachBuildBeginsAnew(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(t *testing.T, list, path string) []string{
		"another list": func(t *testing.T, list, _ string) []string {
			t.Helper()
			write(t, list, hashList(120_000))
			return nil
		},
		"something else to leave out": func(*testing.T, string, string) []string { return []string{"--min-count", "2"} },
		"a state that cannot be read": func(t *testing.T, _, path string) []string {
			t.Helper()
			write(t, path+".partial.state", "{")
			return nil
		},
		"an unfinished file that is gone": func(t *testing.T, _, path string) []string {
			t.Helper()
			if err := os.Remove(path + ".partial"); err != nil {
				t.Fatal(err)
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			list, path := filepath.Join(dir, "list"), filepath.Join(dir, "filter")
			write(t, list, hashList(140_000))
			interrupted(t, list, path+".partial", 2)
			args := append([]string{"breach", "build", list, path, "--samples", "1"}, change(t, list, path)...)
			code, _, problems := command(t, args...)
			if code != 0 || !strings.Contains(problems, "it begins anew") {
				t.Fatalf("%d %q", code, problems)
			}
			args[3] = path + "2"
			if code, _, problems := command(t, args...); code != 0 || problems != "" {
				t.Fatalf("%d %q", code, problems)
			}
			if !bytes.Equal(content(t, path), content(t, path+"2")) {
				t.Error("the filters differ")
			}
		})
	}
}

// What was damaged behind the back of a build is seen before it takes the
// place of a good one, and the next run begins anew.
func TestBreachBuildReadsWhatItWrote(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	list, path := filepath.Join(dir, "list"), filepath.Join(dir, "filter")
	write(t, list, hashList(200_000))
	interrupted(t, list, path+".partial", 4)
	text := content(t, path+".partial")
	text[len(text)-100] ^= 1
	write(t, path+".partial", string(text))
	code, out, problems := command(t, "breach", "build", list, path, "--samples", "1")
	if code != 1 || out != "" || !strings.Contains(problems, "damaged") {
		t.Errorf("%d %q %q", code, out, problems)
	}
	if code, _, problems := command(t, "breach", "build", list, path, "--samples", "1"); code != 0 {
		t.Errorf("%d %q", code, problems)
	}
}
