package browser

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// complaints is what a browser wrote into its console that a developer should
// look at, and the issues that it files beside: violations of a page's content
// policy, answers that a script may not read, errors of scripts.
type complaints struct {
	mu  sync.Mutex
	all []string
}

// listen switches on what is not on in every tab: chromedp enables the console
// and the log itself.
func listen(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
	_, err := cdp.Call(ctx, t, audits.Enable, cdp.Empty{})
	return chromedp.Void{}, err
}

// hear keeps events that are complaints.
func (c *complaints) hear(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		c.add("exception: " + words([]*runtime.RemoteObject{e.ExceptionDetails.Exception}))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeAssert {
			c.add("console: " + words(e.Args))
		}
	case *log.EventEntryAdded:
		// Browsers ask for that by themselves; a page without one is no mistake.
		if e.Entry.Level == log.EntryLevelError && !strings.HasSuffix(e.Entry.URL, "/favicon.ico") {
			c.add(fmt.Sprintf("%s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *audits.EventIssueAdded:
		c.add(issue(e.Issue))
	}
}

// issue puts those into words that break something. Others are advice about
// pages, such as a field without a label.
func issue(i *audits.InspectorIssue) string {
	switch d := i.Details; {
	case d.ContentSecurityPolicyIssueDetails != nil:
		v := d.ContentSecurityPolicyIssueDetails
		return fmt.Sprintf("policy: %s blocks %s", v.ViolatedDirective, v.BlockedURL)
	case d.CorsIssueDetails != nil:
		return fmt.Sprintf("cors: %v", d.CorsIssueDetails.Request)
	case d.CookieIssueDetails != nil:
		return fmt.Sprintf("cookie: %v %v", d.CookieIssueDetails.CookieExclusionReasons, d.CookieIssueDetails.CookieWarningReasons)
	case d.MixedContentIssueDetails != nil:
		return "mixed content: " + d.MixedContentIssueDetails.InsecureURL
	default:
		return ""
	}
}

func words(args []*runtime.RemoteObject) string {
	out := make([]string, len(args))
	for i, a := range args {
		if out[i] = a.Description; out[i] == "" {
			out[i] = strings.Trim(string(a.Value), `"`)
		}
	}
	return strings.Join(out, " ")
}

func (c *complaints) add(text string) {
	if text == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, text)
}

// Complaints returns what the browser complained of so far and nobody expected.
func (c *complaints) Complaints() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.all)
}

// Expected takes out the complaints that contain a text and returns how many
// they were.
func (c *complaints) Expected(text string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := len(c.all)
	c.all = slices.DeleteFunc(c.all, func(complaint string) bool { return strings.Contains(complaint, text) })
	return before - len(c.all)
}
