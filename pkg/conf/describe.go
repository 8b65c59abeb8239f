package conf

import (
	"encoding"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"countersign.dev/pkg/secret"
)

// Key describes one variable.
type Key struct {
	Name     string // the whole name
	Type     string // what it takes, in words
	Default  string // as it would be written in the environment; "" for none
	Required bool   // there is no start without it
	Secret   bool   // it is never printed
	Doc      string // what it does
}

// Describe lists the variables of T in the order of its fields, each once.
func Describe[T any]() []Key {
	var out []Key
	for _, f := range fieldsOf(reflect.TypeFor[T]()) {
		if slices.ContainsFunc(out, func(k Key) bool { return k.Name == f.key }) {
			continue
		}
		out = append(out, Key{
			Name: f.key, Type: typeName(f.Type), Default: f.Tag.Get("envDefault"),
			Required: f.required, Secret: isSecret(f.Type), Doc: f.doc(),
		})
	}
	return out
}

// Markdown renders a section of docs/configuration.md: the title as a heading
// of the second level and a table of the keys.
func Markdown(title string, keys []Key) string {
	var out strings.Builder
	fmt.Fprintf(&out, "## %s\n\n| Variable | Takes | Default | Meaning |\n|---|---|---|---|\n", title)
	for _, key := range keys {
		preset := "–"
		switch {
		case key.Required:
			preset = "**required**"
		case key.Default != "":
			preset = "`" + cell(key.Default) + "`"
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", key.Name, cell(key.Type), preset, cell(key.Doc))
	}
	return out.String()
}

// cell keeps a text inside its cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(text)
}

// Print writes the configuration that is in effect, one variable a line, for
// --check-config. Secrets show as ***, as do credentials inside URLs. The cfg
// is a struct that [Load] can fill, or a pointer to one.
func Print(w io.Writer, cfg any) error {
	given := reflect.Indirect(reflect.ValueOf(cfg))
	value := reflect.New(given.Type()).Elem() // methods on pointers need an address
	value.Set(given)
	var seen []string
	for _, f := range fieldsOf(value.Type()) {
		if slices.Contains(seen, f.key) {
			continue
		}
		seen = append(seen, f.key)
		text := show(value.FieldByIndex(f.index))
		if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			text = strconv.Quote(text)
		}
		if _, err := fmt.Fprintf(w, "%s=%s\n", f.key, text); err != nil {
			return fmt.Errorf("print configuration: %w", err)
		}
	}
	return nil
}

// credentials are the parts of a connection string that Print hides.
var credentials = regexp.MustCompile(`(?i)(://)[^\s/?#,]*@|\b((?:\w*password|\w*secret|\w*token|\w*key)=)(?:'[^']*'|[^&\s]+)`)

func show(value reflect.Value) string {
	if value.Kind() == reflect.Pointer {
		if value.IsNil() {
			return ""
		}
		value = value.Elem()
	}
	switch v := value.Interface().(type) {
	case secret.Text:
		if v.IsZero() {
			return ""
		}
		return v.String()
	case encoding.TextMarshaler:
		text, err := v.MarshalText()
		if err != nil {
			return ""
		}
		return string(text)
	}
	switch {
	case value.Kind() == reflect.Slice:
		parts := make([]string, value.Len())
		for i := range parts {
			parts[i] = show(value.Index(i))
		}
		return strings.Join(parts, ",")
	case value.Kind() == reflect.Map:
		var parts []string
		for key, inner := range value.Seq2() {
			parts = append(parts, show(key)+":"+show(inner))
		}
		slices.Sort(parts)
		return strings.Join(parts, ",")
	}
	text := fmt.Sprint(value.Interface())
	if value.CanAddr() {
		if stringer, ok := reflect.TypeAssert[fmt.Stringer](value.Addr()); ok {
			text = stringer.String() // url.URL has it on its pointer only
		}
	}
	return credentials.ReplaceAllStringFunc(text, func(match string) string {
		if strings.HasPrefix(match, "://") {
			return "://***@"
		}
		name, _, _ := strings.Cut(match, "=")
		return name + "=***"
	})
}
