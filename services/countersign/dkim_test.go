package countersign

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"countersign.dev/pkg/dkim"
	"countersign.dev/pkg/secret"
)

func TestAKeyThatSignsMailsIsMadeOnce(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"rsa", "ed25519"} {
		file := filepath.Join(t.TempDir(), "dkim.pem")
		run := func(args ...string) (code int, out, said string) {
			var stdout, stderr strings.Builder
			code = Main(append([]string{"dkim", "key", file, "--domain=example.com", "--type=" + kind}, args...), nil, &stdout, &stderr)
			return code, stdout.String(), stderr.String()
		}
		code, first, said := run()
		info, err := os.Stat(file)
		if code != 0 || err != nil || info.Mode().Perm() != 0o600 || !strings.Contains(said, "COUNTERSIGN_SMTP_DKIM_KEY_FILE="+file) {
			t.Fatalf("exit code %d, %v, %v, said %s", code, info, err, said)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		key, err := dkim.Parse(secret.New(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		record := strings.NewReplacer(`" "`, "", `"`, "").Replace(first)
		if want := "cs1._domainkey.example.com. IN TXT ( " + dkim.Record(key) + " )\n"; record != want {
			t.Errorf("printed %s, want %s", first, want)
		}
		for part := range strings.SplitSeq(first, `"`) {
			if len(part) > 255 {
				t.Errorf("a text of %d octets", len(part))
			}
		}
		if strings.Contains(first+said, strings.Split(string(text), "\n")[1]) {
			t.Error("the key was printed")
		}
		if code, again, _ := run(); code != 0 || again != first {
			t.Errorf("the second time: exit code %d, %s", code, again)
		}
		if code, _, said := run("--selector=a;b"); code == 0 || !strings.Contains(said, "selector") {
			t.Errorf("a selector with a tag in it: exit code %d, %s", code, said)
		}
	}
}
