package smtp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"countersign.dev/pkg/courier"
	"countersign.dev/pkg/rig/smtpsink"
)

func isCanceled(err error) bool { return errors.Is(err, context.Canceled) }

// parsed is a mail as a stranger reads it.
type parsed struct {
	header mail.Header
	parts  map[string]string // by media type
	order  []string
}

func parse(tb testing.TB, data string) parsed {
	tb.Helper()
	m, err := mail.ReadMessage(strings.NewReader(data))
	if err != nil {
		tb.Fatalf("the mail cannot be read: %v\n%s", err, data)
	}
	out := parsed{header: m.Header, parts: map[string]string{}}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		tb.Fatalf("the mail is %q: %v", m.Header.Get("Content-Type"), err)
	}
	for parts := multipart.NewReader(m.Body, params["boundary"]); ; {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			tb.Fatal(err)
		}
		kind, params, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
		if err != nil || !strings.EqualFold(params["charset"], "utf-8") || part.Header.Get("Content-Transfer-Encoding") != "quoted-printable" {
			tb.Fatalf("a part is %v: %v", part.Header, err)
		}
		text, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			tb.Fatal(err)
		}
		out.parts[kind] = strings.ReplaceAll(string(text), "\r\n", "\n")
		out.order = append(out.order, kind)
	}
}

// fixed are the headers of every mail.
var fixed = []string{"Auto-Submitted", "Content-Type", "Date", "From", "Message-Id", "Mime-Version", "Subject", "To"}

// Covers R-106 for the mail as it goes over the wire.
func TestAMailIsWhatAStrangerExpects(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 10, 30, 0, 0, time.UTC)
	s := stage(t, func(o *options) {
		o.config.FromName, o.config.Now = "Grüße, \"Countersign\"", func() time.Time { return at }
	})
	m := courier.Message{
		DeliveryID: "dlv_0123456789abcdef", To: reader, Subject: "Ihr Link für Müller & Söhne – jetzt",
		Text: "Öffnen Sie:\nhttps://login.example.com/l/abc?x=1&y=2\n.\n..Ende\n", HTML: "<html lang=\"de\"><p>Öffnen</p></html>\n",
	}
	s.mustSend(t, m)
	log := s.sink.Log()
	if len(log.Mails) != 1 {
		t.Fatalf("%d mails", len(log.Mails))
	}
	got := parse(t, log.Mails[0].Data)
	if names := slices.Sorted(maps.Keys(got.header)); !slices.Equal(names, fixed) {
		t.Errorf("the headers are %v", names)
	}
	date, err := got.header.Date()
	if err != nil || !date.Equal(at) {
		t.Errorf("Date is %v, %v", date, err)
	}
	from, err := mail.ParseAddress(got.header.Get("From"))
	if err != nil || *from != (mail.Address{Name: "Grüße, \"Countersign\"", Address: "no-reply@countersign.test"}) {
		t.Errorf("From is %v, %v", from, err)
	}
	for name, want := range map[string]string{
		"Auto-Submitted": "auto-generated", "To": "<" + reader + ">", "Message-Id": "<dlv_0123456789abcdef@countersign.test>", "Mime-Version": "1.0",
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.header.Get(name), want)
		}
	}
	decoded, err := new(mime.WordDecoder).DecodeHeader(got.header.Get("Subject"))
	if err != nil || decoded != m.Subject {
		t.Errorf("Subject is %q, %v", decoded, err)
	}
	if got.parts["text/plain"] != m.Text || got.parts["text/html"] != m.HTML || !slices.Equal(got.order, []string{"text/plain", "text/html"}) {
		t.Errorf("the parts are %q", got.parts)
	}
	for line := range strings.SplitSeq(log.Mails[0].Data, "\r\n") {
		if len(line) > 998 || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r > '~' }) {
			t.Errorf("a line is not plain ASCII: %q", line)
		}
	}
}

// Duplicates, which nothing can rule out, share their Message-ID; other
// deliveries have others.
//
// Covers R-106 for the tries of one delivery.
func TestTriesShareTheirMessageID(t *testing.T) {
	t.Parallel()
	s := stage(t)
	ids := map[string]map[string]int{}
	for _, delivery := range []string{"dlv_aaaaaaaaaaaaaaaa", "dlv_bbbbbbbbbbbbbbbb", "a\r\nBcc: x@example.com", "ä"} {
		m := message
		m.DeliveryID = delivery
		s.fail(t, smtpsink.Fault{At: smtpsink.Dot, Store: true, Close: true})
		if told := instruction(s.send(t, m)); told != "ambiguous no_answer" {
			t.Fatal(told)
		}
		receipt, err := s.provider.Send(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		ids[delivery] = map[string]int{}
		for _, got := range s.sink.Log().Mails {
			ids[delivery][got.MessageID]++
		}
		if ids[delivery][receipt.ProviderID] != 2 || len(ids[delivery]) != 1 {
			t.Errorf("%q: the receipt says %s, the mails %v", delivery, receipt.ProviderID, ids[delivery])
		}
		if !strings.HasSuffix(receipt.ProviderID, "@countersign.test>") || strings.ContainsAny(receipt.ProviderID, "\r\n ") {
			t.Errorf("%q has the id %q", delivery, receipt.ProviderID)
		}
		s.sink.Clear()
	}
	if fmt.Sprint(ids["dlv_aaaaaaaaaaaaaaaa"]) == fmt.Sprint(ids["dlv_bbbbbbbbbbbbbbbb"]) {
		t.Errorf("two deliveries share an id: %v", ids)
	}
}

func TestAddressesThatNoCommandCarries(t *testing.T) {
	t.Parallel()
	s := stage(t)
	for _, address := range []string{
		"", "ana", "@example.com", "ana@", "ana@b@example.com", "ana@example.com\r\nRCPT TO:<eve@example.com>", "ana@example.com> ORCPT=eve",
		`"ana> X"@example.com`, "ana(comment)@example.com", "Ana <ana@example.com>", "ana@example.com,eve@example.com", "ana@[127.0.0.1]",
		"ana\u2028@example.com", "ana\u202e@example.com", "ana\x00@example.com", "a na@example.com", "ana@example..com", ".ana@example.com", "ana@exa\u00a0mple.com",
		"ana\xff@example.com", strings.Repeat("a", 65) + "@example.com", "ana@" + strings.Repeat("a.", 130) + "com",
	} {
		err := s.send(t, to(address))
		if told := instruction(err); told != "permanent bad_address" {
			t.Errorf("%q: %s", address, told)
		}
		if address != "" && strings.Contains(err.Error(), address) {
			t.Errorf("the error shows the address: %v", err)
		}
	}
	if log := s.sink.Log(); len(log.Connections) != 0 {
		t.Errorf("the server heard of it: %+v", log)
	}
}

// An address is used exactly as it was stored, with SMTPUTF8 where it needs
// that and nowhere else.
func TestAddressesAreUsedAsStored(t *testing.T) {
	t.Parallel()
	s := stage(t, func(o *options) { o.sink.SMTPUTF8 = true })
	for _, address := range []string{"Ana.Mixed+Tag@Example.COM", "o'neil/x=y@example.com", "ärger@example.com", "ana@bücher.example"} {
		s.mustSend(t, to(address))
		log := s.sink.Log()
		if len(log.Mails) != 1 || !slices.Equal(log.Mails[0].To, []string{address}) {
			t.Errorf("%s: %+v", address, log.Mails)
		}
		if utf8 := log.Count("MAIL FROM:<NO-REPLY@COUNTERSIGN.TEST> BODY=8BITMIME SMTPUTF8") == 1; utf8 != strings.ContainsAny(address, "äü") && log.Count("MAIL") > 0 {
			t.Errorf("%s: %+v", address, log.Connections)
		}
		s.sink.HangUp() // so that the next has a log of its own
		s.sink.Clear()
	}
}

func TestAddressThatTheServerCannotTake(t *testing.T) {
	t.Parallel()
	s := stage(t)
	for range 2 {
		if told := instruction(s.send(t, to("ärger@example.com"))); told != "permanent bad_address" {
			t.Error(told)
		}
	}
	s.mustSend(t, message)
	if log := s.sink.Log(); len(log.Connections) != 1 || log.Count("RSET") != 0 {
		t.Errorf("the connection was not kept as it was: %+v", log.Connections)
	}
}

func TestAMailWithoutHTML(t *testing.T) {
	t.Parallel()
	s := stage(t)
	m := message
	m.HTML = ""
	s.mustSend(t, m)
	if got := s.sink.Log().Mails[0]; got.Text != "Open https://login.example.com/l/abc\r\n" || got.HTML != "" {
		t.Errorf("%+v", got)
	}
}

// Whatever stands in a name, a subject, an address or a text: it is one mail
// with the fixed headers and one recipient, or none.
//
// Covers R-104 for the SMTP provider.
func FuzzOneMailWithFixedHeaders(f *testing.F) {
	for _, evil := range []string{
		"plain", "\r\nBcc: eve@example.com\r\n", "\n.\nMAIL FROM:<eve@example.com>", "\r\n.\r\nQUIT\r\n", "\r.\r", "a\x00b", "\u2028.\u2029", "\u202e\u0085", "\x1b[31m\x07",
		"=?utf-8?q?=0d=0ABcc:=20eve@example.com?=", strings.Repeat("long ", 400), strings.Repeat("x", 3000), "\xff\xfe", `"a> b"`, ".", "..", "\r\n\r\n--", " \t ",
	} {
		f.Add(evil, reader, evil, evil)
		f.Add("Your link", evil+"@example.com", "text", evil)
		f.Add("Your link", "ana@example.com"+evil, "text", "")
	}
	s := stage(f)
	f.Fuzz(func(t *testing.T, subject, address, text, html string) {
		s.sink.Clear()
		err := s.send(t, courier.Message{DeliveryID: subject + "-", To: address, Subject: subject, Text: text, HTML: html})
		log := s.sink.Log()
		if err != nil {
			if told := instruction(err); told != "permanent bad_address" && told != "permanent bad_message" || len(log.Connections) != 0 {
				t.Fatalf("%q: %s, %+v", address, told, log)
			}
			return
		}
		checkOne(t, log, address, text, html)
	})
}

func checkOne(t *testing.T, log smtpsink.Log, address, text, html string) {
	t.Helper()
	if len(log.Mails) != 1 || !slices.Equal(log.Mails[0].To, []string{address}) || log.Count("RCPT") != 1 || log.Count("MAIL") != 1 || log.Count("DATA") != 1 {
		t.Fatalf("the server saw %+v", log)
	}
	data := log.Mails[0].Data
	bare := strings.ReplaceAll(data, "\r\n", "")
	if strings.ContainsAny(bare, "\r\n\x00") {
		t.Fatalf("a line ends in its own way: %q", data)
	}
	m, err := mail.ReadMessage(strings.NewReader(data))
	if err != nil {
		t.Fatalf("%v: %q", err, data)
	}
	want := fixed
	if html == "" {
		want = slices.Insert(slices.Clone(fixed), 1, "Content-Transfer-Encoding")
	}
	names := slices.Sorted(maps.Keys(m.Header))
	if !slices.Equal(names, want) {
		t.Fatalf("the headers are %v", names)
	}
	for name, values := range m.Header {
		if len(values) != 1 {
			t.Fatalf("%s is there %d times", name, len(values))
		}
	}
	shown, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || strings.ContainsFunc(shown, func(r rune) bool { return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Cf) }) {
		t.Fatalf("the subject is %q: %v", shown, err)
	}
	if html != "" {
		got := parse(t, data)
		if len(got.order) != 2 || !same(got.parts["text/plain"], text) || !same(got.parts["text/html"], html) {
			t.Fatalf("the parts are %q", got.parts)
		}
	}
}

// same compares texts whose ends of lines went through quoted-printable.
func same(got, want string) bool {
	plain := func(s string) string {
		return string(bytes.TrimRight([]byte(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s)), "\n"))
	}
	return plain(got) == plain(want)
}
