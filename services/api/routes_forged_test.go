package api_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"countersign.dev/services/api/internal/pipeline"
)

// forgery is a form that something else than our own page sends, or that our
// page never made: what succeeds, with one thing changed.
type forgery struct {
	method, query, enctype string
	cookie                 string // the header
	form                   url.Values
	header                 http.Header
	status                 int
}

// cookieKinds are what the cookies of pages hold; see cookieKind. Sessions come
// last, since a new password ends them.
var cookieKinds = []string{"browser", "link", "password code", "shown code", "sessions"}

// forger knows what the form that succeeds has, and what attackers have.
type forger struct {
	*realm
	good   *shot
	theirs *realm // another browser
}

// token is that of the page that this browser has open.
func (f forger) token() string { return f.good.form.Get(pipeline.TokenParameter) }

// named is the browser's cookie with another value.
func (f forger) named(value string) string { return f.good.route.Cookie + "=" + value }

// with is the form with another token; an empty one is left out.
func (f forger) with(token string) *forgery {
	out := &forgery{
		method: http.MethodPost, enctype: form, cookie: f.good.cookie, form: maps.Clone(f.good.form), status: http.StatusForbidden,
		header: http.Header{"Sec-Fetch-Site": {"same-origin"}},
	}
	if out.form.Set(pipeline.TokenParameter, token); token == "" {
		out.form.Del(pipeline.TokenParameter)
	}
	return out
}

// from is the form that succeeds, and what a browser says about where it is.
func (f forger) from(site, origin string) *forgery {
	out := f.with(f.token())
	out.header = http.Header{}
	if site != "" {
		out.header.Set("Sec-Fetch-Site", site)
	}
	if origin != "" {
		out.header.Set("Origin", origin)
	}
	return out
}

func (g *forgery) but(change func(g *forgery)) *forgery {
	change(g)
	return g
}

func (g *forgery) answers(status int) *forgery {
	g.status = status
	return g
}

// elsewhere are forms of other sites. They are refused whatever they hold, since
// a browser that says so is believed.
func (f forger) elsewhere() map[string]*forgery {
	all := map[string]*forgery{
		"from another site":                                 f.from("cross-site", "https://evil.test"),
		"from another site, with no origin":                 f.from("cross-site", ""),
		"from a neighbour under the domain":                 f.from("same-site", "https://www.example.test"),
		"from a subdomain":                                  f.from("same-site", "https://x.login.example.test"),
		"from a frame in a sandbox":                         f.from("cross-site", "null"),
		"of an older browser, from elsewhere":               f.from("", "https://evil.test"),
		"of an older browser, from a subdomain":             f.from("", "https://x.login.example.test"),
		"of an older browser, from nowhere":                 f.from("", "null"),
		"of an older browser, from a file":                  f.from("", "file://"),
		"of an older browser, from our name as a beginning": f.from("", "https://127.0.0.1.evil.test"),
		"that says it is from here and everywhere":          f.from("cross-site", f.base),
	}
	for name, enctype := range map[string]string{"as text": "text/plain", "in parts": "multipart/form-data", "as JSON": asJSON} {
		all["from another site "+name] = f.from("cross-site", "https://evil.test").but(func(g *forgery) { g.enctype = enctype })
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		all["from another site as "+method+" in a header"] = f.from("cross-site", "https://evil.test").but(overridden(method))
		all["from another site as "+method+" in a field"] = f.from("cross-site", "https://evil.test").but(func(g *forgery) { g.form.Set("_method", method) })
	}
	return all
}

// overridden has a header say another method, as frameworks read it.
func overridden(method string) func(*forgery) {
	return func(g *forgery) {
		for _, name := range []string{"X-HTTP-Method-Override", "X-Http-Method", "X-Method-Override"} {
			g.header.Set(name, method)
		}
	}
}

// tokens are forms whose token is not that of this browser's page.
func (f forger) tokens() map[string]*forgery {
	good := f.token()
	all := map[string]*forgery{
		"with no token":                     f.with(""),
		"with another token":                f.with("canary"),
		"with a token cut short":            f.with(good[:len(good)-1]),
		"with a longer token":               f.with(good + "A"),
		"with an empty token":               f.with("").but(func(g *forgery) { g.form.Set(pipeline.TokenParameter, "") }),
		"with another browser's token":      f.with(f.theirs.formToken(f.theirs.id(cookieKind(f.good.route)))),
		"with the token of another page":    f.with(f.formToken(never(f.t, "link"))),
		"with the token of no cookie":       f.with(f.formToken("")),
		"with the cookie for a token":       f.with(strings.TrimPrefix(f.good.cookie, f.good.route.Cookie+"=")),
		"with the token as a list":          f.with("").but(func(g *forgery) { g.form.Set(pipeline.TokenParameter+"[]", good) }),
		"with the token in a header":        f.with("").but(func(g *forgery) { g.header.Set("X-Csrf-Token", good) }),
		"with no token, in parts":           f.with("").but(func(g *forgery) { g.enctype = "multipart/form-data" }),
		"with no token, as JSON":            f.with("").but(func(g *forgery) { g.enctype = asJSON }),
		"with no token, as GET in a header": f.with("").but(overridden("GET")),
		"with no token, as GET in a field":  f.with("").but(func(g *forgery) { g.form.Set("_method", "GET") }),
		"of an older browser without one":   f.from("", "").but(func(g *forgery) { g.form.Del(pipeline.TokenParameter) }),
	}
	for _, kind := range cookieKinds {
		if kind != cookieKind(f.good.route) {
			all["with the token of the browser's "+kind] = f.with(f.formToken(f.id(kind)))
		}
	}
	return all
}

// cookies are forms with a good token, that the browser's cookie does not come
// with: those of other sites, where the cookie is SameSite, and those by which
// somebody would sign this browser in as themselves.
func (f forger) cookies() map[string]*forgery {
	refused := http.StatusForbidden
	if f.good.route.Credential == pipeline.Browser {
		refused = http.StatusUnauthorized // nobody is signed in
	}
	cookie := func(header string) *forgery {
		return f.with(f.token()).answers(refused).but(func(g *forgery) { g.cookie = header })
	}
	name, value, _ := strings.Cut(f.good.cookie, "=")
	return map[string]*forgery{
		"without the cookie":             cookie(""),
		"of an older browser without it": f.from("", "").answers(refused).but(func(g *forgery) { g.cookie = "" }),
		"with an empty cookie":           cookie(f.named("")),
		"with another browser's cookie":  cookie(f.named(f.theirs.id(cookieKind(f.good.route)))),
		"with the cookie twice":          cookie(f.good.cookie + "; " + f.good.cookie),
		"with a neighbour's cookie":      cookie(f.named(never(f.t, "link")) + "; " + f.good.cookie),
		"with a cookie of another host":  cookie(strings.TrimPrefix(name, "__Host-") + "=" + value),
	}
}

// planted is the form for a sign-in that another browser has begun: whoever made
// this browser send it would have it signed in as somebody else. The sign-in is
// dead from then on.
func (f forger) planted() *forgery {
	flow := f.theirs.newFlow()
	return f.with(f.token()).answers(http.StatusNotFound).but(func(g *forgery) { g.form.Set("requestId", flow) })
}

// shapes are forms with a good token and cookie that do not say it as our page
// does, so that nothing in front of us reads another form than we do.
func (f forger) shapes() map[string]*forgery {
	token := url.Values{pipeline.TokenParameter: {f.token()}}.Encode()
	return map[string]*forgery{
		"with the token in the query":      f.with("").answers(http.StatusBadRequest).but(func(g *forgery) { g.query = token }),
		"with the token in both":           f.with(f.token()).answers(http.StatusBadRequest).but(func(g *forgery) { g.query = token }),
		"with a method in the query":       f.with(f.token()).answers(http.StatusBadRequest).but(func(g *forgery) { g.query = "_method=POST" }),
		"with a method in a field":         f.with(f.token()).answers(http.StatusBadRequest).but(func(g *forgery) { g.form.Set("_method", "POST") }),
		"with two tokens":                  f.with(f.token()).answers(http.StatusBadRequest).but(func(g *forgery) { g.form.Add(pipeline.TokenParameter, f.token()) }),
		"as text":                          f.with(f.token()).answers(http.StatusUnsupportedMediaType).but(func(g *forgery) { g.enctype = "text/plain" }),
		"as GET":                           f.asGet(),
		"as GET that is POST in a header":  f.asGet().but(overridden("POST")),
		"as GET that is POST in the query": f.asGet().but(func(g *forgery) { g.form.Set("_method", "POST") }),
	}
}

// asGet is the form as a link. The path may have a page to show, which changes
// nothing.
func (f forger) asGet() *forgery {
	g := f.with(f.token()).answers(http.StatusMethodNotAllowed)
	g.method, g.enctype = http.MethodGet, ""
	if slices.ContainsFunc(f.service.Routes(), func(o pipeline.Route) bool { return o.Path == f.good.route.Path && o.Method == http.MethodGet }) {
		g.status = 0
	}
	return g
}

func (f forger) all() map[string]*forgery {
	all := f.elsewhere()
	for _, more := range []map[string]*forgery{f.tokens(), f.cookies(), f.shapes()} {
		maps.Copy(all, more)
	}
	return all
}

// body writes a form as browsers do.
func (g *forgery) body(t *testing.T, s *shot) (mediaType, body string) {
	t.Helper()
	switch g.enctype {
	case "":
		return "", ""
	case asJSON:
		sent := *s
		sent.form = g.form
		raw, err := json.Marshal(sent.tree())
		if err != nil {
			t.Fatal(err)
		}
		return asJSON, string(raw)
	case "text/plain":
		var out strings.Builder
		for name := range g.form {
			out.WriteString(name + "=" + g.form.Get(name) + "\r\n")
		}
		return g.enctype, out.String()
	case "multipart/form-data":
		var out bytes.Buffer
		parts := multipart.NewWriter(&out)
		for name := range g.form {
			if err := parts.WriteField(name, g.form.Get(name)); err != nil {
				t.Fatal(err)
			}
		}
		if err := parts.Close(); err != nil {
			t.Fatal(err)
		}
		return parts.FormDataContentType(), out.String()
	}
	return g.enctype, g.form.Encode()
}

// send sends it to the route of the form that succeeds.
func (f forger) send(g *forgery) *reply {
	f.t.Helper()
	query := g.query
	if g.method == http.MethodGet {
		query = g.form.Encode()
	}
	mediaType, body := g.body(f.t, f.good)
	req := f.good.raw(f.t, f.house.base, query, mediaType, strings.NewReader(body))
	if req.Method = g.method; g.method == http.MethodGet {
		req.Body, req.ContentLength = nil, 0
	}
	req.Header.Del("Cookie")
	req.Header.Del("Sec-Fetch-Site")
	maps.Copy(req.Header, g.header)
	if g.cookie != "" {
		req.Header.Set("Cookie", g.cookie)
	}
	req.Header.Set("X-Forwarded-For", f.address())
	return f.observe(req)
}
