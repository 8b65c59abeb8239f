package password_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/password"
)

// vector is a hash that a program made which shares no line with this one;
// testdata/foreign/make.py says which.
type vector struct {
	Made, Password, Hash string
	Firebase             *struct {
		Salt, SignerKey, SaltSeparator string
		Rounds, MemCost                int
	}
}

func vectors(t testing.TB) (all []vector) {
	t.Helper()
	raw, err := os.ReadFile("testdata/foreign/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// stored is what an import keeps of a vector.
func (v vector) stored(t testing.TB) (text string) {
	t.Helper()
	var err error
	if f := v.Firebase; f != nil {
		text, err = password.Firebase{SignerKey: secret.New(f.SignerKey), Separator: f.SaltSeparator, Rounds: f.Rounds, MemCost: f.MemCost}.Import(v.Hash, f.Salt)
	} else {
		text, err = password.Peppers{}.Import(v.Hash)
	}
	if err != nil {
		t.Fatalf("%s: %v", v.Made, err)
	}
	return text
}

// Covers R-055 for the hashes of other systems.
func TestHashesOfOtherSystemsAreVerifiedAndReplaced(t *testing.T) {
	t.Parallel()
	h := hasher(t, seal.NewKey())
	n := h.Count()
	makers := map[string]int{}
	for _, v := range vectors(t) {
		stored := v.stored(t)
		before := n.Load()
		for typed, right := range map[string]bool{v.Password: true, v.Password[1:]: false, v.Password + "x": false, "": false} {
			if long := strings.HasPrefix(stored, "$2") || strings.HasPrefix(stored, "bcrypt$"); long && len(v.Password) > 72 && typed == v.Password+"x" {
				right = true // bcrypt keeps 72 bytes, and so did the old system
			}
			if got := fits(t, h, typed, stored); got != right {
				t.Errorf("%s: %q against %q fits: %v, want %v", v.Made, typed, stored, got, right)
			}
		}
		if took := n.Load() - before; took != 4 {
			t.Errorf("%s: four attempts took %d evaluations", v.Made, took)
		}
		if !h.NeedsRehash(stored, 0, time.Hour) || !password.IsForeign(stored) {
			t.Errorf("%s: stays as it is after a login", v.Made)
		}
		if again, err := (password.Peppers{}).Import(stored); err != nil || again != stored {
			t.Errorf("%s: what is stored is not taken over again: %q, %v", v.Made, again, err)
		}
		makers[v.Made]++
	}
	if len(makers) < 20 {
		t.Errorf("vectors of %d makers", len(makers))
	}
}

// The old system hashed what was typed, letter by letter.
// Covers R-055 for the hashes of other systems.
func TestAForeignHashIsOfWhatWasTyped(t *testing.T) {
	t.Parallel()
	decomposed := "cafe\u0301 am see"
	stored, err := bcrypt.GenerateFromPassword([]byte(decomposed), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	h := hasher(t)
	if !fits(t, h, decomposed, string(stored)) || fits(t, h, "caf\u00e9 am see", string(stored)) {
		t.Error("a foreign hash was evaluated over another text than the one that was typed")
	}
	// From the first login on it is one of ours, and both spellings are one.
	if ours := hash(t, h, decomposed); !fits(t, h, "caf\u00e9 am see", ours) || password.IsForeign(ours) {
		t.Error("a new hash is not ours")
	}
}

// A hash of ours keeps its pepper, and needs it.
func TestHashesOfOursAreTakenOverWithTheirPepper(t *testing.T) {
	t.Parallel()
	key := seal.NewKey()
	ours := hash(t, hasher(t, key), "geheim")
	if stored, err := parsePeppers(t, seal.NewKey(), key).Import(ours); err != nil || stored != ours {
		t.Errorf("stored as %q, %v", stored, err)
	}
	if _, err := parsePeppers(t, seal.NewKey()).Import(ours); !errors.Is(err, password.ErrHashPepper) {
		t.Errorf("without the pepper: %v", err)
	}
	plain := hash(t, hasher(t), "geheim")
	stored, err := password.Peppers{}.Import(plain)
	if err != nil || stored != "argon2"+plain {
		t.Fatalf("without a pepper: %q, %v", stored, err)
	}
	if !fits(t, hasher(t), "geheim", stored) {
		t.Error("a hash of ours without a pepper is not verified")
	}
}

const (
	salt16 = "AAAAAAAAAAAAAAAAAAAAAA"
	tag32  = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)

// Each stands for a hash that must not be taken over, with the reason.
var refused = map[string]struct {
	text string
	why  error
}{
	"nothing":                         {"", password.ErrHashForm},
	"a password":                      {"hunter2", password.ErrHashForm},
	"plain MD5":                       {"5f4dcc3b5aa765d61d8327deb882cf99", password.ErrHashForm},
	"crypt of Unix":                   {"$6$saltsalt$" + tag32, password.ErrHashForm},
	"the broken variant of bcrypt":    {"$2x$05$" + salt16 + "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", password.ErrHashForm},
	"bcrypt for half an hour":         {"$2b$25$" + salt16 + "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", password.ErrHashCost},
	"bcrypt of one more":              {"$2b$16$" + salt16 + "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", password.ErrHashCost},
	"bcrypt without rounds":           {"$2b$03$" + salt16 + "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", password.ErrHashCost},
	"bcrypt cut short":                {"$2b$05$" + salt16 + "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", password.ErrHashForm},
	"bcrypt with a line end":          {"$2b$05$" + salt16 + "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", password.ErrHashForm},
	"passlib's bcrypt of one more":    {"$bcrypt-sha256$v=2,t=2b,r=16$" + salt16 + "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", password.ErrHashCost},
	"scrypt of 512 MiB":               {"$scrypt$ln=19,r=8,p=1$" + salt16 + "$" + tag32, password.ErrHashCost},
	"scrypt of an exbibyte":           {"$scrypt$ln=30,r=262144,p=1$" + salt16 + "$" + tag32, password.ErrHashCost},
	"scrypt of many lanes":            {"$scrypt$ln=18,r=8,p=16$" + salt16 + "$" + tag32, password.ErrHashCost},
	"scrypt with a large r":           {"$scrypt$ln=1,r=262144,p=16$" + salt16 + "$" + tag32, password.ErrHashCost},
	"scrypt of no power":              {"scrypt$33$salt$8$1$" + tag32 + "=", password.ErrHashForm},
	"scrypt of Django, 512 MiB":       {"scrypt$524288$salt$8$1$" + tag32 + "=", password.ErrHashCost},
	"scrypt that overflows":           {"$scrypt$ln=64,r=8,p=1$" + salt16 + "$" + tag32, password.ErrHashCost},
	"scrypt without salt":             {"$scrypt$ln=4,r=8,p=1$$" + tag32, password.ErrHashCost},
	"PBKDF2 for a minute":             {"$pbkdf2-sha256$10000001$" + salt16 + "$" + tag32, password.ErrHashCost},
	"PBKDF2 whose blocks multiply":    {"$pbkdf2$9000000$" + salt16 + "$" + tag32, password.ErrHashCost},
	"PBKDF2 without rounds":           {"$pbkdf2-sha256$0$" + salt16 + "$" + tag32, password.ErrHashCost},
	"PBKDF2 with negative rounds":     {"pbkdf2_sha256$-1$salt$" + tag32 + "=", password.ErrHashCost},
	"PBKDF2 with a sign":              {"pbkdf2_sha256$+1$salt$" + tag32 + "=", password.ErrHashForm},
	"PBKDF2 over MD5":                 {"$pbkdf2-md5$1000$" + salt16 + "$" + tag32, password.ErrHashForm},
	"PBKDF2 of another size":          {"$pbkdf2-sha256$i=9,l=64$" + salt16 + "$" + tag32, password.ErrHashForm},
	"a tag of eight bytes":            {"$pbkdf2-sha256$1000$" + salt16 + "$AAAAAAAAAAA", password.ErrHashCost},
	"Argon2d":                         {"$argon2d$v=19$m=64,t=1,p=1$" + salt16 + "$" + tag32, password.ErrHashForm},
	"Argon2 before 1.3":               {"$argon2id$v=16$m=64,t=1,p=1$" + salt16 + "$" + tag32, password.ErrHashForm},
	"Argon2id of 4 TiB":               {"$argon2id$v=19$m=4294967295,t=1,p=1$" + salt16 + "$" + tag32, password.ErrHashCost},
	"Argon2id for minutes":            {"$argon2id$v=19$m=262144,t=32,p=1$" + salt16 + "$" + tag32, password.ErrHashCost},
	"Argon2i of many passes":          {"$argon2i$v=19$m=64,t=1000000,p=1$" + salt16 + "$" + tag32, password.ErrHashCost},
	"Argon2id without passes":         {"argon2$argon2id$v=19$m=64,t=0,p=1$" + salt16 + "$" + tag32, password.ErrHashCost},
	"Argon2id of 255 lanes":           {"$argon2id$v=19$m=65536,t=1,p=255$" + salt16 + "$" + tag32, password.ErrHashCost},
	"something longer than a column":  {"scrypt$32$" + strings.Repeat("s", 300) + "$8$1$" + tag32 + "=", password.ErrHashForm},
	"a form of Firebase out of bound": {"$firebase-scrypt$ln=20,r=8,p=1$" + salt16 + "$" + tag32, password.ErrHashCost},
}

// Covers R-055 for the hashes of other systems.
func TestAHostileHashIsNeitherTakenNorEvaluated(t *testing.T) {
	t.Parallel()
	h := hasher(t)
	n := h.Count()
	for name, c := range refused {
		if stored, err := (password.Peppers{}).Import(c.text); !errors.Is(err, c.why) || stored != "" {
			t.Errorf("%s: %q, %v, want %v", name, stored, err, c.why)
		}
		for _, text := range []string{c.text, "argon2" + c.text} { // somebody wrote it into the database
			if !password.IsForeign(text) {
				continue // TestWhatIsNoHashIsNeverEvaluated
			}
			if _, _, err := h.Tags(secret.New("geheim"), text); err == nil || strings.Contains(err.Error(), c.text) {
				t.Errorf("%s: %v, want an error that does not repeat it", name, err)
			}
		}
	}
	if n.Load() != 0 {
		t.Errorf("%d evaluations", n.Load())
	}
}

func TestParametersOfFirebaseAreBounded(t *testing.T) {
	t.Parallel()
	good := password.Firebase{SignerKey: secret.New(strings.Repeat("A", 86) + "=="), Separator: "Bw==", Rounds: 8, MemCost: 14}
	hash := strings.Repeat("B", 86) + "=="
	if stored, err := good.Import(hash, "AAAAAAAAAAAAAA=="); err != nil || strings.Contains(stored, good.SignerKey.Reveal()[:20]) {
		t.Fatalf("%q, %v", stored, err)
	}
	for name, c := range map[string]struct {
		change     func(*password.Firebase)
		hash, salt string
		want       error
	}{
		"no signer key":     {func(f *password.Firebase) { f.SignerKey = secret.Text{} }, hash, "AAAA", password.ErrFirebase},
		"no rounds":         {func(f *password.Firebase) { f.Rounds = 0 }, hash, "AAAA", password.ErrFirebase},
		"nine rounds":       {func(f *password.Firebase) { f.Rounds = 9 }, hash, "AAAA", password.ErrFirebase},
		"memory of 2^15":    {func(f *password.Firebase) { f.MemCost = 15 }, hash, "AAAA", password.ErrFirebase},
		"no base64":         {func(f *password.Firebase) { f.Separator = "%" }, hash, "AAAA", password.ErrFirebase},
		"a hash cut short":  {func(*password.Firebase) {}, hash[:44], "AAAA", password.ErrHashForm},
		"a hash of letters": {func(*password.Firebase) {}, "geheim!", "AAAA", password.ErrHashForm},
		"no salt":           {func(*password.Firebase) {}, hash, "", password.ErrHashCost},
		"too much salt":     {func(*password.Firebase) {}, hash, strings.Repeat("A", 88), password.ErrHashCost},
	} {
		f := good
		c.change(&f)
		if stored, err := f.Import(c.hash, c.salt); !errors.Is(err, c.want) || stored != "" {
			t.Errorf("%s: %q, %v, want %v", name, stored, err, c.want)
		}
	}
}

// Whatever a text says, what is taken stays within the bounds.
// Covers R-055 for the hashes of other systems.
// Covers R-131 for hashes of other systems.
func FuzzForeign(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.stored(f))
	}
	for _, c := range refused {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		memory, share, err := password.ReadForeign(text)
		if err != nil {
			if len(text) > 10 && strings.Contains(err.Error(), text) {
				t.Error("the error repeats what is stored")
			}
			return
		}
		if memory > 256<<20 || share > 1000 || !password.IsForeign(text) || len(text) > 256 {
			t.Errorf("%q takes %d bytes and %d thousandths of the time that is allowed", text, memory, share)
		}
	})
}
