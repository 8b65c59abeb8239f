package countersign

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
)

// devHome is the folder where dev keeps its data, its keys and dev.env.
type devHome struct{ dir string }

type devKeys struct{ seal, delivery, index secret.Text }

func (h devHome) path(name string) string { return filepath.Join(h.dir, name) }

// prepare makes the folder and its keys. Without a dev.env the first start
// was never finished, or somebody wants a new one: the data goes too.
func (h devHome) prepare() (devKeys, error) {
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		return devKeys{}, fmt.Errorf("make folder: %w", err)
	}
	if _, err := os.Stat(h.path("dev.env")); errors.Is(err, os.ErrNotExist) {
		for _, name := range []string{"countersign.db", "countersign.db-wal", "countersign.db-shm", "nats", "keys.env"} {
			if err := os.RemoveAll(h.path(name)); err != nil {
				return devKeys{}, fmt.Errorf("start afresh: %w", err)
			}
		}
	}
	keys, err := readEnvFile(h.path("keys.env"))
	if errors.Is(err, os.ErrNotExist) {
		keys = map[string]string{}
		for _, name := range []string{"SEAL_KEYS", "DELIVERY_KEYS", "INDEX_KEY"} {
			keys[name] = seal.NewKey().Reveal()
		}
		err = writeEnvFile(h.path("keys.env"), keys)
	}
	return devKeys{secret.New(keys["SEAL_KEYS"]), secret.New(keys["DELIVERY_KEYS"]), secret.New(keys["INDEX_KEY"])}, err
}

func (h devHome) readEnv() (map[string]string, error) { return readEnvFile(h.path("dev.env")) }

func (h devHome) writeEnv(env map[string]string) error { return writeEnvFile(h.path("dev.env"), env) }

func readEnvFile(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	env := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			env[name] = value
		}
	}
	return env, nil
}

// writeEnvFile writes a file that a shell can read. It holds secrets, so only
// its owner may read it.
func writeEnvFile(path string, env map[string]string) error {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(env)) {
		fmt.Fprintf(&text, "%s=%s\n", name, env[name])
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
