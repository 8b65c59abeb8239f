package httpapi

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/input"
	"countersign.dev/services/api/internal/listing"
)

// An address that a caller names is one that limits can count by, in the one
// form that an address has, or it is refused.
//
// Covers R-131 for client_ip.
func FuzzClientIP(f *testing.F) {
	for _, seed := range []string{"", "203.0.113.7", "2001:db8::1", "::ffff:203.0.113.7", "fe80::1%eth0", "0.0.0.0", "ff02::1", "203.0.113.7:80"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		addr, err := readClientIP(text)
		switch {
		case text == "":
			if err != nil || addr.IsValid() {
				t.Fatalf("no address was read as %v, %v", addr, err)
			}
		case err != nil:
			if fault.KindOf(err) != fault.Invalid || len(err.Error()) > 200 {
				t.Fatalf("%q: %v", text, err)
			}
		case !addr.IsValid() || addr.Zone() != "" || addr.Is4In6() || addr.IsMulticast() || addr.IsUnspecified():
			t.Fatalf("%q was read as %v", text, addr)
		default:
			again, err := readClientIP(addr.String())
			if err != nil || again != addr || len(ephemeral.Networks(addr)) == 0 {
				t.Fatalf("%q is %v, and again %v, %v", text, addr, again, err)
			}
			for _, network := range ephemeral.Networks(addr) {
				if !network.Contains(addr) {
					t.Fatalf("%v counts by %v", addr, network)
				}
			}
			if plain, err := netip.ParseAddr(text); err != nil || plain.Unmap() != addr {
				t.Fatalf("%q was read as %v", text, addr)
			}
		}
	})
}

// Whatever asks for a page gets one within the bounds, with neighbours that
// exist, or is refused.
//
// Covers R-131 for paging.
func FuzzPage(f *testing.F) {
	f.Add("page=2&per_page=20", 45)
	f.Add("current_page=1", 0)
	f.Add("page=-1&per_page=100000", 1)
	f.Fuzz(func(t *testing.T, query string, total int) {
		r := httptest.NewRequest(http.MethodGet, "/x", http.NoBody)
		r.URL.RawQuery = query
		values, err := input.Read(r)
		var in pageIn
		if err == nil {
			err = values.Decode(&in, true)
		}
		if err != nil {
			if kind := fault.KindOf(err); kind != fault.Malformed && kind != fault.Invalid {
				t.Fatalf("%q: %v", query, err)
			}
			return
		}
		page := in.page()
		total &= 1<<31 - 1 // a count of rows
		out := listOf(listing.Result[int]{Total: total, Page: page}, func(i int) int { return i })
		if page.Number < 1 || page.Per < 1 || page.Per > listing.MaxPer || page.Offset() < 0 {
			t.Fatalf("%q asks for %+v", query, page)
		}
		p := out.Pagination
		if p.TotalPages*page.Per < total || (p.TotalPages-1)*page.Per >= max(total, 1) {
			t.Fatalf("%d rows are %d pages of %d", total, p.TotalPages, page.Per)
		}
		if (p.NextPage != nil) != (page.Number < p.TotalPages) || (p.PrevPage != nil) != (page.Number > 1) {
			t.Fatalf("page %d of %d has neighbours %v, %v", page.Number, p.TotalPages, p.PrevPage, p.NextPage)
		}
		if text, err := json.Marshal(out); err != nil || len(text) > 300 {
			t.Fatalf("%s, %v", text, err)
		}
	})
}
