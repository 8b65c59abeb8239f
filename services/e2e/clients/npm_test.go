package clients_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"countersign.dev/pkg/rig"
	"countersign.dev/services/e2e/stage"
)

func TestMain(m *testing.M) { stage.Main(m, installed.remove) }

// installed is the folder js with what npm installs there, once per test
// binary and outside of the tree.
var installed npm

type npm struct {
	mu  sync.Mutex
	dir string
}

// folder returns it, installing at the first call.
func (n *npm) folder(t *testing.T) string {
	t.Helper()
	program := rig.Installed(t, "npm", "npm")
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.dir != "" {
		return n.dir
	}
	dir, err := os.MkdirTemp("", "clients-npm-")
	if err == nil {
		err = install(program, dir)
	}
	if err != nil {
		_ = os.RemoveAll(dir)
		t.Fatal(err)
	}
	n.dir = dir
	return dir
}

func install(program, dir string) error {
	if err := os.CopyFS(dir, os.DirFS("js")); err != nil {
		return fmt.Errorf("copy js: %w", err)
	}
	cmd := exec.Command(program, "ci", "--prefer-offline")
	cmd.Dir = dir
	// With the environment of who runs the test: where packages come from is
	// set up there.
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	return nil
}

func (n *npm) remove() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.dir != "" {
		_ = os.RemoveAll(n.dir)
	}
}

// bundle is oidc-client-ts as a page includes it.
func bundle(t *testing.T) string {
	t.Helper()
	return filepath.Join(installed.folder(t), "node_modules/oidc-client-ts/dist/browser/oidc-client-ts.min.js")
}
