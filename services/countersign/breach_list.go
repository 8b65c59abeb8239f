package countersign

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"countersign.dev/pkg/breachset"
)

// ranges is how many files a list has that was downloaded range by range: one
// for each five hexadecimal digits.
const ranges = 1 << 20

// breachList is a downloaded list: one file, or a folder of ranges.
type breachList struct {
	path string
	listIdentity
	names []naming // of ranges, in a folder
}

// naming is how the file of a range is named.
type naming uint8

const (
	missing naming = iota
	capitals
	capitalsText
	smalls
	smallsText
)

var namings = map[naming]string{capitals: "%05X", capitalsText: "%05X.txt", smalls: "%05x", smallsText: "%05x.txt"}

// listIdentity tells a list from another one, so that a build goes on with
// the one it began with.
type listIdentity struct {
	Folder  bool      `json:"folder"`
	Size    int64     `json:"size"`
	Changed time.Time `json:"changed"`
}

func openList(path string) (breachList, error) {
	info, err := os.Stat(path)
	if err != nil {
		return breachList{}, fmt.Errorf("look at list: %w", err)
	}
	l := breachList{path: path, listIdentity: listIdentity{Folder: info.IsDir(), Size: info.Size(), Changed: info.ModTime().UTC()}}
	switch {
	case l.Folder:
		l.Size = 0 // says nothing of a folder
		l.names, err = rangesIn(path)
		return l, err
	case !info.Mode().IsRegular():
		return breachList{}, fmt.Errorf("%s is neither a file nor a folder of ranges; a build could not go on in it", path)
	}
	return l, nil
}

// rangesIn looks which ranges a folder has; the names of a million files are
// read in parts.
func rangesIn(path string) ([]naming, error) {
	folder, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open list: %w", err)
	}
	defer func() { _ = folder.Close() }()
	out := make([]naming, ranges)
	for {
		names, err := folder.Readdirnames(4096)
		for _, name := range names {
			number, err := strconv.ParseUint(strings.TrimSuffix(name, ".txt"), 16, 20)
			for form, pattern := range namings {
				if err == nil && fmt.Sprintf(pattern, number) == name {
					out[number] = form
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read list: %w", err)
		}
	}
}

// missing counts the ranges that a folder lacks.
func (l breachList) missing() int {
	n := 0
	for _, name := range l.names {
		if name == missing {
			n++
		}
	}
	return n
}

// listPlace is how far a list was read.
type listPlace struct {
	breachset.Place
	Range int   `json:"range"` // in a folder: the file
	Lines int64 `json:"lines"` // of all files
}

// listReader reads a list from a place on.
type listReader struct {
	list  breachList
	at    listPlace
	file  *os.File
	lines *breachset.Lines
}

// next returns the next line of the list, io.EOF after the last one.
func (r *listReader) next() (breachset.Seen, error) {
	for {
		if r.lines == nil {
			if err := r.open(); err != nil {
				return breachset.Seen{}, err
			}
		}
		seen, err := r.lines.Next()
		if err == nil {
			r.at.Place = r.lines.Place()
			r.at.Lines++
			return seen, nil
		}
		if !errors.Is(err, io.EOF) {
			return breachset.Seen{}, fmt.Errorf("%s: %w", r.file.Name(), err)
		}
		if !r.list.Folder {
			return breachset.Seen{}, io.EOF
		}
		r.close()
		r.at.Range, r.at.Place = r.at.Range+1, breachset.Place{}
	}
}

// open opens the file to go on in.
func (r *listReader) open() (err error) {
	prefix := ""
	if r.list.Folder {
		r.file, prefix, err = r.openRange()
	} else {
		r.file, err = os.Open(r.list.path)
	}
	if err != nil {
		return err
	}
	if _, err := r.file.Seek(r.at.Offset, io.SeekStart); err != nil {
		return fmt.Errorf("go on in list: %w", err)
	}
	r.lines = breachset.NewLines(r.file, prefix, r.at.Place)
	return nil
}

// openRange opens the next range that is there.
func (r *listReader) openRange() (*os.File, string, error) {
	for ; r.at.Range < ranges; r.at.Range++ {
		if name := r.list.names[r.at.Range]; name != missing {
			file, err := os.Open(filepath.Join(r.list.path, fmt.Sprintf(namings[name], r.at.Range)))
			return file, fmt.Sprintf("%05X", r.at.Range), err
		}
	}
	return nil, "", io.EOF
}

func (r *listReader) close() {
	if r.file != nil {
		_ = r.file.Close()
	}
	r.file, r.lines = nil, nil
}

// done is the share of the list that is read.
func (r *listReader) done() float64 {
	if r.list.Folder {
		return float64(r.at.Range) / ranges
	}
	return float64(r.at.Offset) / float64(max(r.list.Size, 1))
}
