package browser

import (
	"context"
	"slices"
	"time"

	protocol "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// What a person does with a keyboard, a clipboard and several windows.

// Keys presses keys, whatever has the focus: "\t" is Tab, "\r" is Enter.
func (t *Tab) Keys(keys string) {
	t.tb.Helper()
	t.run("press keys", chromedp.KeyEvent(keys))
}

// Enters presses a key that leads to another page, and waits until that is
// there.
func (t *Tab) Enters(key string) {
	t.tb.Helper()
	t.arrives("the page after a key", func() { t.Keys(key) })
}

// Copy puts a text on the clipboard, which all profiles share.
func (t *Tab) Copy(text string) {
	t.tb.Helper()
	t.clipboard()
	t.scripted(func() { Script[any](t, `navigator.clipboard.writeText(`+quote(text)+`).then(() => true)`) })
}

// Copied is what is on the clipboard.
func (t *Tab) Copied() (text string) {
	t.tb.Helper()
	t.clipboard()
	t.scripted(func() { text = Script[string](t, `navigator.clipboard.readText()`) })
	return text
}

// Paste pastes a text into what has the focus.
func (t *Tab) Paste(text string) {
	t.tb.Helper()
	t.Copy(text)
	t.run("paste", chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, input.DispatchKeyEvent, input.DispatchKeyEventParams{
			Type: "rawKeyDown", Key: "v", Code: "KeyV", WindowsVirtualKeyCode: 'V', Modifiers: int64(chromedp.ModifierCtrl), Commands: []string{"paste"},
		})
		return err
	}))
}

// clipboard lets the page at it, as a person does who is asked, and gives it the
// focus that browsers want for that.
func (t *Tab) clipboard() {
	t.tb.Helper()
	t.run("allow the clipboard", chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		of := chromedp.FromContext(ctx)
		for _, name := range []string{"clipboard-read", "clipboard-write"} {
			if _, err := cdp.Call(ctx, of.Browser, protocol.SetPermission, protocol.SetPermissionParams{
				Permission: &protocol.PermissionDescriptor{Name: name}, Setting: protocol.PermissionSettingGranted, BrowserContextID: of.BrowserContextID,
			}); err != nil {
				return err
			}
		}
		_, err := cdp.Call(ctx, target, page.BringToFront, cdp.Empty{})
		return err
	}))
}

// scripted runs scripts of the debugger that wait, where those of pages do not
// run.
func (t *Tab) scripted(do func()) {
	t.tb.Helper()
	if t.look.NoScript {
		t.scripts(true)
		defer t.scripts(false)
	}
	do()
}

// Beforehand has every page that is opened from now on run a script first.
func (t *Tab) Beforehand(script string) {
	t.tb.Helper()
	t.run("add a script", chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
		return err
	}))
}

// Opened presses a link that opens in a tab of its own, and returns that. The
// page with the link may reload by itself, so it is pressed until one is there.
func (t *Tab) Opened(selector string) *Tab {
	t.tb.Helper()
	before := t.windows()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		ctx, cancel := context.WithTimeout(t.ctx, patience)
		err := chromedp.Do(ctx, chromedp.WaitVisible(chromedp.CSS(selector)), chromedp.Click(chromedp.CSS(selector)))
		cancel()
		if err != nil {
			continue // it was reloaded under the finger
		}
		t.click(1)
		if id := t.newWindow(before); id != "" {
			tab := open(&Tab{tb: t.tb, ctx: t.ctx, look: t.look}, chromedp.WithTargetID(id))
			tab.Reload() // as a tab that looks so from the start
			return tab
		}
	}
	t.tb.Fatalf("browser: %s opens no tab within %v\n%s", selector, patience, t.shown())
	return nil
}

// newWindow waits a while for a tab that was not there before.
func (t *Tab) newWindow(before []target.ID) target.ID {
	t.tb.Helper()
	limit := time.NewTimer(patience / 12)
	defer limit.Stop()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, id := range t.windows() {
			if !slices.Contains(before, id) {
				return id
			}
		}
		select {
		case <-tick.C:
		case <-limit.C:
			return ""
		}
	}
}

// windows are the tabs of the profile.
func (t *Tab) windows() (out []target.ID) {
	t.tb.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	all, err := chromedp.Targets(ctx)
	if err != nil {
		t.tb.Fatalf("browser: list tabs: %v", err)
	}
	profile := chromedp.FromContext(ctx).BrowserContextID
	for _, info := range all {
		if info.Type == "page" && info.BrowserContextID == profile {
			out = append(out, info.TargetID)
		}
	}
	return out
}

// Leads does what leads to another page, and waits until that is there.
func (t *Tab) Leads(what string, do func()) {
	t.tb.Helper()
	t.arrives(what, do)
}
