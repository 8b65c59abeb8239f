package browser

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	protocol "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
)

// What a person does on the way from page to page. Selectors are of CSS.

// Type types into the field that a selector finds, in place of what is there.
func (t *Tab) Type(selector, text string) {
	t.tb.Helper()
	field := chromedp.CSS(selector)
	t.run("type into "+selector, chromedp.WaitVisible(field), chromedp.Clear(field), chromedp.SendKeys(field, text))
}

// Check ticks a box.
func (t *Tab) Check(selector string) {
	t.tb.Helper()
	t.Press(selector)
}

// Submit presses what leads to another page, and waits until that is there.
func (t *Tab) Submit(selector string) {
	t.tb.Helper()
	t.arrives("the page after "+selector, func() { t.Press(selector) })
}

// DoubleClick presses twice what leads to another page, faster than the page
// can change, and waits until that is there.
func (t *Tab) DoubleClick(selector string) {
	t.tb.Helper()
	t.arrives("the page after two clicks on "+selector, func() {
		t.click(2)
		button := chromedp.CSS(selector)
		t.run("press twice "+selector, chromedp.WaitVisible(button), chromedp.DoubleClick(button))
	})
}

// Back goes to the page before, by the button of the browser.
func (t *Tab) Back() {
	t.tb.Helper()
	t.run("go back", chromedp.NavigateBack())
}

// Reload asks for the page again.
func (t *Tab) Reload() {
	t.tb.Helper()
	t.run("reload", chromedp.Reload())
}

// Text is what the page says.
func (t *Tab) Text() string {
	t.tb.Helper()
	return read(t, "read the page", chromedp.Text(chromedp.CSS("body")))
}

// Has reports whether the page has what a selector finds.
func (t *Tab) Has(selector string) bool {
	t.tb.Helper()
	return read(t, "look for "+selector, chromedp.Evaluate[bool](`document.querySelector(`+quote(selector)+`) !== null`))
}

func quote(text string) string { return "`" + strings.ReplaceAll(text, "`", "\\`") + "`" }

// arrives waits for another page than the present one, loaded.
func (t *Tab) arrives(what string, do func()) {
	t.tb.Helper()
	before := t.Pages()
	do()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for t.Pages() == before || read(t, "wait for "+what, chromedp.Evaluate[string]("document.readyState")) != "complete" {
		select {
		case <-tick.C:
		case <-limit.C:
			t.tb.Fatalf("browser: %s is not there within %v\n%s", what, patience, t.shown())
		}
	}
}

// Download presses a link to a file, a text, which the browser saves, and returns
// the name and the content of the file.
func (t *Tab) Download(selector string) (name, content string) {
	t.tb.Helper()
	dir := t.tb.TempDir()
	t.run("allow downloads", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		of := chromedp.FromContext(ctx)
		_, err := cdp.Call(ctx, of.Browser, protocol.SetDownloadBehavior, protocol.SetDownloadBehaviorParams{
			Behavior: protocol.SetDownloadBehaviorBehaviorAllow, BrowserContextID: of.BrowserContextID, DownloadPath: dir,
		})
		return err
	}))
	t.Press(selector)
	limit := time.NewTimer(patience)
	defer limit.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if files, err := filepath.Glob(filepath.Join(dir, "[^.]*.txt")); err == nil && len(files) == 1 {
			text, err := os.ReadFile(files[0])
			if err != nil {
				t.tb.Fatal(err)
			}
			// The browser takes the name with an empty file, and moves the whole
			// one there afterwards.
			if len(text) > 0 {
				return filepath.Base(files[0]), string(text)
			}
		}
		select {
		case <-tick.C:
		case <-limit.C:
			t.tb.Fatalf("browser: %s downloads nothing within %v\n%s", selector, patience, t.shown())
		}
	}
}
