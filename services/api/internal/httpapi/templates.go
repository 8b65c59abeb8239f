package httpapi

import (
	"context"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/wording"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/template"
)

type templateIn struct {
	Kind    string  `in:"kind" required:"true" doc:"The message that it is for: sms_code for the text message with a code, or the name of a mail, such as password_reset. It stays."`
	Name    *string `in:"name" doc:"For people, at most 64 characters."`
	Active  *bool   `in:"active" doc:"Whether it is used. Of each kind one is: the one before steps back."`
	Locale  *string `in:"locale" required:"true" doc:"Language of the words, such as en or de-AT."`
	Subject string  `in:"subject" doc:"Of a mail: one line of at most 200 characters."`
	Text    string  `in:"text" required:"true" doc:"Plain text with the fields of the kind, such as {{link}}: at most 10000 characters, of a text message 400."`
	HTML    string  `in:"html" doc:"Of a mail: what stands in the body of its page, at most 30000 characters. Without it the page is made of the text."`
}

type templateChangeIn struct {
	Name    *string `in:"name" doc:"For people, at most 64 characters."`
	Active  *bool   `in:"active" doc:"Whether it is used. Of each kind one is: the one before steps back."`
	Locale  *string `in:"locale" doc:"Language that the words are in. They replace all that there was in it; without any words the language is taken out."`
	Subject string  `in:"subject" doc:"As when it was created."`
	Text    string  `in:"text" doc:"As when it was created."`
	HTML    string  `in:"html" doc:"As when it was created."`
}

type templatesIn struct {
	Kind string `in:"kind" doc:"Templates of one kind alone."`
	Page int    `in:"page|current_page" doc:"Page, counted from 1."`
	Per  int    `in:"per_page" doc:"Items of a page: 10 when nothing is said, at most 200."`
}

type wordsOut struct {
	Subject string `json:"subject"`
	Text    string `json:"text"`
	HTML    string `json:"html"`
}

type templateOut struct {
	Type        string   `json:"__type__"`
	Domain      string   `json:"__domain__"`
	Environment string   `json:"__environment__"`
	ID          string   `json:"id"`
	Kind        string   `json:"kind"`
	Name        string   `json:"name"`
	Active      bool     `json:"active"`
	Locales     []string `json:"locales"`
	// Fields are what its words may show.
	Fields []string `json:"fields"`
	// Contents are left out of lists, which would be megabytes.
	Contents   map[string]wordsOut `json:"contents,omitempty"`
	InsertedAt string              `json:"inserted_at"`
	UpdatedAt  string              `json:"updated_at"`
}

func templateShape(c pipeline.Call, t template.Template) templateOut {
	out := templateItem(c)(t)
	out.Contents = map[string]wordsOut{}
	for tag, words := range t.Contents {
		out.Contents[tag] = wordsOut(words)
	}
	return out
}

func templateItem(c pipeline.Call) func(template.Template) templateOut {
	return func(t template.Template) templateOut {
		return templateOut{
			Type: "Template", Domain: c.Org.Domain, Environment: c.Tenant.Env, ID: t.ID, Kind: t.Kind, Name: t.Name, Active: t.Active,
			Locales: t.Contents.Languages(), Fields: wording.Fields(t.Kind), InsertedAt: stamp(t.CreatedAt), UpdatedAt: stamp(t.UpdatedAt),
		}
	}
}

func author(c pipeline.Call) template.Caller {
	return template.Caller{Tenant: c.Tenant, Org: c.Org, By: by(c)}
}

func (a *API) createTemplate(ctx context.Context, c pipeline.Call, in templateIn) (templateOut, error) {
	t, err := a.Templates.Create(ctx, author(c), in.Kind, template.Change{
		Name: in.Name, Active: in.Active, Locale: in.Locale, Words: wording.Source{Subject: in.Subject, Text: in.Text, HTML: in.HTML},
	})
	return templateShape(c, t), err
}

func (a *API) listTemplates(ctx context.Context, c pipeline.Call, in templatesIn) (list[templateOut], error) {
	result, err := a.Templates.List(ctx, c.Tenant, in.Kind, pageIn{in.Page, in.Per}.page())
	if err != nil {
		return list[templateOut]{}, err
	}
	return listOf(result, templateItem(c)), nil
}

func (a *API) readTemplate(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (templateOut, error) {
	t, err := a.Templates.Get(ctx, c.Tenant, c.Path("template"))
	return templateShape(c, t), err
}

func (a *API) updateTemplate(ctx context.Context, c pipeline.Call, in templateChangeIn) (templateOut, error) {
	t, err := a.Templates.Update(ctx, author(c), c.Path("template"), template.Change{
		Name: in.Name, Active: in.Active, Locale: in.Locale, Words: wording.Source{Subject: in.Subject, Text: in.Text, HTML: in.HTML},
	})
	return templateShape(c, t), err
}

func (a *API) deleteTemplate(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (deleted[templateOut], error) {
	t, err := a.Templates.Delete(ctx, author(c), c.Path("template"))
	if err != nil {
		return deleted[templateOut]{}, err
	}
	return deleted[templateOut]{Deleted: true, Resource: templateShape(c, t)}, nil
}

type previewIn struct {
	ID        string `in:"template_id" doc:"A template that is kept. Without it, kind and words say what to show."`
	Kind      string `in:"kind" doc:"As when a template is created."`
	Locale    string `in:"locale" required:"true" doc:"Language of the words, such as en or de-AT; of a template that is kept, of the user who would get it."`
	Subject   string `in:"subject" doc:"As when a template is created."`
	Text      string `in:"text" doc:"As when a template is created."`
	HTML      string `in:"html" doc:"As when a template is created."`
	GivenName string `in:"given_name" doc:"What the user is called; without it, nothing."`
	Detail    string `in:"detail" doc:"What a notice is about, in a word."`
}

type previewOut struct {
	Type        string  `json:"__type__"`
	Domain      string  `json:"__domain__"`
	Environment string  `json:"__environment__"`
	Kind        string  `json:"kind"`
	Locale      string  `json:"locale"`
	Subject     *string `json:"subject"`
	Text        string  `json:"text"`
	HTML        *string `json:"html"`
	// Segments are what a text message is paid by; null for a mail.
	Segments *int `json:"segments"`
}

var errNoWords = fault.New(fault.Invalid, "missing_parameter", "the template has no words in this language, so our own would be sent")

func (a *API) previewTemplate(ctx context.Context, c pipeline.Call, in previewIn) (previewOut, error) {
	trial := template.Trial{
		Kind: in.Kind, Locale: in.Locale, Words: wording.Source{Subject: in.Subject, Text: in.Text, HTML: in.HTML}, GivenName: in.GivenName, Detail: in.Detail,
	}
	if in.ID != "" {
		kept, err := a.Templates.Get(ctx, c.Tenant, in.ID)
		if err != nil {
			return previewOut{}, err
		}
		words := kept.Contents.In(in.Locale, c.Org.Locale)
		if words == nil {
			return previewOut{}, errNoWords
		}
		trial.Kind, trial.Locale, trial.Words = kept.Kind, words.Locale, wording.Source{Subject: words.Subject, Text: words.Text, HTML: words.HTML}
	}
	shown, err := a.Templates.Preview(c.Org, trial)
	if err != nil {
		return previewOut{}, err
	}
	out := previewOut{
		Type: "TemplatePreview", Domain: c.Org.Domain, Environment: c.Tenant.Env, Kind: shown.Kind, Locale: shown.Locale,
		Subject: orNull(shown.Subject), Text: shown.Text, HTML: orNull(shown.HTML),
	}
	if shown.Segments > 0 {
		out.Segments = &shown.Segments
	}
	return out, nil
}
