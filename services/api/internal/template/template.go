// Package template owns organizations' own words: templates of mails and of the
// text message with a code, one for each kind of message, in as many languages
// as there are users.
//
// The edge calls [Service] to keep them, and the rules that compose messages
// call [Service.Find]: what it returns is sealed with the message, so that a
// template that is changed or deleted changes nothing that is on its way. What
// a template may say, and what becomes of it, is pkg/wording's.
package template

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/wording"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/tenant"
)

// Template is the words for one kind of message in one environment.
type Template struct {
	ID     string // template_<ksuid>
	Tenant tenant.ID
	Kind   string // of wording.Kinds; it stays
	Name   string // for people
	// Active says that it is used for all messages of its kind. One at most of
	// a kind is; what a connection names goes first.
	Active bool
	// Contents are the words by language, at least one.
	Contents  Contents
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Contents are words by language tag, written as [Language] does.
type Contents map[string]wording.Source

// Bounds.
const (
	MaxTemplates = 200 // of one organization's environment
	maxLanguages = 40
	maxContents  = 256 << 10 // octets of all languages together
)

// What may go wrong, as the caller reads it.
var (
	ErrNotFound = fault.New(fault.NotFound, "not_found", "not_found")
	ErrMany     = fault.Newf(fault.Conflict, "too_many_templates", "there are %d templates; delete one that is not used any more", MaxTemplates)
	ErrInUse    = fault.New(fault.Conflict, "template_in_use", "a connection names the template; change its forgot_password_template_id or sign_in_template_id first")
)

// Store keeps templates.
type Store interface {
	// CreateTemplate writes t with its record, in one transaction. An active
	// one takes the place of the one before. It returns ErrMany, and
	// tenant.ErrNotFound when the organization is gone.
	CreateTemplate(ctx context.Context, t Template, told []outbox.Entry) error
	// Template returns one, or ErrNotFound.
	Template(ctx context.Context, t tenant.ID, templateID string) (Template, error)
	// Templates lists them, newest first; of one kind unless it is empty.
	Templates(ctx context.Context, t tenant.ID, kind string, page listing.Page) (listing.Result[Template], error)
	// UpdateTemplate lets change edit it and writes it back with its record, in
	// one transaction, or returns ErrNotFound or what change returns.
	UpdateTemplate(ctx context.Context, t tenant.ID, templateID string, change func(*Template) ([]outbox.Entry, error)) (Template, error)
	// DeleteTemplate removes it and writes the record that told makes of it. It
	// returns ErrInUse while a connection names it, and ErrNotFound.
	DeleteTemplate(ctx context.Context, t tenant.ID, templateID string, told func(Template) []outbox.Entry) (Template, error)
	// TemplateFor returns the contents to use for a kind: those of the chosen
	// template if it is there, else of the active one, else none.
	TemplateFor(ctx context.Context, t tenant.ID, kind, chosen string) (Contents, error)
}

// Service is the rules of templates.
type Service struct {
	Store  Store
	Outbox *outbox.Composer
	Relay  outbox.Waker
	Now    func() time.Time
}

// Caller is who changes a template, and whose.
type Caller struct {
	Tenant tenant.ID
	Org    tenant.Organization
	By     activity.By
}

// Change is what a caller says about a template; nil leaves it.
type Change struct {
	Name   *string
	Active *bool
	// Locale is the language that Words are in. They replace all that there
	// was in it; no words at all take it out.
	Locale *string
	Words  wording.Source
}

// Create keeps a new template, in one language to begin with. It returns
// ErrMany and faults of kind Invalid that name the parameter.
func (s *Service) Create(ctx context.Context, c Caller, kind string, in Change) (Template, error) {
	if err := checkKind(kind); err != nil {
		return Template{}, err
	}
	now := s.Now().Truncate(time.Millisecond)
	t := Template{ID: id.Request("template"), Tenant: c.Tenant, Kind: kind, Name: kind, Contents: Contents{}, CreatedAt: now}
	if err := in.apply(&t, s.sample(c.Org)); err != nil {
		return Template{}, err
	}
	t.UpdatedAt = now
	if err := s.Store.CreateTemplate(ctx, t, s.told(c, t, "created")); err != nil {
		return Template{}, err
	}
	s.Relay.Wake()
	return t, nil
}

// Get returns a template, or ErrNotFound.
func (s *Service) Get(ctx context.Context, t tenant.ID, templateID string) (Template, error) {
	return s.Store.Template(ctx, t, templateID)
}

// List returns templates, newest first; of one kind unless it is empty.
func (s *Service) List(ctx context.Context, t tenant.ID, kind string, page listing.Page) (listing.Result[Template], error) {
	return s.Store.Templates(ctx, t, kind, page)
}

// Update changes a template. It returns ErrNotFound and faults of kind Invalid
// that name the parameter.
func (s *Service) Update(ctx context.Context, c Caller, templateID string, in Change) (Template, error) {
	changed, err := s.Store.UpdateTemplate(ctx, c.Tenant, templateID, func(t *Template) ([]outbox.Entry, error) {
		if err := in.apply(t, s.sample(c.Org)); err != nil {
			return nil, err
		}
		t.UpdatedAt = s.Now().Truncate(time.Millisecond)
		return s.told(c, *t, "updated"), nil
	})
	if err == nil {
		s.Relay.Wake()
	}
	return changed, err
}

// Delete removes a template that no connection names. It returns ErrInUse and
// ErrNotFound.
func (s *Service) Delete(ctx context.Context, c Caller, templateID string) (Template, error) {
	gone, err := s.Store.DeleteTemplate(ctx, c.Tenant, templateID, func(t Template) []outbox.Entry { return s.told(c, t, "deleted") })
	if err == nil {
		s.Relay.Wake()
	}
	return gone, err
}

// Check returns a fault of kind Invalid that names the parameter unless it
// names a template of the tenant and the kind; empty names none.
func (s *Service) Check(ctx context.Context, t tenant.ID, kind, param, templateID string) error {
	if templateID == "" {
		return nil
	}
	found, err := s.Store.Template(ctx, t, templateID)
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return err
	}
	if err != nil || found.Kind != kind {
		return fault.Newf(fault.Invalid, "invalid_parameter", "%s must be the id of a template of the kind %s, or empty", param, kind)
	}
	return nil
}

// Wanted is the message that words are looked for.
type Wanted struct {
	Tenant tenant.ID
	Org    tenant.Organization
	Kind   string
	Chosen string // the template that a connection names; empty for none
}

// Find returns the organization's own words for a kind of message, none for
// ours. It reads nothing for an organization without templates. It is called
// before the transaction of a change that the message goes with.
func (s *Service) Find(ctx context.Context, w Wanted) (Contents, error) {
	if !w.Org.Templated {
		return nil, nil
	}
	return s.Store.TemplateFor(ctx, w.Tenant, w.Kind, w.Chosen)
}

// In returns the words for somebody, in the first of these languages that there
// are words in, as it is written or without its region: the person's, then the
// organization's. Nil for neither. An organization that does not say which
// language is its own has written its words in one, so that is taken.
func (c Contents) In(person, org string) *event.Words {
	if org == "" && len(c) > 0 {
		if org = "en"; c[org] == (wording.Source{}) {
			org = c.Languages()[0]
		}
	}
	for _, locale := range []string{person, org} {
		for tag := tenant.Language(locale); tag != ""; tag = tag[:max(strings.LastIndex(tag, "-"), 0)] {
			if words, ok := c[tag]; ok {
				return &event.Words{Locale: tag, Subject: words.Subject, Text: words.Text, HTML: words.HTML}
			}
		}
	}
	return nil
}

// Languages are the tags, in order.
func (c Contents) Languages() []string {
	tags := make([]string, 0, len(c))
	for tag := range c {
		tags = append(tags, tag)
	}
	slices.Sort(tags)
	return tags
}

// told is the record of a change.
func (s *Service) told(c Caller, t Template, change string) []outbox.Entry {
	return []outbox.Entry{s.Outbox.Event(activity.Record{
		Tenant: c.Tenant, Action: event.TypeTemplateChanged, By: c.By, Data: map[string]string{"template": t.ID, "kind": t.Kind, "change": change},
	})}
}

// sample is what templates of an organization are tried with.
func (s *Service) sample(org tenant.Organization) wording.Values {
	v := wording.Sample()
	v.Brand, v.Logo, v.Host = org.Name, org.LogoURL, s.Outbox.Host
	v.Link = fmt.Sprintf("https://%s/magic-link/verify/example", v.Host)
	return v
}
