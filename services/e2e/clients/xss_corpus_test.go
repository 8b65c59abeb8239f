package clients_test

import (
	"encoding/hex"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// fewest is how many hostile texts the requirement asks for.
const fewest = 200

// hostile reads what an attacker writes into fields; see the head of the file.
func hostile(t *testing.T) (out []string) {
	t.Helper()
	text, err := os.ReadFile("testdata/xss.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(string(text), "\n"), "\n") {
		if line == "" || strings.HasPrefix(line, "# ") {
			continue
		}
		out = append(out, writtenOut.ReplaceAllStringFunc(line, func(named string) string { return character(t, named) }))
	}
	if distinct := len(slices.Compact(slices.Sorted(slices.Values(out)))); distinct != len(out) || distinct < fewest {
		t.Fatalf("%d hostile texts, %d of them distinct; want %d", len(out), distinct, fewest)
	}
	return out
}

var writtenOut = regexp.MustCompile(`\{(U\+[0-9A-F]{4}|0x(?:[0-9A-F]{2})+)\}`)

// character is what a line names by its number.
func character(t *testing.T, named string) string {
	t.Helper()
	named = strings.Trim(named, "{}")
	if octets, ok := strings.CutPrefix(named, "0x"); ok {
		out, err := hex.DecodeString(octets)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	code, err := strconv.ParseInt(named[2:], 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	return string(rune(code))
}

// skeleton is what a page consists of but for what it says: its elements, the
// names of their attributes, and where the addresses among them would run
// something. Whatever is written into its fields, it stays the same.
func skeleton(t *testing.T, page string) (out []string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		switch n.Type {
		case html.ElementNode:
			bone := n.Data
			for _, a := range n.Attr {
				bone += " " + a.Key
				if slices.Contains(addresses, a.Key) && runs(a.Val) {
					bone += "=" + a.Val
				}
			}
			out = append(out, bone)
		case html.CommentNode:
			out = append(out, "<!--"+n.Data+"-->")
		case html.ErrorNode, html.TextNode, html.DocumentNode, html.DoctypeNode, html.RawNode:
		}
	}
	return out
}

// addresses are the attributes that browsers follow.
var addresses = []string{"href", "src", "srcset", "srcdoc", "action", "formaction", "data", "poster", "background", "style", "content"}

// runs reports whether a browser would run an address: it drops control
// characters around it and some within.
func runs(address string) bool {
	address = strings.ToLower(strings.Map(func(r rune) rune {
		if r <= ' ' {
			return -1
		}
		return r
	}, address))
	return strings.HasPrefix(address, "javascript:") || strings.HasPrefix(address, "vbscript:") || strings.HasPrefix(address, "data:text")
}

// differs is the first bone that one skeleton has and the other has not.
func differs(got, want []string) string {
	for i := range got {
		if i >= len(want) || got[i] != want[i] {
			return got[i]
		}
	}
	if len(got) < len(want) {
		return "nothing in place of " + want[len(got)]
	}
	return ""
}
