package api_test

import (
	"net"
	"sync"
	"testing"
	"time"
)

// tcpProxy stands between a service and a server of it, and makes the server
// seem down or slow.
type tcpProxy struct {
	Addr   string
	server string

	mu      sync.Mutex
	down    bool
	latency time.Duration // before anything passes, either way
	conns   map[net.Conn]bool
	over    chan struct{}
	pumps   sync.WaitGroup
}

func newTCPProxy(t *testing.T, server string) *tcpProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tcpProxy{Addr: l.Addr().String(), server: server, conns: map[net.Conn]bool{}, over: make(chan struct{})}
	p.pumps.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			p.serve(client)
		}
	})
	t.Cleanup(func() {
		close(p.over)
		_ = l.Close()
		p.set(true, 0)
		p.pumps.Wait()
	})
	return p
}

// set makes the server down, which cuts every connection, or slow, or, with
// neither, as it is.
func (p *tcpProxy) set(down bool, latency time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down, p.latency = down, latency
	if down {
		for c := range p.conns {
			_ = c.Close()
		}
		clear(p.conns)
	}
}

func (p *tcpProxy) serve(client net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		_ = client.Close()
		return
	}
	upstream, err := net.Dial("tcp", p.server)
	if err != nil {
		_ = client.Close()
		return
	}
	p.conns[client], p.conns[upstream] = true, true
	p.pumps.Go(func() { p.pump(upstream, client) })
	p.pumps.Go(func() { p.pump(client, upstream) })
}

// pump hands on what comes, as late as the latency says when it comes.
func (p *tcpProxy) pump(to, from net.Conn) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		latency := p.latency
		p.mu.Unlock()
		if latency > 0 {
			select {
			case <-time.After(latency):
			case <-p.over:
				return
			}
		}
		if _, broken := to.Write(buf[:n]); err != nil || broken != nil {
			return
		}
	}
}
