package breachset_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"countersign.dev/pkg/breachset"
)

// FuzzOpen reads any file: it is a set that can be asked, or refused.
func FuzzOpen(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		set, err := breachset.Open(bytes.NewReader(text), int64(len(text)))
		if err != nil {
			if !errors.Is(err, breachset.ErrDamaged) {
				t.Errorf("refused with %v", err)
			}
			return
		}
		for _, h := range hashes(0, 64) {
			if _, err := set.Has(h); err != nil && !errors.Is(err, breachset.ErrDamaged) {
				t.Errorf("asked, it fails with %v", err)
			}
		}
	})
}

// FuzzLines reads any list: each line is a hash and a number, or the error
// says which one is not.
func FuzzLines(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte, inRange bool) {
		prefix := ""
		if inRange {
			prefix = "5baa6"
		}
		lines := breachset.NewLines(bytes.NewReader(text), prefix, breachset.Place{})
		for n := int64(1); ; n++ {
			_, err := lines.Next()
			if errors.Is(err, io.EOF) {
				if lines.Place().Offset != int64(len(text)) {
					t.Errorf("ends at %+v of %d", lines.Place(), len(text))
				}
				return
			}
			if err != nil {
				var wrong *breachset.LineError
				if !errors.As(err, &wrong) || wrong.Line != n {
					t.Errorf("line %d: %v", n, err)
				}
				return
			}
			if inRange && strings.Count(string(text), "\n") < int(n)-1 {
				t.Errorf("%d lines were read", n)
			}
		}
	})
}
