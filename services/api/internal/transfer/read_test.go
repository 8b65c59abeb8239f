package transfer_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/transfer"
)

const good = `{"email":"ana@acme.test"}`

// Each line is read or refused by itself, with its number, whatever the lines
// before it were.
func TestLinesAreReadOneByOne(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 70<<10)
	for name, c := range map[string]struct {
		format, in string
		want       string // numbers, with a mark where something is wrong
	}{
		"nothing":                   {transfer.JSONL, "", ""},
		"no line end":               {transfer.JSONL, good, "1 "},
		"empty lines":               {transfer.JSONL, "\n\r\n" + good + "\r\n\n" + good + "\n", "3 5 "},
		"no object":                 {transfer.JSONL, "[]\n7\n" + good + good + "\n" + good, "1! 2! 3! 4 "},
		"a field that is unknown":   {transfer.JSONL, `{"e-mail":"x"}` + "\n" + good, "1! 2 "},
		"a field of another kind":   {transfer.JSONL, `{"email":1}` + "\n" + `{"created_at":"yesterday"}` + "\n" + good, "1! 2! 3 "},
		"other kinds of an export":  {transfer.JSONL, `{"kind":"factor","user_id":"x","id":"y"}` + "\n" + `{"kind":"user","id":"x","email":"a@b.test"}`, "2 "},
		"a line that is too long":   {transfer.JSONL, `{"email":"` + long + `"}` + "\n" + good, "1! 2 "},
		"one at the end":            {transfer.JSONL, good + "\n" + long, "1 2! "},
		"CSV":                       {transfer.CSV, "email\na\n\nb\n", "2 4 "},
		"CSV of a spreadsheet":      {transfer.CSV, "\xef\xbb\xbfemail,active\r\na,true\r\n", "2 "},
		"CSV over several lines":    {transfer.CSV, "email,nickname\na,\"x\ny\"\nb,c\n", "2 4 "},
		"CSV with a cell too many":  {transfer.CSV, "email\na,b\nc\n", "2! 3 "},
		"CSV with a mark within":    {transfer.CSV, "email\na\"b\nc\n", "2! 3 "},
		"CSV with a flag of no one": {transfer.CSV, "email,active\na,yes\nb,1\n", "2! 3 "},
	} {
		numbers, problems, err := transfer.Read(c.format, strings.NewReader(c.in))
		got := ""
		for i, number := range numbers {
			got += fmt.Sprint(number)
			if problems[i] != nil {
				got += "!"
				if fault.KindOf(problems[i]) != fault.Invalid {
					t.Errorf("%s: %v is no fault of the line", name, problems[i])
				}
			}
			got += " "
		}
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
	}
}

// endless never ends a line.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	for i := range p {
		p[i] = 'x'
	}
	if e.read > 1<<30 {
		return 0, io.EOF
	}
	return len(p), nil
}

// A quotation mark that is never closed does not take the file into memory.
func TestARecordWithoutEndIsRefused(t *testing.T) {
	t.Parallel()
	rest := &endless{}
	_, _, err := transfer.Read(transfer.CSV, io.MultiReader(strings.NewReader("email\na\n\""), rest))
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "longer than") || rest.read > 1<<20 {
		t.Errorf("%v after %d bytes", err, rest.read)
	}
}

func TestHeadersThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ format, in string }{
		"nothing":          {transfer.CSV, ""},
		"no address":       {transfer.CSV, "given_name\n"},
		"a column twice":   {transfer.CSV, "email,email\n"},
		"an unknown one":   {transfer.CSV, "email,hunter2\n"},
		"a file of data":   {transfer.CSV, "ana@acme.test,hunter2\n"},
		"another format":   {"xml", "<users/>"},
		"no format":        {"", good},
		"a quotation mark": {transfer.CSV, "\"email\n"},
	} {
		_, _, err := transfer.Read(c.format, strings.NewReader(c.in))
		if fault.KindOf(err) != fault.Invalid || strings.Contains(fmt.Sprint(err), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a file holds is read or refused, and no refusal repeats it.
//
// Covers R-131 for files of users.
func FuzzLines(f *testing.F) {
	for _, in := range []string{good, "email\nana@acme.test\n", `{"email":"a","active":1}`, "email,active\na,\"x\n"} {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		for _, format := range []string{transfer.CSV, transfer.JSONL} {
			numbers, problems, err := transfer.Read(format, strings.NewReader(in))
			if err != nil && fault.KindOf(err) != fault.Invalid {
				t.Errorf("%s: %v", format, err)
			}
			last := int64(0)
			for i, number := range numbers {
				if number < last || problems[i] != nil && fault.KindOf(problems[i]) != fault.Invalid {
					t.Errorf("%s: line %d after %d, %v", format, number, last, problems[i])
				}
				last = number
			}
		}
	})
}
