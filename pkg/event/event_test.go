package event_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/event"
)

var update = flag.Bool("update", false, "write the golden files anew")

func requested() event.Requested {
	return event.Requested{
		DeliveryID: "dlv_2ZVB8x1mQ0b7",
		N:          1,
		RequestID:  "0d2f6a34-3c1e-4f6b-9b57-52b8f6a0c111",
		TraceID:    "req_7Hq2",
		Channel:    event.ChannelSMS,
		Env:        event.EnvDefault,
		OrgID:      "org_2ZVB8x1mQ0b7",
		CreatedAt:  1_767_225_600_000,
		ExpiresAt:  1_767_225_900_000,
		Sealed:     []byte{0x01, 0xfe, 0x02, 0xfd},
	}
}

func public() event.Public {
	return event.Public{
		ID: "event_2ZVB8x1mQ0b7", Type: event.TypeUserCreated, Result: "success", Env: event.EnvDefault, OrgID: "org_2ZVB8x1mQ0b7",
		Actor: "api_key:7a1f0b1c-0d4e-4a53-9b6f-2f9a3c1d5e80", TraceID: "4bf92f3577b34da6a3ce929d0e0e4736",
		Activity: &event.Place{Chain: 3, Number: 17, Hash: "3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
		UserID:   "3b1d6a0e-9d4f-4f0e-8f0a-0c7a9c1e2f33", At: 1_767_225_600_000, Data: map[string]string{"by": "magic_link"},
	}
}

func with[T any](payload T, change func(*T)) T {
	change(&payload)
	return payload
}

func outcome() event.Outcome {
	return event.Outcome{
		DeliveryID: "dlv_2ZVB8x1mQ0b7",
		RequestID:  "0d2f6a34-3c1e-4f6b-9b57-52b8f6a0c111",
		TraceID:    "req_7Hq2",
		OrgID:      "org_2ZVB8x1mQ0b7",
		Env:        event.EnvSandbox,
		Result:     event.Failed,
		Attempt:    2,
		Provider:   "twilio",
		ProviderID: "SM00112233445566778899aabbccddeeff",
		Reason:     "refused:21211",
		At:         1_767_225_601_000,
		Message:    []byte{0x03, 0xfc},
	}
}

// The golden files are the contract: a field that is renamed, dropped or
// encoded in another way breaks whoever runs the other version beside this
// one, and needs a new version of the subjects.
func TestPayloadsKeepTheirShape(t *testing.T) {
	t.Parallel()
	cases := map[string]any{
		"requested":      requested(),
		"requested_mail": with(requested(), func(r *event.Requested) { r.Kind, r.Channel = event.KindPassword, event.ChannelEmail }),
		"requested_own": with(requested(), func(r *event.Requested) {
			r.Kind, r.Channel, r.Server = event.KindMagicLink, event.ChannelOwnEmail, []byte{0x04, 0xfb}
		}),
		"mail_server": event.MailServer{
			OrgID: "org_2ZVB8x1mQ0b7", Host: "smtp.example.com", Port: 465, TLS: event.TLSImplicit, User: "countersign", Password: "correct horse",
			From: "no-reply@example.com", FromName: "Example",
			DKIM: &event.DKIM{Domain: "example.com", Selector: "cs1", Key: "-----BEGIN PRIVATE KEY-----\n"},
		},
		"mail_server_minimal": event.MailServer{
			OrgID: "org_2ZVB8x1mQ0b7", Host: "smtp.example.com", Port: 587, TLS: event.TLSStart, From: "no-reply@example.com",
		},
		"deferred": with(outcome(), func(o *event.Outcome) {
			o.Result, o.RetryAt, o.Provider, o.Reason = event.Deferred, 1_767_225_660_000, "smtp", "no_answer"
		}),
		"public": public(),
		"public_minimal": with(public(), func(p *event.Public) {
			p.UserID, p.Data, p.Result, p.Actor, p.TraceID, p.Activity = "", nil, "", "", "", nil
		}),
		"mail": event.Mail{
			To: "user@example.com", Template: event.TemplatePasswordReset, Link: "https://login.example.com/l#t", Brand: "Example",
			LogoURL: "https://example.com/logo.png", Color: "#102030", Host: "login.example.com", Locale: "de-CH",
			At: 1_767_225_600_000, LifeMinutes: 60,
		},
		"mail_code": event.Mail{
			To: "user@example.com", Template: event.TemplateCode, Code: "012345", Brand: "Example", Host: "login.example.com", Locale: "de",
			At: 1_767_225_600_000, LifeMinutes: 5,
		},
		"mail_notice": event.Mail{
			To: "user@example.com", Template: event.TemplateNoticeFactorChanged, Brand: "Example", Host: "login.example.com", Locale: "fr",
			At: 1_767_225_600_000, Detail: "sms",
		},
		"mail_words": event.Mail{
			To: "user@example.com", Template: event.TemplateMagicLink, Link: "https://login.example.com/l#t", Brand: "Example", Host: "login.example.com",
			Locale: "de-CH", At: 1_767_225_600_000, LifeMinutes: 10, GivenName: "Ana",
			Words: &event.Words{Locale: "de", Subject: "Anmelden bei {{brand}}", Text: "{{link}}", HTML: `<a href="{{link}}">Anmelden</a>`},
		},
		"sms_words": event.SMS{
			To: "+15005550006", Code: "012345", Brand: "Example", Host: "login.example.com", Locale: "de-CH",
			Words: &event.Words{Locale: "de", Text: "{{code}} für {{brand}}"},
		},
		"outcome": outcome(),
		"outcome_minimal": event.Outcome{
			DeliveryID: "dlv_2ZVB8x1mQ0b7", Result: event.Accepted, Attempt: 1, At: 1_767_225_601_000,
		},
		"sms": event.SMS{
			To: "+15005550006", Code: "012345", Brand: "Example", Host: "login.example.com", Locale: "de-CH",
		},
		"message": event.Message{
			To: "user@example.com", Subject: "Sign in", Text: "plain", HTML: "<p>rich</p>",
		},
		"message_minimal": event.Message{To: "+15005550006", Text: "plain"},
	}
	for name, payload := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden := filepath.Join("testdata", name+".json")
			got, err := json.MarshalIndent(payload, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			if *update {
				if err := os.WriteFile(golden, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("encoded:\n%s\ngolden file:\n%s", got, want)
			}
			back := reflect.New(reflect.TypeOf(payload))
			if err := json.Unmarshal(want, back.Interface()); err != nil {
				t.Fatalf("decode the golden file: %v", err)
			}
			if !reflect.DeepEqual(back.Elem().Interface(), payload) {
				t.Errorf("decoded %+v, want %+v", back.Elem(), payload)
			}
		})
	}
}

func TestEveryGoldenFileHasItsCase(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "*.json"))
	if err != nil || len(files) != 18 {
		t.Fatalf("golden files: %v, %v; want 18", files, err)
	}
}

func TestSubjects(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ got, want string }{
		"a challenge":                     {event.ChallengeSubject("sms", "default", "org_1"), "countersign.v1.challenge.requested.sms.default.org_1"},
		"the challenges of a worker":      {event.ChallengeSubject("sms", "sandbox", "*"), "countersign.v1.challenge.requested.sms.sandbox.*"},
		"a challenge that says so":        {with(requested(), func(r *event.Requested) { r.Kind = event.KindChallenge }).Subject(), requested().Subject()},
		"a challenge that does not":       {requested().Subject(), "countersign.v1.challenge.requested.sms.default.org_2ZVB8x1mQ0b7"},
		"a link to choose a password":     {event.RequestSubject(event.KindPassword, "email", "default", "org_1"), "countersign.v1.password.requested.email.default.org_1"},
		"a link to sign in with":          {event.RequestSubject(event.KindMagicLink, "email", "default", "org_1"), "countersign.v1.magiclink.requested.email.default.org_1"},
		"the notices of a worker":         {event.RequestSubject(event.KindNotice, "email", "sandbox", "*"), "countersign.v1.notice.requested.email.sandbox.*"},
		"a public event":                  {public().Subject(), "countersign.v1.event.user.created.default.org_2ZVB8x1mQ0b7"},
		"the events of an organization":   {event.PublicSubject("*.*", "default", "org_1"), "countersign.v1.event.*.*.default.org_1"},
		"a result":                        {event.OutcomeSubject(event.Accepted), "countersign.v1.delivery.accepted"},
		"a parked message of a channel":   {event.DeadSubject("sms"), "countersign.v1.dead.sms"},
		"the first publication's id":      {event.Requested{DeliveryID: "dlv_1", N: 1}.MessageID(), "dlv_1.1"},
		"a deliberate re-publication":     {event.Requested{DeliveryID: "dlv_1", N: 2}.MessageID(), "dlv_1.2"},
		"a result's id":                   {event.Outcome{DeliveryID: "dlv_1", Attempt: 2, Result: event.Failed}.MessageID(), "dlv_1.2.failed"},
		"another result of the same try":  {event.Outcome{DeliveryID: "dlv_1", Attempt: 2, Result: event.Unknown}.MessageID(), "dlv_1.2.unknown"},
		"the same result of a later try":  {event.Outcome{DeliveryID: "dlv_1", Attempt: 3, Result: event.Failed}.MessageID(), "dlv_1.3.failed"},
		"the version stands in the front": {event.Prefix, "countersign.v1"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.got != c.want {
				t.Errorf("got %s, want %s", c.got, c.want)
			}
		})
	}
}

func TestExpiresIsTheTimeOfTheField(t *testing.T) {
	t.Parallel()
	want := time.Date(2026, 1, 1, 0, 5, 0, 0, time.UTC)
	if got := requested().Expires(); !got.Equal(want) {
		t.Errorf("expires %s, want %s", got.UTC(), want)
	}
}

func TestRequestedIsValidated(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change func(*event.Requested)
		want   string // part of the error; empty means valid
	}{
		"a whole payload":               {func(*event.Requested) {}, ""},
		"a sandbox payload":             {func(r *event.Requested) { r.Env = event.EnvSandbox }, ""},
		"without a trace id":            {func(r *event.Requested) { r.TraceID = "" }, ""},
		"without a delivery id":         {func(r *event.Requested) { r.DeliveryID = "" }, "delivery_id"},
		"with n 0":                      {func(r *event.Requested) { r.N = 0 }, "n starts at 1"},
		"with a negative n":             {func(r *event.Requested) { r.N = -1 }, "n starts at 1"},
		"without a request id":          {func(r *event.Requested) { r.RequestID = "" }, "request_id"},
		"without a channel":             {func(r *event.Requested) { r.Channel = "" }, "channel"},
		"without an organization":       {func(r *event.Requested) { r.OrgID = "" }, "org_id"},
		"with a dot in the id":          {func(r *event.Requested) { r.OrgID = "org.1" }, "org_id"},
		"with a wildcard as the id":     {func(r *event.Requested) { r.OrgID = "*" }, "org_id"},
		"with the other wildcard":       {func(r *event.Requested) { r.OrgID = ">" }, "org_id"},
		"with a line break in the id":   {func(r *event.Requested) { r.OrgID = "org\r\n1" }, "org_id"},
		"with a letter beyond ASCII":    {func(r *event.Requested) { r.OrgID = "örg" }, "org_id"},
		"with a space in the channel":   {func(r *event.Requested) { r.Channel = "s ms" }, "channel"},
		"a mail":                        {func(r *event.Requested) { r.Kind, r.Channel = event.KindNotice, event.ChannelEmail }, ""},
		"of an unknown kind":            {func(r *event.Requested) { r.Kind = "advert" }, "kind"},
		"with a kind of two tokens":     {func(r *event.Requested) { r.Kind = "password.requested" }, "kind"},
		"of an unknown environment":     {func(r *event.Requested) { r.Env = "production" }, "env"},
		"that ends as it begins":        {func(r *event.Requested) { r.ExpiresAt = r.CreatedAt }, "expires_at"},
		"that ends before it begins":    {func(r *event.Requested) { r.ExpiresAt = r.CreatedAt - 1 }, "expires_at"},
		"for an own server without one": {func(r *event.Requested) { r.Channel = event.ChannelOwnEmail }, "server"},
		"with a server of nobody":       {func(r *event.Requested) { r.Channel, r.Server = event.ChannelEmail, []byte{1} }, "server"},
		"with an own server":            {func(r *event.Requested) { r.Channel, r.Server = event.ChannelOwnEmail, []byte{1} }, ""},
		"with nothing sealed":           {func(r *event.Requested) { r.Sealed = nil }, "sealed"},
		"with something sealed of none": {func(r *event.Requested) { r.Sealed = []byte{} }, "sealed"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := requested()
			c.change(&r)
			checkError(t, r.Validate(), c.want)
		})
	}
}

func TestOutcomeIsValidated(t *testing.T) {
	t.Parallel()
	type change = func(*event.Outcome)
	cases := map[string]struct {
		change change
		want   string
	}{
		"a whole payload":          {func(*event.Outcome) {}, ""},
		"without what is optional": {func(o *event.Outcome) { o.Provider, o.ProviderID, o.Reason, o.Message = "", "", "", nil }, ""},
		"without a delivery id":    {func(o *event.Outcome) { o.DeliveryID = "" }, "delivery_id"},
		"without a result":         {func(o *event.Outcome) { o.Result = "" }, "result"},
		"with an unknown result":   {func(o *event.Outcome) { o.Result = "lost" }, "result"},
		"with another case":        {func(o *event.Outcome) { o.Result = "Failed" }, "result"},
		"without a time":           {func(o *event.Outcome) { o.At = 0 }, "at is missing"},
		"deferred":                 {func(o *event.Outcome) { o.Result, o.RetryAt = event.Deferred, o.At+1 }, ""},
		"deferred for ever":        {func(o *event.Outcome) { o.Result = event.Deferred }, "retry_at"},
		"failed until later":       {func(o *event.Outcome) { o.RetryAt = o.At + 1 }, "retry_at"},
		"with a negative time":     {func(o *event.Outcome) { o.At = -1 }, "at is missing"},
	}
	for _, r := range []event.Result{
		event.Accepted, event.Delivered, event.Undelivered, event.Failed,
		event.Expired, event.Superseded, event.Retrying, event.Unknown,
	} {
		cases["with the result "+string(r)] = struct {
			change change
			want   string
		}{func(o *event.Outcome) { o.Result = r }, ""}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := outcome()
			c.change(&o)
			checkError(t, o.Validate(), c.want)
		})
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change func(string) string
		want   string
	}{
		"a payload": {func(s string) string { return s }, ""},
		"a payload of a newer publisher with one more":  {func(s string) string { return strings.Replace(s, "{", `{"later":1,`, 1) }, ""},
		"a payload that lacks something":                {func(s string) string { return strings.Replace(s, `"n":1`, `"n":0`, 1) }, "n starts at 1"},
		"a payload of another type":                     {func(s string) string { return strings.Replace(s, `"n":1`, `"n":"1"`, 1) }, "decode payload"},
		"a payload that is cut off":                     {func(s string) string { return s[:len(s)/2] }, "decode payload"},
		"nothing":                                       {func(string) string { return "" }, "decode payload"},
		"something else that is JSON":                   {func(string) string { return "null" }, "delivery_id"},
		"two payloads in one":                           {func(s string) string { return s + s }, "decode payload"},
		"a sealed part that is not what base64 can say": {func(s string) string { return strings.Replace(s, `"sealed":"`, `"sealed":"*`, 1) }, "decode payload"},
	}
	whole, err := json.Marshal(requested())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := event.Decode[event.Requested]([]byte(c.change(string(whole))))
			checkError(t, err, c.want)
			if c.want == "" && !reflect.DeepEqual(got, requested()) {
				t.Errorf("decoded %+v", got)
			}
		})
	}
}

func checkError(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("refused: %v", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("error %v, want one with %q", err, want)
	}
}

// No two organizations or environments share a subject.
//
// Covers R-122 for subjects on the bus.
func TestEachOrganizationHasSubjectsOfItsOwn(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, org := range []string{"org_1", "org_2", "org_11"} {
		for _, env := range []string{event.EnvDefault, event.EnvSandbox} {
			subjects := []string{event.PublicSubject(event.TypePasswordChanged, env, org)}
			for _, kind := range []event.Kind{event.KindChallenge, event.KindPassword, event.KindMagicLink, event.KindNotice} {
				subjects = append(subjects, event.RequestSubject(kind, event.ChannelEmail, env, org))
			}
			for _, subject := range subjects {
				if of, ok := seen[subject]; ok || !strings.HasSuffix(subject, "."+env+"."+org) {
					t.Errorf("%s is of %s and %s", subject, of, org)
				}
				seen[subject] = org
			}
		}
	}
}

func TestSecretsOfAServerAreNotPrinted(t *testing.T) {
	t.Parallel()
	server := event.MailServer{User: "ana", Password: "correct horse", DKIM: &event.DKIM{Domain: "example.com", Key: "correct horse"}}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("line", "password", server.Password)
	for _, shown := range []string{
		fmt.Sprint(server, *server.DKIM), fmt.Sprintf("%+v %#v %x %q", server, server, server.Password, server.DKIM.Key),
		server.Password.String(), log.String(),
	} {
		if strings.Contains(shown, "horse") || strings.Contains(shown, "686f727365") || !strings.Contains(shown, "***") {
			t.Errorf("printed %s", shown)
		}
	}
}
