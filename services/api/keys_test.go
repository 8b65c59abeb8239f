package api_test

import (
	"fmt"
	"slices"
	"testing"

	"countersign.dev/services/api"
)

// A key that is narrowed to some organizations sees and ends keys that reach no
// further than itself; the others are as if they were not there.
func TestNarrowedKeysManageWhatTheyCover(t *testing.T) {
	t.Parallel()
	h, l := open(t, embedded(t)), newLedger()
	r := h.realm(l, "acme", "sandbox", "")
	wide := r.call("POST", "/api/v2/api-keys", "scopes=users:read").want(201).text("client_id")
	beside := h.realm(l, "acme", "sandbox", "").id("key")
	narrow := r.narrowed()
	var made []string
	for i := range 3 {
		made = append(made, narrow.call("POST", "/api/v2/api-keys", fmt.Sprint("name=child ", i)).want(201).text("client_id"))
	}
	for range 205 { // more than a page of the store, and newer than the rest
		h.key("acme", "sandbox", "users:read")
	}
	first := narrow.call("GET", "/api/v2/api-keys", "per_page=3").want(200)
	second := narrow.call("GET", "/api/v2/api-keys", "per_page=3", "page=2").want(200)
	var seen []string
	for _, page := range []*reply{first, second} {
		data, _ := page.body["data"].([]any)
		for _, key := range data {
			seen = append(seen, key.(map[string]any)["client_id"].(string))
		}
		if page.body["total"] != 4.0 {
			t.Errorf("the total is %v, want the narrowed key and its three children", page.body["total"])
		}
	}
	for _, id := range made {
		if !slices.Contains(seen, id) {
			t.Errorf("listed %v, without %s", seen, id)
		}
	}
	if slices.Sort(seen); len(slices.Compact(seen)) != 4 {
		t.Errorf("listed %v, want the narrowed key and its three children once each", seen)
	}
	all := r.as(r.token).call("GET", "/api/v2/api-keys", "per_page=1").want(200)
	if total, _ := all.body["total"].(float64); total < 212 {
		t.Errorf("a key of the whole account sees %v keys", total)
	}
	for name, key := range map[string]string{"a key of the whole account": wide, "another organization's": beside, "nobody's": never(t, "key")} {
		if got := narrow.call("DELETE", "/api/v2/api-keys/"+key); got.status != 404 {
			t.Errorf("%s: status %d: %s", name, got.status, got.raw)
		}
	}
	narrow.call("DELETE", "/api/v2/api-keys/"+made[0]).want(200)
	r.call("DELETE", "/api/v2/api-keys/"+wide).want(200)
	h.as(h.signIn(h.key("acme", "default", api.AllScopes))).call("DELETE", "/api/v2/api-keys/"+made[1]).wantFault(404, "not_found")
}
