package text

import (
	_ "embed" // the page
	"html/template"
	"math"
	"strconv"
	"strings"

	"countersign.dev/pkg/event"
)

//go:embed mail.html
var source string

var page = template.Must(template.New("mail").Parse(source))

// looks are the organization's.
type looks struct {
	brand string
	logo  string // empty without one that may be loaded
	color string // of the button
	ink   string // readable on it
}

// defaultColor is calm and readable on light and dark.
const defaultColor = "#2f5d8a"

func looksOf(m event.Mail, name string) looks {
	l := looks{brand: name, color: defaultColor}
	if colorShape.MatchString(m.Color) {
		l.color = strings.ToLower(m.Color)
	}
	if goodLogo(m.LogoURL) {
		l.logo = m.LogoURL
	}
	l.ink = inkOn(l.color)
	return l
}

// inkOn is black or white, whichever stands out more on a color (WCAG 2,
// relative luminance; 0.179 is where both contrasts are the same).
func inkOn(color string) string {
	if luminance(color) > 0.179 {
		return "#000000"
	}
	return "#ffffff"
}

func luminance(color string) float64 {
	total := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		value, err := strconv.ParseUint(color[1+2*i:3+2*i], 16, 8)
		if err != nil {
			return 0
		}
		total += weight * linear(float64(value)/255)
	}
	return total
}

// html is the page. Everything in it is escaped by the template.
func (l letter) html() (string, error) {
	var out strings.Builder
	err := page.Execute(&out, map[string]any{
		"Lang": l.speech.tag, "Subject": l.subject, "Title": l.title, "Before": l.before, "Link": l.link, "Code": l.code,
		"Button": l.button, "CopyLink": l.speech.copyLink, "After": l.after, "Facts": l.facts, "Footer": l.footer,
		"Brand": l.brand, "Logo": l.logo, "Color": l.color, "Ink": l.ink,
	})
	return out.String(), err
}

func linear(channel float64) float64 {
	if channel <= 0.04045 {
		return channel / 12.92
	}
	return math.Pow((channel+0.055)/1.055, 2.4)
}
