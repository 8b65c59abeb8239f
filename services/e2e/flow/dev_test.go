package flow_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/rig"
	"countersign.dev/services/e2e/stage"
)

const (
	startAim   = time.Second      // what the built binary takes on an idle machine
	startLimit = 30 * time.Second // beyond this something is wrong on any machine, however busy
	stopLimit  = 30 * time.Second
)

// countersign dev is the first thing that anybody sees: it plays its tour
// through, says how to go on, and what it says works as it stands.
func TestDev(t *testing.T) {
	t.Parallel()
	d := newDev(t)
	p := d.start(t)
	took := d.answers(t, p)
	t.Logf("first answer %v after the start of the process (aim %v), memory %s", took.Round(time.Millisecond), startAim, memory(p.PID()))
	if took > startLimit {
		t.Errorf("the first answer took %v, more than %v", took, startLimit)
	}
	p.Await("Countersign is up")
	for _, must := range []string{"First start", "success: true", "success: false", "delivered", d.url + "/inbox"} {
		if !strings.Contains(p.Stdout(), must) {
			t.Errorf("dev did not say %q:\n%s", must, p.Stdout())
		}
	}
	if log := p.Stderr(); log != "" {
		t.Errorf("dev has something to complain about:\n%s", log)
	}
	d.inboxShowsTheMessage(t)
	d.linesWork(t, p.Stdout())
	appIsPlayed(t, p.Stdout())
	t.Run("the QR code can be scanned", func(t *testing.T) { drawnCodeIsRead(t, p.Stdout()) })
	d.appIsRegistered(t, p.Stdout())
	d.browserIsPlayed(t, p.Stdout())
	d.ownPageIsPlayed(t, p.Stdout())
	d.addressOpens(t, p.Stdout())
	d.demoIsServed(t, p.Stdout())
	d.activityHolds(t) // while the services run
	before := d.deliveries(t)
	if before == 0 {
		t.Error("there is no delivery after the tour")
	}

	begun := time.Now()
	if exit := p.Stop(); exit != 0 || time.Since(begun) > stopLimit {
		t.Errorf("stopped with exit code %d after %v, want 0 within %v", exit, time.Since(begun), stopLimit)
	}
	d = d.moved(t) // what is registered goes along to another port
	again := d.start(t)
	again.Await("Countersign is up")
	if strings.Contains(again.Stdout(), "First start") {
		t.Errorf("the second start plays the tour again:\n%s", again.Stdout())
	}
	d.addressOpens(t, again.Stdout())
	d.demoIsServed(t, again.Stdout())
	if after := d.deliveries(t); after != before {
		t.Errorf("%d deliveries after the second start, %d before", after, before)
	}
	again.Stop()
	d.activityHolds(t)
	d.changedRecordIsFound(t)
}

// A taken port is named, with what to do.
func TestDevOnTakenPorts(t *testing.T) {
	t.Parallel()
	first := newDev(t)
	first.answers(t, first.start(t))
	for name, c := range map[string]struct{ addr, ops, port string }{
		"the port of the API":         {first.addr, newDev(t).ops, first.addr},
		"the port of the operations":  {newDev(t).addr, first.ops, first.ops},
		"the port of the API, by ops": {newDev(t).addr, first.addr, first.addr},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, port, _ := strings.Cut(c.port, ":")
			r := stage.Run(t, stage.Env("COUNTERSIGN_ADDR="+c.addr, "COUNTERSIGN_OPS_ADDR="+c.ops), "countersign", "dev", "--dir", t.TempDir())
			if r.Code == 0 || !strings.Contains(r.Stderr, "port "+port+" is taken") {
				t.Errorf("exit code %d, and it says\n%s", r.Code, r.Stderr)
			}
			if strings.Contains(r.Stdout, "Countersign is up") {
				t.Errorf("it says that it is up:\n%s", r.Stdout)
			}
		})
	}
}

// devPlace is a folder and the addresses of one countersign dev.
type devPlace struct{ dir, addr, ops, url string }

func newDev(t *testing.T) devPlace {
	t.Helper()
	addr, ops := fmt.Sprintf("127.0.0.1:%d", rig.FreePort(t)), fmt.Sprintf("127.0.0.1:%d", rig.FreePort(t))
	return devPlace{dir: filepath.Join(t.TempDir(), "data"), addr: addr, ops: ops, url: "http://" + addr}
}

func (d devPlace) start(t *testing.T) *stage.Process {
	t.Helper()
	return stage.Start(t, stage.Env("COUNTERSIGN_ADDR="+d.addr, "COUNTERSIGN_OPS_ADDR="+d.ops), "countersign", "dev", "--dir", d.dir)
}

// answers returns how long after its start the process answered.
func (d devPlace) answers(t *testing.T, p *stage.Process) time.Duration {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(2 * startLimit)
	defer limit.Stop()
	for {
		if status, _ := get(t, d.url+"/inbox"); status == http.StatusOK {
			return time.Since(p.Began)
		}
		select {
		case <-tick.C:
		case <-p.Exited():
			t.Fatalf("dev ended:\n%s", p.Stderr())
		case <-limit.C:
			t.Fatalf("dev does not answer:\n%s%s", p.Stdout(), p.Stderr())
		}
	}
}

// env is dev.env as a shell reads it.
func (d devPlace) env(t *testing.T, name string) string {
	t.Helper()
	return strings.TrimSpace(d.shell(t, `echo "$`+name+`"`))
}

// shell runs a line after dev.env has been read.
func (d devPlace) shell(t *testing.T, line string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `set -eu; . "`+filepath.Join(d.dir, "dev.env")+`"; `+line)
	cmd.Env = stage.Env()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("sh -c %s: %v\n%s", line, err, out)
	}
	return string(out)
}

func (d devPlace) app(t *testing.T) *stage.App {
	t.Helper()
	app := stage.NewApp(t, d.env(t, "COUNTERSIGN_URL"))
	app.SignIn(map[string]string{
		"COUNTERSIGN_CLIENT_ID": d.env(t, "COUNTERSIGN_CLIENT_ID"), "COUNTERSIGN_CLIENT_SECRET": d.env(t, "COUNTERSIGN_CLIENT_SECRET"),
	})
	app.Org = d.env(t, "COUNTERSIGN_ORG")
	return app
}

func (d devPlace) deliveries(t *testing.T) int {
	t.Helper()
	total, _ := d.app(t).Call("GET", "/api/v2/org/"+d.env(t, "COUNTERSIGN_ORG")+"/deliveries").Want(200).Body["total"].(float64)
	return int(total)
}

func (d devPlace) inboxShowsTheMessage(t *testing.T) {
	t.Helper()
	app := d.app(t)
	newest := app.Call("GET", app.Path("inbox"), "per_page=1", "to=+4915112345678").Want(200).Items()
	if len(newest) != 1 {
		t.Fatalf("%d messages in the inbox, want at least 1", len(newest))
	}
	text, _ := newest[0]["text"].(string)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.url+"/inbox", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	_, page := get(t, d.url+"/inbox")
	if code := stage.Code(t, text); !strings.Contains(page, code) {
		t.Errorf("the page /inbox does not show the code %s of the newest message", code)
	}
	policy := res.Header.Get("Content-Security-Policy")
	if !regexp.MustCompile(`^default-src 'none'; style-src 'self'; `).MatchString(policy) || !strings.Contains(policy, "frame-ancestors 'none'") {
		t.Errorf("the policy of the page is %q", policy)
	}
	if strings.Contains(page, "<script") {
		t.Error("the page runs scripts")
	}
}

var printedCurl = regexp.MustCompile(`(?m)^ +\$ (curl .*)$`)

// readsOn are the calls that answer the same however often they are made.
var readsOn = regexp.MustCompile(`/(inbox|deliveries|totp-connection|recovery-codes|activity)"`)

// linesWork copies what dev printed into a shell, as a reader does.
func (d devPlace) linesWork(t *testing.T, printed string) {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Log("curl is not installed: the printed lines were not tried")
		return
	}
	_, block, ok := strings.Cut(printed, "Send yourself a code:\n")
	if !ok {
		t.Fatalf("dev does not say how to go on:\n%s", printed)
	}
	if out := d.shell(t, block); !strings.Contains(out, `"totp-challenge_`) {
		t.Errorf("the lines at the end do not send a code: %s", out)
	}
	token, _, _ := strings.Cut(block, "| sed")
	token = strings.TrimSpace(token) + ` | sed 's/.*"access_token":"\([^"]*\)".*/\1/'); `
	tried := 0
	for _, match := range printedCurl.FindAllStringSubmatch(printed, -1) {
		if readsOn.MatchString(match[1]) {
			tried++
			if out := d.shell(t, token+match[1]); !strings.Contains(out, `"__type__"`) || strings.Contains(out, `"error":{`) {
				t.Errorf("%s\nanswers %s", match[1], out)
			}
		}
	}
	if tried < 5 {
		t.Errorf("%d printed lines could be tried", tried)
	}
}

// memory is how much a process has resident, where the system says so.
func memory(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return strings.TrimSpace(rest)
		}
	}
	return "unknown"
}
