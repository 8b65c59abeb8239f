package api_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/bus/bustest"
	"countersign.dev/services/api"
)

// advice is what an error or an estimate tells the person, in one text.
func advice(r *reply) string {
	texts, _ := r.body["suggestions"].([]any)
	if inner, ok := r.body["error"].(map[string]any); ok {
		texts, _ = inner["advice"].([]any)
	}
	return strings.Trim(fmt.Sprint(texts), "[]")
}

// asking is the house with an Accept-Language.
func (h *house) asking(language string) *house {
	other := *h
	other.speaks = language
	return &other
}

// Covers R-056 for reasons and advice.
func TestARefusalSaysWhyAndWhatToDo(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	h.org = h.call("POST", "/api/v2/organizations", "name=Communitiz", "locale=fr").want(201).text("domain")
	h.passwords()
	h.call("POST", "/api/v2/org/"+h.org+"/users", "email=kim@mail.test", "profile[family_name]=Bergengruen").want(201)
	code := h.codeFor("kim@mail.test")
	german := h.asking("de-AT,de;q=0.9")
	cases := map[string]struct {
		typed, reason, en, de, fr string
	}{
		"the organization's name": {
			"Communitiz2026!!!", "password_contains_context",
			"An attacker tries those first.", "Damit beginnt ein Angreifer.", "Un attaquant commence par là.",
		},
		"the user's own name": {
			"bergengruen12345", "password_contains_context",
			"An attacker tries those first.", "Damit beginnt ein Angreifer.", "Un attaquant commence par là.",
		},
		"an easy one": {
			"hunter2hunter2hunter2", "password_too_weak", "Avoid words and signs that repeat.", "die sich wiederholen.", "qui se répètent.",
		},
		"a common one": {
			"passwordpassword", "password_blocklisted", "Use a few words", "Nehmen Sie ein paar Wörter", "Utilisez quelques mots",
		},
		"a short one": {
			"x8#Tq!v2Lp@", "password_too_short", "at least 15 characters", "mindestens 15 Zeichen", "au moins 15 caractères",
		},
	}
	for name, c := range cases {
		for language, want := range map[string]string{"en": c.en, "de": c.de, "ja": c.fr} {
			refused := h.asking(language).setPassword(code, c.typed).wantFault(422, c.reason)
			if said := advice(refused); !strings.Contains(said, want) {
				t.Errorf("%s, asked in %s: %s", name, language, said)
			}
			if strings.Contains(strings.ToLower(refused.raw), strings.ToLower(c.typed)) {
				t.Errorf("%s: the answer repeats it: %s", name, refused.raw)
			}
		}
		told := german.strength(c.typed, "user_email=kim@mail.test", "family_name=Bergengruen").want(200)
		if told.body["acceptable"] != false || told.body["reason"] != c.reason || told.text("warning") == "" {
			t.Errorf("%s: the meter says %s", name, told.raw)
		}
		if said := told.text("warning") + advice(told); !strings.Contains(said, c.de) {
			t.Errorf("%s: the meter says %s", name, said)
		}
	}
	h.setPassword(code, plain).want(200) // all of that has left the code good
	again := h.codeFor("kim@mail.test")
	if said := advice(german.setPassword(again, plain).wantFault(422, "password_unchanged")); !strings.Contains(said, "Wählen Sie ein anderes") {
		t.Errorf("the password before: %s", said)
	}
	direct := h.call("PUT", "/api/v2/org/"+h.org+"/password-connection", "direct_creation=true", "min_strength=0").want(200)
	if direct.body["min_strength"] != 0.0 {
		t.Errorf("connection %s", direct.raw)
	}
	h.call("POST", "/api/v2/org/"+h.org+"/users", "email=lea@mail.test").want(201)
	set := func(typed string) *reply {
		return h.call("POST", "/api/v2/password", "user_email=lea@mail.test", "org_domain="+h.org, "plain_text="+typed)
	}
	set("Communitiz2026!!!").wantFault(422, "password_contains_context")
	set("hunter2hunter2hunter2").want(200) // no strength is asked for
	if n := h.metric(`countersign_passwords_refused_total{reason="password_contains_context"}`); n != 7 {
		t.Errorf("%v refusals were counted, want 7: six by the code, one directly, none by the meter", n)
	}
}

func (h *house) strength(typed string, params ...string) *reply {
	h.t.Helper()
	return h.call("POST", "/api/v2/password-strength", append([]string{"org_domain=" + h.org, "plain_text=" + typed}, params...)...)
}

// The meter knows what the call says and the organization, and nobody's
// account: it cannot be asked who is there.
func TestTheMeterKnowsNobody(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	h := start(t, p)
	h.strength(plain).wantFault(404, "not_found") // no connection
	h.passwords()
	h.withPassword("ana@acme.test", plain)
	h.call("PUT", "/api/v2/org/"+h.org+"/users/"+h.user, "profile[family_name]=Bergengruen").want(200)
	rows := watch(t, p.openSQL(t), p)
	good := h.strength(plain, "user_email=ana@acme.test").want(200)
	if good.body["acceptable"] != true || good.body["score"] != 4.0 || good.body["min_strength"] != 3.0 ||
		good.body["reason"] != nil || good.body["warning"] != nil || good.raw[strings.Index(good.raw, `"suggestions"`):] != `"suggestions":[]}` {
		t.Errorf("a good one, which is hers already: %s", good.raw)
	}
	for _, typed := range []string{"bergengruen12345", "x", "hunter2hunter2hunter2", plain} {
		known := h.strength(typed, "user_email=ana@acme.test").want(200)
		unknown := h.strength(typed, "user_email=nil@acme.test").want(200)
		if a, b := alike(known, "ana"), alike(unknown, "nil"); a != b {
			t.Errorf("%s tells who is there:\n%s\n%s", typed, a, b)
		}
	}
	for params, want := range map[string]bool{"": false, "user_email=albrechtsen@acme.test": true, "given_name=Albrechtsen": true, "nickname=Albrechtsen": true} {
		told := h.strength("albrechtsen12345", strings.Fields(params)...).want(200)
		if (told.body["reason"] == "password_contains_context") != want {
			t.Errorf("with %q: %s", params, told.raw)
		}
	}
	rows.wantUnchanged("asking for the strength")
	h.strength(strings.Repeat("x", 1025)).wantFault(400, "malformed_password")
	h.call("POST", "/api/v2/password-strength", "plain_text="+plain).wantFault(422, "missing_parameter")
	h.call("POST", "/api/v2/password-strength", "org_domain="+h.org).wantFault(422, "missing_parameter")
	french := h.strength("hunter2hunter2hunter2", "locale=fr").want(200)
	if said := advice(french); !strings.Contains(said, "Ajoutez") {
		t.Errorf("in French: %s", said)
	}
	weak := h.as(h.signIn(h.key("acme", "sandbox", "challenges:write")))
	weak.strength(plain).wantFault(403, "insufficient_scope")
}

// Covers R-056 for a list of the operator's.
func TestTheOperatorsListIsReadAtTheStart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "refused.txt")
	if err := os.WriteFile(path, []byte("Sommerfest am Baldeneysee\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := embedded(t)
	var cfg api.Config
	p.cfg = func(c *api.Config) {
		c.BlocklistFile = path
		cfg = *c
	}
	h := start(t, p).passwords()
	if told := h.strength("sommerfest am baldeneysee").want(200); told.body["reason"] != "password_blocklisted" {
		t.Errorf("on the list: %s", told.raw)
	}
	cfg.BlocklistFile = path + ".not"
	without := api.Parts{Ephemeral: p.short(t), Bus: bustest.Bus(t, p.nats, func(*bus.Config) {}), Log: slog.New(slog.DiscardHandler)}
	if _, err := api.New(t.Context(), cfg, without); err == nil || !strings.Contains(err.Error(), "COUNTERSIGN_PASSWORD_BLOCKLIST_FILE") {
		t.Errorf("without its list the service starts: %v", err)
	}
}
