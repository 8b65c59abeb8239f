package api_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// resetPaths are those of the steps of a reset, by generation: the newer one
// names the step in a query.
type resetPaths struct{ initiate, validate, accept string }

var resetAges = []resetPaths{
	{"/password-srv/resetpassword?action=initiatereset", "/password-srv/resetpassword?action=validatecode", "/password-srv/resetpassword?action=acceptreset"},
	{"/users-srv/resetpassword/initiate", "/users-srv/resetpassword/validatecode", "/users-srv/resetpassword/accept"},
}

// forgot is one reset that a page leads.
type forgot struct {
	*steps
	age resetPaths
}

func (c *client) forgets(age resetPaths) *forgot { return &forgot{c.leads(), age} }

func (f *forgot) asksFor(email string) *reply {
	f.t.Helper()
	return f.says(f.age.initiate, "resetMedium=EMAIL", "processingType=LINK", "email="+email, "requestId="+f.request)
}

// mailed is the code that the link in the address's newest mail becomes.
func (f *forgot) mailed(email string) string {
	f.t.Helper()
	mail := f.courier.nextLetter(f.t, "to "+email, func(l letter) bool {
		return l.content.To == email && strings.HasPrefix(l.content.Template, "password_")
	})
	led := f.browser().follow(mail.Link)
	if led.Get("password_code") == "" {
		f.t.Fatalf("the link leads on with %v", led)
	}
	return led.Get("password_code")
}

// leadsBack is what a form's browser brings to the app.
func leadsBack(r *reply) url.Values {
	r.t.Helper()
	to := r.want(http.StatusFound).header.Get("Location")
	if !strings.HasPrefix(to, callbackURL+"?") {
		r.t.Fatalf("the browser goes to %q", to)
	}
	return leadsTo(r)
}

// The way to a new password, in both generations of paths, by JSON and by
// forms: a weak one uses nothing up, the good one ends it all, and signs in.
// Covers R-061 for links that an app's own page asks for.
func TestAPageResetsAPassword(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := codesAlone(t, p)
		h.withPassword("ana@acme.test", plain)
		c := h.pages()
		for i, age := range resetAges {
			good := plain + strings.Repeat("!", i+1)
			f := c.forgets(age)
			asked := f.asksFor("ana@acme.test")
			id := asked.said("resetRequestId")
			if asked.said("rprq") != id {
				t.Errorf("asked: %s", asked.raw)
			}
			code := f.mailed("ana@acme.test")
			f.says(age.validate, "resetRequestId="+id, "code="+code[1:]).wantVER(400, "VER_0041")
			taken := f.says(age.validate, "resetRequestId="+id, "code="+code)
			exchangeID := taken.said("exchangeId")
			if taken.said("resetRequestId") != id {
				t.Errorf("taken: %s", taken.raw)
			}
			f.says(age.validate, "resetRequestId="+id, "code="+code).wantVER(400, "VER_0041")
			set := func(password string) *reply {
				return f.says(age.accept, "resetRequestId="+id, "exchangeId="+exchangeID, "password="+password, "confirmPassword="+password)
			}
			if r := set("password").wantVER(400, "VER_0005"); !strings.HasPrefix(r.body["type"].(string), "password_") {
				t.Errorf("a weak password: %s", r.raw)
			}
			if data := set(good).data(); len(data) != 0 {
				t.Errorf("the answer to a new password holds %v", data)
			}
			set(good+"?").wantVER(400, "VER_0006")
			s := c.leads()
			s.begins("PASSWORD", "ana@acme.test", good).data()
			s.begins("PASSWORD", "ana@acme.test", plain+strings.Repeat("!", i)).wantVER(400, "VER_0041")
			h.call("POST", "/api/v2/password", "plain_text="+good+"?", "password_code="+code).wantFault(422, "password_code_not_valid")
		}
	})
}

func TestAFormResetsAPassword(t *testing.T) {
	t.Parallel()
	h := codesAlone(t, embedded(t))
	h.withPassword("ana@acme.test", plain)
	c := h.pages()
	for _, age := range resetAges {
		f := c.forgets(age)
		id := f.asksFor("ana@acme.test").said("rprq")
		code := f.mailed("ana@acme.test")
		f.sends(age.validate, "resetRequestId="+id, "code=undefined").wantVER(417, "VER_0005")
		taken := leadsBack(f.sends(age.validate, "resetRequestId="+id, "code="+code))
		exchangeID := taken.Get("exchangeId")
		if taken.Get("resetRequestId") != id || exchangeID == "" {
			t.Fatalf("the browser brings %v", taken)
		}
		set := func(password, again string) url.Values {
			return leadsBack(f.sends(age.accept, "resetRequestId="+id, "exchangeId="+exchangeID, "password="+password, "confirmPassword="+again))
		}
		for _, refused := range []url.Values{set("password", "password"), set(plain+"?", plain)} {
			if refused.Get("error") == "" || refused.Get("error_description") == "" || refused.Get("error_code") != "VER_0005" ||
				refused.Get("rprq") != id || refused.Get("exchangeid") != exchangeID {
				t.Errorf("after a password that is refused the browser brings %v", refused)
			}
		}
		if set := set(plain+age.accept[1:], plain+age.accept[1:]); set.Get("suggested_action") != "LOGIN" || set.Get("error") != "" {
			t.Errorf("after a good one it brings %v", set)
		}
		f.sends(age.accept, "resetRequestId="+id, "exchangeId="+exchangeID, "password="+plain, "confirmPassword="+plain).wantVER(400, "VER_0006")
		c.leads().begins("PASSWORD", "ana@acme.test", plain+age.accept[1:]).data()
	}
}

// Whoever asks learns nothing about an address, and no way leads from one
// reset into another.
// Covers R-063 for resets by an app's own page.
// Covers R-028 for the ids of resets.
func TestResetsOfAPageTellNothing(t *testing.T) {
	t.Parallel()
	h := codesAlone(t, embedded(t))
	h.call("PUT", "/api/v2/org/"+h.org+"/password-connection", "verbose_errors=true").want(200)
	h.withPassword("ana@acme.test", plain)
	c := h.pages()
	age := resetAges[0]
	known, unknown := c.forgets(age), c.forgets(age)
	to, nobody := known.asksFor("ana@acme.test"), unknown.asksFor("nobody@acme.test")
	mask := func(r *reply) string { return strings.ReplaceAll(r.raw, r.said("rprq"), "id") }
	if mask(to) != mask(nobody) {
		t.Errorf("%s is not as %s", to.raw, nobody.raw)
	}
	h.call("GET", "/api/v2/org/"+h.org+"/users/nobody@acme.test").want(404)
	code := known.mailed("ana@acme.test")
	c.says(age.validate, "resetRequestId="+nobody.said("rprq"), "code="+code).wantVER(400, "VER_0041")
	exchangeID := c.says(age.validate, "resetRequestId="+to.said("rprq"), "code="+code).said("exchangeId")
	accept := func(id string) *reply {
		return c.says(age.accept, "resetRequestId="+id, "exchangeId="+exchangeID, "password="+plain+"!", "confirmPassword="+plain+"!")
	}
	accept(nobody.said("rprq")).wantVER(400, "VER_0032")
	accept(to.said("rprq")).wantVER(400, "VER_0006") // it is over
	c.leads().begins("PASSWORD", "ana@acme.test", plain).data()

	f := c.forgets(age)
	for pair, want := range map[string]string{"resetMedium=SMS": "VER_0028", "resetMedium=IVR": "VER_0028", "processingType=CODE": "VER_0028", "requestId=x": "VER_0006"} {
		form := url.Values{"resetMedium": {"EMAIL"}, "processingType": {"LINK"}, "email": {"ana@acme.test"}, "requestId": {f.request}}
		name, value, _ := strings.Cut(pair, "=")
		form.Set(name, value)
		c.raw("POST", age.initiate, asJSON, strings.NewReader(jsonOf(form))).wantVER(400, want)
	}
	c.says("/password-srv/resetpassword?action=other", "requestId="+f.request).wantVER(400, "VER_0003")
	c.says("/password-srv/resetpassword?action=acceptreset&password=x", "requestId="+f.request).wantVER(400, "VER_0004")
	c.says("/password-srv/resetpassword", "requestId="+f.request).wantVER(417, "VER_0005")
}

// Users are made by their organization: nothing of a registration is there,
// and an app's page can read that.
func TestRegistrationIsNotThere(t *testing.T) {
	t.Parallel()
	h := codesAlone(t, embedded(t))
	h.pages()
	for path, method := range map[string]string{
		"/users-srv/register": "POST", "/registration-setup-srv/public/list": "GET", "/verification-srv/account/initiate": "POST",
		"/verification-srv/account/verify": "POST", "/verification-actions-srv/account/initiation": "POST", "/verification-actions-srv/account": "POST",
		"/users-srv/changepassword": "POST",
	} {
		req, err := http.NewRequestWithContext(t.Context(), method, h.base+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", pageOrigin)
		r := h.plainly(req).wantVER(404, "VER_0404")
		if r.header.Get("Access-Control-Allow-Origin") != pageOrigin {
			t.Errorf("%s: no page can read %v", path, r.header)
		}
	}
}
