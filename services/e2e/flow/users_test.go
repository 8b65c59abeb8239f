package flow_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"countersign.dev/services/e2e/stage"
)

const (
	importUsers = 20_000
	importWrong = 100 // every how many lines one is wrong
	importKills = 3
)

// An import of the program as it is shipped is killed in the middle, again and
// again, while the service runs. Each user is there once, nobody is lost, and
// so it is with the lines of the report.
func TestAKilledImportGoesOn(t *testing.T) {
	t.Parallel()
	for engine, open := range map[string]func(*testing.T, ...string) *scene{"sqlite": embedded, "postgres": distributed} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			command := "api"
			if engine == "sqlite" {
				command = "serve"
			}
			s.api(command)
			s.open("sandbox")
			file := filepath.Join(t.TempDir(), "users.jsonl")
			if err := os.WriteFile(file, []byte(usersFile()), 0o600); err != nil {
				t.Fatal(err)
			}
			args := []string{"users", "import", s.app.Org, file, "--env", "sandbox"}
			for kill := range importKills {
				p := stage.Start(t, s.env, "countersign", args...)
				stage.Until(t, "a part of the file is imported", func() bool {
					info, err := os.Stat(file + ".errors.jsonl")
					return err == nil && info.Size() > int64(kill+1)*3000
				})
				p.Kill()
			}
			end := stage.Run(t, s.env, "countersign", args...)
			if want := fmt.Sprintf("Read %d lines: %d created, 0 updated, 0 skipped, %d failed.", importUsers, importUsers-importUsers/importWrong, importUsers/importWrong); end.Code != 1 ||
				!strings.Contains(end.Stdout, want) {
				t.Errorf("the last run: %d, %s%s, want %s", end.Code, end.Stdout, end.Stderr, want)
			}
			out := stage.Must(t, s.env, "countersign", "users", "export", s.app.Org, "--env", "sandbox")
			emails := map[string]int{}
			for line := range strings.Lines(out) {
				var of struct{ Kind, Email string }
				if err := json.Unmarshal([]byte(line), &of); err != nil {
					t.Fatal(err)
				}
				if of.Kind == "user" {
					emails[of.Email]++
				}
			}
			if len(emails) != importUsers-importUsers/importWrong {
				t.Errorf("%d users", len(emails))
			}
			raw, err := os.ReadFile(file + ".errors.jsonl")
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
			for i, line := range lines {
				if !strings.HasPrefix(line, fmt.Sprintf(`{"line":%d,`, importWrong*i+1)) {
					t.Fatalf("line %d of the report is %s", i+1, line)
				}
			}
			if len(lines) != importUsers/importWrong {
				t.Errorf("%d lines in the report", len(lines))
			}
		})
	}
}

// usersFile has a line that is wrong in every hundred.
func usersFile() string {
	var text strings.Builder
	for i := range importUsers {
		at := "@"
		if i%importWrong == 0 {
			at = " at "
		}
		fmt.Fprintf(&text, `{"email":"user%d%sacme.test","email_verified":true,"password_hash":"$2b$10$PZwx./VjCbM5jtgPrkZbMOFni7NNCJEA1kSKsSByf0Tv8F0AJWxvC"}`+"\n", i, at)
	}
	return text.String()
}
