package api_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
)

// with sends a form with an Idempotency-Key.
func (h *house) with(key, method, path, form string) *reply {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.base+path, strings.NewReader(form))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Idempotency-Key", key)
	return h.send(req)
}

// A hundred parallel repeats send one message and get one answer, over two
// services on the same state.
func TestRepeatsWithOneKeyAreOne(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p)
		user := h.enrolled("eva@acme.test", "+4915187654321")
		houses := []*house{h}
		if strings.HasPrefix(p.database, "postgres") {
			p.noCourier = true
			houses = append(houses, open(t, p).as(h.token))
		}
		answers := map[string]int{}
		var mu sync.Mutex
		parallel(t, 100, func(i int) {
			r := houses[i%len(houses)].with("one-and-the-same", "POST", h.challenge(user), "")
			mu.Lock()
			defer mu.Unlock()
			if r.status != http.StatusCreated {
				t.Errorf("status %d: %s", r.status, r.raw)
			}
			answers[r.raw]++
		})
		if len(answers) != 1 {
			t.Errorf("%d different answers: %v", len(answers), answers)
		}
		sent := 0
		items, _ := h.call("GET", "/api/v2/org/"+h.org+"/deliveries").want(200).body["data"].([]any)
		for _, item := range items {
			if d, _ := item.(map[string]any); d["channel"] == "sms" {
				sent++
			}
		}
		if sent != 2 { // the enrolment's, and one
			t.Errorf("%d text messages, want 2", sent)
		}
		for answer := range answers {
			h.code(h.with("one-and-the-same", "POST", h.challenge(user), "").want(201))
			_ = answer
		}
		h.with("one-and-the-same", "POST", h.challenge(user), "x=y").wantFault(422, "idempotency_key_reused")
		h.with("one-and-the-same", "POST", "/api/v2/organizations", "").wantFault(422, "idempotency_key_reused")
	})
}

func TestKeysBelongToTheirCaller(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	made := h.with("k1", "POST", "/api/v2/api-keys", "name=one&scopes=users:read").want(201)
	if again := h.with("k1", "POST", "/api/v2/api-keys", "name=one&scopes=users:read").want(201); again.raw != made.raw {
		t.Errorf("the repeat answers %s, the first %s", again.raw, made.raw)
	}
	foreign := h.as(h.signIn(h.key("rival", "sandbox", "all")))
	foreign.with("k1", "POST", "/api/v2/organizations", "name=Theirs").want(201)
	for _, bad := range []string{"a b", strings.Repeat("k", 129), "ü"} {
		h.with(bad, "POST", "/api/v2/organizations", "name=X").wantFault(400, "malformed_idempotency_key")
	}
	// A fault frees the key: what failed may be tried again.
	h.with("k2", "POST", "/api/v2/org/"+h.org+"/users", "email=not-an-address").wantFault(422, "invalid_parameter")
	h.with("k2", "POST", "/api/v2/org/"+h.org+"/users", "email=fine@acme.test").want(201)
}
