// Package browser drives a real Chromium for tests, the way a person would:
// it opens pages, fills forms and presses buttons, and writes down what the
// browser complains of.
//
// It knows nothing of Countersign. A test starts one Chromium and opens as many
// profiles in it as it has persons; cookies and storage of one are unknown to
// the others. Every step waits for what it needs, bounded by a limit, and
// fails the test otherwise.
package browser

import (
	"context"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"countersign.dev/pkg/rig"
)

// patience bounds every step. A start of Chromium takes a second, on a machine
// that builds and tests at once many more.
const patience = time.Minute

// Browser is a running Chromium. It ends with the test.
type Browser struct {
	tb  testing.TB
	ctx context.Context
}

// Start starts a Chromium without a window and with an empty profile. Where none
// is installed the test is skipped, or fails with RIG_REQUIRED=1.
func Start(tb testing.TB) *Browser {
	tb.Helper()
	program := rig.Installed(tb, "chromium", "chromium")
	flags := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(program), chromedp.Headless, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.DisableGPU,
		chromedp.NoSandbox,                           // Chromium's own sandbox refuses to run as root
		chromedp.Flag("disable-dev-shm-usage", true), // containers have little of it
		chromedp.WSURLReadTimeout(patience),
		// It talks to the servers of the test and to nobody else.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"),
	}
	for _, quiet := range []string{"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync", "disable-extensions",
		"disable-default-apps", "disable-breakpad",
		"disable-back-forward-cache"} { // who goes back asks the server; a page out of that cache tells the debugger nothing
		flags = append(flags, chromedp.Flag(quiet, true))
	}
	// Not the context of the test: that ends before the cleanup, in which the
	// profiles are still asked what went wrong.
	process, kill := chromedp.NewExecAllocator(context.Background(), flags...)
	ctx, stop := chromedp.NewContext(process, chromedp.WithErrorf(tb.Logf))
	tb.Cleanup(func() {
		stop() // closes it in good order
		kill()
	})
	if err := chromedp.Do(ctx); err != nil {
		tb.Fatalf("browser: start %s: %v", program, err)
	}
	return &Browser{tb: tb, ctx: ctx}
}
