package house_test

import (
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
)

const (
	// mostDependencies is how many modules of others we name ourselves.
	mostDependencies = 25
	// strangers is the module whose libraries are the clients of others: judges
	// of what we send, and in no program of ours. They are counted apart.
	strangers = "services/e2e/clients"
	// mostStrangers is how many of those we name, those of npm included.
	mostStrangers = 8
	// strangersHeading begins their table in docs/dependencies.md.
	strangersHeading = "\n## Clients that nobody here wrote\n"
)

// Covers R-166 (but for cgo, see TestNoProgramNeedsCgo).
func TestEveryDependencyHasAReason(t *testing.T) {
	t.Parallel()
	ofPrograms, ofStrangers := required(t)
	const document = "docs/dependencies.md"
	first, second, ok := strings.Cut(read(t, document), strangersHeading)
	if !ok {
		t.Fatalf("%s has no %q", document, strangersHeading)
	}
	for _, kind := range []struct {
		name, text string
		most       int
		named      map[string][]string
	}{
		{"direct dependencies", first, mostDependencies, ofPrograms},
		{"libraries of " + strangers, second, mostStrangers, ofStrangers},
	} {
		if len(kind.named) > kind.most {
			t.Errorf("%d %s, more than %d: take one out before another comes in", len(kind.named), kind.name, kind.most)
		}
		listed := map[string]bool{}
		for _, cells := range rowsOf(t, document, kind.text) {
			if len(cells) != 3 || cells[1] == "" || cells[2] == "" {
				t.Errorf("%s: %q needs module, what for, instead of what", document, cells)
			}
			listed[cells[0]] = true
			if len(kind.named[cells[0]]) == 0 {
				t.Errorf("%s lists %s among the %s, where nothing names it", document, cells[0], kind.name)
			}
		}
		for _, path := range slices.Sorted(maps.Keys(kind.named)) {
			if !listed[path] {
				t.Errorf("%s is required by %v and has no reason in %s, among the %s", path, kind.named[path], document, kind.name)
			}
		}
	}
}

// required returns the modules of others by whom of ours names them, and apart
// those that strangers alone does, with the packages of npm that it names.
func required(t *testing.T) (ofPrograms, ofStrangers map[string][]string) {
	t.Helper()
	ofPrograms, ofStrangers = map[string][]string{}, map[string][]string{}
	for dir, m := range modules(t) {
		for _, r := range m.Require {
			if !r.Indirect && !strings.HasPrefix(r.Path, ours) {
				ofPrograms[r.Path] = append(ofPrograms[r.Path], dir)
			}
		}
	}
	for name, by := range ofPrograms {
		if len(by) == 1 && by[0] == strangers {
			delete(ofPrograms, name)
			ofStrangers[name] = by
		}
	}
	var npm struct{ Dependencies map[string]string }
	file := path.Join(strangers, "js/package.json")
	if err := json.Unmarshal([]byte(read(t, file)), &npm); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	for name := range npm.Dependencies {
		ofStrangers[name] = []string{file}
	}
	return ofPrograms, ofStrangers
}

// What judges us from outside must not become a part of us: no other module
// needs it, not even through another library.
func TestNoProgramIsMadeOfStrangers(t *testing.T) {
	t.Parallel()
	_, apart := required(t)
	for dir, m := range modules(t) {
		for _, r := range m.Require {
			if dir != strangers && apart[r.Path] != nil {
				t.Errorf("%s requires %s, which is for the tests of %s alone", dir, r.Path, strangers)
			}
		}
	}
}

// What npm installs is pinned to a digest, and comes from wherever the machine's
// own settings say.
func TestTheLockFileOfNPMNamesDigestsAndNoPlaces(t *testing.T) {
	t.Parallel()
	var lock struct {
		Packages map[string]map[string]any
	}
	file := path.Join(strangers, "js/package-lock.json")
	if err := json.Unmarshal([]byte(read(t, file)), &lock); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if len(lock.Packages) < 2 {
		t.Fatalf("%s lists nothing", file)
	}
	for name, p := range lock.Packages {
		digest, _ := p["integrity"].(string)
		if name != "" && !strings.HasPrefix(digest, "sha512-") {
			t.Errorf("%s: %s has no digest", file, name)
		}
		if p["resolved"] != nil {
			t.Errorf("%s: %s says where it is downloaded; write the file with npm install in that folder, whose .npmrc leaves that out", file, name)
		}
	}
}
