package wording_test

import (
	"errors"
	"strings"
	"testing"

	"countersign.dev/pkg/gsm"
	"countersign.dev/pkg/wording"
)

// Whatever an author writes and whatever anybody is called: it is refused, for
// all values alike, or makes a message that holds nothing but what the author
// wrote and names.
// Covers R-105 for templates of organizations, with any text.
func FuzzTemplate(f *testing.F) {
	good := reset(nil)
	for i, name := range hostile {
		f.Add(uint8(i), good.Subject, good.Text, good.HTML, name)
		f.Add(uint8(i), "{{brand}}", "{{brand}} {{given_name}}", "<p>{{brand}}</p>", name)
	}
	f.Fuzz(func(t *testing.T, n uint8, subject, text, page, name string) {
		kinds := wording.Kinds()
		kind := kinds[int(n)%len(kinds)]
		s := wording.Source{Subject: subject, Text: text, HTML: page}
		if kind == wording.KindSMS {
			checkSMS(t, wording.Source{Text: text}, name)
			return
		}
		v := values()
		plain, refusedPlain := wording.Mail(kind, s, v)
		v.Brand, v.GivenName, v.Detail = name, name, name
		got, err := wording.Mail(kind, s, v)
		if (err == nil) != (refusedPlain == nil) {
			t.Fatalf("%v with one name and %v with another", refusedPlain, err)
		}
		if err != nil {
			if _, ok := errors.AsType[*wording.Refusal](err); !ok || got != (wording.Rendered{}) {
				t.Fatalf("%v, with %+v", err, got)
			}
			return
		}
		if strings.ContainsAny(got.Subject, "\r\n") || strings.Contains(got.HTML, "ZgotmplZ") {
			t.Fatalf("subject %q, page %q", got.Subject, got.HTML)
		}
		for _, bad := range []string{"<script", "<style", "<iframe", "javascript:", "<form"} {
			if strings.Contains(strings.ToLower(strings.Join(tags(got.HTML), "")), bad) {
				t.Fatalf("%s in %q", bad, got.HTML)
			}
		}
		if !strings.Contains(text+page+subject, "{{if") && strings.Count(got.HTML, "<") != strings.Count(plain.HTML, "<") {
			t.Fatalf("the name %q adds a tag: %q", name, got.HTML)
		}
		if again, err := wording.Mail(kind, s, v); err != nil || again != got {
			t.Fatalf("two mails of one template: %+v and %+v, %v", got, again, err)
		}
	})
}

func checkSMS(t *testing.T, s wording.Source, name string) {
	t.Helper()
	v := values()
	v.Brand = name
	body, segments, err := wording.SMS(s, v)
	if err != nil {
		if _, ok := errors.AsType[*wording.Refusal](err); !ok || body != "" {
			t.Fatalf("%v, with %q", err, body)
		}
		return
	}
	above, ok := strings.CutSuffix(body, wording.LastLine(v.Host, v.Code))
	if !ok || strings.ContainsAny(above, "@#") || strings.Contains(above, "://") || !strings.Contains(above, v.Code) {
		t.Fatalf("text message %q", body)
	}
	if segments > wording.MaxSegments || gsm.Segments(body) > segments {
		t.Fatalf("%d segments said of %d: %q", segments, gsm.Segments(body), body)
	}
}
