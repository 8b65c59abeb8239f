package api_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"countersign.dev/services/api"
)

// exported are the lines of an export of the house's organization, or of one
// user of it, with hashes.
func (h *house) exported(user string) (lines []map[string]any) {
	h.t.Helper()
	var out strings.Builder
	n, err := h.mover().Export(h.t.Context(), api.Export{Org: h.org, Env: "sandbox", User: user, Hashes: true, Output: &out})
	if err != nil {
		h.t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		var of map[string]any
		if err := json.Unmarshal([]byte(line), &of); err != nil {
			h.t.Fatalf("the export has %q: %v", line, err)
		}
		lines = append(lines, of)
	}
	if int64(len(lines)) != n {
		h.t.Errorf("%d lines, said to be %d", len(lines), n)
	}
	return lines
}

// An export holds all of a user and nobody's secrets, and can be imported.
func TestAnExportHoldsEverythingButSecrets(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords()
		ana := h.enrolled("eva@acme.test", "+4915112345670")
		h.withPassword("eva@acme.test", plain)
		h.call("PUT", "/api/v2/org/"+h.org+"/users/"+ana, "profile[given_name]=Eva", "address[locality]=Zürich").want(200)
		h.tokens(h.challengePassword("eva@acme.test", plain).want(200).text("request_id")) // not proven; leaves no grant

		of := h.exported("eva@acme.test")
		kinds := map[string]int{}
		for _, line := range of {
			kinds[line["kind"].(string)]++
			if whose := line["user_id"]; line["kind"] != "user" && whose != ana {
				t.Errorf("a line of %v", whose)
			}
		}
		if kinds["user"] != 1 || kinds["factor"] != 1 || kinds["recovery_codes"] != 1 || kinds["delivery"] == 0 || kinds["activity"] < 3 {
			t.Errorf("kinds %v", kinds)
		}
		eva := of[0]
		if eva["given_name"] != "Eva" || eva["phone_number"] != "+4915112345670" || !strings.HasPrefix(eva["password_hash"].(string), "$argon2id$") {
			t.Errorf("the user is %v", eva)
		}
		var bare strings.Builder
		if _, err := h.mover().Export(t.Context(), api.Export{Org: h.org, Env: "sandbox", Output: &bare}); err != nil {
			t.Fatal(err)
		}
		if text := bare.String(); strings.Contains(text, "$argon2id$") || strings.Contains(text, "sealed") || !strings.Contains(text, `"scheme":"argon2id"`) {
			t.Errorf("without hashes: %s", text)
		}
		events := h.call("GET", "/api/v2/org/"+h.org+"/activity", "action=users.exported").want(200)
		if events.body["total"] != 2.0 || !strings.Contains(events.raw, `"operator"`) {
			t.Errorf("exports are recorded as %s", events.raw)
		}
	})
}

// What an organization exports, another one can import.
func TestAnExportCanBeImported(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords()
		var text strings.Builder
		for i, v := range foreignVectors(t)[:3] {
			fmt.Fprintf(&text, `{"email":"user%d@acme.test","email_verified":true,"phone_number":"+4915112345%03d","phone_number_verified":true,`+
				`"password_hash":%q,"nickname":"N","address":{"country":"CH"},"created_at":"2020-01-02T03:04:05Z"}`+"\n", i, i, v.Hash)
		}
		h.bring(h.importing(text.String()))
		h.withPassword("ana@acme.test", plain)
		var out strings.Builder
		if _, err := h.mover().Export(t.Context(), api.Export{Org: h.org, Env: "sandbox", Hashes: true, Output: &out}); err != nil {
			t.Fatal(err)
		}
		there := *h
		there.org = h.call("POST", "/api/v2/organizations", "name=Other Ltd").want(201).text("domain")
		there.passwords()
		in := there.importing(out.String())
		if n := there.bring(in); n != (api.ImportCounts{Lines: 4, Created: 4}) {
			t.Fatalf("%+v: %v", n, reported(t, in))
		}
		there.challengePassword("ana@acme.test", plain).want(200).wantValid(true)
		there.challengePassword("user0@acme.test", foreignVectors(t)[0].Password).want(200).wantValid(true)
		if a, b := person(h.exported("user1@acme.test")[0]), person(there.exported("user1@acme.test")[0]); !reflect.DeepEqual(a, b) {
			t.Errorf("%v became %v", a, b)
		}
	})
}

// person takes out what differs between two users of one person.
func person(user map[string]any) map[string]any {
	delete(user, "id")
	delete(user, "updated_at")
	return user
}
