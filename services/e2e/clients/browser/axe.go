package browser

import (
	"context"
	"os"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Accessible judges the page with axe-core, the file of which is handed in, and
// fails the test for each rule that it breaks. The debugger runs it, so that
// the content policy of the page stays as it is.
func (t *Tab) Accessible(library string) {
	t.tb.Helper()
	text, err := os.ReadFile(library)
	if err != nil {
		t.tb.Fatal(err)
	}
	if t.look.NoScript { // axe waits for timers of the page
		t.scripts(true)
		defer t.scripts(false)
	}
	t.run("load axe-core", chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := chromedp.Evaluate[bool](string(text)+"\n;typeof axe === 'object'")(ctx, target)
		return err
	}))
	const judge = `axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.map(
		v => v.id + ": " + v.help + ": " + v.nodes.map(n => n.html).join(" ")))`
	for _, violation := range Script[[]string](t, judge) {
		t.tb.Errorf("%s is not accessible: %s", t.Location(), violation)
	}
}

func (t *Tab) scripts(run bool) {
	t.tb.Helper()
	t.run("switch scripts", chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !run})
		return err
	}))
}
