package browser

import (
	"context"
	"os"
	"strings"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Accessible judges the page with axe-core, the file of which is handed in, and
// fails the test for each rule that it breaks. The debugger runs it, so that
// the content policy of the page stays as it is. Rules are the names of those to
// judge by; without one it is by all.
func (t *Tab) Accessible(library string, rules ...string) {
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
	options := `{resultTypes: ["violations"]}`
	if len(rules) > 0 {
		options = `{resultTypes: ["violations"], runOnly: ["` + strings.Join(rules, `", "`) + `"]}`
	}
	judge := `axe.run(document, ` + options + `).then(r => r.violations.map(
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
