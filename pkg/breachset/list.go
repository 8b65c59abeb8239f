package breachset

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Seen is a line of a list: a hash, and how often the password was seen.
type Seen struct {
	Hash  Hash
	Count uint64
}

// LineError is a line that cannot be read.
type LineError struct {
	Line int64
	Err  error
}

// Error says which line and why.
func (e *LineError) Error() string { return fmt.Sprintf("line %d %v", e.Line, e.Err) }

// Unwrap returns why.
func (e *LineError) Unwrap() error { return e.Err }

var (
	errHash   = errors.New("is no SHA-1 hash: a line is 40 hexadecimal digits, a colon and a number; lists of other hashes do not fit")
	errSuffix = errors.New("is no end of a SHA-1 hash: a line of a range file is 35 hexadecimal digits, a colon and a number")
	errCount  = errors.New("has no number behind its hash and a colon")
	errLong   = errors.New("is far too long for a hash and a number")
)

// longestLine is more than a hash, the largest number and the end of a line.
const longestLine = 80

// Lines reads a list, HASH:COUNT a line, or the file of one range, where the
// digits that make its name are left out. Line ends of Windows are read as
// well. Order is not looked at.
type Lines struct {
	in     *bufio.Reader
	prefix string
	line   int64
	offset int64
}

// NewLines reads from a place behind so many lines. The prefix holds the
// digits that every line leaves out, none in a whole list.
func NewLines(in io.Reader, prefix string, after Place) *Lines {
	return &Lines{in: bufio.NewReaderSize(in, 1<<16), prefix: prefix, line: after.Line, offset: after.Offset}
}

// Place is how far a list was read.
type Place struct {
	Line   int64 `json:"line"`
	Offset int64 `json:"offset"` // bytes
}

// Place says how far the list is read.
func (l *Lines) Place() Place { return Place{l.line, l.offset} }

// Next returns the next line, io.EOF after the last one, or a *LineError.
func (l *Lines) Next() (Seen, error) {
	text, err := l.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull), len(text) > longestLine:
		return Seen{}, &LineError{l.line + 1, errLong}
	case errors.Is(err, io.EOF) && len(text) > 0: // the last line may lack its end
	case err != nil:
		return Seen{}, err
	}
	l.line, l.offset = l.line+1, l.offset+int64(len(text))
	seen, err := parse(bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r")), l.prefix)
	if err != nil {
		return Seen{}, &LineError{l.line, err}
	}
	return seen, nil
}

// parse reads one line without its end.
func parse(line []byte, prefix string) (Seen, error) {
	var seen Seen
	var digits [2 * len(seen.Hash)]byte
	rest := len(digits) - copy(digits[:], prefix)
	wrong := errHash
	if prefix != "" {
		wrong = errSuffix
	}
	if len(line) < rest {
		return Seen{}, wrong
	}
	copy(digits[len(digits)-rest:], line)
	if _, err := hex.Decode(seen.Hash[:], digits[:]); err != nil {
		return Seen{}, wrong
	}
	if line = line[rest:]; len(line) < 2 || line[0] != ':' {
		return Seen{}, errCount
	}
	count, err := strconv.ParseUint(string(line[1:]), 10, 64)
	if err != nil {
		return Seen{}, errCount
	}
	seen.Count = count
	return seen, nil
}
