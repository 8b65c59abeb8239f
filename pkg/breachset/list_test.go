package breachset_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"countersign.dev/pkg/breachset"
)

const (
	hash   = "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8" // of "password"
	prefix = "5BAA6"
	suffix = "1E4C9B93F3F0682250B6CF8331B7EE68FD8"
)

func TestLinesOfAList(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text, prefix string
		counts       []uint64
		wrong        string // of the line behind them
	}{
		"lines":                        {text: hash + ":10\n" + hash + ":3\n", counts: []uint64{10, 3}},
		"lines of Windows":             {text: hash + ":10\r\n" + hash + ":3\r\n", counts: []uint64{10, 3}},
		"small letters":                {text: strings.ToLower(hash) + ":10\n", counts: []uint64{10}},
		"no end of the last line":      {text: hash + ":10\n" + hash + ":3", counts: []uint64{10, 3}},
		"nothing":                      {},
		"a range":                      {text: suffix + ":10\r\n" + suffix + ":0", prefix: prefix, counts: []uint64{10, 0}},
		"a range in small letters":     {text: strings.ToLower(suffix) + ":7", prefix: strings.ToLower(prefix), counts: []uint64{7}},
		"an empty line":                {text: hash + ":1\n\n" + hash + ":2\n", counts: []uint64{1}, wrong: "line 2 is no SHA-1 hash"},
		"a hash that is cut":           {text: hash + ":1\n" + hash[:30], counts: []uint64{1}, wrong: "line 2 is no SHA-1 hash"},
		"NTLM":                         {text: "8846F7EAEE8FB117AD06BDD830B7586C:1\n", wrong: "line 1 is no SHA-1 hash"},
		"SHA-256":                      {text: hash + hash[:24] + ":1\n", wrong: "line 1 has no number"},
		"a letter beyond F":            {text: "G" + hash[1:] + ":1\n", wrong: "line 1 is no SHA-1 hash"},
		"no count":                     {text: hash + "\n", wrong: "line 1 has no number"},
		"an empty count":               {text: hash + ":\n", wrong: "line 1 has no number"},
		"a count in words":             {text: hash + ":many\n", wrong: "line 1 has no number"},
		"a count below zero":           {text: hash + ":-1\n", wrong: "line 1 has no number"},
		"a count beyond numbers":       {text: hash + ":99999999999999999999\n", wrong: "line 1 has no number"},
		"a line without end":           {text: strings.Repeat("0", 1<<20), wrong: "line 1 is far too long"},
		"a long line":                  {text: hash + ":1\n" + hash + ":" + strings.Repeat("0", 80) + "\n", counts: []uint64{1}, wrong: "line 2 is far too long"},
		"a whole list as a range":      {text: hash + ":1\n", prefix: prefix, wrong: "line 1 has no number"},
		"a range as a whole list":      {text: suffix + ":1\n", wrong: "line 1 is no SHA-1 hash"},
		"a page that says there is no": {text: "<!DOCTYPE html>\n", prefix: prefix, wrong: "line 1 is no end of a SHA-1 hash"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := breachset.NewLines(strings.NewReader(c.text), c.prefix, breachset.Place{})
			for i, count := range c.counts {
				seen, err := lines.Next()
				if err != nil || seen.Count != count {
					t.Fatalf("line %d: %+v, %v", i+1, seen, err)
				}
			}
			_, err := lines.Next()
			var line *breachset.LineError
			switch {
			case c.wrong == "" && !errors.Is(err, io.EOF):
				t.Errorf("%v, want the end", err)
			case c.wrong != "" && (!errors.As(err, &line) || !strings.HasPrefix(err.Error(), c.wrong)):
				t.Errorf("%v, want %s", err, c.wrong)
			}
			if err != nil && strings.Contains(err.Error(), hash[:8]) {
				t.Errorf("%v shows a hash", err)
			}
		})
	}
}

// A place that was noted is a place to go on from.
func TestAListGoesOn(t *testing.T) {
	t.Parallel()
	text := hash + ":1\n" + hash + ":22\r\n" + hash + ":3"
	lines := breachset.NewLines(strings.NewReader(text), "", breachset.Place{})
	for range 2 {
		if _, err := lines.Next(); err != nil {
			t.Fatal(err)
		}
	}
	place := lines.Place()
	lines = breachset.NewLines(strings.NewReader(text[place.Offset:]), "", place)
	seen, err := lines.Next()
	if err != nil || seen.Count != 3 || lines.Place() != (breachset.Place{Line: 3, Offset: int64(len(text))}) {
		t.Errorf("%+v, %v at %+v", seen, err, lines.Place())
	}
}
