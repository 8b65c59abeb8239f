package browser

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Tab is a page in a profile of its own.
type Tab struct {
	*complaints
	*trail

	tb   testing.TB
	ctx  context.Context
	look Look
}

// Profile opens an empty tab in a new profile. It is closed when the test ends,
// which fails for complaints of the browser that nobody has asked for by then.
func (b *Browser) Profile(tb testing.TB) *Tab {
	tb.Helper()
	return b.Looking(tb, Look{})
}

// Looking is Profile for a person who looks at it with something else.
func (b *Browser) Looking(tb testing.TB, look Look) *Tab {
	tb.Helper()
	return open(&Tab{tb: tb, ctx: b.ctx, look: look}, chromedp.WithNewBrowserContext())
}

// Another opens one more tab in the profile of a tab.
func (t *Tab) Another() *Tab {
	t.tb.Helper()
	return open(&Tab{tb: t.tb, ctx: t.ctx, look: t.look})
}

// open opens a tab below the context that it has.
func open(t *Tab, options ...chromedp.ContextOption) *Tab {
	t.tb.Helper()
	t.complaints, t.trail = &complaints{}, &trail{}
	ctx, closeTab := chromedp.NewContext(t.ctx, append(options, chromedp.WithListener(func(event any) {
		t.complaints.hear(event)
		t.trail.hear(event)
	}))...)
	t.ctx = ctx
	t.tb.Cleanup(func() {
		closeTab()
		for _, complaint := range t.Complaints() {
			t.tb.Errorf("the browser complains: %s", complaint)
		}
	})
	// Without a limit, since the tab lives as long as this context.
	if err := chromedp.Do(ctx, listen, t.look.wear()); err != nil {
		t.tb.Fatalf("browser: open a tab: %v", err)
	}
	return t
}

// run does what a person does, within the limit.
func (t *Tab) run(what string, actions ...chromedp.Action[chromedp.Void]) {
	t.tb.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.tb.Fatalf("browser: %s: %v\n%s", what, err, t.shown())
	}
}

// read is run for what has a result.
func read[T any](t *Tab, what string, action chromedp.Action[T]) T {
	t.tb.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	got, err := chromedp.Run(ctx, action)
	if err != nil {
		t.tb.Fatalf("browser: %s: %v\n%s", what, err, t.shown())
	}
	return got
}

// shown is where the tab is and what it shows, for who looks why a step failed.
func (t *Tab) shown() string {
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	at, err := chromedp.Run(ctx, chromedp.Location())
	if err != nil {
		return "and it does not say where it is: " + err.Error()
	}
	page, err := chromedp.Run(ctx, chromedp.OuterHTML(chromedp.CSS("html")))
	if err != nil {
		page = err.Error()
	}
	return "at " + at + " it shows\n" + page + "\nand complained:\n" + strings.Join(t.Complaints(), "\n")
}

// Open goes to an address and waits until the page has loaded.
func (t *Tab) Open(address string) {
	t.tb.Helper()
	t.run("open "+address, chromedp.Navigate(address))
}

// Fill types into the field of a name.
func (t *Tab) Fill(name, text string) {
	t.tb.Helper()
	field := chromedp.CSS(`input[name="` + name + `"]`)
	t.run("fill "+name, chromedp.WaitVisible(field), chromedp.SendKeys(field, text))
}

// Press presses what a selector of CSS finds.
func (t *Tab) Press(selector string) {
	t.tb.Helper()
	t.click(1)
	t.run("press "+selector, chromedp.WaitVisible(chromedp.CSS(selector)), chromedp.Click(chromedp.CSS(selector)))
}

// Await waits until the page shows what a selector of CSS finds.
func (t *Tab) Await(selector string) {
	t.tb.Helper()
	t.run("wait for "+selector, chromedp.WaitReady(chromedp.CSS(selector)))
}

// AwaitAddress waits until the tab is at an address that begins so, and returns
// it.
func (t *Tab) AwaitAddress(begin string) string {
	t.tb.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		at := t.Location()
		if strings.HasPrefix(at, begin) {
			return at
		}
		select {
		case <-tick.C:
		case <-limit.C:
			t.tb.Fatalf("browser: not within %v at %s\n%s", patience, begin, t.shown())
		}
	}
}

// Location is the address of the page.
func (t *Tab) Location() string {
	t.tb.Helper()
	return read(t, "read the address", chromedp.Location())
}

// Script runs an expression of JavaScript in the page, waits for what it
// promises, and returns that in Go.
func Script[T any](t *Tab, expression string) T {
	t.tb.Helper()
	return read(t, "run "+expression, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}
