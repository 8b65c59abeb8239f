// Package wording turns an organization's own words into messages: templates of
// mails and of the text message with a code.
//
// request -> challenge -> event -> WORKER -> provider
//
// The api calls [Check] before it keeps a template and [Mail] or [SMS] to show
// what it looks like; the workers call the same functions to send it, so that
// what was shown is what is sent.
//
// A template is data. Its language has two things: {{field}}, of a list for
// each kind of message ([Fields]), and {{if field}} … {{end}}. There are no
// functions, methods, variables, loops or other templates to reach for, and
// nothing but the [Values] of one message that a field could show. What came
// from a user or an organization is shown as text: escaped where there is HTML,
// reduced to a name by pkg/brand everywhere.
//
// Everything here is a pure function: a second try of the same delivery has
// the same subject and the same bodies.
package wording

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"countersign.dev/pkg/brand"
	"countersign.dev/pkg/event"
)

// KindSMS is the kind of the text message with a code. All other kinds are the
// templates of mails in pkg/event.
const KindSMS = "sms_code"

// The fields.
const (
	Brand     = "brand"      // the organization's name
	Host      = "host"       // of the login page
	GivenName = "given_name" // of the user, empty for most
	Link      = "link"
	Code      = "code"
	Minutes   = "minutes" // how long the link or the code is good
	Days      = "days"    // the same in days, one that has begun counts
	Detail    = "detail"  // what a notice is about, in a word
	Time      = "time"    // when it happened or was asked for, in UTC
	Logo      = "logo"    // the organization's picture: the source of an img and nothing else
)

// Source is a template in one language.
type Source struct {
	Subject string `json:"subject"` // one line; none in a text message
	Text    string `json:"text"`
	// HTML is what stands in the body of the page. Without it the page is made
	// of the text.
	HTML string `json:"html"`
}

// Bounds of a source.
const (
	maxSubject = 200    // characters
	maxText    = 10_000 // characters
	maxHTML    = 30_000 // characters
	// maxEncoded keeps a mail far below what the bus takes, sealed and in
	// base64.
	maxEncoded = 40 << 10
)

// day is how many minutes it has.
const day = 24 * 60

// Values are what one message is about.
type Values struct {
	Brand     string // cleaned here; Host stands in for one of which nothing is left
	GivenName string // cleaned here
	Detail    string // cleaned here
	Host      string // a host name
	Link      string // https, checked by the caller
	Code      string // digits, checked by the caller
	Logo      string // https, checked by the caller; empty for none
	Minutes   int
	At        time.Time
	Locale    string // of the words, BCP 47
}

// Refusal says what is wrong with a source.
type Refusal struct {
	Part   string // subject, text or html
	Reason string
}

// Error implements error.
func (r *Refusal) Error() string { return r.Part + " " + r.Reason }

func refuse(part, format string, args ...any) *Refusal {
	return &Refusal{Part: part, Reason: fmt.Sprintf(format, args...)}
}

var (
	ofAll    = []string{Brand, GivenName, Host, Time}
	ofLinks  = append(slices.Clone(ofAll), Link, Minutes)
	ofCodes  = append(slices.Clone(ofAll), Code, Minutes)
	ofNotice = append(slices.Clone(ofAll), Detail)
	ofExpiry = append(slices.Clone(ofAll), Days)
)

// fields are what each kind may show. A kind that is not here has no templates.
var fields = map[string][]string{
	KindSMS: {Brand, Code, Host},

	event.TemplateCode:           ofCodes,
	event.TemplatePasswordCreate: ofLinks,
	event.TemplatePasswordReset:  ofLinks,
	event.TemplateMagicLink:      ofLinks,

	event.TemplateNoticePasswordChanged:       ofNotice,
	event.TemplateNoticeFactorChanged:         ofNotice,
	event.TemplateNoticeRecoveryCodeUsed:      ofNotice,
	event.TemplateNoticeRecoveryCodesReplaced: ofNotice,
	event.TemplateNoticeSecondFactorFailing:   ofNotice,
	event.TemplateNoticeEmailChanged:          ofNotice,
	event.TemplateNoticePasswordDisabled:      ofNotice,
	event.TemplateNoticePasswordExpiring:      ofExpiry,
	event.TemplateNoticePasswordCompromised:   ofNotice,
	event.TemplateNoticeFactorsDisabled:       ofNotice,
	event.TemplateNoticeFactorsReset:          ofNotice,
}

// Kinds are the kinds of messages that can have templates, in order.
func Kinds() []string { return slices.Sorted(maps.Keys(fields)) }

// Fields are the fields that the body of a kind may show, in order; none for a
// kind that there is not.
func Fields(kind string) []string { return slices.Sorted(slices.Values(fields[kind])) }

// subjectFields leaves out what opens something: subjects stand on locked
// screens and in the logs of mail servers.
func subjectFields(kind string) []string {
	return slices.DeleteFunc(Fields(kind), func(field string) bool { return field == Link || field == Code })
}

// Needed is the field without which a message of the kind is of no use; empty
// for news.
func Needed(kind string) string {
	for _, field := range []string{Link, Code} {
		if slices.Contains(fields[kind], field) {
			return field
		}
	}
	return ""
}

// Check returns a [Refusal] of what could not be sent as it is written.
func Check(kind string, s Source) error {
	if kind == KindSMS {
		_, err := readSMS(s)
		return err
	}
	_, err := Mail(kind, s, Sample())
	return err
}

// Sample are values to show a template with.
func Sample() Values {
	return Values{
		Brand: "Example", GivenName: "Ana", Host: "login.example.com", Link: "https://login.example.com/magic-link/verify/example",
		Code: "123456", Detail: "text message", Minutes: 60, At: time.Date(2030, 1, 2, 3, 4, 0, 0, time.UTC), Locale: "en",
	}
}

// shown are the values by field, cleaned.
func (v Values) shown() map[string]string {
	out := map[string]string{
		Brand: v.name(), GivenName: brand.Clean(v.GivenName), Detail: brand.Clean(v.Detail),
		Host: v.Host, Link: v.Link, Code: v.Code, Logo: v.Logo, Minutes: "", Days: "", Time: "",
	}
	if v.Minutes > 0 {
		out[Minutes], out[Days] = strconv.Itoa(v.Minutes), strconv.Itoa((v.Minutes+day-1)/day)
	}
	if !v.At.IsZero() {
		out[Time] = v.At.UTC().Format("2006-01-02 15:04 UTC")
	}
	return out
}

func (v Values) name() string {
	if name := brand.Clean(v.Brand); name != "" {
		return name
	}
	return v.Host
}

// readable refuses what no screen shows as it is: controls, and overrides of
// the writing direction, which show one thing and mean another.
func readable(part, s string, most int, lines bool) error {
	if !utf8.ValidString(s) {
		return refuse(part, "must be UTF-8")
	}
	if utf8.RuneCountInString(s) > most {
		return refuse(part, "must have at most %d characters", most)
	}
	for _, r := range s {
		switch {
		case lines && (r == '\n' || r == '\t'):
		case r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029':
			return refuse(part, "must not hold control characters or other line ends (%U)", r)
		case r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069':
			return refuse(part, "must not override the direction of writing (%U)", r)
		}
	}
	return nil
}

// Clean brings a source into its stored form: lines end in one way, and
// nothing hangs around it.
func (s Source) Clean() Source {
	lines := func(text string) string { return strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n")) }
	return Source{Subject: strings.TrimSpace(s.Subject), Text: lines(s.Text), HTML: lines(s.HTML)}
}
