package totp_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/totp"
)

var plain = base32.StdEncoding.WithPadding(base32.NoPadding)

// keyOf makes a key of a secret that is known.
func keyOf(raw string, p totp.Parameters) totp.Key {
	return totp.Key{Secret: secret.New(plain.EncodeToString([]byte(raw))), Parameters: p}
}

// everyParameters are all that a key can have.
func everyParameters() []totp.Parameters {
	var all []totp.Parameters
	for _, algorithm := range []string{"SHA1", "SHA256", "SHA512"} {
		for _, digits := range []int{6, 8} {
			for _, period := range []int{30, 60} {
				all = append(all, totp.Parameters{Algorithm: algorithm, Digits: digits, Period: period})
			}
		}
	}
	return all
}

func codesOf(t rapid.TB, k totp.Key, at time.Time) []totp.Code {
	t.Helper()
	codes, err := k.Codes(at)
	if err != nil {
		t.Fatal(err)
	}
	return codes
}

// drifted is the text of the code that is so many steps away.
func drifted(codes []totp.Code, drift int) string {
	for _, c := range codes {
		if c.Drift == drift {
			return c.Text.Reveal()
		}
	}
	return ""
}

// The vectors of RFC 4226, appendix D, and of RFC 6238, appendix B.
//
// Covers R-017 for the codes.
func TestCodesAreThoseOfTheStandards(t *testing.T) {
	t.Parallel()
	const digits = "1234567890"
	k := keyOf(digits+digits, totp.Default())
	for counter, want := range []string{
		"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489",
	} {
		at := time.Unix(30*int64(counter), 0)
		if got := drifted(codesOf(t, k, at), 0); got != want {
			t.Errorf("counter %d: %s, want %s", counter, got, want)
		}
	}
	seeds := map[string]string{
		"SHA1": digits + digits, "SHA256": digits + digits + digits + "12", "SHA512": strings.Repeat(digits, 6) + "1234",
	}
	for unix, want := range map[int64][3]string{
		59:          {"94287082", "46119246", "90693936"},
		1111111109:  {"07081804", "68084774", "25091201"},
		1111111111:  {"14050471", "67062674", "99943326"},
		1234567890:  {"89005924", "91819424", "93441116"},
		2000000000:  {"69279037", "90698825", "38618901"},
		20000000000: {"65353130", "77737706", "47863826"},
	} {
		for i, algorithm := range []string{"SHA1", "SHA256", "SHA512"} {
			k := keyOf(seeds[algorithm], totp.Parameters{Algorithm: algorithm, Digits: 8, Period: 30})
			if got := drifted(codesOf(t, k, time.Unix(unix, 0)), 0); got != want[i] {
				t.Errorf("%s at %d: %s, want %s", algorithm, unix, got, want[i])
			}
		}
	}
}

// reference is RFC 4226, 5.3, as it is written there.
func reference(t *testing.T, k totp.Key, step int64) string {
	t.Helper()
	raw, err := plain.DecodeString(k.Secret.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(map[string]func() hash.Hash{"SHA1": sha1.New, "SHA256": sha256.New, "SHA512": sha512.New}[k.Algorithm], raw)
	if err := binary.Write(mac, binary.BigEndian, step); err != nil {
		t.Fatal(err)
	}
	sum := mac.Sum(nil)
	offset := sum[len(sum)-1] & 15
	text := fmt.Sprintf("%010d", binary.BigEndian.Uint32(sum[offset:])&0x7fffffff)
	return text[10-k.Digits:]
}

// What counts seconds or steps in 32 bits goes wrong in 2038, in 2106 and, by
// its steps, in 4010.
func TestNoYearIsTheLast(t *testing.T) {
	t.Parallel()
	for name, unix := range map[string]int64{
		"2038, the last second of 31 bits":  1<<31 - 1,
		"2038, the first after them":        1 << 31,
		"2106, the last second of 32 bits":  1<<32 - 1,
		"2106, the first after them":        1 << 32,
		"2106, the step after that":         1<<32 + 30,
		"2200":                              time.Date(2200, 2, 28, 23, 59, 59, 0, time.UTC).Unix(),
		"4010, the last step of 31 bits":    30 * (1<<31 - 1),
		"4010, the first after them":        30 << 31,
		"6053, the first step over 32 bits": 30 << 32,
		"9999":                              time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, p := range everyParameters() {
				k := totp.NewKey(p)
				for _, c := range codesOf(t, k, time.Unix(unix, 0)) {
					if step := unix/int64(p.Period) + int64(c.Drift); c.Step != step || c.Text.Reveal() != reference(t, k, step) {
						t.Errorf("%+v, drift %d: step %d, %s; want step %d, %s", p, c.Drift, c.Step, c.Text.Reveal(), step, reference(t, k, step))
					}
				}
			}
		})
	}
}

// At the first and at the last second of a step, and in between, its neighbors
// are good and those behind them are not.
func TestOneStepToEachSideIsGood(t *testing.T) {
	t.Parallel()
	keys := map[totp.Parameters]totp.Key{}
	for _, p := range everyParameters() {
		keys[p] = totp.NewKey(p)
	}
	rapid.Check(t, func(t *rapid.T) {
		k := keys[rapid.SampledFrom(everyParameters()).Draw(t, "parameters")]
		step := rapid.Int64Range(2, 1<<33).Draw(t, "step")
		period := int64(k.Period)
		for _, second := range []int64{0, rapid.Int64Range(0, period-1).Draw(t, "second"), period - 1} {
			at := time.Unix(step*period+second, 999_999_999)
			codes := codesOf(t, k, at)
			var steps []int64
			for _, c := range codes {
				steps = append(steps, c.Step)
				if int64(c.Drift) != c.Step-step {
					t.Fatalf("step %d has the drift %d in step %d", c.Step, c.Drift, step)
				}
			}
			if want := []int64{step - 1, step, step + 1}; !slices.Equal(steps, want) || k.Step(at) != step {
				t.Fatalf("at second %d of step %d: steps %v, present %d", second, step, steps, k.Step(at))
			}
			for _, by := range []int{-1, 1} {
				there := time.Unix((step+int64(by))*period, 0)
				if got, want := drifted(codes, by), drifted(codesOf(t, k, there), 0); got != want {
					t.Fatalf("drift %d: %s, but %s is shown there", by, got, want)
				}
			}
		}
	})
}

func TestDriftIsThatOfTheApp(t *testing.T) {
	t.Parallel()
	k, now := keyOf("12345678901234567890", totp.Default()), time.Unix(1_893_553_510, 0)
	codes := codesOf(t, k, now)
	for name, c := range map[string]struct {
		clock time.Duration
		drift int
	}{
		"a clock that is right":          {0, 0},
		"a clock that is ahead":          {30 * time.Second, 1},
		"a clock that is a little ahead": {20 * time.Second, 1},
		"a clock that is behind":         {-30 * time.Second, -1},
		"a person who was slow":          {-11 * time.Second, -1},
	} {
		shown := drifted(codesOf(t, k, now.Add(c.clock)), 0)
		i := slices.IndexFunc(codes, func(code totp.Code) bool { return code.Text.Reveal() == shown })
		if i < 0 || codes[i].Drift != c.drift {
			t.Errorf("%s: code %d of %v, want the drift %d", name, i, codes, c.drift)
		}
	}
}

func TestNoStepIsNegative(t *testing.T) {
	t.Parallel()
	k := totp.NewKey(totp.Default())
	for name, c := range map[string]struct {
		at   time.Time
		want []int64
	}{
		"the zero time":         {time.Time{}, []int64{0, 1}},
		"a second before 1970":  {time.Unix(-1, 0), []int64{0, 1}},
		"a minute before 1970":  {time.Unix(-60, 0), []int64{0, 1}},
		"the first step":        {time.Unix(29, 0), []int64{0, 1}},
		"the step behind that":  {time.Unix(30, 0), []int64{0, 1, 2}},
		"another zone, in 1970": {time.Unix(30, 0).In(time.FixedZone("", -12*3600)), []int64{0, 1, 2}},
	} {
		var got []int64
		for _, code := range codesOf(t, k, c.at) {
			got = append(got, code.Step)
			if code.Text.Reveal() != reference(t, k, code.Step) {
				t.Errorf("%s: another code at step %d", name, code.Step)
			}
		}
		if !slices.Equal(got, c.want) || k.Step(c.at) < 0 {
			t.Errorf("%s: steps %v, want %v", name, got, c.want)
		}
	}
}

func TestKeysAreLongAndRandom(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, p := range everyParameters() {
		for range 20 {
			k := totp.NewKey(p)
			raw, err := plain.DecodeString(k.Secret.Reveal())
			if want := map[string]int{"SHA1": 20, "SHA256": 32, "SHA512": 64}[p.Algorithm]; err != nil || len(raw) != want {
				t.Fatalf("%+v: %d bytes, %v; want %d", p, len(raw), err, want)
			}
			if k.Parameters != p || seen[string(raw)] || strings.Trim(string(raw), "\x00") == "" {
				t.Fatalf("%+v: a key that was not drawn", p)
			}
			seen[string(raw)] = true
		}
	}
}

func TestParametersAreValidated(t *testing.T) {
	t.Parallel()
	for _, p := range append(everyParameters(), totp.Default()) {
		if err := p.Validate(); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
	if want := (totp.Parameters{Algorithm: "SHA1", Digits: 6, Period: 30}); totp.Default() != want {
		t.Errorf("the default is %+v", totp.Default())
	}
	for name, c := range map[string]struct {
		algorithm      string
		digits, period int
		names          string
	}{
		"no algorithm":          {"", 6, 30, "algorithm"},
		"a broken algorithm":    {"MD5", 6, 30, "algorithm"},
		"small letters":         {"sha1", 6, 30, "algorithm"},
		"no digits":             {"SHA1", 0, 30, "digits"},
		"seven digits":          {"SHA1", 7, 30, "digits"},
		"too many digits":       {"SHA1", 10, 30, "digits"},
		"a negative number":     {"SHA1", -6, 30, "digits"},
		"no period":             {"SHA1", 6, 0, "period"},
		"a short period":        {"SHA1", 6, 15, "period"},
		"a negative period":     {"SHA1", 6, -30, "period"},
		"a period of one month": {"SHA1", 6, 2592000, "period"},
	} {
		p := totp.Parameters{Algorithm: c.algorithm, Digits: c.digits, Period: c.period}
		f, ok := errors.AsType[*fault.Error](p.Validate())
		if !ok || f.Kind != fault.Invalid || f.Code != "invalid_parameter" || !strings.HasPrefix(f.Message, c.names+" ") {
			t.Errorf("%s: %v", name, p.Validate())
		}
		if codes, err := totp.NewKey(p).Codes(time.Unix(60, 0)); err == nil || codes != nil {
			t.Errorf("%s: a key has the codes %v, %v", name, codes, err)
		}
	}
}

// The library computes codes for no secret at all. Whoever asks for a code of a
// key that is not ours has made a mistake: the person's input is not at fault,
// and nothing of the secret may be in the error.
func TestPoorSecretsHaveNoCodes(t *testing.T) {
	t.Parallel()
	good := plain.EncodeToString([]byte("1234567890123456"))
	for name, text := range map[string]string{
		"none":              "",
		"padding alone":     "========",
		"a blank":           " ",
		"one byte":          "GE",
		"fifteen bytes":     plain.EncodeToString([]byte("123456789012345")),
		"with padding":      good + "======",
		"small letters":     strings.ToLower(good),
		"no base32":         strings.Repeat("0189", 8),
		"a blank at an end": good + " ",
	} {
		codes, err := totp.Key{Secret: secret.New(text), Parameters: totp.Default()}.Codes(time.Unix(60, 0))
		if err == nil || codes != nil || fault.KindOf(err) != fault.Internal {
			t.Errorf("%s: %v, %v", name, codes, err)
		} else if len(text) > 3 && strings.Contains(err.Error(), text) {
			t.Errorf("%s: the error holds the secret: %v", name, err)
		}
	}
	if _, err := (totp.Key{Secret: secret.New(good), Parameters: totp.Default()}).Codes(time.Unix(60, 0)); err != nil {
		t.Errorf("sixteen bytes: %v", err)
	}
}

func TestAKeyDoesNotPrint(t *testing.T) {
	t.Parallel()
	k := totp.NewKey(totp.Default())
	codes := codesOf(t, k, time.Unix(1_893_553_510, 0))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		text := fmt.Sprintf(verb+verb+verb, k, codes, k.URI("Acme", "ana"))
		if strings.Contains(text, k.Secret.Reveal()) || strings.Contains(text, drifted(codes, 0)) {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}
