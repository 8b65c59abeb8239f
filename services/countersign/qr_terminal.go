package countersign

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"strings"
)

// finder is how many modules wide the corners of a QR code are (ISO/IEC
// 18004). Their outermost row is dark throughout, which tells how large a
// module is.
const finder = 7

// modules are the squares of a QR code, row by row, with the quiet zone around
// them; true is a dark one.
type modules [][]bool

// readQR reads the picture of a QR code out of the address that an answer
// holds.
func readQR(address string) (modules, error) {
	data, ok := strings.CutPrefix(address, "data:image/png;base64,")
	if !ok {
		return nil, errors.New("read QR code: the answer holds no PNG")
	}
	raw, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return nil, fmt.Errorf("read QR code: %w", err)
	}
	picture, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("read QR code: %w", err)
	}
	scale, err := moduleSize(picture)
	if err != nil {
		return nil, err
	}
	bounds := picture.Bounds()
	out := make(modules, bounds.Dy()/scale)
	for y := range out {
		out[y] = make([]bool, bounds.Dx()/scale)
		for x := range out[y] {
			out[y][x] = dark(picture, bounds.Min.Add(image.Pt(x*scale+scale/2, y*scale+scale/2)))
		}
	}
	return out, nil
}

// moduleSize is how many pixels wide a module is: the first dark pixel from
// the top is the corner of a finder, and the run that it begins is its edge.
func moduleSize(picture image.Image) (int, error) {
	b := picture.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			if !dark(picture, image.Pt(x, y)) {
				continue
			}
			edge := 0
			for x+edge < b.Max.X && dark(picture, image.Pt(x+edge, y)) {
				edge++
			}
			scale := edge / finder
			if edge%finder != 0 || b.Dx()%scale != 0 || b.Dy()%scale != 0 {
				return 0, errors.New("read QR code: the picture does not begin with the corner of one")
			}
			return scale, nil
		}
	}
	return 0, errors.New("read QR code: the picture is empty")
}

func dark(picture image.Image, at image.Point) bool {
	gray, _ := color.GrayModel.Convert(picture.At(at.X, at.Y)).(color.Gray)
	return gray.Y < 128
}

// String draws two rows of modules in each line of text. Light modules are
// drawn and dark ones left out, so that a camera sees the code as it should be
// where the terminal writes light on dark, as most do.
func (m modules) String() string {
	var out strings.Builder
	for y := 0; y < len(m); y += 2 {
		if y > 0 {
			out.WriteByte('\n')
		}
		for x := range m[y] {
			upper := !m[y][x]
			lower := y+1 < len(m) && !m[y+1][x]
			out.WriteRune(block(upper, lower))
		}
	}
	return out.String()
}

func block(upper, lower bool) rune {
	switch {
	case upper && lower:
		return '█'
	case upper:
		return '▀'
	case lower:
		return '▄'
	}
	return ' '
}
