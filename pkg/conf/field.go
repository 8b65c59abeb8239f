package conf

import (
	"encoding"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"countersign.dev/pkg/secret"
)

// fileSuffix ends the variable that names a file with the value of another.
const fileSuffix = "_FILE"

// field is one variable and the place in the struct that it fills.
type field struct {
	reflect.StructField
	key      string // the whole name of the variable
	prefix   string // the part of it that the tag leaves out
	index    []int  // the way from the outermost struct
	required bool
}

func (f field) doc() string { return f.Tag.Get("doc") }

// fieldsOf lists the variables of a struct in the order of its fields. Two
// fields may read the same variable, as when one program composes two
// services. Tags that cannot work are a bug and panic.
func fieldsOf(t reflect.Type) []field {
	if t.Kind() != reflect.Struct {
		panic(fmt.Sprintf("conf: %s is not a struct", t))
	}
	fields := walk(t, Prefix, nil)
	keys := map[string]bool{}
	for _, f := range fields {
		keys[f.key] = true
	}
	for key := range keys {
		if keys[key+fileSuffix] {
			panic(fmt.Sprintf("conf: %s%s is a variable of its own and the file of %[1]s", key, fileSuffix))
		}
	}
	return fields
}

func walk(t reflect.Type, prefix string, index []int) []field {
	var out []field
	for i := range t.NumField() {
		sf := t.Field(i)
		if !sf.IsExported() && !sf.Anonymous {
			continue
		}
		here := append(slices.Clip(index), i)
		name, options, _ := strings.Cut(sf.Tag.Get("env"), ",")
		switch {
		case name == "-":
		case name != "":
			out = append(out, newField(sf, prefix, name, options, here))
		case sf.Type.Kind() == reflect.Struct:
			out = append(out, walk(sf.Type, prefix+sf.Tag.Get("envPrefix"), here)...)
		case sf.Tag.Get("envPrefix") != "" || sf.Tag.Get("envDefault") != "":
			panic(fmt.Sprintf("conf: the field %s of %s has no variable and is no struct", sf.Name, t))
		}
	}
	return out
}

func newField(sf reflect.StructField, prefix, name, options string, index []int) field {
	f := field{StructField: sf, key: prefix + name, prefix: prefix, index: index}
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "":
		case "required", "notEmpty":
			f.required = true
		default: // the library's file, unset and expand would go around our rules
			panic(fmt.Sprintf("conf: %s: the option %q is not supported", f.key, option))
		}
	}
	return f
}

// typeName says in words what a variable takes.
func typeName(t reflect.Type) string {
	if name, ok := namedTypes()[t]; ok {
		return name
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeName(t.Elem())
	case reflect.Slice:
		return "list of " + typeName(t.Elem()) + ", separated by commas"
	case reflect.Map:
		return "list of name:value, separated by commas"
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return strings.ToLower(t.Name())
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "whole number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "whole number, zero or more"
	case reflect.Float32, reflect.Float64:
		return "number"
	}
	return "text"
}

func namedTypes() map[reflect.Type]string {
	return map[reflect.Type]string{
		reflect.TypeFor[secret.Text]():    "secret text",
		reflect.TypeFor[time.Duration]():  "duration, such as 30s or 5m",
		reflect.TypeFor[url.URL]():        "URL",
		reflect.TypeFor[slog.Level]():     "log level",
		reflect.TypeFor[netip.Addr]():     "IP address",
		reflect.TypeFor[netip.Prefix]():   "network, such as 10.0.0.0/8",
		reflect.TypeFor[netip.AddrPort](): "IP address and port",
	}
}
