package conf_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/conf"
	"countersign.dev/pkg/secret"
)

// service is a configuration with a field of every kind.
type service struct {
	Listen  string         `env:"LISTEN" envDefault:"127.0.0.1:8080" doc:"Address and port of the API."`
	Public  url.URL        `env:"PUBLIC_URL" envDefault:"http://localhost:8080" doc:"Where users reach it."`
	Notice  time.Duration  `env:"NOTICE" envDefault:"5s" doc:"How long | it serves after the signal."`
	Workers int            `env:"WORKERS" envDefault:"4"`
	Limit   uint16         `env:"LIMIT"`
	Share   float64        `env:"SHARE" envDefault:"0.5"`
	Dev     bool           `env:"INSECURE_DEV"`
	Proxies []netip.Prefix `env:"TRUSTED_PROXIES" doc:"Networks of proxies."`
	Names   []string       `env:"NAMES" envSeparator:";"`
	Pepper  secret.Text    `env:"PEPPER,required" doc:"Key that passwords are mixed with."`
	Keys    []secret.Text  `env:"KEYS"`
	Skipped string         `env:"-"`
	Store   struct {
		URL     string `env:"URL" envDefault:"postgres://app:canary@db/x?password=canary"`
		Retries *int   `env:"RETRIES"`
	} `envPrefix:"STORE_"`
	Log struct {
		Level slog.Level `env:"LEVEL" envDefault:"info" doc:"debug, info, warn or error."`
	} `envPrefix:"LOG_"`
	Tags map[string]string `env:"TAGS"`
	embedded
	unexported string //nolint:unused // must be passed over
}

type embedded struct {
	Port string `env:"SMTP_PORT" envDefault:"25"`
}

const pepper = "COUNTERSIGN_PEPPER=pepper-canary"

func TestEverySettingIsRead(t *testing.T) {
	t.Parallel()
	got, err := conf.Load[service]([]string{
		pepper, "HOME=/root", "=C:=C:\\", "COUNTERSIGN_LISTEN=:80", "COUNTERSIGN_PUBLIC_URL=https://id.example.com/x",
		"COUNTERSIGN_NOTICE=250ms", "COUNTERSIGN_WORKERS=-2", "COUNTERSIGN_LIMIT=65535", "COUNTERSIGN_SHARE=0.25",
		"COUNTERSIGN_INSECURE_DEV=true", "COUNTERSIGN_TRUSTED_PROXIES=10.0.0.0/8, fd00::/8", "COUNTERSIGN_NAMES=a; b c",
		"COUNTERSIGN_KEYS=k1,k2", "COUNTERSIGN_STORE_URL=x=y=z", "COUNTERSIGN_STORE_RETRIES=3", "COUNTERSIGN_LOG_LEVEL=debug",
		"COUNTERSIGN_TAGS=a:1,b:2", "COUNTERSIGN_SMTP_PORT=587",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := service{
		Listen: ":80", Public: url.URL{Scheme: "https", Host: "id.example.com", Path: "/x"}, Notice: 250 * time.Millisecond,
		Workers: -2, Limit: 65535, Share: 0.25, Dev: true, Names: []string{"a", "b c"}, Pepper: secret.New("pepper-canary"),
		Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")},
		Keys:    []secret.Text{secret.New("k1"), secret.New("k2")}, Tags: map[string]string{"a": "1", "b": "2"},
	}
	want.Store.URL, want.Store.Retries, want.Log.Level, want.Port = "x=y=z", new(3), slog.LevelDebug, "587"
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestDefaultsHoldForWhatIsUnsetOrEmpty(t *testing.T) {
	t.Parallel()
	unset, err := conf.Load[service]([]string{pepper})
	if err != nil {
		t.Fatal(err)
	}
	empty, err := conf.Load[service]([]string{
		pepper, "COUNTERSIGN_LISTEN=", "COUNTERSIGN_WORKERS=", "COUNTERSIGN_KEYS=", "COUNTERSIGN_TRUSTED_PROXIES=",
		"COUNTERSIGN_NO_SUCH_SETTING=", "COUNTERSIGN_PEPPER_FILE=",
	})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(unset, empty) {
		t.Errorf("an empty variable is not like an unset one:\n%+v\n%+v", unset, empty)
	}
	if unset.Listen != "127.0.0.1:8080" || unset.Notice != 5*time.Second || unset.Workers != 4 || unset.Store.Retries != nil || unset.Port != "25" {
		t.Errorf("got %+v", unset)
	}
}

func TestEveryMistakeNamesItsVariableAndWhatToDo(t *testing.T) {
	t.Parallel()
	const missing = "COUNTERSIGN_PEPPER: is missing: set it, or name a file that holds it in COUNTERSIGN_PEPPER_FILE. Key that passwords are mixed with."
	cases := map[string]struct {
		environ []string
		want    []string
	}{
		"a required one is missing":  {nil, []string{missing}},
		"a required one is empty":    {[]string{"COUNTERSIGN_PEPPER="}, []string{missing}},
		"a word for a number":        {[]string{pepper, "COUNTERSIGN_WORKERS=many"}, []string{"COUNTERSIGN_WORKERS: does not read as whole number."}},
		"a fraction for a number":    {[]string{pepper, "COUNTERSIGN_WORKERS=1.5"}, []string{"COUNTERSIGN_WORKERS: does not read as whole number."}},
		"a blank before a number":    {[]string{pepper, "COUNTERSIGN_WORKERS= 4"}, []string{"COUNTERSIGN_WORKERS: does not read as whole number."}},
		"a number out of range":      {[]string{pepper, "COUNTERSIGN_LIMIT=65536"}, []string{"COUNTERSIGN_LIMIT: does not read as whole number, zero or more."}},
		"a duration without unit":    {[]string{pepper, "COUNTERSIGN_NOTICE=5"}, []string{"COUNTERSIGN_NOTICE: does not read as duration, such as 30s or 5m. How long | it serves after the signal."}},
		"a word for a switch":        {[]string{pepper, "COUNTERSIGN_INSECURE_DEV=yes"}, []string{"COUNTERSIGN_INSECURE_DEV: does not read as true or false."}},
		"one bad element of a list":  {[]string{pepper, "COUNTERSIGN_TRUSTED_PROXIES=10.0.0.0/8,10.0.0.1"}, []string{"COUNTERSIGN_TRUSTED_PROXIES: does not read as list of network, such as 10.0.0.0/8, separated by commas. Networks of proxies."}},
		"a broken URL":               {[]string{pepper, "COUNTERSIGN_PUBLIC_URL=http://[::1"}, []string{"COUNTERSIGN_PUBLIC_URL: does not read as URL. Where users reach it."}},
		"a level nobody knows":       {[]string{pepper, "COUNTERSIGN_LOG_LEVEL=loud"}, []string{"COUNTERSIGN_LOG_LEVEL: does not read as log level. debug, info, warn or error."}},
		"a bad map":                  {[]string{pepper, "COUNTERSIGN_TAGS=a"}, []string{"COUNTERSIGN_TAGS: does not read as list of name:value, separated by commas."}},
		"twice with two values":      {[]string{pepper, "COUNTERSIGN_LISTEN=a:1", "COUNTERSIGN_LISTEN=b:2"}, []string{"COUNTERSIGN_LISTEN: is in the environment twice with different values: remove one"}},
		"a misspelt name":            {[]string{pepper, "COUNTERSIGN_LITSEN=a"}, []string{"COUNTERSIGN_LITSEN: is not a setting: did you mean COUNTERSIGN_LISTEN?"}},
		"a misspelt nested name":     {[]string{pepper, "COUNTERSIGN_STORE_URI=a"}, []string{"COUNTERSIGN_STORE_URI: is not a setting: did you mean COUNTERSIGN_STORE_URL?"}},
		"a misspelt _FILE":           {[]string{pepper, "COUNTERSIGN_PEPER_FILE=a"}, []string{"COUNTERSIGN_PEPER_FILE: is not a setting: did you mean COUNTERSIGN_PEPPER_FILE?"}},
		"a name like no other":       {[]string{pepper, "COUNTERSIGN_FAVOURITE_COLOUR=a"}, []string{"COUNTERSIGN_FAVOURITE_COLOUR: is not a setting: remove it"}},
		"a field that is not read":   {[]string{pepper, "COUNTERSIGN_SKIPPED=a"}, []string{"COUNTERSIGN_SKIPPED: is not a setting: remove it"}},
		"the prefix alone":           {[]string{pepper, "COUNTERSIGN_=a"}, []string{"COUNTERSIGN_: is not a setting: remove it"}},
		"a typo that ends in _PORT":  {[]string{pepper, "COUNTERSIGN_SMPT_PORT=587"}, []string{"COUNTERSIGN_SMPT_PORT: is not a setting: did you mean COUNTERSIGN_SMTP_PORT?"}},
		"Kubernetes over an own key": {[]string{pepper, "COUNTERSIGN_SMTP_PORT=tcp://10.43.0.1:25"}, []string{"COUNTERSIGN_SMTP_PORT: holds what Kubernetes sets for a Service of this name: set enableServiceLinks: false in the pod, or rename the Service"}},
		"several at once": {
			[]string{"COUNTERSIGN_WORKERS=x", "COUNTERSIGN_ZEBRA=1", "COUNTERSIGN_LIMIT=-1", "COUNTERSIGN_APPLE=1"},
			[]string{
				"COUNTERSIGN_WORKERS: does not read as whole number.", "COUNTERSIGN_LIMIT: does not read as whole number, zero or more.",
				missing, "COUNTERSIGN_APPLE: is not a setting: remove it", "COUNTERSIGN_ZEBRA: is not a setting: remove it",
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, err := conf.Load[service](c.environ)
			want := "the configuration is wrong:\n  " + strings.Join(c.want, "\n  ")
			if err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			if _, ok := errors.AsType[conf.Mistakes](err); !ok {
				t.Errorf("the error is a %T", err)
			}
			if !reflect.DeepEqual(cfg, service{}) {
				t.Error("half a configuration was returned")
			}
		})
	}
}

func TestVariablesOfOthersAreLeftAlone(t *testing.T) {
	t.Parallel()
	environ := []string{
		pepper,
		"COUNTERSIGN_URL=http://x", "COUNTERSIGN_ACCOUNT=a", "COUNTERSIGN_ORG=o", "COUNTERSIGN_USER_ID=u", "COUNTERSIGN_CLIENT_ID=c",
		"COUNTERSIGN_CLIENT_SECRET=s", "COUNTERSIGN_APP_NAME=n", "COUNTERSIGN_APP_X_Y=n", "COUNTERSIGN_DEMO_URL=d",
		"COUNTERSIGN_PORT=tcp://10.43.0.1:8080", "COUNTERSIGN_SERVICE_HOST=10.43.0.1", "COUNTERSIGN_SERVICE_PORT=8080",
		"COUNTERSIGN_API_SERVICE_HOST=fd00::1", "COUNTERSIGN_API_SERVICE_PORT_HTTP=8080", "COUNTERSIGN_API_PORT=tcp://[fd00::1]:8080",
		"COUNTERSIGN_API_PORT_8080_TCP=tcp://10.43.0.1:8080", "COUNTERSIGN_API_PORT_8080_TCP_PROTO=tcp",
		"COUNTERSIGN_API_PORT_8080_TCP_PORT=8080", "COUNTERSIGN_API_PORT_8080_TCP_ADDR=10.43.0.1",
		"COUNTERSIGNATURE=1", "COUNTERSIGN=1",
	}
	if _, err := conf.Load[service](environ); err != nil {
		t.Error(err)
	}
	// The same names with other values are no injection.
	for _, entry := range []string{
		"COUNTERSIGN_API_PORT=8080", "COUNTERSIGN_API_SERVICE_HOST=api", "COUNTERSIGN_API_SERVICE_PORT=http",
		"COUNTERSIGN_APPS=1", "COUNTERSIGN_URLS=1", "COUNTERSIGN_API_PORT_8080_TCP_PROTO=x",
	} {
		if _, err := conf.Load[service]([]string{pepper, entry}); err == nil {
			t.Errorf("%s was taken", entry)
		}
	}
}

func TestAServiceMayShareItsEnvironmentWithAnother(t *testing.T) {
	t.Parallel()
	type worker struct {
		Listen string `env:"LISTEN"`
	}
	environ := []string{pepper, "COUNTERSIGN_LISTEN=:1", "COUNTERSIGN_KEYS_FILE=/no/such/file"}
	if got, err := conf.Load[worker](environ, conf.Describe[service]()); err != nil || got.Listen != ":1" {
		t.Errorf("%+v, %v", got, err)
	}
	type both struct {
		API service
		SMS worker
	}
	got, err := conf.Load[both]([]string{pepper, "COUNTERSIGN_LISTEN=:1"})
	if err != nil || got.API.Listen != ":1" || got.SMS.Listen != ":1" {
		t.Errorf("two services in one program: %+v, %v", got, err)
	}
}

func TestValuesComeFromFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return "COUNTERSIGN_PEPPER_FILE=" + path
	}
	const key = "COUNTERSIGN_PEPPER_FILE: "
	cases := map[string]struct {
		environ []string
		want    string
		mistake string
	}{
		"a file":                      {environ: []string{file("a", "canary")}, want: "canary"},
		"one line break is dropped":   {environ: []string{file("b", "canary\n")}, want: "canary"},
		"of two only one is dropped":  {environ: []string{file("c", "canary\n\n")}, want: "canary\n"},
		"a line break from elsewhere": {environ: []string{file("d", "canary\r\n")}, want: "canary"},
		"blanks are part of it":       {environ: []string{file("e", " canary ")}, want: " canary "},
		"the variable is empty":       {environ: []string{file("f", "canary"), "COUNTERSIGN_PEPPER="}, want: "canary"},
		"both are set":                {environ: []string{file("g", "canary"), pepper}, mistake: "COUNTERSIGN_PEPPER: is set, and so is COUNTERSIGN_PEPPER_FILE: remove one of the two"},
		"no such file":                {environ: []string{"COUNTERSIGN_PEPPER_FILE=/no/such/canary"}, mistake: key + "the file cannot be read (no such file or directory): name a file that this process may read"},
		"a folder":                    {environ: []string{"COUNTERSIGN_PEPPER_FILE=" + dir}, mistake: key + "the file cannot be read (is a directory): name a file that this process may read"},
		"too large":                   {environ: []string{file("h", strings.Repeat("x", 1<<20+1))}, mistake: key + "the file cannot be read (it is larger than 1 MiB): name a file that this process may read"},
		"an empty file":               {environ: []string{file("i", "\n")}, mistake: "COUNTERSIGN_PEPPER: is missing: set it, or name a file that holds it in COUNTERSIGN_PEPPER_FILE. Key that passwords are mixed with."},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, err := conf.Load[service](c.environ)
			if c.mistake == "" && (err != nil || cfg.Pepper.Reveal() != c.want) {
				t.Errorf("got %q, %v", cfg.Pepper.Reveal(), err)
			}
			if c.mistake != "" && (err == nil || err.Error() != "the configuration is wrong:\n  "+c.mistake) {
				t.Errorf("got  %v\nwant %s", err, c.mistake)
			}
		})
	}
}

func TestFilesWorkForEveryKindOfSetting(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "v")
	if err := os.WriteFile(path, []byte("7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := conf.Load[service]([]string{pepper, "COUNTERSIGN_WORKERS_FILE=" + path, "COUNTERSIGN_KEYS_FILE=" + path, "COUNTERSIGN_STORE_RETRIES_FILE=" + path})
	if err != nil || cfg.Workers != 7 || cfg.Keys[0].Reveal() != "7" || *cfg.Store.Retries != 7 {
		t.Errorf("%+v, %v", cfg, err)
	}
}

type validated struct {
	Port int         `env:"MAIL_PORT,required"`
	Key  secret.Text `env:"KEY"`
}

func (v *validated) Validate() []error {
	return []error{
		nil,
		conf.Wrong("COUNTERSIGN_MAIL_PORT", "must be above 0"),
		errors.Join(conf.Wrong("COUNTERSIGN_KEY", "must have 32 bytes"), nil, conf.Mistakes{{Key: "COUNTERSIGN_KEY", Text: "is weak"}}),
		fmt.Errorf("check keys: %w", conf.Wrong("COUNTERSIGN_KEY", "is weak")),
		fmt.Errorf("the key %s is known to everybody", v.Key.Reveal()),
	}
}

type refuses struct {
	A string `env:"A"`
}

func (refuses) Validate() error { return errors.New("A and B contradict each other") }

func TestValidateIsAskedToo(t *testing.T) {
	t.Parallel()
	const head = "the configuration is wrong:\n  "
	const keys = "COUNTERSIGN_KEY: must have 32 bytes\n  COUNTERSIGN_KEY: is weak\n  the key *** is known to everybody"
	_, err := conf.Load[validated]([]string{"COUNTERSIGN_KEY=canary", "COUNTERSIGN_MAIL_PORT=0"})
	if want := head + "COUNTERSIGN_MAIL_PORT: must be above 0\n  " + keys; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	_, err = conf.Load[validated]([]string{"COUNTERSIGN_KEY=canary"})
	if want := head + "COUNTERSIGN_MAIL_PORT: is missing: set it, or name a file that holds it in COUNTERSIGN_MAIL_PORT_FILE.\n  " + keys; err == nil || err.Error() != want {
		t.Errorf("after another mistake: got  %v\nwant %s", err, want)
	}
	_, err = conf.Load[refuses](nil)
	if want := head + "A and B contradict each other"; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestNoMistakeHoldsASecret(t *testing.T) {
	t.Parallel()
	const canary = "canary-value"
	environs := map[string][]string{
		"beside another mistake":      {"COUNTERSIGN_PEPPER=" + canary, "COUNTERSIGN_WORKERS=x"},
		"set twice":                   {"COUNTERSIGN_PEPPER=" + canary, "COUNTERSIGN_PEPPER=" + canary + "2"},
		"in the variable of the file": {"COUNTERSIGN_PEPPER_FILE=" + canary},
		"with a file as well":         {"COUNTERSIGN_PEPPER=" + canary, "COUNTERSIGN_PEPPER_FILE=/x"},
		"under a misspelt name":       {"COUNTERSIGN_PEPER=" + canary, pepper},
		"in a number":                 {"COUNTERSIGN_WORKERS=" + canary, pepper},
		"in a URL":                    {"COUNTERSIGN_PUBLIC_URL=http://a:" + canary + "@[::1", pepper},
		"in a level":                  {"COUNTERSIGN_LOG_LEVEL=" + canary, pepper},
		"in a network":                {"COUNTERSIGN_TRUSTED_PROXIES=" + canary, pepper},
	}
	for name, environ := range environs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := conf.Load[service](environ)
			if err == nil || strings.Contains(err.Error(), canary) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestTagsThatCannotWorkPanic(t *testing.T) {
	t.Parallel()
	cases := map[string]func(){
		"an option that goes around our rules": func() {
			conf.Describe[struct {
				A string `env:"A,file"`
			}]()
		},
		"a pointer to a struct": func() {
			conf.Describe[struct {
				A *embedded `envPrefix:"A_"`
			}]()
		},
		"a default without a variable": func() {
			conf.Describe[struct {
				A string `envDefault:"x"`
			}]()
		},
		"a variable that is the file of another": func() {
			conf.Describe[struct {
				A string `env:"A"`
				B string `env:"A_FILE"`
			}]()
		},
		"a type that cannot be read": func() {
			_, _ = conf.Load[struct {
				A chan int `env:"A"`
			}]([]string{"COUNTERSIGN_A=x"})
		},
		"no struct": func() { conf.Describe[int]() },
	}
	for name, f := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if text, ok := recover().(string); !ok || !strings.HasPrefix(text, "conf: ") {
					t.Errorf("recovered %v", text)
				}
			}()
			f()
		})
	}
}
