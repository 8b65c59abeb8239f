package session

import (
	"regexp"
	"strings"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/tenant"
)

// MostRealms is how many environments a browser is signed in to at most. All
// of their entries together stay far below the 4096 bytes of a cookie
// (RFC 6265 6.1).
const MostRealms = 16

// tokenShape is that of 256 random bits; nothing else is looked up.
var tokenShape = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// Realm names an environment of an organization in paths and in cookies, by
// the organization's domain.
func Realm(org, env string) string { return org + "." + env }

// OfRealm is the way back from Realm.
func OfRealm(realm string) (org, env string, ok bool) {
	org, env, _ = strings.Cut(realm, ".")
	return org, env, tenant.IsDomain(org) && (env == tenant.Sandbox || env == tenant.Default)
}

// Set is what a browser has of its sessions, the newest first, one for a
// realm. It is never changed: With and Without return another one.
type Set struct{ entries []entry }

type entry struct {
	realm string
	token secret.Text
}

// ParseSet reads a cookie. What has another form is left out: a cookie is
// whatever somebody sends.
func ParseSet(text secret.Text) Set {
	var s Set
	for part := range strings.SplitSeq(text.Reveal(), "|") {
		realm, token, _ := strings.Cut(part, ":")
		if _, _, ok := OfRealm(realm); !ok || !tokenShape.MatchString(token) || !s.Token(realm).IsZero() {
			continue
		}
		if s.entries = append(s.entries, entry{realm, secret.New(token)}); len(s.entries) == MostRealms {
			break
		}
	}
	return s
}

// Token is what the browser has of its session in a realm, empty for none.
func (s Set) Token(realm string) secret.Text {
	for _, e := range s.entries {
		if e.realm == realm {
			return e.token
		}
	}
	return secret.Text{}
}

// Realms are those of the set, the newest first.
func (s Set) Realms() []string {
	var out []string
	for _, e := range s.entries {
		out = append(out, e.realm)
	}
	return out
}

// With is the set with a new session in a realm. When there are too many, the
// oldest ones fall out.
func (s Set) With(realm string, token secret.Text) Set {
	out := append([]entry{{realm, token}}, s.Without(realm).entries...)
	return Set{out[:min(len(out), MostRealms)]}
}

// Without is the set without the session of a realm.
func (s Set) Without(realm string) Set {
	var out Set
	for _, e := range s.entries {
		if e.realm != realm {
			out.entries = append(out.entries, e)
		}
	}
	return out
}

// Text is the value of the cookie, empty for an empty set.
func (s Set) Text() secret.Text {
	var parts []string
	for _, e := range s.entries {
		parts = append(parts, e.realm+":"+e.token.Reveal())
	}
	return secret.New(strings.Join(parts, "|"))
}
