package smtp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/courier"
	"countersign.dev/pkg/dkim"
	"countersign.dev/pkg/rig"
)

// verified asks dkimpy, which nobody here has written, about mails. It answers
// for each with ok or why not.
func verified(t *testing.T, names map[string]string, mails [][]byte) []string {
	t.Helper()
	in, err := json.Marshal(map[string]any{"dns": names, "mails": mails})
	if err != nil {
		t.Fatal(err)
	}
	check := exec.CommandContext(t.Context(), python(t), filepath.Join("testdata", "verify.py"))
	check.Stdin = bytes.NewReader(in)
	var complaints bytes.Buffer
	check.Stderr = &complaints
	out, err := check.Output()
	if err != nil {
		t.Fatalf("verify.py: %v\n%s", err, complaints.String())
	}
	var answers []string
	if err := json.Unmarshal(out, &answers); err != nil || len(answers) != len(mails) {
		t.Fatalf("verify.py answered %s, %v", out, err)
	}
	return answers
}

// python is the interpreter that has dkimpy: the one that its own program names
// in its first line.
func python(t *testing.T) string {
	t.Helper()
	program, err := os.ReadFile(rig.Installed(t, "dkimverify", "python3-dkim python3-nacl"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(program), "\n")
	return strings.TrimSpace(strings.TrimPrefix(first, "#!"))
}

// signing is a provider with a key of a kind, and what the DNS shows of it.
func signing(t *testing.T, kind dkim.Kind, domain, selector string) (*Provider, map[string]string) {
	t.Helper()
	text, err := dkim.NewKey(kind)
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Config{
		Host: "mail.example.com", From: "no-reply@" + domain, FromName: "Zürich – Größe", DKIMDomain: domain, DKIMSelector: selector, DKIMKey: text,
		Now: func() time.Time { return time.Now().Truncate(time.Second) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, map[string]string{dkim.RecordName(domain, selector) + ".": dkim.Record(p.key)}
}

// strange are texts that signing has to survive.
func strange(n int) courier.Message {
	texts := []string{
		"plain", "Grüße aus Zürich, 日本語, 👩‍🚒", strings.Repeat("long ", 1000), strings.Repeat("x", 5000), "a \t  b   \r\n\r\n\r\nend\n\n\n",
		".\n..\n. dots\n", "trailing blanks   \n\tand tabs\t\n", "", "from the\nFrom here\n", "=3D soft=\nbreaks",
	}
	text := texts[n%len(texts)]
	m := courier.Message{
		DeliveryID: fmt.Sprintf("delivery_%08d", n), To: fmt.Sprintf("ana.%d@example.com", n), Subject: fmt.Sprintf("%d %s", n, text), Text: text + fmt.Sprint(n),
	}
	if n%3 != 0 {
		m.HTML = "<p>" + text + "</p>"
	}
	return m
}

//
func TestSignedMailsHoldBeforeAnotherProgram(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind             dkim.Kind
		domain, selector string
	}{
		"RSA":                         {dkim.RSA, "example.com", "cs1"},
		"Ed25519":                     {dkim.Ed25519, "example.com", "cs1"},
		"the longest names, RSA":      {dkim.RSA, strings.Repeat("d", 62) + ".example", strings.Repeat("s", 63)},
		"the longest names, Ed25519":  {dkim.Ed25519, strings.Repeat("d", 62) + ".example", strings.Repeat("s", 63)},
		"a selector with dots in it ": {dkim.Ed25519, "mail.example.com", "2026.cs-1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, names := signing(t, c.kind, c.domain, c.selector)
			var mails [][]byte
			for n := range 100 {
				l, err := p.compose(strange(n))
				if err != nil {
					t.Fatal(err)
				}
				mails = append(mails, l.data)
			}
			for n, answer := range verified(t, names, mails) {
				if answer != "ok" {
					t.Errorf("mail %d: %s\n%s", n, answer, mails[n][:min(len(mails[n]), 900)])
				}
			}
		})
	}
}

// What is oversigned cannot be said a second time, nor can anything be changed.
func TestChangedMailsAreFoundOut(t *testing.T) {
	t.Parallel()
	p, names := signing(t, dkim.RSA, "example.com", "cs1")
	l, err := p.compose(strange(10))
	if err != nil {
		t.Fatal(err)
	}
	whole := string(l.data)
	mails, what := [][]byte{l.data}, []string{"as it was sent"}
	for _, header := range signedOnce {
		header = strings.TrimSpace(header)
		mails, what = append(mails, []byte(header+": <evil@example.com>\r\n"+whole)), append(what, "with another "+header+" in front")
		mails, what = append(mails, []byte(strings.Replace(whole, "\r\n\r\n", "\r\n"+header+": <evil@example.com>\r\n\r\n", 1))), append(what, "with another "+header+" behind")
	}
	for _, header := range signedHeaders {
		mails, what = append(mails, []byte(strings.Replace(whole, "\r\n"+header+": ", "\r\n"+header+": evil", 1))), append(what, "with a changed "+header)
	}
	mails, what = append(mails, []byte(whole+"more\r\n")), append(what, "with more at the end")
	for n, answer := range verified(t, names, mails) {
		if (answer == "ok") != (n == 0) {
			t.Errorf("a mail %s: %s", what[n], answer)
		}
	}
}

func TestSigningIsCheckedBeforeItStarts(t *testing.T) {
	t.Parallel()
	text, err := dkim.NewKey(dkim.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	good := Config{Host: "mail.example.com", From: "no-reply@mail.example.com", DKIMDomain: "example.com", DKIMSelector: "cs1", DKIMKey: text}
	if wrong := good.Check(); len(wrong) != 0 {
		t.Errorf("a good one: %v", wrong)
	}
	for key, change := range map[string]func(*Config){
		"DKIM_DOMAIN":   func(c *Config) { c.DKIMDomain = "example.org" },
		"DKIM_SELECTOR": func(c *Config) { c.DKIMSelector = "" },
		"DKIM_KEY":      func(c *Config) { c.DKIMKey = c.Password },
	} {
		c := good
		change(&c)
		if wrong := c.Check(); len(wrong) != 1 || wrong[0].Key != key {
			t.Errorf("%s: %v", key, wrong)
		}
	}
}
