package api_test

import (
	"net/http"
	"testing"
)

// strangers are origins that no app lists, by how they differ from the one that
// an app does. The pipeline's own test knows more.
func strangers(listed string) map[string]string {
	return map[string]string{
		"null": "null", "a suffix": listed + ".evil.test", "a prefix": "https://evil-app.acme.test", "another port": listed + ":443",
		"another scheme": "http://app.acme.test", "another site": "https://evil.test",
	}
}

// Pages of other origins read no answer of any route, whatever its status is,
// unless an app lists their origin and the route is for them; no page of ours is,
// and nothing is read with a browser's cookies.
//
func TestOtherOriginsReadOnlyWhatIsForThem(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	p.inbox = true
	h := open(t, p)
	r := h.realm(newLedger(), "acme", "sandbox", "").full()
	const listed = "https://app.acme.test"
	r.call("POST", "/api/v2/org/"+r.org+"/apps", "name=Shop", "redirect_uris[]="+backURL, "origins[]="+listed).want(http.StatusCreated)
	read := 0
	for _, route := range h.service.Routes() {
		s := r.shot(route)
		s.token = "none" // whatever the answer is: a refusal is read no more than another
		from := func(what, origin, method string) *reply {
			t.Helper()
			s.header.Set("Origin", origin)
			s.header.Set("Access-Control-Request-Method", route.Method)
			s.header.Set("Access-Control-Request-Headers", "authorization")
			req := s.request(t, h.base)
			req.Method = method
			got := h.plainly(req)
			if got.header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s from %s: %d allows cookies", title(route), what, got.status)
			}
			return got
		}
		for name, origin := range strangers(listed) {
			for _, method := range []string{http.MethodOptions, route.Method} {
				if got := from(name, origin, method); got.header.Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("%s of %s from %s: %d is read by %q", method, title(route), name, got.status, got.header.Get("Access-Control-Allow-Origin"))
				}
			}
		}
		for _, method := range []string{http.MethodOptions, route.Method} {
			got := from("a listed origin", listed, method)
			switch allowed := got.header.Values("Access-Control-Allow-Origin"); {
			case len(allowed) == 1 && allowed[0] == listed && route.CORS:
				read++
			case len(allowed) > 0:
				t.Errorf("%s of %s from a listed origin: %d is read by %q", method, title(route), got.status, allowed)
			case route.CORS && method == http.MethodOptions: // before it is known which app the call is for
				t.Errorf("%s of %s from a listed origin: %d is read by nobody", method, title(route), got.status)
			}
		}
	}
	if read == 0 {
		t.Error("nobody reads anything: this test sees nothing")
	}
}
