package event_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"countersign.dev/pkg/event"
)

func TestPublicEventsAreValidated(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change func(*event.Public)
		want   string
	}{
		"a whole event":                     {func(*event.Public) {}, ""},
		"without what is optional":          {func(p *event.Public) { p.UserID, p.Data = "", nil }, ""},
		"of a type that is not known here":  {func(p *event.Public) { p.Type = "moon.landed" }, ""},
		"without an id":                     {func(p *event.Public) { p.ID = "" }, "id is missing"},
		"without a type":                    {func(p *event.Public) { p.Type = "" }, "noun.verb"},
		"with a noun alone":                 {func(p *event.Public) { p.Type = "password" }, "noun.verb"},
		"with a type of three words":        {func(p *event.Public) { p.Type = "password.changed.twice" }, "noun.verb"},
		"with a wildcard in its type":       {func(p *event.Public) { p.Type = "password.*" }, "noun.verb"},
		"with a type that ends in a dot":    {func(p *event.Public) { p.Type = "password." }, "noun.verb"},
		"with capitals in its type":         {func(p *event.Public) { p.Type = "Password.changed" }, "noun.verb"},
		"of an unknown environment":         {func(p *event.Public) { p.Env = "prod" }, "env"},
		"without an organization":           {func(p *event.Public) { p.OrgID = "" }, "org_id"},
		"with a wildcard as organization":   {func(p *event.Public) { p.OrgID = ">" }, "org_id"},
		"with a dot in its organization":    {func(p *event.Public) { p.OrgID = "a.b" }, "org_id"},
		"without a time":                    {func(p *event.Public) { p.At = 0 }, "at is missing"},
		"with a name of data that is a key": {func(p *event.Public) { p.Data = map[string]string{"user@example.com": "x"} }, "snake_case"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := public()
			c.change(&p)
			checkError(t, p.Validate(), c.want)
		})
	}
}

// The page of the contract lists each type with its subject, and shows the
// payload that the golden file pins.
func TestThePageOfTheContractIsComplete(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "events.md"))
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) < 5 || !strings.HasPrefix(cells[1], " `") || !strings.HasPrefix(cells[2], " `") {
			continue
		}
		typ := strings.Trim(cells[1], " `")
		listed = append(listed, typ)
		if got, want := strings.Trim(cells[2], " `"), event.PublicSubject(typ, "<env>", "<org_id>"); got != want {
			t.Errorf("the subject of %s is %s on the page, want %s", typ, got, want)
		}
	}
	if !slices.Equal(listed, event.PublicTypes()) {
		t.Errorf("the page lists %v, published are %v", listed, event.PublicTypes())
	}
	for _, typ := range event.PublicTypes() {
		p := public()
		p.Type = typ
		if err := p.Validate(); err != nil {
			t.Errorf("%s: %v", typ, err)
		}
	}
	golden, err := os.ReadFile(filepath.Join("testdata", "public.json"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), strings.TrimSpace(string(golden))) {
		t.Error("the page does not show testdata/public.json as it is")
	}
}
