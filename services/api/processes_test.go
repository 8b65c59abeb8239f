package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/rig"
)

// program builds one of the programs as `make build` does.
func program(b *testing.B, module, name string) string {
	b.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	must(b, err)
	path := filepath.Join(b.TempDir(), name)
	cmd := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "./cmd/"+name)
	cmd.Dir = filepath.Join(root, "services", module)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("build %s: %v\n%s", name, err, out)
	}
	return path
}

// startNATS runs a server in a process of its own and returns its URL.
func startNATS(b *testing.B) string {
	b.Helper()
	port := fmt.Sprint(rig.FreePort(b))
	rig.Program(b, "ready for connections", os.Environ(), program(b, "e2e", "nats-server"), "-port", port, "-store", b.TempDir())
	return "nats://127.0.0.1:" + port
}

// benchProcesses starts the api and the SMS worker as processes, in the
// sandbox: the worker does all its work but the call of a provider.
func benchProcesses(b *testing.B, database, redis, nats string) *bench {
	b.Helper()
	countersign := program(b, "countersign", "countersign")
	local := func() string { return fmt.Sprintf("127.0.0.1:%d", rig.FreePort(b)) }
	addr := local()
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir(), "TMPDIR=" + os.TempDir(),
		"COUNTERSIGN_INSECURE_DEV=true", "COUNTERSIGN_DRAIN_NOTICE=0s", "COUNTERSIGN_LOG_LEVEL=warn",
		"COUNTERSIGN_ADDR=" + addr, "COUNTERSIGN_BASE_URL=http://" + addr,
		"COUNTERSIGN_DATABASE_URL=" + database, "COUNTERSIGN_REDIS_URL=" + redis, "COUNTERSIGN_NATS_URL=" + nats,
		"COUNTERSIGN_SMS_PROVIDER=none",
	}
	run := func(args ...string) string {
		cmd := exec.CommandContext(b.Context(), countersign, args...)
		cmd.Env = env
		out, err := cmd.Output()
		if err != nil {
			b.Fatalf("countersign %v: %v", args, err)
		}
		return string(out)
	}
	env = append(env, strings.Fields(run("keygen"))...)
	run("migrate")
	run("account", "create", "acme")
	key := map[string]string{}
	for line := range strings.Lines(run("key", "create", "acme", "--env", "sandbox", "--scope", "all")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		key[name] = value
	}
	h := newBench(b, "http://"+addr)
	h.code = h.read
	for _, service := range []string{"api", "sms"} {
		ops := local()
		rig.Program(b, "", append(slices.Clip(env), "COUNTERSIGN_OPS_ADDR="+ops), countersign, service)
		h.await(service+" is ready", func() bool { return h.ready(ops) })
	}
	h.furnish(key["COUNTERSIGN_CLIENT_ID"], key["COUNTERSIGN_CLIENT_SECRET"])
	return h
}

func (h *bench) ready(ops string) bool {
	req, err := http.NewRequestWithContext(h.Context(), http.MethodGet, "http://"+ops+"/readyz", http.NoBody)
	must(h.B, err)
	res, err := h.client.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	return strings.Contains(readAll(res), `"status":"ok"`)
}

// read finds the code of a request in the sandbox's inbox, where the worker
// has it shown.
func (h *bench) read(requestID string) (code string) {
	h.Helper()
	h.await("the message of "+requestID, func() bool {
		var list struct{ Data []struct{ Text string } }
		query := url.Values{"request_id": {requestID}}
		if err := json.Unmarshal([]byte(h.call(http.MethodGet, "/api/v2/org/"+h.org+"/inbox?"+query.Encode())), &list); err != nil || len(list.Data) == 0 {
			return false
		}
		text := list.Data[0].Text
		code = text[strings.LastIndexByte(text, '#')+1:]
		return true
	})
	return code
}

// await polls what nothing can signal to this process.
func (h *bench) await(what string, done func() bool) {
	h.Helper()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-limit.C:
			h.Fatalf("not within a minute: %s", what)
		}
	}
}
