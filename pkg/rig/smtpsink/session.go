package smtpsink

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// Bounds of what is read.
const (
	longestLine = 8 << 10
	longestMail = 4 << 20
)

// session is one conversation.
type session struct {
	*Server
	conn   net.Conn
	r      *bufio.Reader
	number int

	secure, greeted, known bool
	refused                bool // by the greeting: nothing but QUIT is answered
	from                   string
	to                     []string
	inMail                 bool
}

// next says how a conversation goes on after a point.
type next int

const (
	usual    next = iota // as if nothing had happened
	answered             // something was said instead
	over                 // the connection is to be closed
)

func (c *session) run() {
	c.r = bufio.NewReaderSize(c.conn, longestLine)
	if c.options.Implicit && !c.secured() {
		return
	}
	if c.greet() == over {
		return
	}
	for {
		line, ok := c.line()
		if !ok || c.command(line) == over {
			return
		}
	}
}

// secured goes on with TLS.
func (c *session) secured() bool {
	conn := tls.Server(c.conn, c.options.TLS)
	if err := conn.HandshakeContext(c.stopped); err != nil {
		return false
	}
	c.conn, c.r, c.secure = conn, bufio.NewReaderSize(conn, longestLine), true
	c.note(func(l *Connection) { l.TLS = true })
	return true
}

func (c *session) greet() next {
	if c.at(Connect) != usual {
		return over
	}
	if c.options.Reached != nil {
		c.options.Reached(At{c.number, Banner})
	}
	f, _ := c.fault(Banner, nil)
	if f.Close || f.Stall { // in the middle of it
		c.write("220-" + c.options.Hello + " is\r\n")
	}
	switch c.play(f) {
	case over:
		return over
	case answered:
		c.refused = true
		return answered
	}
	c.write("220 " + c.options.Hello + " ESMTP\r\n" + f.Inject)
	return usual
}

// line reads one command. A line that does not end as it should is no command
// and goes into the log like one.
func (c *session) line() (string, bool) {
	text, err := c.r.ReadString('\n')
	if err != nil || len(text) > longestLine {
		return "", false
	}
	line := strings.TrimSuffix(text, "\r\n")
	c.note(func(l *Connection) { l.Commands = append(l.Commands, shown(line)) })
	return line, true
}

// shown leaves the secrets of AUTH out.
func shown(line string) string {
	words := strings.Fields(line)
	if len(words) > 2 && strings.EqualFold(words[0], "AUTH") {
		return words[0] + " " + words[1] + " ***"
	}
	return line
}

func (c *session) command(line string) next {
	verb, rest, _ := strings.Cut(line, " ")
	verb = strings.ToUpper(verb)
	switch {
	case strings.ContainsAny(line, "\r\n\x00"):
		return c.say(500, "5.5.2 what ends your lines?")
	case verb == "QUIT":
		return c.quit()
	case c.refused:
		return c.say(503, "5.5.1 you were not welcome")
	}
	switch verb {
	case "EHLO", "HELO":
		return c.hello(verb, rest)
	case "STARTTLS":
		return c.startTLS()
	case "AUTH":
		return c.auth(rest)
	case "MAIL":
		return c.mail(rest)
	case "RCPT":
		return c.rcpt(rest)
	case "DATA":
		return c.data()
	case "RSET":
		c.reset()
		return c.say(250, "2.0.0 forgotten")
	case "NOOP":
		return c.say(250, "2.0.0 fine")
	}
	return c.say(500, "5.5.2 what?")
}

// at plays the fault that waits for a point, if there is one.
func (c *session) at(p Point) next {
	if c.options.Reached != nil {
		c.options.Reached(At{c.number, p})
	}
	f, ok := c.fault(p, c.to)
	if !ok {
		return usual
	}
	return c.play(f)
}

func (c *session) play(f Fault) next {
	if !c.wait(f) {
		return over
	}
	switch {
	case f.Stall:
		_, _ = io.Copy(io.Discard, c.conn) // until the client hangs up, or Close does
		return over
	case f.Close:
		return over
	case f.Code == 421:
		c.say(421, "4.3.2 closing")
		return over
	case f.Code != 0:
		return c.say(f.Code, fmt.Sprintf("%d.0.0 the sink was told to answer this way", f.Code/100))
	}
	return usual
}

func (c *session) wait(f Fault) bool {
	if f.Hold != nil {
		select {
		case <-f.Hold:
		case <-c.stopped.Done():
			return false
		}
	}
	if f.DelayMS == 0 {
		return true
	}
	timer := time.NewTimer(time.Duration(f.DelayMS) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.stopped.Done():
		return false
	}
}

func (c *session) say(code int, text string) next {
	c.write(fmt.Sprintf("%d %s\r\n", code, text))
	return answered
}

// write answers. Whether the client is still there shows when it is read from.
func (c *session) write(text string) { _, _ = io.WriteString(c.conn, text) }

func (c *session) quit() next {
	if c.at(Quit) == usual {
		c.say(221, "2.0.0 bye")
	}
	return over
}

func (c *session) hello(verb, name string) next {
	if n := c.at(EHLO); n != usual {
		return n
	}
	if name == "" {
		return c.say(501, "5.5.4 who?")
	}
	c.reset()
	c.greeted = true
	lines := []string{c.options.Hello}
	if verb == "EHLO" {
		lines = append(lines, "8BITMIME", "SIZE 4194304", "ENHANCEDSTATUSCODES")
		if c.options.SMTPUTF8 {
			lines = append(lines, "SMTPUTF8")
		}
		if c.mayStartTLS() {
			lines = append(lines, "STARTTLS")
		} else if c.options.User != "" {
			lines = append(lines, "AUTH PLAIN LOGIN")
		}
	}
	var out strings.Builder
	for i, line := range lines {
		sep := "-"
		if i == len(lines)-1 {
			sep = " "
		}
		out.WriteString("250" + sep + line + "\r\n")
	}
	c.write(out.String())
	return answered
}

func (c *session) mayStartTLS() bool {
	return c.options.TLS != nil && !c.secure && !c.options.NoStartTLS
}

func (c *session) startTLS() next {
	if c.options.Reached != nil {
		c.options.Reached(At{c.number, StartTLS})
	}
	f, _ := c.fault(StartTLS, nil)
	if n := c.play(f); n != usual {
		return n
	}
	if !c.mayStartTLS() {
		return c.say(503, "5.5.1 no TLS here")
	}
	c.write("220 2.0.0 go ahead\r\n" + f.Inject)
	if c.r.Buffered() > 0 || !c.secured() { // what came in the clear does not count
		return over
	}
	c.reset()
	c.greeted, c.known = false, false
	return answered
}

func (c *session) auth(rest string) next {
	if n := c.at(Auth); n != usual {
		return n
	}
	if c.options.User == "" || c.mayStartTLS() || c.known {
		return c.say(503, "5.5.1 not now")
	}
	var user, password string
	var ok bool
	mechanism, first, _ := strings.Cut(rest, " ")
	switch strings.ToUpper(mechanism) {
	case "PLAIN":
		user, password, ok = c.plain(first)
	case "LOGIN":
		user, password, ok = c.login()
	default:
		return c.say(504, "5.5.4 no such mechanism")
	}
	switch {
	case !ok:
		return c.say(501, "5.5.2 that is no answer")
	case user != c.options.User || password != c.options.Password:
		return c.say(535, "5.7.8 the user "+user+" is not known with this password")
	}
	c.known = true
	return c.say(235, "2.7.0 welcome")
}

func (c *session) plain(first string) (user, password string, ok bool) {
	text, ok := first, true
	if text == "" {
		text, ok = c.ask("")
	}
	decoded, err := base64.StdEncoding.DecodeString(text)
	parts := strings.Split(string(decoded), "\x00")
	if !ok || err != nil || len(parts) != 3 {
		return "", "", false
	}
	return parts[1], parts[2], true
}

func (c *session) login() (user, password string, ok bool) {
	name, ok1 := c.ask("Username:")
	word, ok2 := c.ask("Password:")
	decodedName, err1 := base64.StdEncoding.DecodeString(name)
	decodedWord, err2 := base64.StdEncoding.DecodeString(word)
	return string(decodedName), string(decodedWord), ok1 && ok2 && err1 == nil && err2 == nil
}

// ask reads a line that is not shown in the log.
func (c *session) ask(prompt string) (string, bool) {
	c.say(334, base64.StdEncoding.EncodeToString([]byte(prompt)))
	text, err := c.r.ReadString('\n')
	return strings.TrimSuffix(text, "\r\n"), err == nil
}
