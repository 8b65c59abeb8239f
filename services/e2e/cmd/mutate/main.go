// Command mutate shows that the tests can fail: it breaks the code in the ways
// an honest slip would, one at a time, and runs the test that has to notice.
// The tree is never touched; each broken file is laid over it for one build.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// slip is one way to break the code.
type slip struct {
	what     string // what somebody forgot or swapped
	file     string
	old, now string // old must stand in the file exactly once
	pkg      string
	test     string // the test that has to turn red
}

const timeout = 5 * time.Minute

func main() {
	root, err := os.Getwd()
	if err != nil {
		fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.work")); err != nil {
		fatal(fmt.Errorf("run it from the root of the project: %w", err))
	}
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		fatal(err)
	}
	survived := run(root, dir, os.Args[1:])
	_ = os.RemoveAll(dir)
	if survived > 0 {
		os.Exit(1)
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "mutate:", err)
	os.Exit(1)
}

// run tries the slips whose description holds one of the words, all without
// any, and returns how many no test noticed.
func run(root, dir string, words []string) (survived int) {
	seen, total := 0, 0
	for i, s := range slips {
		if !wanted(s, words) {
			continue
		}
		total++
		verdict, detail := try(root, dir, i, s)
		fmt.Printf("%-9s %s\n          %s in %s\n", verdict, s.what, s.test, s.pkg)
		if verdict == "noticed" {
			seen++
		} else {
			survived++
			fmt.Println(indent(detail))
		}
	}
	fmt.Printf("%d slips, %d noticed, %d not\n", total, seen, survived)
	return survived
}

func wanted(s slip, words []string) bool {
	for _, word := range words {
		if strings.Contains(s.what, word) {
			return true
		}
	}
	return len(words) == 0
}

// try breaks the code in one way. The test has to fail, and by itself: a
// package that no longer builds shows nothing.
func try(root, dir string, i int, s slip) (verdict, detail string) {
	path := filepath.Join(root, s.file)
	source, err := os.ReadFile(path)
	if err != nil {
		return "stale", err.Error()
	}
	if n := strings.Count(string(source), s.old); n != 1 {
		return "stale", fmt.Sprintf("the line to break stands %d times in %s", n, s.file)
	}
	broken := filepath.Join(dir, fmt.Sprintf("%d.go", i))
	if err := os.WriteFile(broken, []byte(strings.Replace(string(source), s.old, s.now, 1)), 0o600); err != nil {
		return "stale", err.Error()
	}
	overlay := filepath.Join(dir, fmt.Sprintf("%d.json", i))
	table, err := json.Marshal(map[string]map[string]string{"Replace": {path: broken}})
	if err != nil {
		return "stale", err.Error()
	}
	if err := os.WriteFile(overlay, table, 0o600); err != nil {
		return "stale", err.Error()
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-overlay", overlay, "-run", "^("+s.test+")$", s.pkg)
	cmd.Dir = root
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	switch text := out.String(); {
	case strings.Contains(text, "--- FAIL: ") || strings.Contains(text, "panic: "):
		return "noticed", ""
	case err == nil:
		return "SURVIVED", text
	default:
		return "stale", text
	}
}

func indent(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) > 10 {
		lines = lines[len(lines)-10:]
	}
	return "          | " + strings.Join(lines, "\n          | ")
}
