package flow_test

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"countersign.dev/pkg/rig"
	"countersign.dev/services/e2e/stage"
)

// appIsPlayed looks for the steps of the authenticator app: enrolled, used,
// lost, replaced.
func appIsPlayed(t *testing.T, printed string) {
	t.Helper()
	for _, must := range []*regexp.Regexp{
		regexp.MustCompile(`(?m)^ {6}█{40,}$`), // the quiet zone
		regexp.MustCompile(`(?m)^   -> success: true, recovery_codes:\n(      \| [0-9A-Z-]{19}\n){5}\n`),
		regexp.MustCompile(`success: false, error: already_used\n`),
		regexp.MustCompile(`success: true, recovery_code_used: true, reenrolment_required: true\n`),
		regexp.MustCompile(`403, error: reenrolment_required\n`),
		regexp.MustCompile(`success: true, recovery_codes: null\n`),
		regexp.MustCompile(`left: 4\n`),
		regexp.MustCompile(`-> factor\.enrolled: success, number [0-9]+ of chain [0-9]+\n   -> enrolment\.started: .*\n   -> recovery_code\.used: `),
	} {
		if !must.MatchString(printed) {
			t.Errorf("dev did not say %s:\n%s", must, printed)
		}
	}
}

// drawnCodeIsRead has another program read the QR code off the terminal.
func drawnCodeIsRead(t *testing.T, printed string) {
	t.Helper()
	zbarimg := rig.Installed(t, "zbarimg", "zbar-tools")
	_, after, _ := strings.Cut(printed, "-> qr_code")
	_, after, _ = strings.Cut(after, "\n")
	drawn, after, found := strings.Cut(after, "   -> otp_uri: ")
	want, _, _ := strings.Cut(after, "\n")
	if !found || want == "" {
		t.Fatalf("dev draws no code:\n%s", printed)
	}
	file := filepath.Join(t.TempDir(), "terminal.png")
	if err := os.WriteFile(file, terminal(t, drawn), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), zbarimg, "-q", "--raw", "--oneshot", file).Output()
	if got := strings.TrimSuffix(string(out), "\n"); err != nil || got != want {
		t.Errorf("zbarimg reads %q (%v), want %q, in\n%s", got, err, want, drawn)
	}
}

// terminal is what a terminal shows that writes white on black.
func terminal(t *testing.T, text string) []byte {
	t.Helper()
	const half = 4 // pixels of half a letter
	var cells [][]rune
	for line := range strings.Lines(text) {
		cells = append(cells, []rune(strings.TrimSuffix(line, "\n")))
	}
	const columns = 100
	screen := image.NewGray(image.Rect(0, 0, columns*half, 2*half*len(cells)))
	paint := func(x, y int) {
		draw.Draw(screen, image.Rect(x*half, y*half, (x+1)*half, (y+1)*half), image.NewUniform(color.White), image.Point{}, draw.Src)
	}
	for y, line := range cells {
		for x, letter := range line {
			if strings.ContainsRune("▀█", letter) {
				paint(x, 2*y)
			}
			if strings.ContainsRune("▄█", letter) {
				paint(x, 2*y+1)
			}
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, screen); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// verify runs countersign activity verify on the data of dev.
func (d devPlace) verify(t *testing.T, more ...string) stage.Result {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(d.dir, "keys.env"))
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"COUNTERSIGN_DATABASE_URL=sqlite:" + filepath.Join(d.dir, "countersign.db")}
	for name, value := range stage.Values(string(text)) {
		env = append(env, "COUNTERSIGN_"+name+"="+value)
	}
	return stage.Run(t, stage.Env(append(env, more...)...), "countersign", "activity", "verify")
}

// What is about no user has a chain, too; the four may share one.
var allHold = regexp.MustCompile(`^[0-9]{2,} records in [1-4] chains: all of them hold\.\n$`)

func (d devPlace) activityHolds(t *testing.T) {
	t.Helper()
	if r := d.verify(t); r.Code != 0 || r.Stderr != "" || !allHold.MatchString(r.Stdout) {
		t.Errorf("activity verify: exit code %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
}

var oneBreak = regexp.MustCompile(`^organization [0-9a-f-]{36}, environment sandbox, chain [0-9]+, record [0-9]+: a record was changed\n$`)

// changedRecordIsFound writes into the file of the database, beside all that
// SQLite and its triggers would say to it. Dev must not run.
func (d devPlace) changedRecordIsFound(t *testing.T) {
	t.Helper()
	file := filepath.Join(d.dir, "countersign.db")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const was, is = "recovery_code.used", "recovery_code.sent"
	if !bytes.Contains(text, []byte(was)) {
		t.Fatalf("the database holds no %s", was)
	}
	if err := os.WriteFile(file, bytes.ReplaceAll(text, []byte(was), []byte(is)), 0o600); err != nil {
		t.Fatal(err)
	}
	r := d.verify(t)
	if r.Code != 1 || !oneBreak.MatchString(r.Stdout) || !strings.Contains(r.Stderr, "does not hold") {
		t.Errorf("activity verify: exit code %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
}
