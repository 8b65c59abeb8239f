package password_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"
	"pgregory.net/rapid"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/password"
)

// free turns come at once.
type free struct{}

func (free) Do(ctx context.Context, _, _ string, fn func(context.Context) error) error {
	return fn(ctx)
}

// cheap parameters are for tests about anything but the cost.
var cheap = password.Parameters{Memory: 64, Passes: 1, Threads: 1}

func hasher(t *testing.T, peppers ...secret.Text) *password.Hasher {
	t.Helper()
	return password.NewHasher(free{}, cheap, parsePeppers(t, peppers...))
}

func parsePeppers(t *testing.T, keys ...secret.Text) password.Peppers {
	t.Helper()
	texts := make([]string, len(keys))
	for i, key := range keys {
		texts[i] = key.Reveal()
	}
	peppers, err := password.ParsePeppers("PEPPERS", secret.New(strings.Join(texts, ",")))
	if err != nil {
		t.Fatal(err)
	}
	return peppers
}

func hash(t *testing.T, h *password.Hasher, typed string) string {
	t.Helper()
	phc, err := h.Hash(t.Context(), "org", secret.New(typed))
	if err != nil {
		t.Fatal(err)
	}
	return phc
}

// fits evaluates a candidate as the guard does.
func fits(t *testing.T, h *password.Hasher, typed, phc string) bool {
	t.Helper()
	want, got, err := h.Tags(secret.New(typed), phc)
	if err != nil {
		t.Fatal(err)
	}
	if len(want) != len(got) || len(got) < 16 {
		t.Fatalf("tags of %d and %d bytes", len(want), len(got))
	}
	return bytes.Equal(want, got)
}

// Covers R-055 for the form and the parameters of what is stored.
func TestAStoredPasswordIsArgon2idWithItsParameters(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^\$argon2id\$v=19\$m=19456,t=2,p=1\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})$`)
	h := password.NewHasher(free{}, password.Parameters{}, nil)
	phc := hash(t, h, "ein langes Passwort")
	parts := form.FindStringSubmatch(phc)
	if parts == nil {
		t.Fatalf("stored as %q", phc)
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[1])
	if err != nil || len(salt) != 16 {
		t.Fatalf("salt of %d bytes, %v", len(salt), err)
	}
	tag := base64.RawStdEncoding.EncodeToString(argon2.IDKey([]byte("ein langes Passwort"), salt, 2, 19456, 1, 32))
	if parts[2] != tag {
		t.Error("the tag is not what another implementation of the form would make")
	}
	if again := hash(t, h, "ein langes Passwort"); strings.Contains(again, parts[1]) {
		t.Error("two hashes share a salt")
	}
	if !fits(t, h, "ein langes Passwort", phc) || h.NeedsRehash(phc, 0, 0) {
		t.Error("a new hash is not good")
	}
}

// Covers R-055 for the floor of the configuration.
func TestParametersBelowTheFloorAreRefused(t *testing.T) {
	t.Parallel()
	if err := password.DefaultParameters().Validate(); err != nil {
		t.Fatal(err)
	}
	if err := (password.Parameters{Memory: 64 << 10, Passes: 3, Threads: 4}).Validate(); err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]password.Parameters{
		"COUNTERSIGN_ARGON2_MEMORY_KIB": {Memory: 19455, Passes: 2, Threads: 1},
		"COUNTERSIGN_ARGON2_TIME":       {Memory: 19456, Passes: 1, Threads: 1},
		"COUNTERSIGN_ARGON2_THREADS":    {Memory: 19456, Passes: 2},
	} {
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "R-055") {
			t.Errorf("%+v: %v, want a refusal that names %s", p, err, name)
		}
	}
	if err := (password.Parameters{Memory: 1 << 30, Passes: 1000, Threads: 200}).Validate(); err == nil || strings.Count(err.Error(), "R-055") != 3 {
		t.Errorf("what no stored hash may have: %v", err)
	}
}

// Covers R-055 for the need to hash anew.
func TestOldHashesAreKnown(t *testing.T) {
	t.Parallel()
	one, two := seal.NewKey(), seal.NewKey()
	now := password.NewHasher(free{}, cheap, parsePeppers(t, two, one))
	for name, old := range map[string]*password.Hasher{
		"less memory":  password.NewHasher(free{}, password.Parameters{Memory: 32, Passes: 1, Threads: 1}, parsePeppers(t, two)),
		"more passes":  password.NewHasher(free{}, password.Parameters{Memory: 64, Passes: 2, Threads: 1}, parsePeppers(t, two)),
		"more threads": password.NewHasher(free{}, password.Parameters{Memory: 64, Passes: 1, Threads: 2}, parsePeppers(t, two)),
		"old pepper":   password.NewHasher(free{}, cheap, parsePeppers(t, one)),
		"no pepper":    password.NewHasher(free{}, cheap, nil),
	} {
		phc := hash(t, old, "geheim")
		if !now.NeedsRehash(phc, 24*time.Hour, 24*time.Hour) {
			t.Errorf("%s: is not to be hashed anew", name)
		}
		if soon := now.NeedsRehash(phc, 24*time.Hour-1, 24*time.Hour); soon == (name == "old pepper") {
			t.Errorf("%s: to be hashed anew before its time is %v", name, soon)
		}
		if !fits(t, now, "geheim", phc) || fits(t, now, "Geheim", phc) {
			t.Errorf("%s: is not verified", name)
		}
	}
	short := "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$" + base64.RawStdEncoding.EncodeToString(argon2.IDKey([]byte("geheim"), []byte("saltsalt"), 1, 64, 1, 16))
	if !fits(t, now, "geheim", short) || !now.NeedsRehash(short, 0, time.Hour) || !now.NeedsRehash("x", 0, time.Hour) {
		t.Error("a hash of short salt and tag is verified, and hashed anew")
	}
	if now.NeedsRehash(hash(t, now, "geheim"), 10*365*24*time.Hour, 0) {
		t.Error("a new hash is to be hashed anew")
	}
}

func TestPeppersKeepTheDatabaseAloneWorthless(t *testing.T) {
	t.Parallel()
	key := seal.NewKey()
	h := hasher(t, key)
	phc := hash(t, h, "geheim")
	id := regexp.MustCompile(`,keyid=([A-Za-z0-9+/]{8})\$`).FindStringSubmatch(phc)
	if id == nil {
		t.Fatalf("stored as %q, without a key id", phc)
	}
	if !fits(t, h, "geheim", phc) {
		t.Error("not verified under its pepper")
	}
	without := strings.Replace(phc, ",keyid="+id[1], "", 1)
	if fits(t, hasher(t), "geheim", without) {
		t.Error("verified without its pepper")
	}
	for name, other := range map[string]*password.Hasher{"no pepper": hasher(t), "another pepper": hasher(t, seal.NewKey())} {
		if _, _, err := other.Tags(secret.New("geheim"), phc); err == nil || fault.KindOf(err) != fault.Internal || strings.Contains(err.Error(), phc) {
			t.Errorf("%s: %v, want an error for operators", name, err)
		}
	}
}

func TestPeppersAreReadLikeOtherKeys(t *testing.T) {
	t.Parallel()
	if p, err := password.ParsePeppers("PEPPERS", secret.Text{}); err != nil || len(p) != 0 {
		t.Errorf("none: %v, %v", p, err)
	}
	for _, list := range []string{"hunter2", seal.NewKey().Reveal() + ",", seal.NewKey().Reveal() + ",hunter2", strings.Repeat("A", 43) + "="} {
		_, err := password.ParsePeppers("PEPPERS", secret.New(list))
		if err == nil || !strings.Contains(err.Error(), "PEPPERS") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v, want a refusal that names the setting and not the key", err)
		}
	}
}

//
func TestTheWholePasswordCounts(t *testing.T) {
	t.Parallel()
	h := hasher(t, seal.NewKey())
	long := strings.Repeat("z", 199)
	for name, c := range map[string]struct {
		set, typed string
		fits       bool
	}{
		"the last of 200 characters": {long + "a", long + "b", false},
		"the last of 1,024":          {strings.Repeat("z", 1023) + "a", strings.Repeat("z", 1023) + "b", false},
		"two spellings of a letter":  {"caf\u00e9 am see", "cafe\u0301 am see", true},
		"the letter without a mark":  {"caf\u00e9 am see", "cafe am see", false},
		"a blank before":             {" geheim", "geheim", false},
		"a blank behind":             {"geheim ", "geheim", false},
		"capitals":                   {"Geheim", "geheim", false},
		"what a NUL follows":         {"geheim\x00a", "geheim\x00b", false},
		"the empty one":              {"", "x", false},
	} {
		if got := fits(t, h, c.typed, hash(t, h, c.set)); got != c.fits {
			t.Errorf("%s: fits = %v, want %v", name, got, c.fits)
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		typed := rapid.StringN(0, 64, 1024).Draw(r, "typed")
		other := rapid.StringN(0, 64, 1024).Draw(r, "other")
		phc := hash(t, h, typed)
		a, _ := password.Composed(secret.New(typed))
		b, _ := password.Composed(secret.New(other))
		if !fits(t, h, typed, phc) || fits(t, h, other, phc) != (a == b) {
			r.Errorf("%q and %q", typed, other)
		}
	})
}

// Covers R-064 for the hasher: one evaluation, with the current parameters
// where nothing is stored.
func TestEveryAttemptIsOneEvaluation(t *testing.T) {
	t.Parallel()
	h := hasher(t, seal.NewKey())
	phc := hash(t, h, "geheim")
	n := h.Count()
	for name, stored := range map[string]string{"stored": phc, "nothing stored": ""} {
		for _, typed := range []string{"geheim", "falsch", ""} {
			before := n.Load()
			if fits(t, h, typed, stored) != (stored != "" && typed == "geheim") {
				t.Errorf("%s, %q: fits", name, typed)
			}
			if did := n.Load() - before; did != 1 {
				t.Errorf("%s, %q: %d evaluations", name, typed, did)
			}
		}
	}
	if h.Dummy() != phc[:strings.LastIndex(phc[:strings.LastIndex(phc, "$")], "$")] {
		t.Errorf("an unknown user costs %s, a known one is stored as %s", h.Dummy(), phc)
	}
}

// busy turns never come.
type busy struct{}

var errBusy = fault.New(fault.Unavailable, "busy", "busy")

func (busy) Do(context.Context, string, string, func(context.Context) error) error { return errBusy }

func TestHashesTakeTheirTurn(t *testing.T) {
	t.Parallel()
	h := password.NewHasher(busy{}, cheap, nil)
	n := h.Count()
	if phc, err := h.Hash(t.Context(), "org", secret.New("geheim")); !errors.Is(err, errBusy) || phc != "" || n.Load() != 0 {
		t.Errorf("%q, %v, %d evaluations", phc, err, n.Load())
	}
}

// whatIsNoHash is refused by the parser.
var whatIsNoHash = map[string]string{
	"nothing":                     "$",
	"bcrypt of a broken maker":    "$2x$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
	"argon2i":                     "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
	"no version":                  "$argon2id$m=64,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
	"an old version":              "$argon2id$v=16$m=64,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
	"4 TiB of memory":             "$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
	"a KiB above the most":        "$argon2id$v=19$m=262145,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
	"more than 32 bits":           "$argon2id$v=19$m=4294967360,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
	"no pass":                     "$argon2id$v=19$m=64,t=0,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
	"too many passes":             "$argon2id$v=19$m=64,t=33,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
	"no thread":                   "$argon2id$v=19$m=64,t=1,p=0$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
	"256 threads":                 "$argon2id$v=19$m=4096,t=1,p=256$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
	"less memory than threads":    "$argon2id$v=19$m=8,t=1,p=2$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
	"a sign":                      "$argon2id$v=19$m=+64,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
	"a zero in front":             "$argon2id$v=19$m=064,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
	"another order":               "$argon2id$v=19$t=1,m=64,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
	"a parameter twice":           "$argon2id$v=19$m=64,t=1,p=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
	"a short key id":              "$argon2id$v=19$m=64,t=1,p=1,keyid=AAAA$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
	"no key id":                   "$argon2id$v=19$m=64,t=1,p=1,keyid=$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
	"a short salt":                "$argon2id$v=19$m=64,t=1,p=1$c2FsdHM$AAAAAAAAAAAAAAAAAAAAAA",
	"a salt with padding":         "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ=$AAAAAAAAAAAAAAAAAAAAAA",
	"a salt with a line end":      "$argon2id$v=19$m=64,t=1,p=1$c2Fsd\nHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
	"bits behind the end":         "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHR$AAAAAAAAAAAAAAAAAAAAAA",
	"a short tag":                 "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAA",
	"no tag":                      "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$",
	"a tag too many":              "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA$",
	"something before":            "x$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
	"a tag without end":           "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$" + strings.Repeat("A", 1<<20),
	"a tag of more than 64 bytes": "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$" + strings.Repeat("A", 88),
}

// Covers R-055 for reading what is stored.
func TestWhatIsNoHashIsNeverEvaluated(t *testing.T) {
	t.Parallel()
	h := hasher(t)
	n := h.Count()
	for name, phc := range whatIsNoHash {
		if _, _, err := h.Tags(secret.New("geheim"), phc); err == nil || fault.KindOf(err) != fault.Internal || strings.Contains(err.Error(), "AAAA") {
			t.Errorf("%s: %v, want an error that does not repeat it", name, err)
		}
	}
	if n.Load() != 0 {
		t.Errorf("%d evaluations", n.Load())
	}
	for _, good := range []string{
		"$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=262144,t=32,p=16,keyid=AAAAAAAA$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
	} {
		if again, err := password.Reparse(good); err != nil || again != good {
			t.Errorf("%q became %q, %v", good, again, err)
		}
	}
}

// What the parser takes is what it would write, letter by letter: nothing is
// read in two ways.
// Covers R-055 for reading what is stored.
func FuzzStored(f *testing.F) {
	for _, phc := range whatIsNoHash {
		if len(phc) < 1000 {
			f.Add(phc)
		}
	}
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2E$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$argon2id$v=19$m=19456,t=2,p=1,keyid=AAAAAAAA$c2FsdHNhbHRzYWx0c2E$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, phc string) {
		again, err := password.Reparse(phc)
		if err == nil && again != phc {
			t.Errorf("%q was read as %q", phc, again)
		}
		if err != nil && strings.Contains(err.Error(), phc) && len(phc) > 10 {
			t.Error("the error repeats what is stored")
		}
	})
}
