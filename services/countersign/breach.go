package countersign

import (
	"bufio"
	"context"
	"crypto/sha1" //nolint:gosec // the lists hold SHA-1; it guards nothing here
	"errors"
	"fmt"
	"os"

	"golang.org/x/text/unicode/norm"

	"countersign.dev/pkg/breachset"
)

type breachCommand struct {
	Build breachBuildCommand `cmd:"" help:"Make a filter from a downloaded list of breached passwords' hashes. Interrupted, the same command goes on."`
	Check breachCheckCommand `cmd:"" help:"Say of passwords, one a line on standard input, whether a filter has them."`
}

type breachCheckCommand struct {
	Filter string `arg:"" help:"File that countersign breach build has made."`
}

// longestPassword is what the api takes, in bytes.
const longestPassword = 1024

// Run reads passwords from standard input alone: arguments are seen by every
// process of the machine, and kept by shells.
func (c breachCheckCommand) Run(ctx context.Context, p *process) error {
	file, set, err := openFilter(c.Filter)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if terminal(p.stdin) {
		fmt.Fprintln(p.stderr, "One password a line; what you type is shown. End with Ctrl-D.")
	}
	lines := bufio.NewScanner(p.stdin)
	lines.Buffer(nil, longestPassword+2)
	for n := 1; lines.Scan() && ctx.Err() == nil; n++ {
		found, err := set.Has(sha1.Sum(norm.NFC.Bytes(lines.Bytes()))) //nolint:gosec // as above
		if err != nil {
			return err
		}
		answer := "not found"
		if found {
			answer = "found"
		}
		fmt.Fprintf(p.stdout, "line %d: %s\n", n, answer)
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("a password is longer than %d bytes", longestPassword)
	}
	return lines.Err()
}

// openFilter opens a filter and reads all of it once. Close the file.
func openFilter(path string) (*os.File, *breachset.Set, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("open filter: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	set, err := breachset.Open(file, info.Size())
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s is %w", path, err), file.Close())
	}
	return file, set, nil
}

// terminal reports whether a person is on the other side.
func terminal(stream any) bool {
	file, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
