package sqlstore_test

import (
	"fmt"
	"reflect"
	"sync"
	"testing"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/wording"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/template"
	"countersign.dev/services/api/internal/tenant"
)

func words(subject string) template.Contents {
	return template.Contents{"en": wording.Source{Subject: subject, Text: "{{link}} <&>"}}
}

// templated makes a template of the kind password_reset.
func (b *bench) templated(t tenant.ID, subject string, active bool) template.Template {
	b.t.Helper()
	made := template.Template{
		ID: id.Request("template"), Tenant: t, Kind: "password_reset", Name: subject, Active: active, Contents: words(subject), CreatedAt: noon, UpdatedAt: noon,
	}
	b.must(b.CreateTemplate(b.t.Context(), made, nil))
	return made
}

// wantWords looks for what is used for the kind.
func (b *bench) wantWords(t tenant.ID, chosen, subject string) {
	b.t.Helper()
	found, err := b.TemplateFor(b.t.Context(), t, "password_reset", chosen)
	if err != nil || found["en"].Subject != subject {
		b.t.Errorf("with %q: %+v, %v; want %q", chosen, found, err, subject)
	}
}

// Templates of a tenant are its own, whoever knows their ids.
func TestTemplatesAreTheirTenants(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		ours, theirs := b.tenant(), b.tenant()
		live := ours
		live.Env = tenant.Default
		first, second := b.templated(ours, "first", true), b.templated(ours, "second", false)
		foreign := b.templated(theirs, "theirs", true)
		b.templated(live, "live", true)
		if read, err := b.Template(t.Context(), ours, first.ID); err != nil || !reflect.DeepEqual(read, first) {
			t.Errorf("%+v, %v; want %+v", read, err, first)
		}
		b.wantWords(ours, "", "first")
		b.wantWords(ours, second.ID, "second")
		b.wantWords(ours, foreign.ID, "first")
		b.wantWords(live, first.ID, "live")
		if none, err := b.TemplateFor(t.Context(), ours, "magic_link", first.ID); err != nil || none != nil {
			t.Errorf("a template of another kind is used: %+v, %v", none, err)
		}
		_, err := b.Template(t.Context(), ours, foreign.ID)
		b.isErr(err, template.ErrNotFound)
		_, err = b.Template(t.Context(), live, first.ID)
		b.isErr(err, template.ErrNotFound)
		_, err = b.UpdateTemplate(t.Context(), ours, foreign.ID, func(*template.Template) ([]outbox.Entry, error) { panic("it is another's") })
		b.isErr(err, template.ErrNotFound)
		_, err = b.DeleteTemplate(t.Context(), ours, foreign.ID, func(template.Template) []outbox.Entry { panic("it is another's") })
		b.isErr(err, template.ErrNotFound)
		listed, err := b.Templates(t.Context(), ours, "", listing.Of(1, 10))
		if err != nil || listed.Total != 2 {
			t.Errorf("listed %+v, %v", listed, err)
		}
	})
}

// A change that is refused leaves everything as it is, the active one too.
func TestRefusedTemplateChangesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		ours := b.tenant()
		first, second := b.templated(ours, "first", true), b.templated(ours, "second", false)
		refusal := fault.New(fault.Invalid, "no", "no")
		_, err := b.UpdateTemplate(t.Context(), ours, second.ID, func(t *template.Template) ([]outbox.Entry, error) {
			t.Active, t.Contents = true, words("x")
			return nil, refusal
		})
		b.isErr(err, refusal)
		b.wantWords(ours, "", "first")
		b.wantWords(ours, second.ID, "second")
		for n := 2; n < template.MaxTemplates; n++ {
			b.templated(ours, "more", false)
		}
		one := first
		one.ID = id.Request("template")
		b.isErr(b.CreateTemplate(t.Context(), one, nil), template.ErrMany)
		b.wantWords(ours, "", "first") // not stepped back for one that did not come
		one.Tenant.Org = id.UUID()
		b.isErr(b.CreateTemplate(t.Context(), one, nil), tenant.ErrNotFound)
	})
}

func (b *bench) active(t tenant.ID) (n int) {
	b.t.Helper()
	listed, err := b.Templates(b.t.Context(), t, "", listing.Of(1, 200))
	b.must(err)
	for _, item := range listed.Items {
		if item.Active {
			n++
		}
	}
	return n
}

// Of many templates of a kind that are switched on at once one is active at the
// end, and none of the calls fails over the others.
func TestOneTemplateOfAKindIsActive(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		ours := b.tenant()
		var made []template.Template
		for n := range 32 {
			made = append(made, b.templated(ours, fmt.Sprint(n), n == 0))
		}
		for range 100 {
			var all sync.WaitGroup
			for _, m := range made {
				all.Go(func() {
					if _, err := b.UpdateTemplate(t.Context(), ours, m.ID, func(t *template.Template) ([]outbox.Entry, error) {
						t.Active = true
						return nil, nil
					}); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if n := b.active(ours); n != 1 {
				t.Fatalf("%d are active", n)
			}
		}
	})
}
