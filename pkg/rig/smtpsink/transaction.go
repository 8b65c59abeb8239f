package smtpsink

import (
	"strings"
)

func (c *session) reset() { c.from, c.to, c.inMail = "", nil, false }

func (c *session) mail(rest string) next {
	if n := c.at(MailFrom); n != usual {
		return n
	}
	from, params, ok := path(rest, "FROM:")
	switch {
	case !c.greeted || c.inMail:
		return c.say(503, "5.5.1 not now")
	case c.mayStartTLS():
		return c.say(530, "5.7.0 say STARTTLS first")
	case c.options.User != "" && !c.known:
		return c.say(530, "5.7.0 say AUTH first")
	case !ok:
		return c.say(501, "5.1.7 who?")
	}
	for param := range strings.FieldsSeq(strings.ToUpper(params)) {
		switch {
		case param == "BODY=8BITMIME", param == "BODY=7BIT", strings.HasPrefix(param, "SIZE="):
		case param == "SMTPUTF8" && c.options.SMTPUTF8:
		default:
			return c.say(555, "5.5.4 what is "+param)
		}
	}
	c.from, c.inMail = from, true
	return c.say(250, "2.1.0 from you")
}

func (c *session) rcpt(rest string) next {
	to, params, ok := path(rest, "TO:")
	if ok {
		c.to = append(c.to, to)
	}
	drop := func() {
		if ok {
			c.to = c.to[:len(c.to)-1]
		}
	}
	if n := c.at(Rcpt); n != usual {
		drop()
		return n
	}
	switch {
	case !c.inMail:
		drop()
		return c.say(503, "5.5.1 not now")
	case !ok || to == "":
		drop()
		return c.say(501, "5.1.3 to whom?")
	case params != "":
		drop()
		return c.say(555, "5.5.4 what is "+params)
	}
	return c.say(250, "2.1.5 to them")
}

// path reads "FROM:<address> params". A quoted local part may hold anything,
// an angle too.
func path(text, word string) (address, params string, ok bool) {
	if len(text) < len(word) || !strings.EqualFold(text[:len(word)], word) {
		return "", "", false
	}
	text = text[len(word):]
	if !strings.HasPrefix(text, "<") {
		return "", "", false
	}
	quoted := false
	for i := 1; i < len(text); i++ {
		switch {
		case quoted && text[i] == '\\':
			i++
		case text[i] == '"':
			quoted = !quoted
		case text[i] == '>' && !quoted:
			rest := text[i+1:]
			if rest != "" && rest[0] != ' ' {
				return "", "", false
			}
			return text[1:i], strings.TrimSpace(rest), true
		}
	}
	return "", "", false
}

func (c *session) data() next {
	if n := c.at(Data); n != usual {
		return n
	}
	if len(c.to) == 0 {
		return c.say(503, "5.5.1 to whom?")
	}
	c.say(354, "go ahead")
	content, ok := c.content()
	if !ok {
		return over
	}
	return c.dot(Mail{Connection: c.number, From: c.from, To: c.to, Data: content})
}

// content reads up to the dot. Nothing but CRLF ends a line.
func (c *session) content() (string, bool) {
	var out strings.Builder
	var line string
	for out.Len() < longestMail {
		piece, err := c.r.ReadString('\n')
		if err != nil {
			return "", false
		}
		if line += piece; !strings.HasSuffix(line, "\r\n") {
			continue
		}
		if line == ".\r\n" {
			return out.String(), true
		}
		out.WriteString(strings.TrimPrefix(line, "."))
		line = ""
	}
	return "", false
}

// dot answers the end of a mail, which is kept before anything is said.
func (c *session) dot(m Mail) next {
	if c.options.Reached != nil {
		c.options.Reached(At{c.number, Dot})
	}
	f, _ := c.fault(Dot, c.to)
	c.reset()
	if f.Store {
		c.keep(m)
	}
	if n := c.play(f); n != usual {
		return n
	}
	if !f.Store {
		c.keep(m)
	}
	return c.say(250, "2.0.0 taken")
}
