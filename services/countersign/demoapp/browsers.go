package demoapp

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

const cookie = "demo"

// Bounds of what is kept.
const (
	mostBrowsers = 1000
	mostLogins   = 8 // under way in one browser
	life         = 12 * time.Hour
)

// browsers is what the app knows of each browser.
type browsers struct {
	mu  sync.Mutex
	now func() time.Time
	all map[string]*browser
}

type browser struct {
	begun  time.Time
	logins []login
	in     *session
}

// login is one that is under way.
type login struct{ state, verifier string }

// challenge is what stands for the verifier until it is shown (RFC 7636).
func (l login) challenge() string {
	sum := sha256.Sum256([]byte(l.verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// session is somebody who has signed in.
type session struct {
	claims map[string]any // of the ID token
	access string
}

// claim is one as the page shows it.
type claim struct{ Name, Value string }

func (s *session) shown() []claim {
	var out []claim
	for _, name := range slices.Sorted(maps.Keys(s.claims)) {
		value, ok := s.claims[name].(string)
		if !ok {
			text, err := json.Marshal(s.claims[name])
			if err != nil {
				continue // it came as JSON
			}
			value = string(text)
		}
		out = append(out, claim{name, value})
	}
	return out
}

// who is a name for the greeting.
func (s *session) who() string {
	for _, name := range []string{"given_name", "name", "email", "sub"} {
		if text, _ := s.claims[name].(string); text != "" {
			return text
		}
	}
	return ""
}

func cookieOf(r *http.Request) string {
	c, err := r.Cookie(cookie)
	if err != nil {
		return ""
	}
	return c.Value
}

// begin notes another login of a browser. An unknown one gets an id of ours:
// what a stranger has put into a cookie names nobody.
func (b *browsers) begin(id string) (string, login) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := login{state: rand.Text(), verifier: rand.Text() + rand.Text()} // 52 characters, at least 43 are needed
	known := b.find(id)
	if known == nil {
		b.sweep()
		id, known = rand.Text(), &browser{begun: b.now()}
		b.all[id] = known
	}
	known.logins = append(known.logins, l)
	known.logins = known.logins[max(0, len(known.logins)-mostLogins):]
	return id, l
}

// sweep makes room for a browser.
func (b *browsers) sweep() {
	if b.all == nil {
		b.all = map[string]*browser{}
	}
	maps.DeleteFunc(b.all, func(_ string, old *browser) bool { return b.now().Sub(old.begun) > life })
	for id := range b.all {
		if len(b.all) < mostBrowsers {
			break
		}
		delete(b.all, id)
	}
}

// find returns nil for a browser that is not known, or not any more.
func (b *browsers) find(id string) *browser {
	if known := b.all[id]; known != nil && b.now().Sub(known.begun) <= life {
		return known
	}
	return nil
}

// take returns the verifier of a login, once.
func (b *browsers) take(id, state string) (verifier string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.find(id)
	if known == nil {
		return "", false
	}
	at := slices.IndexFunc(known.logins, func(l login) bool { return l.state == state })
	if at < 0 {
		return "", false
	}
	verifier = known.logins[at].verifier
	known.logins = slices.Delete(known.logins, at, at+1)
	return verifier, true
}

func (b *browsers) keep(id string, in *session) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if known := b.find(id); known != nil {
		known.in = in
	}
}

func (b *browsers) signedIn(id string) *session {
	b.mu.Lock()
	defer b.mu.Unlock()
	if known := b.find(id); known != nil {
		return known.in
	}
	return nil
}

// forget ends who is signed in, and returns them; logins under way go on.
func (b *browsers) forget(id string) *session {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.find(id)
	if known == nil {
		return nil
	}
	in := known.in
	known.in = nil
	return in
}
