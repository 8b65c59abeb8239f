package conf_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/conf"
	"countersign.dev/pkg/secret"
)

// everyKind has a field of each kind that configurations use.
type everyKind struct {
	Text   string        `env:"TEXT" doc:"A text."`
	Number int           `env:"NUMBER" envDefault:"7" doc:"A number."`
	Flag   bool          `env:"FLAG" doc:"A switch."`
	Life   time.Duration `env:"LIFE" envDefault:"5m" doc:"A time."`
	List   []string      `env:"LIST" doc:"Texts."`
	Secret secret.Text   `env:"SECRET" doc:"A secret."`
}

// Whatever an environment holds is read or refused with mistakes that name
// variables and never show a secret.
//
// Covers R-131 for the configuration.
func FuzzLoad(f *testing.F) {
	f.Add("TEXT", "hello", "s3cret-value")
	f.Add("NUMBER", "99999999999999999999", "")
	f.Add("LIFE", "5 minutes", "a,b,c")
	f.Add("UNKNOWN", "x", "x")
	f.Fuzz(func(t *testing.T, name, value, hidden string) {
		if strings.HasSuffix(name, "_FILE") {
			return // names a file, and the fuzzer must not choose which
		}
		got, err := conf.Load[everyKind]([]string{conf.Prefix + name + "=" + value, conf.Prefix + "SECRET=" + hidden, "no equals sign", "=", value})
		if err == nil {
			if text := got.Secret.Reveal(); name != "SECRET" && text != hidden {
				t.Fatalf("the secret %q was read as %q", hidden, text)
			}
			return
		}
		if _, ok := errors.AsType[conf.Mistakes](err); !ok {
			t.Fatalf("err = %T %v, want mistakes", err, err)
		}
		if len(hidden) > 12 && !strings.Contains(name, hidden) && strings.Contains(err.Error(), hidden) {
			t.Fatalf("%v shows %q", err, hidden)
		}
	})
}
