package rig

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const needRedis = "redis-server is not installed (Debian: apt install redis-server, macOS: brew install redis)"

// RedisServer is a redis-server of one test. It is stopped when the test ends.
type RedisServer struct {
	Addr string // 127.0.0.1:port
	URL  string // redis://127.0.0.1:port

	tb    testing.TB
	child *child
}

// Redis starts a redis-server that persists nothing. More arguments are handed
// to it, e.g. "--maxmemory", "10mb"; the word {port} in them is replaced by
// the port, which is what a TLS listener needs: "--port", "0", "--tls-port",
// "{port}".
func Redis(tb testing.TB, args ...string) *RedisServer {
	tb.Helper()
	dir := tb.TempDir()
	return startRedis(tb, "Ready to accept connections", func(port string) []string {
		all := []string{
			"--port", port, "--bind", "127.0.0.1", "--dir", dir,
			"--save", "", "--appendonly", "no", "--daemonize", "no",
		}
		for _, arg := range args {
			all = append(all, strings.ReplaceAll(arg, "{port}", port))
		}
		return all
	})
}

// Sentinel starts a sentinel that alone watches master under the given name.
func Sentinel(tb testing.TB, master *RedisServer, name string) *RedisServer {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "sentinel.conf")
	host, masterPort, _ := strings.Cut(master.Addr, ":")
	return startRedis(tb, "Sentinel ID is", func(port string) []string {
		text := fmt.Sprintf("bind 127.0.0.1\nport %s\ndir %s\nsentinel monitor %s %s %s 1\n",
			port, filepath.Dir(file), name, host, masterPort)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
		return []string{file, "--sentinel"}
	})
}

func startRedis(tb testing.TB, ready string, args func(port string) []string) *RedisServer {
	tb.Helper()
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		missing(tb, needRedis)
	}
	for range portTries {
		port := FreePort(tb)
		argv := args(strconv.Itoa(port))
		c := &child{ready: ready, quit: syscall.SIGTERM, command: func() *exec.Cmd {
			return exec.Command(bin, argv...)
		}}
		if err = c.start(); err == nil {
			tb.Cleanup(c.stop)
			addr := address(port)
			return &RedisServer{Addr: addr, URL: "redis://" + addr, tb: tb, child: c}
		}
		if !c.clashed() {
			break
		}
	}
	tb.Fatal(err)
	return nil
}

// Kill ends the server at once, as a power cut would.
func (r *RedisServer) Kill() { r.child.kill() }

// Stop ends the server in good order.
func (r *RedisServer) Stop() { r.child.stop() }

// Start runs a killed or stopped server again, on the same port and empty.
func (r *RedisServer) Start() {
	r.tb.Helper()
	r.child.restart(r.tb)
}
