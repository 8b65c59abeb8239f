package browser

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
)

// trail is where a tab has been: what it asked for, and what a person had to
// look at and to press.
type trail struct {
	mu     sync.Mutex
	asked  []string // addresses, of everything
	posted []string // paths, of forms
	pages  int
	clicks int
}

// hear keeps events that say where the tab goes. A redirect shows no page.
func (t *trail) hear(event any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		t.asked = append(t.asked, e.Request.URL)
		if u, err := url.Parse(e.Request.URL); err == nil && e.Request.Method == http.MethodPost {
			t.posted = append(t.posted, u.Path)
		}
	case *page.EventFrameNavigated:
		if e.Frame.ParentID == "" {
			t.pages++
		}
	}
}

func (t *trail) click(times int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clicks += times
}

// Pages is how many pages the tab has shown so far.
func (t *trail) Pages() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.pages
}

// Clicks is how often the person has pressed or ticked something so far.
func (t *trail) Clicks() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.clicks
}

// Posts is how many forms the tab has sent to a path so far.
func (t *trail) Posts(path string) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, to := range t.posted {
		if to == path {
			n++
		}
	}
	return n
}

// Asked returns the addresses of all that the tab has asked for so far.
func (t *trail) Asked() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.asked)
}

// Outside returns what the tab has asked for elsewhere than at an origin. What
// stands in the page itself is asked of nobody.
func (t *trail) Outside(origin string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	for _, address := range t.asked {
		u, err := url.Parse(address)
		if strings.HasPrefix(address, "data:") || err == nil && u.Scheme+"://"+u.Host == origin || slices.Contains(out, address) {
			continue
		}
		out = append(out, address)
	}
	return out
}
