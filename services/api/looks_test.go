package api_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"net/http"
	"strings"
	"testing"

	"countersign.dev/services/api"
)

func dataURI(mediaType string, content []byte) string {
	return "data:" + mediaType + ";base64," + base64.StdEncoding.EncodeToString(content)
}

// pictureOf makes a picture of one colour.
func pictureOf(width, height int, c color.Color, encode func(io.Writer, image.Image) error) []byte {
	var out bytes.Buffer
	if err := encode(&out, image.NewPaletted(image.Rect(0, 0, width, height), color.Palette{c})); err != nil {
		panic(err) // it has sides, and the buffer takes all
	}
	return out.Bytes()
}

func asJPEG(w io.Writer, m image.Image) error { return jpeg.Encode(w, m, nil) }

var (
	bluePNG = pictureOf(120, 40, color.RGBA{0, 0x55, 0xaa, 0xff}, png.Encode)
	redJPEG = pictureOf(40, 40, color.RGBA{0xaa, 0, 0, 0xff}, asJPEG)
	aLogo   = dataURI("image/png", bluePNG)
)

// logoAt is where a logo is served.
func logoAt(content []byte) string {
	sum := sha256.Sum256(content)
	return "/assets/logo/" + hex.EncodeToString(sum[:])
}

// picture asks for a logo as a browser does.
func (h *house) picture(content []byte) *reply {
	h.t.Helper()
	return h.browser().visit(http.MethodGet, logoAt(content), nil)
}

// says compares what a page has of its organization's look.
func (r *reply) says(has bool, texts ...string) *reply {
	r.t.Helper()
	for _, text := range texts {
		if strings.Contains(r.want(http.StatusOK).raw, text) != has {
			r.t.Errorf("%s: %q is there: %v, want %v: %s", r.what, text, !has, has, r.raw)
		}
	}
	return r
}

// The logo of an organization and what it says at the foot are on every page
// that knows it, from the moment on at which they are set, and the welcome is
// on the first one. The picture comes from here, with all that an answer of ours
// has, and browsers may keep it.
// Covers R-161 for logos.
func TestAnOrganizationsLookIsOnItsPages(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		s := newStage(t, start(t, p).passwords().second(false))
		shop := s.shop()
		org := "/api/v2/organizations/" + s.org
		in := s.signIn(s.browser(), s.app(), s.user)
		pages := func() map[string]*reply {
			b := s.browser()
			link := s.courier.letterFor(t, s.requestPassword("ana@acme.test").want(201).text("request_id")).Link
			return map[string]*reply{
				"sign-in": b.signInPage(wanted(shop)), "link": s.browser().open(link), "account": s.page(in.browser), "sign-out": in.visit(http.MethodGet, signOut, nil),
			}
		}
		shown := func(has bool, content []byte) {
			t.Helper()
			for name, page := range pages() {
				alt := "Acme Test Ltd"
				if name == "sign-in" {
					alt = "" // the heading has it
				}
				page.says(has, logoAt(content)+`" alt="`+alt+`">`, `<footer class="help"><p>Call 555 &lt;b&gt;&amp;</p></footer>`)
				if policy := page.header.Get("Content-Security-Policy"); has && !strings.Contains(policy, "img-src 'self'") {
					t.Errorf("the page %s shows no picture: %s", name, policy)
				}
				if strings.Contains(page.raw, "cdn.acme.test") {
					t.Errorf("the page %s loads from elsewhere: %s", name, page.raw)
				}
			}
		}
		shown(false, bluePNG)
		s.call("PUT", org, "logo="+aLogo, "icon_logo_url=https://cdn.acme.test/logo.png").want(200)
		if got := s.call("GET", org).want(200).text("logo_url"); got != s.public+logoAt(bluePNG) {
			t.Errorf("the logo is at %s", got)
		}
		s.call("PUT", "/api/v2/org/"+s.org+"/page-texts/en", "help=Call 555 <b>&").want(200)
		shown(true, bluePNG)

		picture := s.picture(bluePNG).want(200)
		if picture.raw != string(bluePNG) {
			t.Errorf("%d octets are served, want the %d that were sent", len(picture.raw), len(bluePNG))
		}
		for name, want := range map[string]string{
			"Content-Type": "image/png", "Cache-Control": "public, max-age=31536000", "X-Content-Type-Options": "nosniff",
			"Cross-Origin-Resource-Policy": "same-origin", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
		} {
			if got := picture.header.Get(name); got != want {
				t.Errorf("%s of the logo is %q, want %q", name, got, want)
			}
		}
		for _, nowhere := range []string{"/assets/logo/" + strings.Repeat("0", 64), "/assets/logo/x", strings.ToUpper(logoAt(bluePNG)), logoAt(bluePNG) + "0", logoAt(redJPEG)} {
			if r := s.as("").call("GET", nowhere).wantFault(404, "not_found"); r.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s may be kept: %v", nowhere, r.header)
			}
		}

		s.call("PUT", org, "logo="+dataURI("image/jpeg", redJPEG)).want(200)
		shown(true, redJPEG)
		s.picture(bluePNG).wantFault(404, "not_found")
		if got := s.picture(redJPEG).want(200).header.Get("Content-Type"); got != "image/jpeg" {
			t.Errorf("a JPEG is served as %s", got)
		}
		s.call("PUT", org, "color=#0055aa").want(200) // leaves it
		shown(true, redJPEG)
		if s.call("PUT", org, "logo=").want(200).body["logo_url"] != nil {
			t.Error("the logo is still said to be there")
		}
		s.call("DELETE", "/api/v2/org/"+s.org+"/page-texts/en").want(200)
		shown(false, redJPEG)
		s.picture(redJPEG).wantFault(404, "not_found")
	})
}

// Two organizations may have one picture, and each loses only its own; with its
// organization a look is gone.
func TestALogoLastsAsLongAsSomebodyShowsIt(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p)
		for _, name := range []string{"Blue", "Azure"} {
			h.call("POST", "/api/v2/organizations", "name="+name).want(201)
			h.call("PUT", "/api/v2/organizations/"+strings.ToLower(name), "logo="+aLogo).want(200)
		}
		h.call("PUT", "/api/v2/org/blue/page-texts/en", "welcome=Hello").want(200)
		h.call("PUT", "/api/v2/organizations/azure", "logo=").want(200)
		h.picture(bluePNG).want(200)
		h.call("DELETE", "/api/v2/organizations/blue").want(200)
		h.picture(bluePNG).wantFault(404, "not_found")
		if gone := h.call("GET", "/api/v2/organizations/blue").want(200); gone.body["logo_url"] != nil {
			t.Errorf("a deleted organization has a logo: %s", gone.raw)
		}
	})
}

// chunk is a piece of a PNG.
func chunk(kind string, content []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(content)))
	out = append(append(out, kind...), content...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

// saysItIs is a PNG whose header claims any size, with the end that it needs.
func saysItIs(width, height uint32) []byte {
	header := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, width), height)
	out := append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", append(header, 8, 6, 0, 0, 0))...)
	return append(out, chunk("IEND", nil)...)
}

// What is no whole picture of the type that it says is refused, whatever else it
// may be, before anybody draws it; nothing of it is kept.
func TestALogoIsAPictureAndNothingElse(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	org := "/api/v2/organizations/" + h.org
	svg := []byte(`<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`)
	page := []byte(`<!doctype html><script>alert(1)</script>`)
	for name, logo := range map[string]string{
		"an SVG":                            dataURI("image/svg+xml", svg),
		"an SVG that says PNG":              dataURI("image/png", svg),
		"a page":                            dataURI("text/html", page),
		"a page that says PNG":              dataURI("image/png", page),
		"a JPEG that says PNG":              dataURI("image/png", redJPEG),
		"a PNG that says JPEG":              dataURI("image/jpeg", bluePNG),
		"a PNG that says it is a page":      dataURI("text/html", bluePNG),
		"a GIF":                             dataURI("image/gif", []byte("GIF89a\x01\x00\x01\x00\x00\x00\x00;")),
		"a PNG with a page behind it":       dataURI("image/png", append(bytes.Clone(bluePNG), page...)),
		"a JPEG with a page behind it":      dataURI("image/jpeg", append(bytes.Clone(redJPEG), page...)),
		"half of a PNG":                     dataURI("image/png", bluePNG[:len(bluePNG)/2]),
		"a signature alone":                 dataURI("image/png", bluePNG[:8]),
		"no octets":                         "data:image/png;base64,",
		"no base64":                         "data:image/png;base64,!!!!",
		"plain octets":                      "data:image/png," + string(bluePNG[1:4]),
		"parameters":                        "data:image/png;charset=utf-8;base64," + base64.StdEncoding.EncodeToString(bluePNG),
		"an address":                        "https://cdn.acme.test/logo.png",
		"a path":                            logoAt(bluePNG),
		"a script":                          "javascript:alert(1)",
		"another scheme":                    "blob:image/png;base64," + base64.StdEncoding.EncodeToString(bluePNG),
		"one pixel too wide":                dataURI("image/png", saysItIs(1025, 1)),
		"one pixel too high":                dataURI("image/png", saysItIs(1, 1025)),
		"a header that says millions":       dataURI("image/png", saysItIs(10_000_000, 10_000_000)),
		"no width":                          dataURI("image/png", saysItIs(0, 10)),
		"an octet more than there may be":   dataURI("image/png", append(bytes.Clone(bluePNG), make([]byte, 24<<10+1-len(bluePNG))...)),
		"a PNG whose header is another one": dataURI("image/png", append(append(bytes.Clone(bluePNG[:8]), chunk("tEXt", svg)...), chunk("IEND", nil)...)),
	} {
		t.Run(name, func(t *testing.T) {
			sent := *h
			sent.t = t
			sent.call("PUT", org, "logo="+logo, "name=Changed").wantFault(422, "invalid_parameter")
		})
	}
	// More than a body may have is refused before anybody looks at it.
	h.call("PUT", org, "logo="+dataURI("image/png", make([]byte, 64<<10))).want(413)
	if r := h.call("GET", org).want(200); r.body["logo_url"] != nil || r.text("name") == "Changed" {
		t.Errorf("something of it was kept: %s", r.raw)
	}
	// The largest there may be goes into a form and into JSON, with whatever a
	// picture may carry: it is served as a picture and as nothing else.
	text := chunk("tEXt", append([]byte("Comment\x00"), page...))
	end := len(bluePNG) - 12
	filler := chunk("tEXt", append([]byte("a\x00"), bytes.Repeat([]byte("z"), 24<<10-len(bluePNG)-len(text)-14)...))
	largest := append(append(append(bytes.Clone(bluePNG[:end]), text...), filler...), bluePNG[end:]...)
	if len(largest) != 24<<10 {
		t.Fatalf("the largest has %d octets", len(largest))
	}
	h.call("PUT", org, "logo="+dataURI("image/png", largest)).want(200)
	h.raw("PUT", org, "application/json", strings.NewReader(`{"logo":"`+dataURI("image/png", largest)+`"}`)).want(200)
	if served := h.picture(largest).want(200); served.header.Get("Content-Type") != "image/png" || served.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("it is served as %v", served.header)
	}
	for _, size := range [][2]uint32{{1024, 1024}, {1, 1}} {
		h.call("PUT", org, "logo="+dataURI("image/png", saysItIs(size[0], size[1]))).want(200)
	}
}

// A look is changed by whoever may change the organization, and by nobody else;
// the sandbox does not change what people who log in see.
func TestALookIsItsOrganizationsOwn(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	org, texts := "/api/v2/organizations/"+h.org, "/api/v2/org/"+h.org+"/page-texts"
	h.call("PUT", texts+"/en", "welcome=Hello").want(200)
	h.call("PUT", org, "logo="+aLogo).want(200)
	kept := func() string { return h.call("GET", org).want(200).raw + h.call("GET", texts).want(200).raw }
	before := kept()
	change := func(by *house, status int, code string) {
		t.Helper()
		by.call("PUT", org, "logo="+dataURI("image/jpeg", redJPEG)).wantFault(status, code)
		by.call("PUT", org, "logo=").wantFault(status, code)
		by.call("PUT", texts+"/en", "welcome=Evil").wantFault(status, code)
		by.call("PUT", texts+"/fr", "help=Evil").wantFault(status, code)
		by.call("DELETE", texts+"/en").wantFault(status, code)
	}
	rival := h.as(h.signIn(h.key("rival", "default", api.AllScopes)))
	change(rival, 404, "not_found")
	rival.call("GET", texts).wantFault(404, "not_found")
	change(h.as(""), 401, "unauthorized")
	reader := h.as(h.signIn(h.key("acme", "default", "organizations:read")))
	change(reader, 403, "insufficient_scope")
	reader.call("GET", texts).want(200)
	h.as(h.signIn(h.key("acme", "default", "users:read"))).call("GET", texts).wantFault(403, "insufficient_scope")
	if after := kept(); after != before {
		t.Errorf("the look is %s, want %s", after, before)
	}
	live := h.as(h.signIn(h.key("acme", "default", api.AllScopes)))
	live.call("POST", "/api/v2/org/"+h.org+"/users", "email=real@acme.test").want(201)
	change(h, 409, "production_not_empty")
	if after := kept(); after != before {
		t.Errorf("the sandbox has changed the look to %s, want %s", after, before)
	}
	live.call("PUT", texts+"/en", "welcome=Hi").want(200)
	live.call("PUT", org, "logo=").want(200)
	live.call("DELETE", texts+"/en").want(200)
}
