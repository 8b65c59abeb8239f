package smtp

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	netmail "net/mail"
	"regexp"
	"strings"
	"unicode"

	"github.com/wneessen/go-mail"

	"countersign.dev/pkg/courier"
)

// longestSubject in characters; what is longer is cut.
const longestSubject = 200

// letter is a mail as it goes over the wire, with its envelope.
type letter struct {
	from, to  address
	messageID string
	data      []byte
}

// lineEnds makes all ends of lines one. The encoder loses a line feed that
// comes some way behind a lone return.
var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// idShape is a delivery id that may stand in a Message-ID as it is.
var idShape = regexp.MustCompile(`^[A-Za-z0-9_-]{8,64}$`)

// compose writes the mail. Its headers are these and no others, whatever the
// message says: Auto-Submitted (RFC 3834), Content-Type, Date, From,
// Message-ID, MIME-Version, Subject, To; without an HTML part
// Content-Transfer-Encoding too, and DKIM-Signature where mails are signed. There is nothing to unsubscribe from, and
// nothing that reports back.
func (p *Provider) compose(m courier.Message) (letter, error) {
	to, err := parseAddress(m.To)
	if err != nil {
		return letter{}, err
	}
	from, err := parseAddress(p.cfg.From)
	if err != nil {
		return letter{}, err
	}
	if m.DeliveryID == "" || m.Text == "" {
		return letter{}, errors.New("a mail has a delivery and a text")
	}
	l := letter{from: from, to: to, messageID: messageID(m.DeliveryID, from.domain)}

	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	msg.FromMailAddress(&netmail.Address{Name: p.cfg.FromName, Address: from.text})
	msg.ToMailAddress(&netmail.Address{Address: to.text})
	msg.SetGenHeader(mail.HeaderMessageID, l.messageID)
	msg.SetGenHeader(mail.Header("Auto-Submitted"), "auto-generated")
	msg.SetDateWithValue(p.cfg.Now().UTC())
	msg.Subject(subject(m.Subject))
	p.cfg.sign(msg, p.key)
	msg.SetBodyString(mail.TypeTextPlain, lineEnds.Replace(m.Text))
	if m.HTML != "" {
		msg.AddAlternativeString(mail.TypeTextHTML, lineEnds.Replace(m.HTML))
	}
	var out bytes.Buffer
	if _, err := msg.WriteTo(&out); err != nil {
		return letter{}, fmt.Errorf("write the mail: %w", err)
	}
	l.data = out.Bytes()
	return l, nil
}

// messageID is the same for all tries of a delivery.
func messageID(deliveryID, domain string) string {
	id := deliveryID
	if !idShape.MatchString(id) {
		sum := sha256.Sum256([]byte(deliveryID))
		id = hex.EncodeToString(sum[:16])
	}
	return "<" + id + "@" + domain + ">"
}

// subject is one line of visible text. Line breaks of any kind become blanks,
// and what a reader could take for an encoded word is taken apart.
func subject(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r):
			return ' '
		case unicode.In(r, unicode.Cf): // direction marks and other invisible ones
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	// Fields splits at blanks of every kind, U+2028 is one.
	text = strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "=?", "= ?")
	if runes := []rune(text); len(runes) > longestSubject {
		text = string(runes[:longestSubject-1]) + "…"
	}
	return text
}
