package conf_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"countersign.dev/pkg/conf"
	"countersign.dev/pkg/secret"
)

func TestDescribeListsEveryVariableOnce(t *testing.T) {
	t.Parallel()
	type twice struct {
		A service
		B service
	}
	keys := conf.Describe[twice]()
	if !reflect.DeepEqual(keys, conf.Describe[service]()) {
		t.Error("a variable that two services read is listed twice")
	}
	want := map[string]conf.Key{
		"COUNTERSIGN_LISTEN": {Type: "text", Default: "127.0.0.1:8080", Doc: "Address and port of the API."},
		"COUNTERSIGN_NOTICE": {Type: "duration, such as 30s or 5m", Default: "5s", Doc: "How long | it serves after the signal."},
		"COUNTERSIGN_PEPPER": {Type: "secret text", Required: true, Secret: true, Doc: "Key that passwords are mixed with."},
		"COUNTERSIGN_KEYS":   {Type: "list of secret text, separated by commas", Secret: true},
	}
	order := []string{
		"LISTEN", "PUBLIC_URL", "NOTICE", "WORKERS", "LIMIT", "SHARE", "INSECURE_DEV", "TRUSTED_PROXIES", "NAMES", "PEPPER", "KEYS",
		"STORE_URL", "STORE_RETRIES", "LOG_LEVEL", "TAGS", "SMTP_PORT",
	}
	if len(keys) != len(order) {
		t.Fatalf("%d keys, want %d: %v", len(keys), len(order), keys)
	}
	for i, key := range keys {
		if key.Name != conf.Prefix+order[i] {
			t.Errorf("key %d is %s, want %s", i, key.Name, order[i])
		}
		if expected, ok := want[key.Name]; ok {
			if expected.Name = key.Name; expected != key {
				t.Errorf("got  %+v\nwant %+v", key, expected)
			}
		}
	}
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	keys := conf.Describe[struct {
		A string      `env:"A" envDefault:"a|b" doc:"One or\nthe | other."`
		B secret.Text `env:"B,required"`
		C bool        `env:"C" doc:"A switch."`
	}]()
	want := `## API

| Variable | Takes | Default | Meaning |
|---|---|---|---|
| ` + "`COUNTERSIGN_A` | text | `a\\|b`" + ` | One or the \| other. |
| ` + "`COUNTERSIGN_B`" + ` | secret text | **required** |  |
| ` + "`COUNTERSIGN_C`" + ` | true or false | – | A switch. |
`
	if got := conf.Markdown("API", keys); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestPrintShowsWhatIsInEffectButNoSecret(t *testing.T) {
	t.Parallel()
	cfg, err := conf.Load[service]([]string{
		pepper, "COUNTERSIGN_KEYS=canary,canary2", "COUNTERSIGN_TRUSTED_PROXIES=10.0.0.0/8,fd00::/8", "COUNTERSIGN_TAGS=b:2,a:1",
		"COUNTERSIGN_PUBLIC_URL=https://app:canary@id.example.com", "COUNTERSIGN_NAMES=a;b\nc",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `COUNTERSIGN_LISTEN=127.0.0.1:8080
COUNTERSIGN_PUBLIC_URL=https://***@id.example.com
COUNTERSIGN_NOTICE=5s
COUNTERSIGN_WORKERS=4
COUNTERSIGN_LIMIT=0
COUNTERSIGN_SHARE=0.5
COUNTERSIGN_INSECURE_DEV=false
COUNTERSIGN_TRUSTED_PROXIES=10.0.0.0/8,fd00::/8
COUNTERSIGN_NAMES="a,b\nc"
COUNTERSIGN_PEPPER=***
COUNTERSIGN_KEYS=***,***
COUNTERSIGN_STORE_URL=postgres://***@db/x?password=***
COUNTERSIGN_STORE_RETRIES=
COUNTERSIGN_LOG_LEVEL=INFO
COUNTERSIGN_TAGS=a:1,b:2
COUNTERSIGN_SMTP_PORT=25
`
	for name, value := range map[string]any{"a value": cfg, "a pointer": &cfg} {
		var out bytes.Buffer
		if err := conf.Print(&out, value); err != nil || out.String() != want {
			t.Errorf("%s: %v, got\n%s\nwant\n%s", name, err, out.String(), want)
		}
	}
	var out bytes.Buffer
	dsn := struct {
		A string      `env:"A"`
		B string      `env:"B"`
		C secret.Text `env:"C"`
	}{"host=db password='can ary' user=u", "redis://h?client_secret=canary&db=1", secret.Text{}}
	if err := conf.Print(&out, dsn); err != nil || strings.Contains(out.String(), "ary") || !strings.HasSuffix(out.String(), "&db=1\nCOUNTERSIGN_C=\n") {
		t.Errorf("%v, got %s", err, out.String())
	}
}

type full struct{}

var errFull = errors.New("disk full")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestPrintReportsAFailedWrite(t *testing.T) {
	t.Parallel()
	if err := conf.Print(full{}, service{}); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
}
