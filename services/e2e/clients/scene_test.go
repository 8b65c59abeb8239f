package clients_test

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"countersign.dev/pkg/rig"
	"countersign.dev/services/e2e/stage"
)

// scene is `countersign dev` as a process, and an organization whose users log
// in with a password and an authenticator app.
type scene struct {
	issuer string
	api    *stage.App
	people int
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s, _ := startDev(t)
	s.api.Furnish("Clients Ltd")
	s.api.Call("POST", s.api.Path("password-connection"), "delivery=caller").Want(201)
	return s
}

// startDev starts the process. It returns what dev.env says, too.
func startDev(t *testing.T) (*scene, map[string]string) {
	t.Helper()
	addr, ops := fmt.Sprintf("127.0.0.1:%d", rig.FreePort(t)), fmt.Sprintf("127.0.0.1:%d", rig.FreePort(t))
	dir := filepath.Join(t.TempDir(), "data")
	stage.Start(t, stage.Env("COUNTERSIGN_ADDR="+addr, "COUNTERSIGN_OPS_ADDR="+ops), "countersign", "dev", "--dir", dir).Await("Countersign is up")
	text, err := os.ReadFile(filepath.Join(dir, "dev.env"))
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{issuer: "http://" + addr, api: stage.NewApp(t, "http://"+addr)}
	env := stage.Values(string(text))
	s.api.SignIn(env)
	return s, env
}

// client is an app as its library is configured.
type client struct{ id, secret, redirect string }

// app makes an app. Its parameters are those of the API.
func (s *scene) app(t *testing.T, name, redirect string, params ...string) client {
	t.Helper()
	reply := s.api.Call("POST", s.api.Path("apps"), append([]string{"name=" + name, "redirect_uris[]=" + redirect}, params...)...).Want(201)
	c := client{id: reply.Text("client_id"), redirect: redirect}
	c.secret, _ = reply.Body["client_secret"].(string)
	return c
}

const welcome = "http://localhost:3000/welcome" // where links lead; nobody listens there

// person makes a user with a password and an authenticator app. Each code
// works once, so every test has persons of its own.
func (s *scene) person(t *testing.T) *person {
	t.Helper()
	s.people++
	name := fmt.Sprintf("ana%d", s.people)
	p := &person{tb: t, base: s.issuer, email: name + "@clients.example", password: "blue-Otter-walks-" + name + "-77"}
	p.id = s.api.NewUser(p.email, "")
	link := s.api.Call("POST", "/api/v2/password-request", "user_email="+p.email, "org_domain="+s.api.Org, "redirect_uri="+welcome).Want(201).Text("magic_link")
	code := stage.NewBrowser(t, s.issuer).Follow(link).Get("password_code")
	s.api.Call("POST", "/api/v2/password", "plain_text="+p.password, "password_code="+code).Want(200)
	enrolment := s.api.Call("POST", s.api.Path("totp-enrollment/"+p.id)).Want(201)
	p.app = newAuthenticator(t, enrolment.Text("otp_uri"))
	s.api.Call("PUT", s.api.Path("totp-enrollment/validation/"+p.id), "code="+p.app.code()).Want(200).WantSuccess(true)
	p.forget()
	return p
}

// writeJSON answers with a value.
func writeJSON(t *testing.T, w io.Writer, value any) {
	t.Helper()
	if err := json.NewEncoder(w).Encode(value); err != nil {
		t.Error(err)
	}
}
