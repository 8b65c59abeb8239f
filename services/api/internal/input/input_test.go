package input_test

import (
	"encoding/json"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/input"
)

type person struct {
	Email  *string     `in:"email|profile.email"`
	Age    int         `in:"age"`
	Active *bool       `in:"active"`
	Tags   []string    `in:"tags"`
	Code   secret.Text `in:"code"`
	Name   struct {
		Given  *string `in:"given"`
		Family string  `in:"family"`
	} `in:"name"`
}

const (
	form       = "application/x-www-form-urlencoded"
	jsonObject = "application/json"
)

func decode(t *testing.T, query, contentType, body string, into any, strict bool) error {
	t.Helper()
	r := httptest.NewRequest("POST", "/x"+query, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	values, err := input.Read(r)
	if err != nil {
		return err
	}
	return values.Decode(into, strict)
}

func TestOneMeaning(t *testing.T) {
	t.Parallel()
	email, given, yes := "a@b.test", "Ana", true
	want := person{Email: &email, Age: 7, Active: &yes, Tags: []string{"x", "y"}, Code: secret.New("008029")}
	want.Name.Given, want.Name.Family = &given, "Test"
	for name, c := range map[string]struct{ query, contentType, body string }{
		"form":           {"", form, "email=a@b.test&age=7&active=true&tags[]=x&tags[]=y&code=008029&name[given]=Ana&name[family]=Test"},
		"nested e-mail":  {"", form, "profile[email]=a@b.test&age=7&active=1&tags[]=x&tags[]=y&code=008029&name[given]=Ana&name[family]=Test"},
		"both, equal":    {"", form, "email=a@b.test&profile[email]=a@b.test&age=7&active=on&tags[]=x&tags[]=y&code=008029&name[given]=Ana&name[family]=Test"},
		"JSON":           {"", jsonObject, `{"email":"a@b.test","age":7,"active":true,"tags":["x","y"],"code":"008029","name":{"given":"Ana","family":"Test"}}`},
		"JSON as form":   {"", form, `{"email":"a@b.test","age":"7","active":"true","tags":["x","y"],"code":"008029","name":{"given":"Ana","family":"Test"}}`},
		"query":          {"?email=a@b.test&age=7&active=true&tags[]=x&tags[]=y&code=008029&name[given]=Ana&name[family]=Test", form, ""},
		"query and body": {"?email=a@b.test&age=7", form, "active=true&tags[]=x&tags[]=y&code=008029&name[given]=Ana&name[family]=Test"},
		"quoted":         {"", form, `email="a@b.test"&age='7'&active='true'&tags[]="x"&tags[]=y&code=008029&name[given]='Ana'&name[family]="Test"`},
	} {
		var got person
		if err := decode(t, c.query, c.contentType, c.body, &got, true); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %s", name, show(got))
		}
	}
}

func show(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

// A secret is taken as it came: quotes and blanks belong to it.
func TestSecretsAreNotTouched(t *testing.T) {
	t.Parallel()
	var got person
	if err := decode(t, "", form, `code=%22+a+%22`, &got, true); err != nil || got.Code.Reveal() != `" a "` {
		t.Errorf("code = %q, %v", got.Code.Reveal(), err)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		query, contentType, body, code string
	}{
		"given twice":             {"", form, "age=1&age=2", "duplicate_parameter"},
		"query and body":          {"?age=1", form, "age=1", "duplicate_parameter"},
		"scalar and map":          {"", form, "name=x&name[given]=y", "duplicate_parameter"},
		"twice in JSON, deep":     {"", jsonObject, `{"name":{"given":"a","given":"b"}}`, "duplicate_parameter"},
		"unknown":                 {"", form, "nobody=1", "unknown_parameter"},
		"a map for a number":      {"", jsonObject, `{"age":{}}`, "invalid_parameter"},
		"a fraction":              {"", jsonObject, `{"age":1.5}`, "invalid_parameter"},
		"a huge number":           {"", jsonObject, `{"age":99999999999999999999}`, "invalid_parameter"},
		"a text for a map":        {"", jsonObject, `{"name":"Ana"}`, "invalid_parameter"},
		"a number in a list":      {"", jsonObject, `{"tags":[1]}`, "invalid_parameter"},
		"a number for a secret":   {"", jsonObject, `{"code":8029}`, "malformed_parameter"},
		"NUL in a text":           {"", form, "email=a%00b", "invalid_parameter"},
		"broken UTF-8 in a text":  {"", form, "email=a%ff", "invalid_parameter"},
		"broken UTF-8 in JSON":    {"", jsonObject, "{\"email\":\"a\xff\"}", "malformed_body"},
		"201 names":               {"", form, strings.Repeat("a[]=1&", 1) + many(201), "malformed_body"},
		"201 items of a list":     {"", jsonObject, `{"tags":[` + strings.TrimSuffix(strings.Repeat(`"x",`, 201), ",") + `]}`, "malformed_body"},
		"multipart without parts": {"", "multipart/form-data; boundary=b", "email=a@b.test", "malformed_body"},
		"a file in a form":        {"", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"email\"; filename=\"x\"\r\n\r\nx\r\n--b--\r\n", "malformed_body"},
		"two answers that differ": {"", form, "email=a@b.test&profile[email]=c@d.test", "invalid_parameter"},
		"deep brackets":           {"", form, "a" + strings.Repeat("[b]", 17) + "=1", "malformed_body"},
		"list in the middle":      {"", form, "a[][b]=1", "malformed_body"},
	} {
		var got person
		err := decode(t, c.query, c.contentType, c.body, &got, true)
		if err == nil || !strings.HasPrefix(err.Error(), c.code) {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
		if fault.KindOf(err) == fault.Internal {
			t.Errorf("%s: not a fault of the caller: %v", name, err)
		}
	}
}

func many(n int) string {
	var out strings.Builder
	for i := range n {
		out.WriteString("&n")
		out.WriteString(strings.Repeat("x", i%50))
		out.WriteByte(byte('a' + i%26))
		out.WriteString(strings.Repeat("y", i/50))
		out.WriteString("=1")
	}
	return strings.TrimPrefix(out.String(), "&")
}

// Whatever a body holds is read or refused as a fault of the caller.
//
// Covers R-131 for bodies and queries.
func FuzzRead(f *testing.F) {
	for _, seed := range [][3]string{
		{"", form, "profile[email]=a@b.test&tags[]=1"}, {"?age=1", jsonObject, `{"name":{"given":"x"}}`},
		{"", form, `{"a":[{"b":null}]}`}, {"", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\nx\r\n--b--\r\n"},
		{"", form, "a[=1&]=2&[]=3"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, query, contentType, body string) {
		r := httptest.NewRequest("POST", "/x", strings.NewReader(body))
		r.URL.RawQuery = strings.TrimPrefix(query, "?")
		r.Header.Set("Content-Type", contentType)
		values, err := input.Read(r)
		if err == nil {
			var into person
			err = values.Decode(&into, true)
		}
		if err != nil && fault.KindOf(err) == fault.Internal {
			t.Fatalf("bad input must be a fault of the caller, got %v", err)
		}
	})
}
