package tenant

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"countersign.dev/pkg/fault"
)

// PageText is what an organization says on its pages in one language: plain
// text, of which nothing is ever made but text.
type PageText struct {
	Welcome string `json:"welcome,omitempty"` // below the heading of a sign-in's first step
	Help    string `json:"help,omitempty"`    // at the foot of every page
}

// PageTexts are an organization's texts by language tag, written as [Language]
// does; nil where it has none.
type PageTexts map[string]PageText

// Bounds of page texts. They stand in the organization's row, which is read
// with every page and every call.
const (
	maxPageText      = 300 // code points
	maxPageLanguages = 40
	maxPageTexts     = 16 << 10 // octets of all languages together
)

// Edit is a change of what both environments share.
type Edit struct {
	Tenant ID
	// Sparing names the environment whose users stop the change: it is then
	// refused with ErrInhabited. Empty for none.
	Sparing string
	At      time.Time
}

// TextStore keeps page texts.
type TextStore interface {
	// ChangePageTexts lets change edit the texts of a living organization, which
	// is locked, and returns the whole. It returns ErrInhabited, ErrNotFound and
	// what change returns.
	ChangePageTexts(ctx context.Context, e Edit, change func(PageTexts) (PageTexts, error)) (Organization, error)
}

// SetPageText sets what the pages say in a language, in place of what they said
// before. It returns the text as it is kept, with the language's tag, faults of
// kind Invalid that name the parameter, ErrInhabited, and ErrNotFound.
func (s *Service) SetPageText(ctx context.Context, t ID, locale string, in PageText) (tag string, out PageText, err error) {
	if tag, err = pageLanguage(locale); err != nil {
		return "", PageText{}, err
	}
	if out.Welcome, err = cleanLine("welcome", in.Welcome, maxPageText); err != nil {
		return "", PageText{}, err
	}
	if out.Help, err = cleanLine("help", in.Help, maxPageText); err != nil {
		return "", PageText{}, err
	}
	if out == (PageText{}) {
		return "", PageText{}, fault.New(fault.Invalid, "missing_parameter", "welcome or help must say something; DELETE takes the language out")
	}
	_, err = s.Store.ChangePageTexts(ctx, s.edit(t), func(all PageTexts) (PageTexts, error) {
		changed := PageTexts{tag: out}
		for other, text := range all {
			if other != tag {
				changed[other] = text
			}
		}
		if encoded, err := json.Marshal(changed); err != nil || len(encoded) > maxPageTexts || len(changed) > maxPageLanguages {
			return nil, fault.Newf(fault.Invalid, "invalid_parameter", "welcome and help take at most %d languages and %d octets in all of them; take one out, or say less", maxPageLanguages, maxPageTexts)
		}
		return changed, nil
	})
	return tag, out, err
}

// RemovePageText takes a language out and returns what it said. It returns
// ErrNotFound where there is none, and ErrInhabited.
func (s *Service) RemovePageText(ctx context.Context, t ID, locale string) (tag string, gone PageText, err error) {
	if tag, err = pageLanguage(locale); err != nil {
		return "", PageText{}, err
	}
	_, err = s.Store.ChangePageTexts(ctx, s.edit(t), func(all PageTexts) (PageTexts, error) {
		if gone = all[tag]; gone == (PageText{}) {
			return nil, ErrNotFound
		}
		left := maps.Clone(all)
		delete(left, tag)
		return left, nil
	})
	return tag, gone, err
}

func (s *Service) edit(t ID) Edit { return Edit{Tenant: t, Sparing: spared(t), At: s.Now()} }

func pageLanguage(locale string) (string, error) {
	tag := Language(locale)
	if tag == "" {
		return "", fault.New(fault.Invalid, "invalid_parameter", "locale must be a language tag, such as en or de-AT")
	}
	return tag, nil
}

// Language brings a language tag into one form: de-AT, zh-Hant-TW. It is empty
// for what is none.
func Language(tag string) string {
	tag = strings.ReplaceAll(tag, "_", "-")
	if !localePattern.MatchString(tag) {
		return ""
	}
	parts := strings.Split(strings.ToLower(tag), "-")
	for i, part := range parts[1:] {
		switch len(part) {
		case 2:
			parts[i+1] = strings.ToUpper(part)
		case 4:
			parts[i+1] = strings.ToUpper(part[:1]) + part[1:]
		}
	}
	return strings.Join(parts, "-")
}

// Languages are the tags, in order.
func (t PageTexts) Languages() []string { return slices.Sorted(maps.Keys(t)) }

// Said is a text of an organization and the language that it is in; both are
// empty where it says nothing.
type Said struct{ Text, Lang string }

// Welcome is what the first step of a sign-in says on a page in this language.
func (o Organization) Welcome(lang string) Said {
	return o.says(lang, func(t PageText) string { return t.Welcome })
}

// Help is what stands at the foot of a page in this language.
func (o Organization) Help(lang string) Said {
	return o.says(lang, func(t PageText) string { return t.Help })
}

// says looks in the language of the page, and then in the organization's own.
func (o Organization) says(page string, of func(PageText) string) Said {
	if len(o.Texts) == 0 {
		return Said{}
	}
	for _, wanted := range []string{page, o.Locale} {
		for _, tag := range o.Texts.like(Language(wanted)) {
			if text := of(o.Texts[tag]); text != "" {
				return Said{text, tag}
			}
		}
	}
	return Said{}
}

// like are the tags of texts that somebody reads who wants a language, the
// nearest first: itself, what it is a region of, and then its other regions.
func (t PageTexts) like(wanted string) (tags []string) {
	for tag := wanted; tag != ""; tag = tag[:max(strings.LastIndex(tag, "-"), 0)] {
		if _, ok := t[tag]; ok {
			tags = append(tags, tag)
		}
	}
	base, _, _ := strings.Cut(wanted, "-")
	for _, tag := range t.Languages() {
		if other, _, _ := strings.Cut(tag, "-"); other == base && !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	return tags
}
