package countersign

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What Firebase's console shows is read as it is copied from there, and as
// JSON.
func TestParametersOfFirebaseAreReadAsTheConsoleShowsThem(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"console": "hash_config {\n  algorithm: SCRYPT,\n  base64_signer_key: c2lnbmVyIGtleQ==,\n  base64_salt_separator: Bw==,\n  rounds: 8,\n  mem_cost: 14,\n}\n",
		"JSON":    "{\n  \"base64_signer_key\": \"c2lnbmVyIGtleQ==\",\n  \"base64_salt_separator\": \"Bw==\",\n  \"rounds\": 8,\n  \"mem_cost\": 14\n}\n",
	} {
		path := filepath.Join(t.TempDir(), "hash_config")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := readFirebase(path)
		if err != nil || f.SignerKey.Reveal() != "c2lnbmVyIGtleQ==" || f.Separator != "Bw==" || f.Rounds != 8 || f.MemCost != 14 {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
	path := filepath.Join(t.TempDir(), "wrong")
	if err := os.WriteFile(path, []byte("base64_signer_key: hunter2\nrounds: many\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readFirebase(path); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v, want an error that does not show the key", err)
	}
}

func TestFormatsAreKnownByTheNamesOfFiles(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{"a.csv": "csv", "A.CSV": "csv", "a.jsonl": "jsonl", "a.ndjson": "jsonl", "a.txt": "", "-": ""} {
		if got, err := (usersImportCommand{File: file}).format(); got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q, %v", file, got, err)
		}
	}
	if got, err := (usersImportCommand{File: "-", Format: "csv"}).format(); got != "csv" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
