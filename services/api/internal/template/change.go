package template

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/wording"
	"countersign.dev/services/api/internal/tenant"
)

func checkKind(kind string) error {
	if !slices.Contains(wording.Kinds(), kind) {
		return fault.Newf(fault.Invalid, "invalid_parameter", "kind must be one of: %s", strings.Join(wording.Kinds(), " "))
	}
	return nil
}

func (in Change) apply(t *Template, sample wording.Values) error {
	if in.Name != nil && *in.Name != "" {
		name, err := tenant.CleanName("name", *in.Name)
		if err != nil {
			return err
		}
		t.Name = name
	}
	if in.Active != nil {
		t.Active = *in.Active
	}
	words := in.Words.Clean()
	if in.Locale == nil {
		if words != (wording.Source{}) || len(t.Contents) == 0 {
			return fault.New(fault.Invalid, "missing_parameter", "locale must say which language the words are in, such as en or de-AT")
		}
		return nil
	}
	tag := tenant.Language(*in.Locale)
	if tag == "" {
		return fault.New(fault.Invalid, "invalid_parameter", "locale must be a language tag, such as en or de-AT")
	}
	if words == (wording.Source{}) {
		return t.forget(tag)
	}
	if _, err := render(t.Kind, words, sample); err != nil {
		return err
	}
	t.Contents[tag] = words
	if encoded, err := json.Marshal(t.Contents); err != nil || len(encoded) > maxContents || len(t.Contents) > maxLanguages {
		return fault.Newf(fault.Invalid, "template_not_valid", "a template has at most %d languages and %d octets in all of them; make another one, or shorter ones", maxLanguages, maxContents)
	}
	return nil
}

// forget takes a language out.
func (t *Template) forget(tag string) error {
	if _, ok := t.Contents[tag]; !ok {
		return fault.New(fault.Invalid, "missing_parameter", "text must hold the words in this language; without words it is taken out, and there are none in it")
	}
	if len(t.Contents) == 1 {
		return fault.New(fault.Invalid, "template_not_valid", "a template keeps one language at least; delete it instead")
	}
	delete(t.Contents, tag)
	return nil
}

// Shown is what a message would look like.
type Shown struct {
	Kind, Locale string
	wording.Rendered
	Segments int // of a text message; zero for a mail
}

// Trial is a template to be shown, with what a user would have put into it.
type Trial struct {
	Kind      string
	Locale    string
	Words     wording.Source
	GivenName string
	Detail    string
}

// Preview shows what a message would look like, with the organization's name
// and samples for the rest. Nothing is kept and nothing is sent. It returns
// faults of kind Invalid.
func (s *Service) Preview(org tenant.Organization, in Trial) (Shown, error) {
	if err := checkKind(in.Kind); err != nil {
		return Shown{}, err
	}
	v := s.sample(org)
	v.Locale, v.GivenName = tenant.Language(in.Locale), in.GivenName
	if v.Locale == "" {
		return Shown{}, fault.New(fault.Invalid, "invalid_parameter", "locale must be a language tag, such as en or de-AT")
	}
	if in.Detail != "" {
		v.Detail = in.Detail
	}
	if in.Kind != event.TemplateNoticeFactorChanged && in.Detail == "" {
		v.Detail = "" // notices of other kinds have none
	}
	shown, err := render(in.Kind, in.Words.Clean(), v)
	shown.Kind, shown.Locale = in.Kind, v.Locale
	return shown, err
}

// render writes a message as a worker does. What cannot be sent is the
// caller's to change.
func render(kind string, words wording.Source, v wording.Values) (shown Shown, err error) {
	if kind == wording.KindSMS {
		shown.Text, shown.Segments, err = wording.SMS(words, v)
	} else {
		shown.Rendered, err = wording.Mail(kind, words, v)
	}
	if refusal, ok := errors.AsType[*wording.Refusal](err); ok {
		return Shown{}, fault.Newf(fault.Invalid, "template_not_valid", "%s", refusal.Error())
	}
	return shown, err
}
