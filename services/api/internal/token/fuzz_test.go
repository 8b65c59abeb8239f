package token_test

import (
	"encoding/base64"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/token"
)

// Whatever stands in an Authorization header is refused as Unauthorized,
// unless this service has signed it.
func FuzzRead(f *testing.F) {
	keys, err := seal.Parse("keys", seal.NewKey())
	if err != nil {
		f.Fatal(err)
	}
	store, err := sqlstore.Open(f.Context(), sqlstore.Config{DSN: "sqlite:" + filepath.Join(f.TempDir(), "x.db"), Keys: keys})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = store.Close() })
	if err := store.Migrate(f.Context()); err != nil {
		f.Fatal(err)
	}
	s := &token.Service{Store: store, Keys: keys, Issuer: issuer, Now: time.Now}
	if err := s.Prepare(f.Context()); err != nil {
		f.Fatal(err)
	}
	seeds := []string{"", "a.b.c", "..", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6IngifQ.e30.AA"}
	// With good keys and signatures of others, what comes behind the header is reached, too.
	published, err := s.PublicKeys(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	for _, k := range published {
		for _, typ := range []string{"JWT", "at+jwt"} {
			header := `{"alg":"` + k.Algorithm + `","typ":"` + typ + `","kid":"` + k.ID + `"}`
			seeds = append(seeds, base64.RawURLEncoding.EncodeToString([]byte(header))+".e30."+strings.Repeat("A", 86))
		}
	}
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if _, _, _, err := s.Read(t.Context(), secret.New(raw)); fault.KindOf(err) != fault.Unauthorized {
			t.Fatalf("Read(%q) = %v, want Unauthorized", raw, err)
		}
		for name, err := range map[string]error{
			"ReadUser": second(s.ReadUser(t.Context(), secret.New(raw))),
			"ReadApp":  second(s.ReadApp(t.Context(), secret.New(raw))),
			"ReadHint": second(s.ReadHint(t.Context(), secret.New(raw))),
		} {
			if fault.KindOf(err) != fault.Unauthorized {
				t.Fatalf("%s(%q) = %v, want Unauthorized", name, raw, err)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }
