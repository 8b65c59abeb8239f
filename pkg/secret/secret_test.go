package secret_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"countersign.dev/pkg/secret"
)

const canary = "canary-7Q2x"

// hidden fails when any form in which the value could be spelled shows up.
func hidden(t *testing.T, output string) {
	t.Helper()
	forms := []string{
		canary,
		fmt.Sprintf("%x", canary),
		fmt.Sprintf("%X", canary),
		fmt.Sprintf("% x", canary),
		fmt.Sprintf("%v", []byte(canary)),
		canary[:6],
	}
	for _, form := range forms {
		if strings.Contains(output, form) {
			t.Errorf("the secret shows as %q in %q", form, output)
		}
	}
}

type holder struct {
	Name   string
	Code   secret.Text
	Nested struct{ Token *secret.Text }
	Many   []secret.Text
	ByName map[string]secret.Text
	Any    any

	unexported secret.Text // fmt cannot call the methods of this one
	inside     map[string][]secret.Text
}

func newHolder() holder {
	token := secret.New(canary)
	h := holder{
		Name: "shown", Code: token, Many: []secret.Text{token},
		ByName: map[string]secret.Text{"a": token}, Any: token,
		unexported: token, inside: map[string][]secret.Text{"a": {token}},
	}
	h.Nested.Token = &token
	return h
}

func TestNoVerbOfFmtShowsTheSecret(t *testing.T) {
	t.Parallel()
	text := secret.New(canary)
	values := map[string]any{
		"the value":           text,
		"a pointer to it":     &text,
		"a struct that holds": newHolder(),
		"a slice of it":       []secret.Text{text},
	}
	flags := []string{"", "+", "#", " ", "-30", "030", ".3", "20.5", "+#"}
	for name, value := range values {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for verb := rune('A'); verb <= 'z'; verb++ {
				for _, flag := range flags {
					hidden(t, fmt.Sprintf("%"+flag+string(verb), value))
				}
			}
			hidden(t, fmt.Sprint(value))
			hidden(t, fmt.Sprintln(value))
			hidden(t, fmt.Sprintf("%*d %[1]v %!", 3, value))
		})
	}
	if got := fmt.Sprintf("%s|%v|%q|%x", text, text, text, text); got != "***|***|***|***" {
		t.Errorf("a secret prints as %s", got)
	}
}

func TestSlogHidesTheSecret(t *testing.T) {
	t.Parallel()
	text := secret.New(canary)
	options := &slog.HandlerOptions{Level: slog.LevelDebug}
	var out bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, options), slog.NewJSONHandler(&out, options)} {
		log := slog.New(handler).With("bound", text).WithGroup("group")
		log.Info("message", "value", text, "pointer", &text, "holder", newHolder(), slog.Group("inner", "many", []secret.Text{text}))
		log.Error("message", "err", fmt.Errorf("use code: %w", fmt.Errorf("bad code %v of %+v", text, newHolder())))
	}
	hidden(t, out.String())
	if strings.Count(out.String(), "***") < 10 {
		t.Errorf("the fields are not there at all: %s", out.String())
	}
}

func TestJSONHidesTheSecret(t *testing.T) {
	t.Parallel()
	h := newHolder()
	h.ByName["b"] = h.Code
	body, err := json.Marshal(&h)
	if err != nil {
		t.Fatal(err)
	}
	hidden(t, string(body))
	want := `{"Name":"shown","Code":"***","Nested":{"Token":"***"},"Many":["***"],"ByName":{"a":"***","b":"***"},"Any":"***"}`
	if string(body) != want {
		t.Errorf("got %s\nwant %s", body, want)
	}
	if text, err := h.Code.MarshalText(); err != nil || string(text) != "***" {
		t.Errorf("as text: %q, %v", text, err)
	}
}

func TestErrorsHideTheSecret(t *testing.T) {
	t.Parallel()
	text := secret.New(canary)
	err := errors.Join(fmt.Errorf("compare %v: %w", text, errors.New("no match")), fmt.Errorf("seal %#v", newHolder()))
	hidden(t, err.Error())
	hidden(t, fmt.Sprintf("%v %+v %#v %q", err, err, err, err))
}

func TestRevealGivesTheSecretBack(t *testing.T) {
	t.Parallel()
	if got := secret.New(canary).Reveal(); got != canary {
		t.Errorf("Reveal = %q", got)
	}
	var read secret.Text
	if !read.IsZero() {
		t.Error("the zero value is not zero")
	}
	if err := read.UnmarshalText([]byte(canary)); err != nil {
		t.Fatal(err)
	}
	if read.IsZero() || read.Reveal() != canary {
		t.Errorf("after UnmarshalText: %q", read.Reveal())
	}
	var body struct{ Code secret.Text }
	if err := json.Unmarshal([]byte(`{"Code":"from json"}`), &body); err != nil || body.Code.Reveal() != "from json" {
		t.Errorf("from JSON: %q, %v", body.Code.Reveal(), err)
	}
	if !reflect.DeepEqual(secret.New(canary), read) || reflect.DeepEqual(secret.New(canary), body.Code) {
		t.Error("tests cannot compare structs that hold secrets with reflect.DeepEqual")
	}
}
