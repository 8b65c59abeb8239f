// Package conf reads the configuration of a service from its environment,
// strictly: an unknown variable, a value of the wrong type and a missing
// secret all stop the start, and all of them are told at once.
//
// It owns the rules of reading (the prefix, the _FILE form of every variable,
// what counts as unknown), the description of the variables for the generated
// docs/configuration.md, the redacted print of --check-config, and the rule
// that connections to other machines are encrypted. The wiring of a service
// declares one struct, calls [Load] once and ends with [ExitCode] when that
// fails; it hands the values on, so that nothing below reads the environment.
//
// A field says what it reads in its tags:
//
//	type Config struct {
//		Listen string      `env:"LISTEN" envDefault:"127.0.0.1:8080" doc:"Address and port of the API."`
//		Pepper secret.Text `env:"PEPPER,required" doc:"Key that passwords are mixed with."`
//		Log    logs.Config `envPrefix:"LOG_"`
//	}
package conf

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"

	"countersign.dev/pkg/secret"
)

// Prefix starts the name of every variable of this project. Tags leave it out.
const Prefix = "COUNTERSIGN_"

// ExitCode is what a service ends with when its configuration is wrong, so
// that a supervisor can tell it from a crash.
const ExitCode = 78

// Mistake is one thing that is wrong with the configuration.
type Mistake struct {
	Key  string // the whole name of the variable; "" when it is about several
	Text string // what is wrong and what to do; never a value
}

// Error names the variable and what to do about it.
func (m Mistake) Error() string {
	if m.Key == "" {
		return m.Text
	}
	return m.Key + ": " + m.Text
}

// Wrong makes a mistake, for the Validate methods of configurations. The key
// is the whole name of the variable. Format no value that may be secret.
func Wrong(key, format string, args ...any) error {
	return Mistake{Key: key, Text: fmt.Sprintf(format, args...)}
}

// Mistakes is everything that is wrong with a configuration. It is the error
// of [Load].
type Mistakes []Mistake

// Error lists the mistakes, one a line.
func (m Mistakes) Error() string {
	var out strings.Builder
	out.WriteString("the configuration is wrong:")
	for _, mistake := range m {
		out.WriteString("\n  " + mistake.Error())
	}
	return out.String()
}

// Load reads a T from environ, which has the form of os.Environ.
//
// Every variable X may be given as X_FILE instead, which names a file with
// the value; one line break at its end is not part of it. An empty variable
// counts as not set. Blanks around the elements of a list are dropped.
//
// A variable that starts with [Prefix] and belongs to no field is a mistake,
// except what clients of the service use, what Kubernetes injects, and the
// keys in known: those of other services that share this environment.
//
// When *T has a method Validate() error or Validate() []error it is called
// too, also after other mistakes; what it says about a variable that is
// already named is left out. The error is always of type [Mistakes] and holds
// no value of a [secret.Text]. T is the zero value then.
func Load[T any](environ []string, known ...[]Key) (T, error) {
	var cfg, zero T
	fields := fieldsOf(reflect.TypeFor[T]())
	in, mistakes := readEnviron(environ)
	for _, f := range fields {
		if mistake := in.load(f, reflect.ValueOf(&cfg).Elem()); mistake != nil {
			mistakes = append(mistakes, *mistake)
		}
	}
	mistakes = append(mistakes, in.unknown(fields, slices.Concat(known...))...)
	mistakes = append(mistakes, validate(&cfg, mistakes)...)
	if len(mistakes) == 0 {
		return cfg, nil
	}
	return zero, tidy(mistakes, in.secrets(fields))
}

// load reads the field from its variable into cfg.
func (in environment) load(f field, cfg reflect.Value) *Mistake {
	value, mistake := in.value(f)
	if mistake != nil {
		return mistake
	}
	only := map[string]string{}
	if value != "" {
		only[f.key] = value
	}
	// One field at a time, so that every mistake is known to belong to its
	// variable: the library names the field, and two structs may share one.
	one := reflect.New(reflect.StructOf([]reflect.StructField{{Name: f.Name, Type: f.Type, Tag: f.Tag}}))
	err := env.ParseWithOptions(one.Interface(), env.Options{Environment: only, Prefix: f.prefix})
	if err == nil {
		cfg.FieldByIndex(f.index).Set(one.Elem().Field(0))
		return nil
	}
	if _, ok := errors.AsType[env.NoParserError](err); ok {
		panic(fmt.Sprintf("conf: %s: a field of type %s cannot be read", f.key, f.Type))
	}
	if _, ok := errors.AsType[env.ParseError](err); ok {
		return &Mistake{f.key, strings.TrimSpace("does not read as " + typeName(f.Type) + ". " + f.doc())}
	}
	return &Mistake{f.key, strings.TrimSpace("is missing: set it, or name a file that holds it in " + f.key + fileSuffix + ". " + f.doc())}
}

// validate asks the configuration itself.
func validate(cfg any, already []Mistake) []Mistake {
	var errs []error
	switch v := cfg.(type) {
	case interface{ Validate() []error }:
		errs = v.Validate()
	case interface{ Validate() error }:
		errs = []error{v.Validate()}
	}
	var out []Mistake
	for _, mistake := range flatten(errs) {
		named := func(m Mistake) bool { return m.Key != "" && m.Key == mistake.Key }
		if !slices.ContainsFunc(already, named) {
			out = append(out, mistake)
		}
	}
	return out
}

// flatten takes joined errors apart.
func flatten(errs []error) []Mistake {
	var out []Mistake
	for _, err := range errs {
		switch e := err.(type) { //nolint:errorlint // the outermost error is the one to take apart
		case nil:
		case Mistake:
			out = append(out, e)
		case Mistakes:
			out = append(out, e...)
		case interface{ Unwrap() []error }:
			out = append(out, flatten(e.Unwrap())...)
		default:
			mistake, ok := errors.AsType[Mistake](err)
			if !ok {
				mistake.Text = err.Error()
			}
			out = append(out, mistake)
		}
	}
	return out
}

// tidy drops repeated mistakes and is the last line against a Validate that
// formats a secret into its text.
func tidy(mistakes []Mistake, secrets []string) Mistakes {
	out := make(Mistakes, 0, len(mistakes))
	for _, m := range mistakes {
		for _, value := range secrets {
			m.Text = strings.ReplaceAll(m.Text, value, "***")
		}
		if !slices.Contains(out, m) {
			out = append(out, m)
		}
	}
	return out
}

// secrets returns the values that must not be in a mistake, longest first, so
// that one that holds another is replaced as a whole.
func (in environment) secrets(fields []field) []string {
	found := map[string]bool{}
	for _, f := range fields {
		if !isSecret(f.Type) {
			continue
		}
		value, _ := in.value(f)
		for _, part := range append(strings.Split(value, ","), value) {
			if len(part) >= 4 { // shorter ones would tear holes into words
				found[part] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b string) int { return len(b) - len(a) })
}

// isSecret reports whether a field of this type is hidden when it is printed.
func isSecret(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	return t == reflect.TypeFor[secret.Text]()
}
