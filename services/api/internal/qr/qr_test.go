package qr_test

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"countersign.dev/pkg/rig"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/qr"
	"countersign.dev/services/api/internal/totp"
)

func encode(tb testing.TB, text string) qr.Image {
	tb.Helper()
	picture, err := qr.Encode(secret.New(text))
	if err != nil {
		tb.Fatal(err)
	}
	return picture
}

func pngOf(tb testing.TB, picture qr.Image) []byte {
	tb.Helper()
	data, err := picture.PNG()
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// reads asks another program what a picture says.
func reads(t *testing.T, zbarimg string, data []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "code.png")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), zbarimg, "-q", "--raw", "--oneshot", file).Output()
	if err != nil {
		t.Fatalf("zbarimg: %v: %s", err, out)
	}
	return strings.TrimSuffix(string(out), "\n")
}

// uri is what an app is given to read.
func uri(algorithm, issuer, account string) string {
	return totp.NewKey(totp.Parameters{Algorithm: algorithm, Digits: 8, Period: 60}).URI(issuer, account).Reveal()
}

// Covers R-020 for the QR code, read by another program.
func TestAnotherProgramReadsWhatWasDrawn(t *testing.T) {
	t.Parallel()
	zbarimg := rig.Installed(t, "zbarimg", "zbar-tools")
	const account = "ana.müller+app@example.com"
	for name, text := range map[string]string{
		"a plain name":              totp.NewKey(totp.Default()).URI("Acme", "ana@example.com").Reveal(),
		"a colon":                   uri("SHA1", "Acme: Bank", account),
		"a percent sign":            uri("SHA1", "100% %3A", account),
		"a plus":                    uri("SHA1", "A+B C", account),
		"an ampersand":              uri("SHA256", "A & B?secret=x#y", account),
		"umlauts":                   uri("SHA256", "Müller & Söhne ÄÖÜß", account),
		"emoji":                     uri("SHA512", "🔐 Bank 👩‍👩‍👧", account),
		"the longest key and names": uri("SHA512", strings.Repeat("漢", 64), strings.Repeat("ü", 64)+"@"+strings.Repeat("x", 186)+".com"),
		"one letter":                "a",
		"digits alone":              "0123456789",
		"capitals alone":            "OTPAUTH",
		"as much as a code holds":   strings.Repeat("countersign", 211) + "0123456789",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			picture := encode(t, text)
			if got := reads(t, zbarimg, pngOf(t, picture)); got != text {
				t.Errorf("the PNG says  %s\nwhat was drawn %s", got, text)
			}
			if got := reads(t, zbarimg, rasterized(t, picture.SVG())); got != text {
				t.Errorf("the SVG says  %s\nwhat was drawn %s", got, text)
			}
		})
	}
}

var (
	run  = regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-(\d+)z`)
	path = regexp.MustCompile(`^(?:` + run.String() + `)+$`)
)

// drawing is all that an SVG may consist of.
type drawing struct {
	ViewBox string `xml:"viewBox,attr"`
	Shape   string `xml:"shape-rendering,attr"`
	Rect    []struct {
		Width  int    `xml:"width,attr"`
		Height int    `xml:"height,attr"`
		Fill   string `xml:"fill,attr"`
	} `xml:"rect"`
	Path []struct {
		D string `xml:"d,attr"`
	} `xml:"path"`
	Other []struct{} `xml:",any"`
}

// parsed reads an SVG and returns its size in modules.
func parsed(t *testing.T, svg []byte) (drawing, int) {
	t.Helper()
	var d drawing
	if err := xml.Unmarshal(svg, &d); err != nil {
		t.Fatal(err)
	}
	box := strings.Fields(d.ViewBox)
	if len(box) != 4 || box[0] != "0" || box[1] != "0" || box[2] != box[3] || len(d.Rect) != 1 || len(d.Path) != 1 || len(d.Other) != 0 {
		t.Fatalf("this is another drawing: %.200s", svg)
	}
	size, err := strconv.Atoi(box[2])
	if err != nil || d.Rect[0].Width != size || d.Rect[0].Height != size || d.Rect[0].Fill != "#fff" || !path.MatchString(d.Path[0].D) {
		t.Fatalf("this is another drawing: %v: %.200s", err, svg)
	}
	return d, size
}

// rasterized does what a browser does with an SVG, at five pixels a module.
func rasterized(t *testing.T, svg []byte) []byte {
	t.Helper()
	const scale = 5
	d, size := parsed(t, svg)
	picture := image.NewGray(image.Rect(0, 0, size*scale, size*scale))
	draw.Draw(picture, picture.Bounds(), image.White, image.Point{}, draw.Src)
	for _, found := range run.FindAllStringSubmatch(d.Path[0].D, -1) {
		var n [4]int
		for i := range n {
			n[i], _ = strconv.Atoi(found[1+i])
		}
		if n[2] != n[3] {
			t.Fatalf("%s does not end where it began", found[0])
		}
		draw.Draw(picture, image.Rect(n[0]*scale, n[1]*scale, (n[0]+n[2])*scale, (n[1]+1)*scale), image.Black, image.Point{}, draw.Src)
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// A code of one letter has 21 modules to a side, and a quiet zone of four
// around them; its corners are seven modules of black.
func TestTheQuietZoneBelongsToThePicture(t *testing.T) {
	t.Parallel()
	const module, quiet, inner = 5, 4, 21
	code := encode(t, "a")
	picture, err := png.Decode(bytes.NewReader(pngOf(t, code)))
	if err != nil {
		t.Fatal(err)
	}
	if want := image.Rect(0, 0, module*(inner+2*quiet), module*(inner+2*quiet)); picture.Bounds() != want {
		t.Fatalf("the picture has %v, want %v", picture.Bounds(), want)
	}
	paletted, ok := picture.(*image.Paletted)
	if !ok || len(paletted.Palette) != 2 {
		t.Fatalf("the picture is no palette of two colors: %T", picture)
	}
	inside := image.Rect(module*quiet, module*quiet, module*(quiet+inner), module*(quiet+inner))
	for y := range picture.Bounds().Dy() {
		for x := range picture.Bounds().Dx() {
			gray, _ := color.GrayModel.Convert(picture.At(x, y)).(color.Gray)
			if gray.Y != 0 && gray.Y != 255 || gray.Y == 0 && !image.Pt(x, y).In(inside) {
				t.Fatalf("%d,%d has the brightness %d", x, y, gray.Y)
			}
		}
	}
	for _, corner := range []image.Point{{quiet, quiet}, {quiet + inner - 7, quiet}, {quiet, quiet + inner - 7}} {
		for x := range 7 * module {
			if gray, _ := color.GrayModel.Convert(picture.At(corner.X*module+x, corner.Y*module)).(color.Gray); gray.Y != 0 {
				t.Fatalf("the corner at %v is not black", corner)
			}
		}
	}
	if d, size := parsed(t, code.SVG()); size != inner+2*quiet || d.Shape != "crispEdges" || !strings.HasPrefix(d.Path[0].D, "M4 4h7v1h-7z") {
		t.Errorf("the SVG has the size %d, %+v", size, d)
	}
}

func TestAPictureAsksForNothing(t *testing.T) {
	t.Parallel()
	svg := string(encode(t, uri("SHA512", "Acme", "ana@example.com")).SVG())
	for _, word := range []string{"href", "url(", "<image", "<script", "<style", "<use", "<!", "<?", "@import"} {
		if strings.Contains(svg, word) {
			t.Errorf("%q is in the SVG", word)
		}
	}
	if n := strings.Count(svg, "//"); n != 1 { // the name of SVG itself
		t.Errorf("%d addresses in the SVG", n)
	}
}

func TestSizesAreSmall(t *testing.T) {
	t.Parallel()
	code := encode(t, totp.NewKey(totp.Default()).URI("Acme", "ana@example.com").Reveal())
	if n := len(pngOf(t, code)); n > 4<<10 {
		t.Errorf("the PNG has %d bytes", n)
	}
	if n := len(code.SVG()); n > 16<<10 {
		t.Errorf("the SVG has %d bytes", n)
	}
}

func TestWhatCannotBeDrawnIsNotRepeated(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing":              "",
		"a byte too much":      strings.Repeat("canary_", 333) + "x",
		"a mebibyte":           strings.Repeat("canary_", 1<<17),
		"too many digits":      strings.Repeat("747723", 1000),
		"too many in capitals": strings.Repeat("CANARY", 1000),
	} {
		_, err := qr.Encode(secret.New(text))
		if err == nil || len(err.Error()) > 60 || strings.Contains(strings.ToLower(err.Error()), "canary") || strings.Contains(err.Error(), "7477") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDataURI(t *testing.T) {
	t.Parallel()
	data := pngOf(t, encode(t, "a"))
	got, ok := strings.CutPrefix(qr.DataURI("image/png", data), "data:image/png;base64,")
	if back, err := base64.StdEncoding.DecodeString(got); !ok || err != nil || !bytes.Equal(back, data) {
		t.Errorf("%.60s: %v", got, err)
	}
}

// A person who sets an app up waits for it, and a core is busy so long.
func BenchmarkEncodeAndPNG(b *testing.B) {
	text := totp.NewKey(totp.Default()).URI("Müller & Söhne", "ana.mueller@example.com").Reveal()
	b.ReportAllocs()
	for b.Loop() {
		pngOf(b, encode(b, text))
	}
}
