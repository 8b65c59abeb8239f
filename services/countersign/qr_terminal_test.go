package countersign

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// sketch makes modules that begin as a QR code does: a quiet zone of four, and
// a finder in the first corner. The others are anything.
func sketch(inner int) modules {
	const quiet = 4
	random := rand.New(rand.NewPCG(1, uint64(inner)))
	out := make(modules, inner+2*quiet)
	for y := range out {
		out[y] = make([]bool, len(out))
		for x := range out[y] {
			row, column := y-quiet, x-quiet
			switch {
			case row < 0 || column < 0 || row >= inner || column >= inner:
			case row <= finder && column <= finder: // with the separator around it
				ring := max(max(row, 6-row), max(column, 6-column)) - 3
				out[y][x] = ring != 2 && ring < 4
			default:
				out[y][x] = random.IntN(2) == 0
			}
		}
	}
	return out
}

// photograph makes a picture of modules, each so many pixels wide, as the
// address that an answer holds.
func photograph(t *testing.T, m modules, scale int) string {
	t.Helper()
	picture := image.NewPaletted(image.Rect(0, 0, len(m)*scale, len(m)*scale), color.Palette{color.White, color.Black})
	for y := range len(m) * scale {
		for x := range len(m) * scale {
			if m[y/scale][x/scale] {
				picture.SetColorIndex(x, y, 1)
			}
		}
	}
	return address(t, picture)
}

func address(t *testing.T, picture image.Image) string {
	t.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		t.Fatal(err)
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(out.Bytes())
}

// readBack reads what String drew, as a camera sees it: what is drawn is
// light.
func readBack(t *testing.T, drawn string) modules {
	t.Helper()
	halves := map[rune][2]bool{' ': {true, true}, '▀': {false, true}, '▄': {true, false}, '█': {false, false}}
	var out modules
	for line := range strings.SplitSeq(drawn, "\n") {
		var upper, lower []bool
		for _, sign := range line {
			half, ok := halves[sign]
			if !ok {
				t.Fatalf("the drawing holds %q", sign)
			}
			upper, lower = append(upper, half[0]), append(lower, half[1])
		}
		out = append(out, upper, lower)
	}
	return out
}

func TestWhatIsDrawnIsTheQRCode(t *testing.T) {
	t.Parallel()
	for _, inner := range []int{21, 25, 45, 57, 177} {
		for _, scale := range []int{1, 2, 3, 8} {
			t.Run(fmt.Sprintf("%d modules of %d pixels", inner, scale), func(t *testing.T) {
				t.Parallel()
				want := sketch(inner)
				got, err := readQR(photograph(t, want, scale))
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(got, want) {
					t.Fatalf("read:\n%v\nwant:\n%v", got, want)
				}
				// The sides of a QR code are odd, so the last line is half empty.
				drawn := readBack(t, got.String())
				if last := drawn[len(want)]; len(drawn) != len(want)+1 || slices.Contains(last, false) {
					t.Errorf("%d rows were drawn of %d, the last one %v", len(drawn), len(want), last)
				}
				if !reflect.DeepEqual(drawn[:len(want)], want) {
					t.Errorf("drawn:\n%v\nwant:\n%v", got, want)
				}
			})
		}
	}
}

// stroke is a picture with nothing on it but one dark line.
func stroke(t *testing.T, width, length int) string {
	t.Helper()
	picture := image.NewGray(image.Rect(0, 0, width, 64))
	for y := range 64 {
		for x := range width {
			if y != 8 || x < 8 || x >= 8+length {
				picture.SetGray(x, y, color.Gray{Y: 255})
			}
		}
	}
	return address(t, picture)
}

func TestWhatIsNoQRCodeIsNotDrawn(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"nothing":                     "",
		"another kind of picture":     "data:image/svg+xml;base64,PHN2Zy8+",
		"no base64":                   "data:image/png;base64,?",
		"no PNG":                      "data:image/png;base64,PHN2Zy8+",
		"nothing dark":                stroke(t, 64, 0),
		"an edge too short":           stroke(t, 64, 6),
		"an edge of no whole modules": stroke(t, 64, 13),
		"a side of no whole modules":  stroke(t, 65, 14),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := readQR(in); err == nil {
				t.Errorf("it was read as\n%v", got)
			}
		})
	}
}
