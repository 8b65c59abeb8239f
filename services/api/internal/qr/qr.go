// Package qr draws QR codes.
//
// The edges call it with the address of an app's key and hand the picture to a
// page or into an answer. What is drawn is a secret, and so is the picture: no
// error here repeats any of it, nothing is kept, and a picture needs nothing
// from anywhere to be shown. What the address says is not this package's
// business.
package qr

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"strconv"

	"github.com/boombuler/barcode/qr"

	"countersign.dev/pkg/secret"
)

const (
	// quiet is how many light modules stand around a code: readers look for
	// its corners there (ISO/IEC 18004).
	quiet = 4
	// scale is how many pixels wide a module is: enough for a camera in front
	// of a screen, and a picture that fits on it.
	scale = 5
)

// Image is a QR code with its quiet zone.
type Image struct {
	size int    // modules to each side
	dark []bool // row by row
}

// Encode draws a text, with error correction of level M. A text that is empty
// or longer than the largest code holds (2,331 bytes) is an error.
func Encode(text secret.Text) (Image, error) {
	if text.IsZero() {
		return Image{}, errors.New("draw QR code: there is nothing to draw")
	}
	// By bytes, as it is: the library's own choice of an encoding repeats the
	// text in its error.
	code, err := qr.Encode(text.Reveal(), qr.M, qr.Unicode)
	if err != nil {
		return Image{}, errors.New("draw QR code: the text is too long")
	}
	inner := code.Bounds().Dx()
	i := Image{size: inner + 2*quiet}
	i.dark = make([]bool, i.size*i.size)
	for y := range inner {
		for x := range inner {
			i.dark[(y+quiet)*i.size+x+quiet] = code.At(x, y) == color.Black
		}
	}
	return i, nil
}

// row is one line of modules.
func (i Image) row(y int) []bool { return i.dark[y*i.size : (y+1)*i.size] }

// PNG is the picture in black on white, scale pixels a module.
func (i Image) PNG() ([]byte, error) {
	// With two colors a pixel takes one bit.
	picture := image.NewPaletted(image.Rect(0, 0, i.size*scale, i.size*scale), color.Palette{color.White, color.Black})
	module := bytes.Repeat([]byte{1}, scale)
	for y := range i.size {
		line := picture.Pix[y*scale*picture.Stride:][:picture.Stride]
		for x, dark := range i.row(y) {
			if dark {
				copy(line[x*scale:], module)
			}
		}
		for again := range scale {
			copy(picture.Pix[(y*scale+again)*picture.Stride:], line)
		}
	}
	var out bytes.Buffer
	// The next better compression takes half as long again for one kilobyte less.
	encoder := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := encoder.Encode(&out, picture); err != nil {
		return nil, fmt.Errorf("encode picture: %w", err)
	}
	return out.Bytes(), nil
}

// SVG is the picture as one path on white, a module being one unit: without a
// ground of its own a dark page would take the contrast away.
func (i Image) SVG() []byte {
	size := strconv.Itoa(i.size)
	return []byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ` + size + ` ` + size + `" shape-rendering="crispEdges">` +
		`<rect width="` + size + `" height="` + size + `" fill="#fff"/><path d="` + i.Path() + `"/></svg>`)
}

// Size is how many modules a side has, the quiet zone included.
func (i Image) Size() int { return i.size }

// Path is what is dark, as the d of a path in SVG, for pages that write the
// rest of the picture themselves.
func (i Image) Path() string {
	var out []byte
	for y := range i.size {
		row := i.row(y)
		for x := 0; x < i.size; x++ {
			begin := x
			for row[x] {
				x++ // ends in the quiet zone
			}
			if x > begin {
				out = fmt.Appendf(out, "M%d %dh%dv1h-%dz", begin, y, x-begin, x-begin)
			}
		}
	}
	return string(out)
}

// DataURI writes data into an address, so that a page shows a picture without
// asking anybody for it.
func DataURI(mediaType string, data []byte) string {
	return "data:" + mediaType + ";base64," + base64.StdEncoding.EncodeToString(data)
}
