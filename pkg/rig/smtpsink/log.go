package smtpsink

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"slices"
	"strings"
	"time"
)

// Log is everything a sink saw since it started or was cleared.
type Log struct {
	Connections []Connection `json:"connections"`
	Mails       []Mail       `json:"mails"`
}

// Connection is one conversation.
type Connection struct {
	Number int  `json:"number"`
	TLS    bool `json:"tls"`
	// Commands are the lines of the client, whole; what follows AUTH and its
	// mechanism is ***.
	Commands []string `json:"commands"`
}

// Mail is one accepted mail.
type Mail struct {
	At         time.Time `json:"at"`
	Connection int       `json:"connection"`
	From       string    `json:"from"` // of the envelope
	To         []string  `json:"to"`   // of the envelope
	MessageID  string    `json:"message_id"`
	Subject    string    `json:"subject"` // decoded
	Text       string    `json:"text"`
	HTML       string    `json:"html"`
	Data       string    `json:"data"` // header and body as they came, without the dots
}

// Log returns a copy of the log.
func (s *Server) Log() Log {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Log{Connections: append([]Connection{}, s.log.Connections...), Mails: append([]Mail{}, s.log.Mails...)}
	for i := range out.Connections {
		out.Connections[i].Commands = append([]string{}, out.Connections[i].Commands...)
	}
	return out
}

// Clear forgets all that was said so far. A connection that goes on has a new
// entry when it says more.
func (s *Server) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = Log{}
}

// To returns the mails to one address, oldest first.
func (l Log) To(address string) []Mail {
	return slices.DeleteFunc(slices.Clone(l.Mails), func(m Mail) bool { return !slices.Contains(m.To, address) })
}

// Count is how many lines of all connections start with a word, in capital
// letters.
func (l Log) Count(word string) int {
	n := 0
	for _, c := range l.Connections {
		for _, line := range c.Commands {
			if strings.HasPrefix(strings.ToUpper(line), word) {
				n++
			}
		}
	}
	return n
}

// note changes the log's entry of a connection.
func (c *session) note(change func(*Connection)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.log.Connections, func(l Connection) bool { return l.Number == c.number })
	if i < 0 {
		i = len(c.log.Connections)
		c.log.Connections = append(c.log.Connections, Connection{Number: c.number, TLS: c.secure, Commands: []string{}})
	}
	change(&c.log.Connections[i])
}

// keep accepts a mail.
func (s *Server) keep(m Mail) {
	m.At = s.options.Now()
	m.read()
	s.mu.Lock()
	s.log.Mails = append(s.log.Mails, m)
	s.mu.Unlock()
	if s.options.Stored != nil {
		s.options.Stored(m)
	}
}

// read fills in what the content says. What cannot be read stays empty.
func (m *Mail) read() {
	parsed, err := mail.ReadMessage(strings.NewReader(m.Data))
	if err != nil {
		return
	}
	m.MessageID = parsed.Header.Get("Message-Id")
	m.Subject = parsed.Header.Get("Subject")
	if decoded, err := new(mime.WordDecoder).DecodeHeader(m.Subject); err == nil {
		m.Subject = decoded
	}
	kind, params, err := mime.ParseMediaType(parsed.Header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(kind, "multipart/") {
		m.part(kind, parsed.Header.Get("Content-Transfer-Encoding"), parsed.Body)
		return
	}
	for parts := multipart.NewReader(parsed.Body, params["boundary"]); ; {
		part, err := parts.NextRawPart()
		if err != nil {
			return
		}
		kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
		m.part(kind, part.Header.Get("Content-Transfer-Encoding"), part)
	}
}

func (m *Mail) part(kind, encoding string, body io.Reader) {
	if strings.EqualFold(encoding, "quoted-printable") {
		body = quotedprintable.NewReader(body)
	}
	var text bytes.Buffer
	if _, err := text.ReadFrom(body); err != nil {
		return
	}
	switch kind {
	case "text/plain":
		m.Text = text.String()
	case "text/html":
		m.HTML = text.String()
	}
}
