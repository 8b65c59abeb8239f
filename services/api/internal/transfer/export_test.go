package transfer

import (
	"errors"
	"io"
)

// Read reads a file to its end and returns for each line its number and what
// is wrong with it, and what ended the file if it was not its end.
func Read(format string, in io.Reader) (numbers []int64, problems []error, err error) {
	lines, err := Open(format, in)
	if err != nil {
		return nil, nil, err
	}
	for {
		got, err := lines.next()
		if errors.Is(err, io.EOF) {
			return numbers, problems, nil
		}
		if err != nil {
			return numbers, problems, err
		}
		numbers, problems = append(numbers, got.line), append(problems, got.err)
	}
}
