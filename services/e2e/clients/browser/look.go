package browser

import (
	"context"
	"os"
	"path/filepath"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Look is what a person looks at pages with. The zero one is a desktop.
type Look struct {
	NoScript bool // scripts of pages do not run
	Dark     bool // the system's colours are dark
	Phone    bool // a small screen, held upright
	Narrow   bool // the narrowest one that is still in use, held upright
}

// Sizes of screens, in CSS pixels.
const (
	narrowWidth, narrowHeight   = 320, 568
	phoneWidth, phoneHeight     = 375, 667
	desktopWidth, desktopHeight = 1280, 800
)

// wear makes a tab look so.
func (l Look) wear() chromedp.Action[chromedp.Void] {
	size := chromedp.EmulateViewport(desktopWidth, desktopHeight)
	switch {
	case l.Narrow:
		size = chromedp.EmulateViewport(narrowWidth, narrowHeight, chromedp.EmulateMobile)
	case l.Phone:
		size = chromedp.EmulateViewport(phoneWidth, phoneHeight, chromedp.EmulateMobile, chromedp.EmulateScale(2))
	}
	return chromedp.Steps(size, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		scheme := &emulation.MediaFeature{Name: "prefers-color-scheme", Value: "light"}
		if l.Dark {
			scheme.Value = "dark"
		}
		still := &emulation.MediaFeature{Name: "prefers-reduced-motion", Value: "reduce"}
		if _, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{scheme, still}}); err != nil {
			return err
		}
		// Each tab is in front, for its person: one behind others has no focus.
		if _, err := cdp.Call(ctx, t, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: l.NoScript})
		return err
	}))
}

// Wear changes what the person looks with, without loading the page again.
func (t *Tab) Wear(look Look) {
	t.tb.Helper()
	t.look = look
	t.run("look with something else", look.wear())
}

// Picture is the whole page as PNG.
func (t *Tab) Picture() []byte {
	t.tb.Helper()
	return read(t, "take a picture", chromedp.FullScreenshot(100))
}

// Keep writes a picture of the page into a folder, which is made.
func (t *Tab) Keep(dir, name string) {
	t.tb.Helper()
	picture := t.Picture()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.tb.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644); err != nil {
		t.tb.Fatal(err)
	}
}
