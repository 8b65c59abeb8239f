package api_test

import (
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api"
)

// mover opens the database of a house for moving users.
func (h *house) mover() *api.Users {
	h.t.Helper()
	users, err := api.OpenUsers(h.t.Context(), api.UsersConfig{
		OperatorConfig: api.OperatorConfig{DatabaseURL: secret.New(h.parts.database), SealKeys: h.parts.seal, InsecureDev: true}, IndexKey: h.parts.index,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = users.Close() })
	return users
}

// importing is an import into the house's organization, with a report.
func (h *house) importing(text string) api.Import {
	h.t.Helper()
	report, err := os.OpenFile(filepath.Join(h.t.TempDir(), "report"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = report.Close() })
	return api.Import{Org: h.org, Env: "sandbox", Format: "jsonl", Input: strings.NewReader(text), Digest: fmt.Sprintf("%x", sha256.Sum256([]byte(text))), OnConflict: "skip", Report: report}
}

// bring imports and wants all to go well.
func (h *house) bring(in api.Import) api.ImportCounts {
	h.t.Helper()
	n, err := h.mover().Import(h.t.Context(), in)
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

// reported are the lines of a report.
func reported(t *testing.T, in api.Import) (lines []map[string]any) {
	t.Helper()
	raw, err := os.ReadFile(in.Report.Name())
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		var of map[string]any
		if err := json.Unmarshal([]byte(line), &of); err != nil {
			t.Fatalf("the report has %q: %v", line, err)
		}
		lines = append(lines, of)
	}
	return lines
}

func cells(values ...string) string {
	var out strings.Builder
	w := csv.NewWriter(&out)
	_ = w.Write(values)
	w.Flush()
	return out.String()
}

// foreignVectors are hashes by other programs, see their make.py.
func foreignVectors(t *testing.T) (all []struct {
	Made, Password, Hash string
	Firebase             *struct {
		Salt, SignerKey, SaltSeparator string
		Rounds, MemCost                int
	}
}) {
	t.Helper()
	raw, err := os.ReadFile("internal/password/testdata/foreign/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// Whoever had a password in another system logs in with it, and from then on
// it is kept as all others are.
// Covers R-055 for the hashes of other systems.
func TestImportedUsersLogInWithTheirOldPasswords(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords()
		vectors := foreignVectors(t)
		text := cells("email", "email_verified", "password_hash", "password_salt", "hash_algorithm", "must_change")
		in := h.importing("")
		email := func(i int) string { return fmt.Sprintf("old%d@acme.test", i) }
		for i, v := range vectors {
			salt, algorithm, change := "", "", "false"
			if f := v.Firebase; f != nil {
				salt, algorithm = f.Salt, "firebase_scrypt"
				in.Firebase = &api.FirebaseParameters{SignerKey: secret.New(f.SignerKey), Separator: f.SaltSeparator, Rounds: f.Rounds, MemCost: f.MemCost}
			}
			if i == 0 {
				change = "true"
			}
			text += cells(email(i), "true", v.Hash, salt, algorithm, change)
		}
		in.Format, in.Input = "csv", strings.NewReader(text)
		if n := h.bring(in); n.Created != int64(len(vectors)) || n.Failed != 0 {
			t.Fatalf("%+v: %v", n, reported(t, in))
		}
		for i, v := range vectors {
			if wrong := h.challengePassword(email(i), v.Password[1:]).want(200); wrong.body["valid?"] != false {
				t.Errorf("%s: a wrong password: %s", v.Made, wrong.raw)
			}
			for _, when := range []string{"the first time", "the second time"} {
				right := h.challengePassword(email(i), v.Password).want(200)
				if right.body["valid?"] != true || (right.body["renew_password"] != nil) != (i == 0) {
					t.Errorf("%s, %s: %s", v.Made, when, right.raw)
				}
			}
		}
		for _, line := range h.exported("") {
			if word, ok := line["password"].(map[string]any); ok && word["scheme"] != "argon2id" {
				t.Errorf("%v is still kept as %v", line["email"], word["scheme"])
			}
		}
	})
}

// errStop stops an import in the middle.
var errStop = errors.New("stopped")

// An import that is stopped goes on where it was, however often that happens.
func TestAnImportGoesOnWhereItWasStopped(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p)
		const lines = 2600
		var text strings.Builder
		for i := range lines {
			if i%100 == 7 {
				fmt.Fprintf(&text, `{"email":"no address %d"}`+"\n", i)
			} else {
				fmt.Fprintf(&text, `{"email":"user%d@acme.test","phone_number":"+4915112%06d","email_verified":true}`+"\n", i, i)
			}
		}
		in := h.importing(text.String())
		users := h.mover()
		for stops := 0; ; stops++ {
			ctx, cancel := context.WithCancelCause(t.Context())
			portions := 0
			in.Input = strings.NewReader(text.String())
			in.Each = func(api.ImportCounts) {
				if portions++; portions == 2 && stops < 4 {
					cancel(errStop)
				}
			}
			n, err := users.Import(ctx, in)
			cancel(nil)
			if err != nil && stops < 10 {
				if !errors.Is(err, context.Canceled) {
					t.Fatalf("stopped by %v", err)
				}
				continue
			}
			want := api.ImportCounts{Lines: lines, Created: lines - lines/100, Failed: lines / 100}
			if err != nil || n != want || stops < 2 {
				t.Fatalf("after %d stops: %+v, %v, want %+v", stops, n, err, want)
			}
			break
		}
		if got := h.call("GET", "/api/v2/org/"+h.org+"/users", "per_page=1").want(200); got.body["total"] != float64(lines-lines/100+1) {
			t.Errorf("there are %v users", got.body["total"])
		}
		report := reported(t, in)
		if len(report) != lines/100 {
			t.Errorf("%d lines in the report", len(report))
		}
		for i, line := range report {
			if int(line["line"].(float64)) != 100*i+8 || line["code"] != "invalid_parameter" {
				t.Errorf("the report has %v", line)
			}
		}
	})
}

// What becomes of addresses that have a user is the operator's choice. A
// password that was used here is not replaced by an older one.
func TestAnImportMeetsUsersWhoAreHere(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords()
		hash := foreignVectors(t)[0]
		line := func(email, name, hash string) string {
			return fmt.Sprintf(`{"email":%q,"given_name":%q,"password_hash":%q}`+"\n", email, name, hash)
		}
		h.withPassword("ana@acme.test", plain)
		first := h.importing(line("old@acme.test", "Old", hash.Hash))
		if n := h.bring(first); n.Created != 1 {
			t.Fatalf("%+v", n)
		}
		text := line("ANA@acme.test", "Changed", hash.Hash) + line("old@acme.test", "Changed", foreignVectors(t)[1].Hash) + line("new@acme.test", "New", "") + line("New@acme.test", "Twice", "")
		name := func(email string) string { return h.call("GET", "/api/v2/org/"+h.org+"/users/"+email).want(200).raw }
		for _, c := range []struct {
			mode    string
			want    api.ImportCounts
			changed bool
		}{
			{"fail", api.ImportCounts{Lines: 4, Created: 1, Failed: 3}, false},
			{"skip", api.ImportCounts{Lines: 4, Skipped: 4}, false},
			{"update", api.ImportCounts{Lines: 4, Updated: 4}, true},
		} {
			in := h.importing(text)
			in.OnConflict = c.mode
			if n := h.bring(in); n != c.want {
				t.Errorf("%s: %+v, want %+v: %v", c.mode, n, c.want, reported(t, in))
			}
			for _, problem := range reported(t, in) {
				if problem["code"] != "unprocessable_entity" {
					t.Errorf("%s: %v", c.mode, problem)
				}
			}
			for _, email := range []string{"ana@acme.test", "old@acme.test"} {
				if got := strings.Contains(name(email), "Changed"); got != c.changed {
					t.Errorf("%s: %s is %s", c.mode, email, name(email))
				}
			}
			h.challengePassword("ana@acme.test", plain).want(200).wantValid(true)
			h.challengePassword("ana@acme.test", hash.Password).want(200).wantValid(false)
		}
		if !strings.Contains(name("new@acme.test"), "Twice") {
			t.Errorf("the second line of an address was not taken: %s", name("new@acme.test"))
		}
		h.challengePassword("old@acme.test", foreignVectors(t)[1].Password).want(200).wantValid(true)
		// Now it is one of ours.
		in := h.importing(line("old@acme.test", "Again", foreignVectors(t)[30].Hash))
		in.OnConflict = "update"
		h.bring(in)
		h.challengePassword("old@acme.test", foreignVectors(t)[30].Password).want(200).wantValid(false)
	})
}

func (r *reply) wantValid(valid bool) {
	r.t.Helper()
	if r.body["valid?"] != valid {
		r.t.Errorf("valid is %v, want %v: %s", r.body["valid?"], valid, r.raw)
	}
}

// A dry run says what an import would do and leaves nothing behind, and the
// report shows neither hashes nor addresses.
func TestADryRunChangesNothingAndAReportTellsNothing(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p)
		text := cells("email", "phone_number", "active", "created_at", "given_name", "password_hash", "must_change") +
			cells("good@acme.test", "+4915112345679", "false", "2020-01-02T03:04:05Z", "Gisela", "$2b$04$PZwx./VjCbM5jtgPrkZbMOFni7NNCJEA1kSKsSByf0Tv8F0AJWxvC", "1") +
			cells("hash@acme.test", "", "", "", "", "hunter2hunter2", "") +
			cells("dear@acme.test", "", "", "", "", "$2b$31$PZwx./VjCbM5jtgPrkZbMOFni7NNCJEA1kSKsSByf0Tv8F0AJWxvC", "") +
			cells("phone@acme.test", "12", "", "", "", "", "") +
			cells("flag@acme.test", "", "perhaps", "", "", "", "") +
			cells("time@acme.test", "", "", "yesterday", "", "", "") +
			cells("future@acme.test", "", "", "2999-01-01T00:00:00Z", "", "", "") +
			cells("alone@acme.test", "", "", "", "", "", "true") +
			cells("", "", "", "", "", "", "") +
			"a line of one cell\n" + "\"quoted\" wrong,,,,,,\n" +
			cells("long@acme.test", "", "", "", strings.Repeat("n", 300), "", "")
		before := len(h.exported(""))
		in := h.importing("")
		in.Format, in.DryRun = "csv", true
		for _, dry := range []bool{true, false} {
			in.DryRun, in.Input = dry, strings.NewReader(text)
			want := api.ImportCounts{Lines: 12, Created: 1, Failed: 11}
			if n := h.bring(in); n != want {
				t.Errorf("dry %v: %+v, want %+v: %v", dry, n, want, reported(t, in))
			}
			if dry {
				h.call("GET", "/api/v2/org/"+h.org+"/users/good@acme.test").want(404)
			}
			raw, err := os.ReadFile(in.Report.Name())
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{"hunter2", "PZwx", "@acme", "perhaps", "one cell", "quoted\""} {
				if strings.Contains(string(raw), secret) {
					t.Errorf("dry %v: the report shows %q: %s", dry, secret, raw)
				}
			}
			codes := ""
			for _, line := range reported(t, in) {
				codes += fmt.Sprint(line["line"], line["code"], " ")
			}
			if want := "3hash_unknown 4hash_too_costly 5invalid_parameter 6malformed_line 7malformed_line 8invalid_parameter 9invalid_parameter 10missing_parameter " +
				"11malformed_line 12malformed_line 13invalid_parameter "; codes != want {
				t.Errorf("dry %v: %s", dry, codes)
			}
		}
		if got := len(h.exported("")); got <= before+1 {
			t.Errorf("%d lines, before the import %d", got, before)
		}
		good := h.call("GET", "/api/v2/org/"+h.org+"/users/good@acme.test").want(200)
		if good.body["active"] != false || !strings.HasPrefix(good.text("inserted_at"), "2020-01-02T03:04:05") || !strings.Contains(good.raw, "+4915112345679") {
			t.Errorf("the user is %s", good.raw)
		}
	})
}
