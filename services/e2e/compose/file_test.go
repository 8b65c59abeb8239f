package compose_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"countersign.dev/services/e2e/stage"
)

func TestMain(m *testing.M) { stage.Main(m) }

// file is what docker-compose.yml may say; anything else in it is a mistake.
type file struct {
	Name     string
	Template any `yaml:"x-countersign"`
	Services map[string]service
	Volumes  map[string]any
}

type service struct {
	Image       string
	Build       *build
	Entrypoint  []string
	Command     []string
	EnvFile     []string `yaml:"env_file"`
	Environment map[string]string
	Ports       []string
	Volumes     []string
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	Healthcheck *struct {
		Test              []string
		Interval, Timeout string
		Retries           int
	}
	Restart         string
	ReadOnly        bool     `yaml:"read_only"`
	CapDrop         []string `yaml:"cap_drop"`
	SecurityOpt     []string `yaml:"security_opt"`
	StopGracePeriod string   `yaml:"stop_grace_period"`
}

type build struct {
	Context, Dockerfile string
	Args                map[string]string
}

// ours are the services that run a program of this repository.
func (f file) ours() map[string]service {
	out := maps.Clone(f.Services)
	maps.DeleteFunc(out, func(_ string, s service) bool { return s.Build == nil })
	return out
}

// program is what a service of ours runs.
func (s service) program() string { return s.Build.Args["SERVICE"] }

func read(tb testing.TB, path string) string {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(stage.Root(tb), filepath.FromSlash(path)))
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// parse reads docker-compose.yml as it stands, with its variables.
func parse(tb testing.TB) file {
	tb.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(read(tb, "docker-compose.yml")))
	decoder.KnownFields(true)
	var f file
	if err := decoder.Decode(&f); err != nil {
		tb.Fatalf("docker-compose.yml: %v", err)
	}
	return f
}

var variable = regexp.MustCompile(`\$(?:\$|\{([A-Z0-9_]+)(:\?[^}]*)?\}|)`)

// interpolate does what compose does with $$ and ${NAME:?message}; no other
// form is used here.
func interpolate(text string, secrets map[string]string) (string, error) {
	var missing error
	out := variable.ReplaceAllStringFunc(text, func(match string) string {
		if match == "$$" {
			return "$"
		}
		part := variable.FindStringSubmatch(match)
		value := secrets[part[1]]
		if part[1] == "" || part[2] == "" || value == "" {
			missing = fmt.Errorf("%s in %q has no value", match, text)
		}
		return value
	})
	return out, missing
}

// env is the environment of a service: its files, then its own lines.
func (s service) env(tb testing.TB, secrets map[string]string) map[string]string {
	tb.Helper()
	out := map[string]string{}
	for _, path := range s.EnvFile {
		maps.Copy(out, settings(tb, read(tb, path)))
	}
	for name, value := range s.Environment {
		full, err := interpolate(value, secrets)
		if err != nil {
			tb.Fatal(err)
		}
		out[name] = full
	}
	return out
}

// args is the command of a service.
func (s service) args(tb testing.TB, secrets map[string]string) []string {
	tb.Helper()
	var out []string
	for _, arg := range s.Command {
		full, err := interpolate(arg, secrets)
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, full)
	}
	return out
}

// settings reads an env file: name=value, comments and empty lines.
func settings(tb testing.TB, text string) map[string]string {
	tb.Helper()
	out := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		name, value, ok := strings.Cut(line, "=")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case !ok || strings.ContainsAny(value, " '\"$"):
			tb.Errorf("%q is not a plain name=value", line)
		default:
			if _, twice := out[name]; twice {
				tb.Errorf("%s is there twice", name)
			}
			out[name] = value
		}
	}
	return out
}

// newSecrets are written by the very script, with the very program.
func newSecrets(tb testing.TB) map[string]string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), ".env")
	makeSecrets(tb, path)
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return settings(tb, string(text))
}

// environment is how a process gets variables.
func environment(values map[string]string) []string {
	env := stage.Env()
	for _, name := range slices.Sorted(maps.Keys(values)) {
		env = append(env, name+"="+values[name])
	}
	return env
}

// lines returns the lines of a configuration file without comments.
func lines(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			out = append(out, line)
		}
	}
	return out
}

// hasLine reports whether a file says so on a line of its own.
func hasLine(text, line string) bool { return slices.Contains(lines(text), line) }

// words splits a file at blanks and quotes, to look for whole words in it.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return bytes.ContainsRune([]byte(" \t\n'\":;,()"), r) })
}
