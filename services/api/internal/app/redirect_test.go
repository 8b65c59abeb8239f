package app_test

import (
	"slices"
	"strings"
	"testing"

	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/tenant"
)

// listed are the redirect URIs that the hostile ones below are near to.
var listed = []string{
	"https://app.example.com/cb", "https://app.example.com/cb?from=login", "https://app.example.com:8443/deep/path", "https://app.example.com",
	"http://localhost:3000/cb", "http://127.0.0.1/native", "http://[::1]:9000/native", "com.example.app:/cb",
}

// hostile are spellings of, and ways around, what is listed. None of them may
// ever be followed, whatever kind of client the app is.
var hostile = map[string]string{
	"nothing":                          "",
	"a blank":                          " ",
	"a path":                           "/cb",
	"a host":                           "app.example.com/cb",
	"no scheme":                        "//app.example.com/cb",
	"one slash":                        "https:/app.example.com/cb",
	"no slash":                         "https:app.example.com/cb",
	"three slashes":                    "https:///app.example.com/cb",
	"backslashes":                      `https:\\app.example.com\cb`,
	"plain HTTP":                       "http://app.example.com/cb",
	"another scheme":                   "ftp://app.example.com/cb",
	"javascript":                       "javascript:alert(1)//https://app.example.com/cb",
	"data":                             "data:text/html,<script>location='https://app.example.com/cb'</script>",
	"a file":                           "file:///app.example.com/cb",
	"blob":                             "blob:https://app.example.com/cb",
	"the scheme in capitals":           "HTTPS://app.example.com/cb",
	"the host in capitals":             "https://APP.example.com/cb",
	"the path in capitals":             "https://app.example.com/CB",
	"an added slash":                   "https://app.example.com/cb/",
	"an added slash after the host":    "https://app.example.com/",
	"two slashes":                      "https://app.example.com//cb",
	"the usual port":                   "https://app.example.com:443/cb",
	"another port":                     "https://app.example.com:8444/deep/path",
	"a port too few":                   "https://app.example.com/deep/path",
	"an empty port":                    "https://app.example.com:/cb",
	"a port with a zero in front":      "https://app.example.com:08443/deep/path",
	"an added query":                   "https://app.example.com/cb?x=1",
	"an empty query":                   "https://app.example.com/cb?",
	"a longer query":                   "https://app.example.com/cb?from=login&code=x",
	"a query less":                     "https://app.example.com/cb?from=",
	"a fragment":                       "https://app.example.com/cb#x",
	"an empty fragment":                "https://app.example.com/cb#",
	"an escaped fragment":              "https://app.example.com/cb%23x",
	"a user":                           "https://app.example.com@evil.test/cb",
	"a user and a password":            "https://app.example.com:8443@evil.test/cb",
	"an empty user":                    "https://@app.example.com/cb",
	"a user before the right host":     "https://evil@app.example.com/cb",
	"a backslash before a user":        `https://evil.test\@app.example.com/cb`,
	"a backslash after the host":       `https://app.example.com\.evil.test/cb`,
	"a fragment before a user":         "https://evil.test#@app.example.com/cb",
	"a query before a user":            "https://evil.test?@app.example.com/cb",
	"a longer host":                    "https://app.example.com.evil.test/cb",
	"a host that ends like it":         "https://evilapp.example.com/cb",
	"a host below it":                  "https://x.app.example.com/cb",
	"the host above it":                "https://example.com/cb",
	"a dot after the host":             "https://app.example.com./cb",
	"another letter for the dot":       "https://appxexample.com/cb",
	"an ideographic full stop":         "https://app。example.com/cb",
	"a Cyrillic letter":                "https://аpp.example.com/cb",
	"the same as punycode":             "https://xn--pp-6kc.example.com/cb",
	"full width letters":               "https://ａｐｐ.example.com/cb",
	"a soft hyphen":                    "https://app\u00ad.example.com/cb",
	"an escaped host":                  "https://app%2eexample%2ecom/cb",
	"a wildcard":                       "https://*.example.com/cb",
	"a wildcard in the path":           "https://app.example.com/*",
	"a dot segment":                    "https://app.example.com/./cb",
	"dot segments":                     "https://app.example.com/x/../cb",
	"escaped dot segments":             "https://app.example.com/x/%2e%2e/cb",
	"half escaped dot segments":        "https://app.example.com/x/.%2E/cb",
	"an escaped letter":                "https://app.example.com/%63b",
	"an escaped slash":                 "https://app.example.com%2fcb",
	"a matrix parameter":               "https://app.example.com/cb;x=1",
	"a longer path":                    "https://app.example.com/cbx",
	"a shorter path":                   "https://app.example.com/c",
	"a deeper path":                    "https://app.example.com/cb/evil",
	"a blank before":                   " https://app.example.com/cb",
	"a blank behind":                   "https://app.example.com/cb ",
	"a line break behind":              "https://app.example.com/cb\n",
	"a tab in the scheme":              "ht\ttps://app.example.com/cb",
	"a line break and a header":        "https://app.example.com/cb\r\nSet-Cookie: x=y",
	"the same, escaped":                "https://app.example.com/cb%0d%0aSet-Cookie:x",
	"a zero byte":                      "https://app.example.com/cb\x00.evil.test",
	"two with a comma":                 "https://app.example.com/cb,https://evil.test",
	"two with a blank":                 "https://app.example.com/cb https://evil.test",
	"broken UTF-8":                     "https://app.example.com/cb\xff",
	"this machine, in full":            "http://localhost.evil.test:3000/cb",
	"this machine as a user":           "http://localhost:3000@evil.test/cb",
	"this machine with a dot":          "http://localhost.:3000/cb",
	"this machine in capitals":         "http://LOCALHOST:3000/cb",
	"a name below this machine":        "http://app.localhost:3000/cb",
	"this machine, short":              "http://127.1/native",
	"another address of this machine":  "http://127.0.0.2/native",
	"this machine as a number":         "http://2130706433/native",
	"this machine in octal":            "http://0177.0.0.1/native",
	"every machine":                    "http://0.0.0.0/native",
	"this machine, mapped":             "http://[::ffff:127.0.0.1]/native",
	"this machine, long":               "http://[0:0:0:0:0:0:0:1]:9000/native",
	"this machine by another name":     "http://localhost/native",
	"this machine, another path":       "http://localhost:3000/evil",
	"this machine with a query":        "http://localhost:3000/cb?x=1",
	"this machine with a fragment":     "http://localhost:3000/cb#x",
	"this machine with a slash more":   "http://127.0.0.1:5000/native/",
	"this machine and a backslash":     `http://localhost\@evil.test/cb`,
	"this machine, port too large":     "http://127.0.0.1:65536/native",
	"this machine, port zero":          "http://127.0.0.1:0/native",
	"this machine, an empty port":      "http://127.0.0.1:/native",
	"this machine over TLS":            "https://localhost:3000/cb",
	"this machine and dot segments":    "http://127.0.0.1:5000/x/../native",
	"a private scheme with two":        "com.example.app://cb",
	"a private scheme with three":      "com.example.app:///cb",
	"a private scheme without a slash": "com.example.app:cb",
	"a private scheme in capitals":     "COM.EXAMPLE.APP:/cb",
	"a longer private scheme":          "com.example.app.evil:/cb",
	"a shorter private scheme":         "com.example:/cb",
	"a private scheme, longer path":    "com.example.app:/cb/evil",
	"a private scheme with a query":    "com.example.app:/cb?x=1",
	"a private scheme, fragment":       "com.example.app:/cb#x",
}

// kinds are the apps that may be asked for anything.
func kinds() map[string]app.App {
	return map[string]app.App{
		"a web app":          {Type: app.Confidential, RedirectURIs: listed, LogoutURIs: listed},
		"a page":             {Type: app.Public, RedirectURIs: listed, LogoutURIs: listed},
		"a native app":       {Type: app.Public, Native: true, RedirectURIs: listed, LogoutURIs: listed},
		"an app without any": {Type: app.Public, Native: true},
	}
}

// Covers R-137 (the comparison).
// Covers R-158 for redirects of apps, after a logout too.
func TestNoHostileRedirectIsFollowed(t *testing.T) {
	t.Parallel()
	if len(hostile) < 60 {
		t.Fatalf("%d hostile variants, want 60", len(hostile))
	}
	for kind, a := range kinds() {
		for name, uri := range hostile {
			if a.Redirects(uri) {
				t.Errorf("%s sends a code to %s (%q)", kind, name, uri)
			}
			if a.LeadsAfterLogout(uri) {
				t.Errorf("%s leads to %s (%q) after a logout", kind, name, uri)
			}
		}
	}
}

func TestWhatAnAppListsIsFollowed(t *testing.T) {
	t.Parallel()
	for kind, a := range kinds() {
		for _, uri := range listed {
			if a.Redirects(uri) != (len(a.RedirectURIs) > 0) || a.LeadsAfterLogout(uri) != (len(a.LogoutURIs) > 0) {
				t.Errorf("%s and %s: %v, %v", kind, uri, a.Redirects(uri), a.LeadsAfterLogout(uri))
			}
		}
	}
}

// A native app listens on whatever port is free, and nobody else does
// (RFC 8252 7.3).
//
// Covers R-137 (the ports of this machine).
func TestTheAnyPortRuleIsForNativeApps(t *testing.T) {
	t.Parallel()
	free := []string{
		"http://localhost:51004/cb", "http://localhost/cb", "http://localhost:1/cb", "http://127.0.0.1:65535/native", "http://[::1]/native", "http://[::1]:1234/native",
	}
	never := []string{"https://app.example.com:9443/deep/path", "https://app.example.com:1/cb", "http://[::1]:1234/cb", "http://127.0.0.1:5000/cb"}
	for kind, a := range kinds() {
		native := kind == "a native app"
		for _, uri := range free {
			if a.Redirects(uri) != native {
				t.Errorf("%s and %s: %v", kind, uri, a.Redirects(uri))
			}
			if a.LeadsAfterLogout(uri) {
				t.Errorf("%s leads to %s after a logout", kind, uri)
			}
		}
		for _, uri := range never {
			if a.Redirects(uri) {
				t.Errorf("%s sends a code to %s", kind, uri)
			}
		}
	}
}

// refusedURIs can be in no list, whatever kind of app it is.
var refusedURIs = []string{
	"nothing but a path", "/cb", "com.example.app", "com.example.app:", "com.example.app:cb", "com.example.app://cb", "com.example.app:///cb", "com.example.app://evil.test/cb",
	"app:/cb", "javascript:/cb", "data:/cb", "file:/cb", "http:/cb", "https:/cb", "COM.example.app:/cb", "com.example.app:/x/../cb", "com.example.app:/./cb",
	"com.example.app:/cb#x", "com.example.app:/cb?x=1", `com.example.app:/\cb`, "com.example.app:/%2e%2e/cb", "com.example.app:/c b", "com..app:/cb", ".com.app:/cb",
	"com.example.app:/" + strings.Repeat("a", 500), "com.example.app:/cb\n",
	"http://app.example.com/cb", "http://127.0.0.2/cb", "http://localhost.evil.test/cb", "https://app.example.com/cb#x", "https://u@app.example.com/cb", "https://*.example.com/cb",
}

// Which addresses an app may list depends on what it is and where.
func TestWhichRedirectURIsAnAppMayList(t *testing.T) {
	t.Parallel()
	const page, local, private = "https://app.example.com/cb", "http://127.0.0.1:3000/cb", "com.example.app:/cb"
	for name, c := range map[string]struct {
		env    string
		native bool
		may    []string
	}{
		"a page in production":       {tenant.Default, false, []string{page}},
		"a page in the sandbox":      {tenant.Sandbox, false, []string{page, local}},
		"a native app in production": {tenant.Default, true, []string{page, local, private}},
		"a native app in sandbox":    {tenant.Sandbox, true, []string{page, local, private}},
	} {
		for _, uri := range slices.Concat([]string{page, local, private}, refusedURIs) {
			want := slices.Contains(c.may, uri)
			for field, in := range map[string]app.Change{"redirect_uris": {RedirectURIs: &[]string{uri}}, "post_logout_redirect_uris": {LogoutURIs: &[]string{uri}}} {
				err := refused(c.env, app.New{Native: c.native, Change: in})
				if (err == nil) != want {
					t.Errorf("%s lists %q as %s: %v", name, uri, field, err)
				}
				if err != nil && !strings.HasPrefix(err.Error(), "invalid_parameter: "+field+" ") {
					t.Errorf("the refusal of %q does not begin with %s: %v", uri, field, err)
				}
			}
		}
	}
}

// Origins stand as a browser sends them, since they are compared as texts.
//
// Covers R-157 (what may be configured, and the comparison).
func TestOriginsAreExact(t *testing.T) {
	t.Parallel()
	good := []string{"https://app.example.com", "https://app.example.com:8443", "https://[2001:db8::1]", "https://192.0.2.1", "https://xn--bcher-kva.example"}
	local := []string{"http://localhost:3000", "http://localhost", "http://127.0.0.1:8080", "http://[::1]:8080"}
	bad := map[string]string{
		"null": "null", "a star": "*", "a wildcard": "https://*.example.com", "no scheme": "app.example.com", "a slash": "https://app.example.com/",
		"a path": "https://app.example.com/x", "a query": "https://app.example.com?x", "a fragment": "https://app.example.com#x", "a user": "https://u@app.example.com",
		"the usual port": "https://app.example.com:443", "the usual port of http": "http://localhost:80", "capitals": "https://APP.example.com",
		"capitals of the scheme": "HTTPS://app.example.com", "plain HTTP": "http://app.example.com", "a machine near this one": "http://127.0.0.2", "an empty port": "https://app.example.com:",
		"port zero": "https://app.example.com:0", "a zero in front": "https://app.example.com:08443", "a blank": "https://app.example.com ", "two": "https://a.test https://b.test",
		"two with a comma": "https://a.test,https://b.test", "another scheme": "ftp://app.example.com", "a private scheme": "com.example.app:/", "an extension": "chrome-extension://abcdef",
		"a dot behind": "https://app.example.com.", "a file": "file://", "letters that are not ASCII": "https://bücher.example", "a line break": "https://app.example.com\n",
	}
	try := func(env string, native bool, origin string) error {
		return refused(env, app.New{Native: native, Change: app.Change{Origins: &[]string{origin}}})
	}
	for _, origin := range slices.Concat(good, local) {
		plain := slices.Contains(local, origin)
		for _, native := range []bool{true, false} {
			if err := try(tenant.Sandbox, native, origin); err != nil {
				t.Errorf("%s in the sandbox: %v", origin, err)
			}
			if err := try(tenant.Default, native, origin); (err != nil) != (plain && !native) {
				t.Errorf("%s in production, native %v: %v", origin, native, err)
			}
		}
		a := app.App{Origins: []string{origin}}
		for _, near := range []string{"", "null", "*", origin + "/", origin + ":443", origin + ".evil.test", origin + "0", strings.ToUpper(origin), origin[:len(origin)-1], "x" + origin, origin + " " + origin} {
			if a.Serves(near) {
				t.Errorf("an app that lists %s serves %q", origin, near)
			}
		}
		if !a.Serves(origin) {
			t.Errorf("an app does not serve %s, which it lists", origin)
		}
	}
	for name, origin := range bad {
		for _, env := range []string{tenant.Sandbox, tenant.Default} {
			for _, native := range []bool{true, false} {
				if try(env, native, origin) == nil {
					t.Errorf("%s (%q) is an origin in %s", name, origin, env)
				}
			}
		}
	}
}
