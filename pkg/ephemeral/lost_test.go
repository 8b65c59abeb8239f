package ephemeral_test

import (
	"bytes"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/rig"
)

// relay passes bytes between a client and a server. Told so, it hangs up in
// place of the next answer to a wrong guess.
type relay struct {
	listener net.Listener
	target   atomic.Value // string
	lose     atomic.Bool
	group    sync.WaitGroup
}

func newRelay(t *testing.T) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{listener: l}
	r.group.Go(r.serve)
	t.Cleanup(func() {
		_ = l.Close()
		r.group.Wait()
	})
	return r
}

func (r *relay) serve() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", r.target.Load().(string))
		if err != nil {
			_ = client.Close()
			continue
		}
		r.group.Go(func() {
			_, _ = io.Copy(server, client)
			_ = server.Close()
		})
		r.group.Go(func() {
			_, _ = io.Copy(answers{r, client}, server)
			_ = client.Close()
		})
	}
}

// answers is the way back to the client.
type answers struct {
	relay  *relay
	client net.Conn
}

func (a answers) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("wrong")) && a.relay.lose.CompareAndSwap(true, false) {
		return 0, io.ErrClosedPipe
	}
	return a.client.Write(p)
}

// A guess whose answer is lost has cost its one try, and the client does not
// send it again by itself: it would cost another.
func TestALostAnswerIsNotAskedForAgain(t *testing.T) {
	t.Parallel()
	for name, cluster := range map[string]bool{"one server": false, "a cluster": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			relay := newRelay(t)
			addr := relay.listener.Addr().(*net.TCPAddr)
			url := "redis://" + addr.String()
			var server *rig.RedisServer
			if cluster {
				server = rig.Redis(t, "--cluster-enabled", "yes",
					"--cluster-announce-ip", "127.0.0.1", "--cluster-announce-port", strconv.Itoa(addr.Port))
				if err := raw(t, server).ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
					t.Fatal(err)
				}
				url += "?cluster=true"
			} else {
				server = rig.Redis(t)
			}
			relay.target.Store(server.Addr)
			store := connect(t, url)
			await(t, 10*time.Second, func() bool { return store.Put(t.Context(), "k", nil, time.Minute) == nil })
			code := ephemeral.Code{ID: "id", Digest: []byte("right"), Tries: 5, ExpiresAt: time.Now().Add(time.Minute)}
			if _, err := store.Arm(t.Context(), "c", code, time.Minute); err != nil {
				t.Fatal(err)
			}
			// Once to make the server know the script.
			if v, err := store.Consume(t.Context(), "c", []byte("wrong"), time.Now()); err != nil || v.TriesLeft != 4 {
				t.Fatalf("got %+v, %v", v, err)
			}

			relay.lose.Store(true)
			v, err := store.Consume(t.Context(), "c", []byte("wrong"), time.Now())
			if fault.KindOf(err) != fault.Unavailable || v.Outcome != "" {
				t.Fatalf("got %+v, %v; want Unavailable", v, err)
			}
			if relay.lose.Load() {
				t.Fatal("no answer was lost")
			}
			left, err := store.Armed(t.Context(), "c")
			if err != nil || left == nil || left.Tries != 3 {
				t.Fatalf("got %+v, %v; want 3 tries left", left, err)
			}
		})
	}
}
