package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// at is the same login, led over another process.
func (s *steps) at(h *house) *steps { return &steps{s.on(h), s.paths, s.request} }

// one is the answer that fits, of many to what may be done once, or nil where
// a busy machine had none. All others are refused.
func one(t *testing.T, what string, answers []*reply, fits func(*reply) bool) (found *reply) {
	t.Helper()
	refused := 0
	for _, r := range answers {
		code, _ := r.body["code"].(string)
		switch {
		case fits(r) && found == nil:
			found = r
		case r.status == http.StatusBadRequest && strings.HasPrefix(code, "VER"), r.status == http.StatusTooManyRequests:
			refused++
		default:
			t.Errorf("%s: %d %s %s", what, r.status, r.to(), r.raw)
		}
	}
	if found == nil && len(answers) == 32 {
		t.Errorf("%s: none of %d", what, refused)
	}
	return found
}

// Of 32 that prove one method at once, at two processes, one does; and of 32
// that finish what it proved, by its status id and by its track id, one gets a
// code.
// Covers R-028 for the ids of the verification flow under parallel fire.
func TestAProofIsOneLoginAndOneCode(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		p.shared(t)
		h := codesAlone(t, p)
		c := h.pages()
		p.noCourier = true // the first house's has it all
		there := open(t, p)
		for i := range 4 {
			email := fmt.Sprintf("eva%d@acme.test", i) // the others have spent what their address may try
			a := h.withApp(email)
			here := c.leads()
			usage, amr, acr := initial, "otp", "aal1"
			if i%2 == 1 {
				h.withPassword(email, plain)
				here.begins("PASSWORD", email, plain).wantNeeds(true, false)
				usage, amr, acr = further, "mfa otp pwd", "aal2"
			}
			both := []*steps{here, here.at(there)}
			started := here.initiate("TOTP", usage, "email="+email)
			code := a.code(1)
			proven := one(t, "proofs", together(func(i int) *reply { return both[i%2].prove("TOTP", started, code) }), func(r *reply) bool { return r.status == http.StatusOK })
			if proven == nil {
				continue
			}
			trackID := proven.said("track_id")
			sent := one(t, "finishes", together(func(j int) *reply {
				if i < 2 || j%4 < 2 {
					return both[j%2].finish("TOTP", proven)
				}
				return both[j%2].sends(continuePath+trackID, "track_id="+trackID)
			}), func(r *reply) bool { return strings.Contains(r.to(), "#code=") })
			if sent != nil {
				c.wantTokens(sent.wantCodeIn("#"), a.user, amr, acr)
			}
		}
	})
}
