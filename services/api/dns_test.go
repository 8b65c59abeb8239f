package api_test

import (
	"net"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"countersign.dev/services/api"
)

// nameserver answers questions for TXT records, over UDP as resolvers ask.
type nameserver struct {
	t     *testing.T
	addr  string
	conn  net.PacketConn
	mu    sync.Mutex
	texts map[string][]string
	mood  string // "", "refuses", "is silent", "babbles"
	asked []string
}

func newNameserver(t *testing.T) *nameserver {
	t.Helper()
	conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &nameserver{t: t, addr: conn.LocalAddr().String(), conn: conn, texts: map[string][]string{}}
	done := make(chan struct{})
	go func() { defer close(done); n.serve() }()
	t.Cleanup(func() { _ = conn.Close(); <-done })
	return n
}

// set makes a name have these texts.
func (n *nameserver) set(name string, texts ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.texts[name+"."] = texts
}

func (n *nameserver) feel(mood string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mood = mood
}

// questions returns what was asked since the last call.
func (n *nameserver) questions() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	asked := n.asked
	n.asked = nil
	return asked
}

func (n *nameserver) serve() {
	packet := make([]byte, 4096)
	for {
		size, from, err := n.conn.ReadFrom(packet)
		if err != nil {
			return // closed
		}
		if answer := n.answer(packet[:size]); answer != nil {
			_, _ = n.conn.WriteTo(answer, from)
		}
	}
}

func (n *nameserver) answer(packet []byte) []byte {
	var in dnsmessage.Message
	if err := in.Unpack(packet); err != nil || len(in.Questions) != 1 {
		n.t.Errorf("not a question: %v", err)
		return nil
	}
	question := in.Questions[0]
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, question.Name.String())
	out := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: in.ID, Response: true, RecursionDesired: in.RecursionDesired, RecursionAvailable: true},
		Questions: in.Questions,
	}
	switch n.mood {
	case "is silent":
		return nil
	case "babbles":
		return []byte("what?")
	case "refuses":
		out.RCode = dnsmessage.RCodeServerFailure
	default:
		out.Answers = n.records(question)
		if out.Answers == nil {
			out.RCode = dnsmessage.RCodeNameError
		}
	}
	raw, err := out.Pack()
	if err != nil {
		n.t.Error(err)
	}
	return raw
}

func (n *nameserver) records(question dnsmessage.Question) (out []dnsmessage.Resource) {
	for _, text := range n.texts[strings.ToLower(question.Name.String())] {
		out = append(out, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: question.Name, Type: dnsmessage.TypeTXT, Class: dnsmessage.ClassINET, TTL: 1},
			Body:   &dnsmessage.TXTResource{TXT: []string{text}},
		})
	}
	return out
}

// asks lets a house ask this server.
func (n *nameserver) asks(p *parts) *parts {
	before := p.cfg
	p.cfg = func(c *api.Config) {
		if before != nil {
			before(c)
		}
		c.DNSServer = n.addr
	}
	return p
}
