package transfer

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"countersign.dev/pkg/fault"
)

// maxLine bounds a line, or a record of CSV, in bytes.
const maxLine = 64 << 10

// errLong refuses a line.
var errLong = fault.Newf(fault.Invalid, "malformed_line", "the line is longer than %d bytes", maxLine)

// Formats of files.
const (
	CSV   = "csv"   // the first row names the columns
	JSONL = "jsonl" // an object on each line
)

// read is one line: a user, or why it is none.
type read struct {
	line  int64
	entry Entry
	err   error
}

// Lines reads the users of a file, one after the other.
type Lines interface {
	// next returns the next line, or io.EOF. Other errors end the file: what
	// comes after them cannot be told apart.
	next() (read, error)
}

// Open reads the users of a file. It returns a fault of kind Invalid for an
// unknown format or a header that does not fit.
func Open(format string, in io.Reader) (Lines, error) {
	switch format {
	case CSV:
		return openCSV(in)
	case JSONL:
		return &objects{in: bufio.NewReaderSize(in, maxLine)}, nil
	}
	return nil, fault.Newf(fault.Invalid, "invalid_parameter", "the format of users is %s or %s", CSV, JSONL)
}

// objects are lines of JSON.
type objects struct {
	in   *bufio.Reader
	line int64
}

// otherKind begins the lines of an export that are not users.
const (
	kindBegins = `{"kind":"`
	kindUser   = kindBegins + `user"`
)

func (o *objects) next() (read, error) {
	for {
		line, err := o.in.ReadSlice('\n')
		if len(line) > 0 {
			o.line++
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			return read{line: o.line, err: errLong}, o.drain()
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 || bytes.HasPrefix(line, []byte(kindBegins)) && !bytes.HasPrefix(line, []byte(kindUser)) {
			if err != nil {
				return read{}, end(err)
			}
			continue
		}
		entry, problem := parseJSON(line)
		return read{o.line, entry, problem}, nil // what came with the line comes again
	}
}

// drain passes over the rest of a line.
func (o *objects) drain() error {
	for {
		_, err := o.in.ReadSlice('\n')
		if err == nil || errors.Is(err, io.EOF) {
			return nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return end(err)
		}
	}
}

func end(err error) error {
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	return fmt.Errorf("read users: %w", err)
}

// meter refuses to read more than is allowed at once: a quotation mark that is
// never closed would otherwise take the whole file into memory.
type meter struct {
	in   io.Reader
	left int
}

func (m *meter) Read(p []byte) (int, error) {
	if m.left <= 0 {
		return 0, errLong
	}
	n, err := m.in.Read(p[:min(len(p), m.left)])
	m.left -= n
	return n, err //nolint:wrapcheck // a reader passes on what it hears
}

// records are rows of CSV.
type records struct {
	meter   *meter
	csv     *csv.Reader
	columns []column
}

func openCSV(in io.Reader) (Lines, error) {
	buffered := bufio.NewReader(in)
	if mark, err := buffered.Peek(3); err == nil && string(mark) == "\xef\xbb\xbf" { // what spreadsheets write
		_, _ = buffered.Discard(3)
	}
	r := &records{meter: &meter{in: buffered}}
	r.csv = csv.NewReader(r.meter)
	r.csv.ReuseRecord = true
	r.meter.left = maxLine
	header, err := r.csv.Read()
	if err != nil {
		return nil, fault.New(fault.Invalid, "invalid_parameter", "the first row of the file must name its columns").Because(err)
	}
	known := columns()
	seen := map[string]bool{}
	for _, name := range header {
		name = strings.TrimSpace(name)
		of, ok := known[name]
		if !ok || seen[name] {
			return nil, fault.Newf(fault.Invalid, "invalid_parameter", "column %d of the header is named twice or unknown; known are %s",
				len(r.columns)+1, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		seen[name] = true
		r.columns = append(r.columns, of)
	}
	if !seen["email"] {
		return nil, fault.New(fault.Invalid, "invalid_parameter", "the header names no column email")
	}
	return r, nil
}

func (r *records) next() (read, error) {
	r.meter.left = maxLine
	cells, err := r.csv.Read()
	if parse, ok := errors.AsType[*csv.ParseError](err); ok {
		return read{line: int64(parse.StartLine), err: fault.New(fault.Invalid, "malformed_line", csvReason(parse.Err))}, nil
	}
	if errors.Is(err, errLong) {
		return read{}, fault.Newf(fault.Invalid, "malformed_line",
			"a record of the file is longer than %d bytes: a quotation mark may be missing around byte %d", maxLine, r.csv.InputOffset()).Because(err)
	}
	if err != nil {
		return read{}, end(err)
	}
	line, _ := r.csv.FieldPos(0)
	out := read{line: int64(line)}
	for i, cell := range cells {
		if cell == "" {
			continue
		}
		// The record's memory is used again for the next one.
		if err := r.columns[i](&out.entry, strings.Clone(cell)); err != nil && out.err == nil {
			out.err = err
		}
	}
	return out, nil
}

// csvReason says what is wrong with a record. The library's errors repeat
// nothing of it, but are about one more thing that cannot happen here.
func csvReason(err error) string {
	switch {
	case errors.Is(err, csv.ErrFieldCount):
		return "the line has another number of columns than the header"
	case errors.Is(err, csv.ErrQuote), errors.Is(err, csv.ErrBareQuote):
		return "the line has a quotation mark in the wrong place"
	}
	return "the line is no CSV"
}
