package totp_test

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"countersign.dev/services/api/internal/totp"
)

// hostile are names that mean something to what reads an address.
var hostile = []string{
	"Acme", "Acme: Bank", "::", "100%", "%3A", "%2525", "a+b c", "A & B", "Müller & Söhne", "株式会社サンプル", "🔐 Bank 👩‍👩‍👧", "a#b", "a?b=c",
	"a/b", "../..", "?secret=AAAA&issuer=Evil", "a\r\nb", "a\x00b", "a\u2028b", "\xff\xfe", "ana@example.com", "a;b", "[::1]", "~-_.", `"<b>"`,
	strings.Repeat("ü", 64),
}

var (
	uriShape   = regexp.MustCompile(`^otpauth://totp/([^:/?#&]*):([^:/?#&]*)\?([^?#:/]*)$`)
	valueShape = regexp.MustCompile(`^(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})*$`)
)

// readBack takes an address apart as an app does, and complains of whatever is
// not what went in.
func readBack(t *testing.T, k totp.Key, issuer, account string) {
	t.Helper()
	text := k.URI(issuer, account).Reveal()
	parts := uriShape.FindStringSubmatch(text)
	u, err := url.Parse(text)
	if err != nil || parts == nil || u.Scheme != "otpauth" || u.Host != "totp" || u.Fragment != "" || u.EscapedPath() != "/"+parts[1]+":"+parts[2] {
		t.Fatalf("%q and %q: %s, %v", issuer, account, text, err)
	}
	for i, want := range []string{issuer, account} {
		got, err := url.PathUnescape(parts[1+i])
		if err != nil || got != want || !valueShape.MatchString(parts[1+i]) {
			t.Errorf("half %d of the label: %q, %v; want %q", i, got, err, want)
		}
	}
	query, err := url.ParseQuery(parts[3])
	if err != nil || len(query) != 5 {
		t.Fatalf("%s: %v, %v", parts[3], query, err)
	}
	for pair := range strings.SplitSeq(parts[3], "&") {
		if _, value, _ := strings.Cut(pair, "="); !valueShape.MatchString(value) {
			t.Errorf("%s is not escaped", pair)
		}
	}
	for name, want := range map[string]string{
		"secret": k.Secret.Reveal(), "issuer": issuer, "algorithm": k.Algorithm, "digits": strconv.Itoa(k.Digits), "period": strconv.Itoa(k.Period),
	} {
		if got := query[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestAnAddressIsReadAsItWasMeant(t *testing.T) {
	t.Parallel()
	for i, issuer := range hostile {
		for _, account := range hostile {
			readBack(t, totp.NewKey(everyParameters()[i%12]), issuer, account)
		}
	}
}

func TestTheWholeAddress(t *testing.T) {
	t.Parallel()
	k := keyOf("12345678901234567890", totp.Parameters{Algorithm: "SHA256", Digits: 8, Period: 60})
	const want = "otpauth://totp/M%C3%BCller%3A%20A%2BB:ana%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" +
		"&issuer=M%C3%BCller%3A%20A%2BB&algorithm=SHA256&digits=8&period=60"
	if got := k.URI("Müller: A+B", "ana@example.com").Reveal(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Whatever the names are, an app reads them back and nothing else changes.
func FuzzURI(f *testing.F) {
	for i, name := range hostile {
		f.Add(name, "ana@example.com", uint8(i))
		f.Add("Acme", name, uint8(i))
	}
	f.Fuzz(func(t *testing.T, issuer, account string, n uint8) {
		readBack(t, keyOf("1234567890123456", everyParameters()[int(n)%12]), issuer, account)
	})
}
