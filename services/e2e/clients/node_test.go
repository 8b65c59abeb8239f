package clients_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"testing"

	"countersign.dev/pkg/rig"
	"countersign.dev/services/e2e/stage"
)

const (
	nodeRedirect = "http://127.0.0.1:9/node/callback" // nobody listens there: the test is the browser
	nodeLogout   = "http://127.0.0.1:9/node/goodbye"
)

// Programs in Node.js: openid-client goes from discovery to the end of the
// session, in each way in which an app may authenticate.
//
// Covers R-152 for openid-client, a certified relying party.
func TestOpenIDClientSignsIn(t *testing.T) {
	t.Parallel()
	node := rig.Installed(t, "node", "nodejs")
	folder := installed.folder(t)
	s := newScene(t)
	for name, c := range map[string]struct {
		auth   string
		params []string
	}{
		"a public app":                    {"none", []string{"client_type=public"}},
		"a public app with RS256":         {"none", []string{"client_type=public", "id_token_signed_response_alg=RS256"}},
		"a confidential app by its head":  {"basic", []string{"client_type=confidential"}},
		"a confidential app by its forms": {"post", []string{"client_type=confidential"}},
	} {
		t.Run(name, func(t *testing.T) {
			app := s.app(t, name, nodeRedirect, append(c.params, "post_logout_redirect_uris[]="+nodeLogout, "scopes=openid email profile offline_access reports:read")...)
			p := s.person(t)
			settings, err := json.Marshal(map[string]any{
				"issuer": s.issuer, "id": app.id, "secret": app.secret, "redirect": app.redirect, "logout": nodeLogout, "auth": c.auth,
				"user": map[string]string{"id": p.id, "email": p.email},
			})
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), node, "openid-client.mjs", string(settings))
			cmd.Dir, cmd.Env = folder, stage.Env()
			browseFor(t, cmd, p)
		})
	}
}

// browseFor runs a script and is its browser.
func browseFor(t *testing.T, cmd *exec.Cmd, p *person) {
	t.Helper()
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var line struct {
			Open string
			Done bool
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("%v: %s", err, lines.Bytes())
		}
		if line.Open != "" {
			to, _ := p.visit(line.Open)
			if _, err := io.WriteString(in, to+"\n"); err != nil {
				t.Fatal(err)
			}
		}
		done = done || line.Done
	}
	if err := cmd.Wait(); err != nil || !done {
		t.Errorf("the script: %v\n%s", err, complaints.String())
	}
}
