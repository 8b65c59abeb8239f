package compose_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"countersign.dev/services/e2e/stage"
)

// step is one stage of the Dockerfile.
type step struct {
	from  string
	lines []string // instructions, whole
}

func dockerfile(t *testing.T) (steps map[string]step, last step) {
	t.Helper()
	text := strings.ReplaceAll(read(t, "deployments/docker/Dockerfile"), "\\\n", "")
	steps = map[string]step{}
	name := ""
	for _, line := range lines(text) {
		word, rest, _ := strings.Cut(line, " ")
		if word == "FROM" {
			from, as, _ := strings.Cut(rest, " AS ")
			name = as
			last = step{from: from}
			steps[name] = last
			continue
		}
		s := steps[name]
		s.lines = append(s.lines, line)
		steps[name] = s
	}
	return steps, last
}

// instructions are those of a stage and of the stages below it.
func instructions(steps map[string]step, name string) []string {
	s, ok := steps[name]
	if !ok {
		return nil
	}
	return append(instructions(steps, s.from), s.lines...)
}

// The images start from pinned versions or from nothing, hold no shell, and
// run as nobody.
func TestImagesHoldOneProgram(t *testing.T) {
	t.Parallel()
	steps, last := dockerfile(t)
	if last.from != "image-${SERVICE}" {
		t.Errorf("the last stage is %s", last.from)
	}
	for name, s := range steps {
		_, own := steps[s.from]
		version := regexp.MustCompile(`^[a-z]+:[0-9]+\.[0-9]+`).MatchString(s.from)
		if !own && !version && s.from != "scratch" && s.from != last.from {
			t.Errorf("the stage %s starts from %s", name, s.from)
		}
	}
	version := regexp.MustCompile(`(?m)^go ([0-9]+\.[0-9]+)`).FindStringSubmatch(read(t, "go.work"))
	if version == nil || !strings.HasPrefix(steps["base"].from, "golang:"+version[1]+"-") {
		t.Errorf("the image builds with %s, go.work asks for go %v", steps["base"].from, version)
	}
	for name, s := range parse(t).ours() {
		image := instructions(steps, "image-"+s.program())
		if !slices.Contains(image, "USER 65532:65532") || !slices.Contains(image, `ENTRYPOINT ["/`+s.program()+`"]`) {
			t.Errorf("%s: the image of %s is %q", name, s.program(), image)
		}
		for below := steps["image-"+s.program()]; below.from != "scratch"; below = steps[below.from] {
			if below.from == "" {
				t.Fatalf("%s: there is no image of %s that starts from scratch", name, s.program())
			}
		}
		if s.Build.Context != "." || s.Build.Dockerfile != "deployments/docker/Dockerfile" {
			t.Errorf("%s is built from %s with %s", name, s.Build.Context, s.Build.Dockerfile)
		}
	}
}

// What a stage copies is enough to build its program, without the workspace.
func TestDockerfileBuilds(t *testing.T) {
	t.Parallel()
	steps, _ := dockerfile(t)
	for _, program := range []string{"countersign", "fake-twilio", "fake-smtp", "fake-breach"} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			source, out := t.TempDir(), t.TempDir()
			env := append(os.Environ(), "VERSION=1.2.3-test")
			for _, line := range instructions(steps, "build-"+program) {
				word, rest, _ := strings.Cut(line, " ")
				switch {
				case word == "COPY":
					paths := strings.Fields(rest)
					for _, from := range paths[:len(paths)-1] {
						to := paths[len(paths)-1]
						if strings.HasSuffix(to, "/") {
							to += filepath.Base(from)
						}
						copyTree(t, filepath.Join(stage.Root(t), from), filepath.Join(source, to))
					}
				case word == "ENV":
					for _, match := range regexp.MustCompile(`([A-Z_]+)=(?:"([^"]*)"|(\S+))`).FindAllStringSubmatch(rest, -1) {
						env = append(env, match[1]+"="+match[2]+match[3])
					}
				case word == "RUN" && strings.Contains(rest, " build "):
					cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(rest, "/out/", out+"/"))
					cmd.Dir, cmd.Env = source, env
					if text, err := cmd.CombinedOutput(); err != nil {
						t.Fatalf("%s: %v\n%s", rest, err, text)
					}
				}
			}
			argument, want := "version", "countersign 1.2.3-test"
			if strings.HasPrefix(program, "fake-") {
				argument, want = "-h", strings.ReplaceAll(strings.ToUpper(program), "-", "_")+"_ADDR"
			}
			text, _ := exec.CommandContext(t.Context(), filepath.Join(out, program), argument).CombinedOutput()
			if !strings.Contains(string(text), want) {
				t.Errorf("%s %s says %q", program, argument, text)
			}
		})
	}
}

// copyTree copies what the ignore file of the Dockerfile leaves: no tests.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || strings.HasSuffix(path, "_test.go") {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, name)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, text, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}
