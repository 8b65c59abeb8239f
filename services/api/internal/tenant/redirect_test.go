package tenant_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/tenant"
)

// registered are the URIs that the hostile ones below are near to.
var registered = []string{
	"https://app.example.com/cb", "https://app.example.com/cb?from=link", "https://app.example.com:8443/deep/path", "https://app.example.com",
	"http://localhost:3000/cb?from=link",
}

// hostile are spellings of, and ways around, what is registered.
var hostile = map[string]string{
	"nothing":                         "",
	"a blank":                         " ",
	"a path":                          "/cb",
	"a host":                          "app.example.com/cb",
	"no scheme":                       "//app.example.com/cb",
	"one slash":                       "https:/app.example.com/cb",
	"no slash":                        "https:app.example.com/cb",
	"three slashes":                   "https:///app.example.com/cb",
	"backslashes":                     `https:\\app.example.com\cb`,
	"plain HTTP":                      "http://app.example.com/cb",
	"another scheme":                  "ftp://app.example.com/cb",
	"an app's own scheme":             "com.example.app://cb",
	"javascript":                      "javascript:alert(1)//https://app.example.com/cb",
	"data":                            "data:text/html,<script>location='https://app.example.com/cb'</script>",
	"a file":                          "file:///app.example.com/cb",
	"blob":                            "blob:https://app.example.com/cb",
	"the scheme in capitals":          "HTTPS://app.example.com/cb",
	"the host in capitals":            "https://APP.example.com/cb",
	"the path in capitals":            "https://app.example.com/CB",
	"an added slash":                  "https://app.example.com/cb/",
	"an added slash after the host":   "https://app.example.com/",
	"two slashes":                     "https://app.example.com//cb",
	"the usual port":                  "https://app.example.com:443/cb",
	"another port":                    "https://app.example.com:444/cb",
	"a port too few":                  "https://app.example.com/deep/path",
	"an empty port":                   "https://app.example.com:/cb",
	"port zero":                       "https://app.example.com:0/cb",
	"a port with a zero in front":     "https://app.example.com:08443/deep/path",
	"a port that is too large":        "https://app.example.com:65536/cb",
	"an added query":                  "https://app.example.com/cb?x=1",
	"an empty query":                  "https://app.example.com/cb?",
	"a longer query":                  "https://app.example.com/cb?from=link&password_code=x",
	"the query in another order":      "https://app.example.com/cb?link=from",
	"a fragment":                      "https://app.example.com/cb#x",
	"an empty fragment":               "https://app.example.com/cb#",
	"an escaped fragment":             "https://app.example.com/cb%23x",
	"a user":                          "https://app.example.com@evil.test/cb",
	"a user and a password":           "https://app.example.com:8443@evil.test/cb",
	"an empty user":                   "https://@app.example.com/cb",
	"a user before the right host":    "https://evil@app.example.com/cb",
	"a backslash before a user":       `https://evil.test\@app.example.com/cb`,
	"a backslash after the host":      `https://app.example.com\.evil.test/cb`,
	"a fragment before a user":        "https://evil.test#@app.example.com/cb",
	"a query before a user":           "https://evil.test?@app.example.com/cb",
	"a longer host":                   "https://app.example.com.evil.test/cb",
	"a host that ends like it":        "https://evilapp.example.com/cb",
	"a host below it":                 "https://x.app.example.com/cb",
	"the host above it":               "https://example.com/cb",
	"a dot after the host":            "https://app.example.com./cb",
	"no dot in the host":              "https://appexample.com/cb",
	"another letter for the dot":      "https://appxexample.com/cb",
	"an ideographic full stop":        "https://app。example.com/cb",
	"a Cyrillic letter":               "https://аpp.example.com/cb",
	"the same as punycode":            "https://xn--pp-6kc.example.com/cb",
	"full width letters":              "https://ａｐｐ.example.com/cb",
	"a soft hyphen":                   "https://app\u00ad.example.com/cb",
	"an escaped host":                 "https://app%2eexample%2ecom/cb",
	"a wildcard":                      "https://*.example.com/cb",
	"a wildcard in the path":          "https://app.example.com/*",
	"a dot segment":                   "https://app.example.com/./cb",
	"dot segments":                    "https://app.example.com/cb/../cb",
	"dot segments to elsewhere":       "https://app.example.com/cb/../evil",
	"escaped dot segments":            "https://app.example.com/x/%2e%2e/cb",
	"half escaped dot segments":       "https://app.example.com/x/.%2E/cb",
	"an escaped letter":               "https://app.example.com/%63b",
	"an escaped slash":                "https://app.example.com%2fcb",
	"a matrix parameter":              "https://app.example.com/cb;x=1",
	"a longer path":                   "https://app.example.com/cbx",
	"a shorter path":                  "https://app.example.com/c",
	"a deeper path":                   "https://app.example.com/cb/evil",
	"a blank before":                  " https://app.example.com/cb",
	"a blank behind":                  "https://app.example.com/cb ",
	"a line break behind":             "https://app.example.com/cb\n",
	"a tab in the scheme":             "ht\ttps://app.example.com/cb",
	"a line break and a header":       "https://app.example.com/cb\r\nSet-Cookie: x=y",
	"the same, escaped":               "https://app.example.com/cb%0d%0aSet-Cookie:x",
	"a zero byte":                     "https://app.example.com/cb\x00.evil.test",
	"an escaped zero byte":            "https://app.example.com/cb%00",
	"quotes":                          `"https://app.example.com/cb"`,
	"two with a comma":                "https://app.example.com/cb,https://evil.test",
	"two with a blank":                "https://app.example.com/cb https://evil.test",
	"broken UTF-8":                    "https://app.example.com/cb\xff",
	"half an escape":                  "https://app.example.com/cb%2",
	"braces":                          "https://app.example.com/{cb}",
	"a host in brackets":              "https://[app.example.com]/cb",
	"an address with a zone":          "https://[fe80::1%25eth0]/cb",
	"this machine, in full":           "http://localhost.evil.test/cb",
	"this machine as a user":          "http://localhost:3000@evil.test/cb",
	"this machine with a dot":         "http://localhost./cb",
	"this machine in capitals":        "http://LOCALHOST/cb",
	"a name below this machine":       "http://app.localhost/cb",
	"this machine, short":             "http://127.1/cb",
	"another address of this machine": "http://127.0.0.2/cb",
	"this machine as a number":        "http://2130706433/cb",
	"this machine in hexadecimal":     "http://0x7f000001/cb",
	"this machine in octal":           "http://0177.0.0.1/cb",
	"every machine":                   "http://0.0.0.0/cb",
	"this machine, mapped":            "http://[::ffff:127.0.0.1]/cb",
	"this machine, mapped and listed": "http://[::ffff:7f00:1]/cb",
	"this machine, long":              "http://[0:0:0:0:0:0:0:1]/cb",
	"this machine without brackets":   "http://::1/cb",
	"this machine with a query":       "http://localhost:3000/cb?x=1",
	"this machine with a fragment":    "http://localhost:3000/cb#x",
	"this machine and a backslash":    `http://localhost\@evil.test/cb`,
	"this machine, port too large":    "http://localhost:99999/cb",
	"this machine, no port":           "http://localhost:/cb",
	"too long a one":                  "https://app.example.com/" + strings.Repeat("a", 2000),
	"this machine, too long":          "http://localhost/" + strings.Repeat("a", 2000),
	"a number for a host":             "https://2130706433/cb",
	"a number at its end":             "https://app.0x7f/cb",
	"a dash before a dot":             "https://app-.example.com/cb",
	"no letters between dots":         "https://app..example.com/cb",
	"a long label":                    "https://" + strings.Repeat("a", 64) + ".example.com/cb",
	"a long host":                     "https://" + strings.Repeat("a.", 127) + "example.com/cb",
	"an escaped backslash":            "https://app.example.com/%5c%5Cevil.test",
	"an escaped line break":           "https://app.example.com/cb?x=%0A",
	"an escaped delete":               "https://app.example.com/cb%7f",
	"this machine and a line break":   "http://localhost/%0d%0ax",
}

// elsewhere are those of them that are an address of their own, which somebody
// may list. All others can never match.
var elsewhere = []string{
	"the path in capitals", "an added slash", "an added slash after the host", "two slashes", "the usual port", "another port", "a port too few", "an added query",
	"an empty query", "a longer query", "the query in another order", "an escaped fragment", "a longer host", "a host that ends like it", "a host below it",
	"the host above it", "no dot in the host", "another letter for the dot", "the same as punycode", "an escaped letter", "a matrix parameter", "a longer path",
	"a shorter path", "a deeper path", "two with a comma", "this machine with a query",
}

// Covers R-137 for links.
// Covers R-158 for the redirects of links.
func TestNothingButWhatIsRegisteredIsFollowed(t *testing.T) {
	t.Parallel()
	if len(hostile) < 60 {
		t.Fatalf("%d hostile variants, want 60", len(hostile))
	}
	for name, uri := range hostile {
		for _, env := range []string{tenant.Sandbox, tenant.Default, "", "SANDBOX"} {
			if err := tenant.CheckRedirect(env, registered, uri); !errors.Is(err, tenant.ErrRedirect) {
				t.Errorf("%s (%q) in %q: %v, want %v", name, uri, env, err, tenant.ErrRedirect)
			}
			if err := tenant.CheckRedirect(env, nil, uri); !errors.Is(err, tenant.ErrRedirect) {
				t.Errorf("%s (%q) in %q without a list: %v", name, uri, env, err)
			}
		}
	}
	if err := tenant.CheckRedirect(tenant.Default, []string{"https://app.example.com/a/../b", "HTTPS://a.test/"}, "https://app.example.com/a/../b"); err == nil {
		t.Error("what no list would take is followed where it stands in one")
	}
}

func TestWhatIsRegisteredIsFollowed(t *testing.T) {
	t.Parallel()
	local := []string{
		"http://localhost", "http://localhost/", "http://localhost:3000/cb", "http://127.0.0.1:8081/a/b;c=d/@e%20f", "http://[::1]:65535/x",
	}
	for _, uri := range registered {
		plain := strings.HasPrefix(uri, "http:")
		if err := tenant.CheckRedirect(tenant.Sandbox, registered, uri); err != nil {
			t.Errorf("%s in the sandbox: %v", uri, err)
		}
		if err := tenant.CheckRedirect(tenant.Default, registered, uri); (err != nil) != plain {
			t.Errorf("%s elsewhere: %v", uri, err)
		}
		if err := tenant.CheckRedirect(tenant.Sandbox, nil, uri); err == nil {
			t.Errorf("%s is followed without being listed", uri)
		}
	}
	for _, uri := range local {
		if err := tenant.CheckRedirect(tenant.Sandbox, nil, uri); err != nil {
			t.Errorf("%s in the sandbox: %v", uri, err)
		}
		if err := tenant.CheckRedirect(tenant.Default, []string{uri}, uri); err == nil {
			t.Errorf("%s is followed outside of the sandbox", uri)
		}
	}
}

func TestListsHoldWhatCanMatch(t *testing.T) {
	t.Parallel()
	got, err := tenant.CleanRedirects(append([]string{"", "https://10.0.0.5/cb", "https://[fd00::5]/cb", "https://intranet/cb", "https://xn--mller-kva.example/cb"}, registered...), true)
	if err != nil || !slices.Contains(got, registered[0]) || slices.Contains(got, "") {
		t.Errorf("CleanRedirects = %q, %v", got, err)
	}
	for _, uri := range got {
		if err := tenant.CheckRedirect(tenant.Sandbox, got, uri); err != nil {
			t.Errorf("%s was listed and does not match", uri)
		}
	}
	if again, err := tenant.CleanRedirects(append(got, got...), true); err != nil || !slices.Equal(again, got) {
		t.Errorf("a repeated list = %q, %v", again, err)
	}
	if got, err := tenant.CleanRedirects(nil, false); err != nil || got == nil || len(got) != 0 {
		t.Errorf("no list = %#v, %v", got, err)
	}
	for name, uri := range hostile {
		if uri == "" {
			continue // clears the list
		}
		_, err := tenant.CleanRedirects([]string{uri}, true)
		if want := slices.Contains(elsewhere, name); (err == nil) != want || err != nil && fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: listing %q: %v, want it listed: %v", name, uri, err, want)
		}
		if err := tenant.CheckRedirect(tenant.Sandbox, []string{uri}, uri); (err == nil) != slices.Contains(elsewhere, name) {
			t.Errorf("%s: %q where it is listed: %v", name, uri, err)
		}
	}
	for _, uri := range []string{"http://localhost:3000/cb", "http://[::1]/cb?x=1"} {
		if got, err := tenant.CleanRedirects([]string{uri}, false); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s was listed outside of the sandbox: %q, %v", uri, got, err)
		}
	}
	many := make([]string, 51)
	for i := range many {
		many[i] = "https://app.example.com/" + strings.Repeat("a", i+1)
	}
	if _, err := tenant.CleanRedirects(many, true); fault.KindOf(err) != fault.Invalid {
		t.Errorf("51 entries: %v", err)
	}
}

func FuzzRedirects(f *testing.F) {
	for _, uri := range registered {
		f.Add(uri)
	}
	for _, uri := range hostile {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if tenant.CheckRedirect(tenant.Default, registered, uri) == nil && !slices.Contains(registered, uri) {
			t.Errorf("%q is followed and not registered", uri)
		}
		if tenant.CheckRedirect(tenant.Sandbox, nil, uri) == nil {
			rest, _ := strings.CutPrefix(uri, "http://")
			host, _, _ := strings.Cut(rest, "/")
			host = strings.TrimRight(host, "0123456789")
			if !slices.Contains([]string{"localhost", "localhost:", "127.0.0.", "127.0.0.1:", "[::1]", "[::1]:"}, host) {
				t.Errorf("%q leads to another machine", uri)
			}
		}
	})
}
