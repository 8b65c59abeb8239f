package api_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"countersign.dev/services/api"
)

// Neither the database nor the bus nor the log shows a code, a number, a key's
// secret or a token: what must be read is sealed, what must be compared is a
// digest.
// Covers R-042 for what exists: API keys and their tokens, SMS codes.
// Covers R-043 for challenges.
func TestNothingReadableRests(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	p := embedded(t)
	p.log = &log
	dir := filepath.Dir(strings.TrimPrefix(p.database, "sqlite:"))
	p.prepare(t)
	raw, err := nats.Connect(p.nats.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	wire, err := raw.SubscribeSync("countersign.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Flush(); err != nil {
		t.Fatal(err)
	}

	h := start(t, p)
	key := h.key("acme", "sandbox", api.AllScopes)
	user := h.enrolled("eva@acme.test", "+4915187654321")
	challenge := h.call("POST", h.challenge(user)).want(201)
	code := h.code(challenge)
	h.call("POST", h.challenge("validation/"+user), "code="+other(code)).want(200)
	h.call("POST", h.challenge("validation/"+user), "code="+code).want(200)

	canaries := map[string]string{
		"the number": "15187654321", "the key's secret": key.ClientSecret.Reveal(), "the token": h.token,
		"the token's signature": h.token[strings.LastIndex(h.token, ".")+1:],
	}
	for name, canary := range canaries {
		if strings.Contains(log.String(), canary) {
			t.Errorf("%s is in the log", name)
		}
	}
	if strings.Contains(log.String(), "code="+code) || strings.Contains(log.String(), "#"+code) {
		t.Error("the code is in the log")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no database files: %v", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for name, canary := range canaries {
			if bytes.Contains(content, []byte(canary)) {
				t.Errorf("%s is in %s", name, filepath.Base(file))
			}
		}
	}
	messages := 0
	for {
		msg, err := wire.NextMsg(50e6)
		if err != nil {
			break
		}
		messages++
		if len(msg.Data) > 8<<10 {
			t.Errorf("a message of %d bytes", len(msg.Data))
		}
		for name, canary := range canaries {
			if bytes.Contains(msg.Data, []byte(canary)) {
				t.Errorf("%s is on the bus, on %s", name, msg.Subject)
			}
		}
		// Six digits are found by chance in ids and times, so the code is
		// looked for as a whole value.
		if bytes.Contains(msg.Data, []byte(`"`+code+`"`)) || bytes.Contains(msg.Data, []byte("#"+code)) {
			t.Errorf("the code is on the bus, on %s", msg.Subject)
		}
	}
	if messages < 2 {
		t.Fatalf("%d messages were seen on the bus, want the two challenges", messages)
	}
}

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
