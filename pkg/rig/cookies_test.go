package rig

import (
	"strings"
	"testing"
)

func TestLooseCookies(t *testing.T) {
	t.Parallel()
	for header, c := range map[string]struct{ https, loose bool }{
		"__Host-a=b; Path=/; HttpOnly; Secure; SameSite=Lax":                                 {true, false},
		"__Host-a=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax":                       {true, false},
		"a=b; Path=/; HttpOnly; SameSite=Lax":                                                {false, false},
		"a=b; Path=/; HttpOnly; Secure; SameSite=Lax":                                        {true, true},
		"__Secure-a=b; Path=/; HttpOnly; Secure; SameSite=Lax":                               {true, true},
		"__Host-a=b; Path=/; HttpOnly; SameSite=Lax":                                         {true, true},
		"__Host-a=b; Path=/; Secure; SameSite=Lax":                                           {true, true},
		"__Host-a=b; Path=/; HttpOnly; Secure":                                               {true, true},
		"__Host-a=b; Path=/; HttpOnly; Secure; SameSite=None":                                {true, true},
		"__Host-a=b; Path=/x; HttpOnly; Secure; SameSite=Lax":                                {true, true},
		"__Host-a=b; HttpOnly; Secure; SameSite=Lax":                                         {true, true},
		"__Host-a=b; Path=/; Domain=example.test; HttpOnly; Secure; SameSite=Lax":            {true, true},
		"__Host-a=" + strings.Repeat("b", 4096) + "; Path=/; HttpOnly; Secure; SameSite=Lax": {true, true},
		"__Host-a=b; Path=/; HttpOnly; Secure; SameSite=Lax; Partitioned-ish":                {true, true},
		"__Host-a=b; Path=/; HttpOnly; Secure; SameSite=Lax ":                                {false, true},
		"a=b; Path=/; Domain=localhost; HttpOnly; SameSite=Lax":                              {false, true},
		"no cookie": {true, true},
	} {
		if got := LooseCookie(header, c.https); (got != "") != c.loose {
			t.Errorf("%.80s over https %v: %q", header, c.https, got)
		}
	}
}
