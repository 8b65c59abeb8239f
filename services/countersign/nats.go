package countersign

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Bounds of the embedded server: without them it takes three quarters of the
// machine's memory and disk as its own.
const (
	natsMemory = 64 << 20
	natsDisk   = 1 << 30
	natsStart  = 10 * time.Second
)

// embeddedNATS is a NATS server inside this process. It listens nowhere: only
// this process reaches it.
func embeddedNATS(dir string) (*server.Server, error) {
	srv, err := server.NewServer(&server.Options{
		ServerName: "countersign", DontListen: true, JetStream: true, StoreDir: dir,
		JetStreamMaxMemory: natsMemory, JetStreamMaxStore: natsDisk,
		NoSigs: true, NoLog: true,
	})
	if err != nil {
		return nil, fmt.Errorf("make the embedded NATS server: %w", err)
	}
	go srv.Start() // returns when the server is up; Shutdown ends it
	if !srv.ReadyForConnections(natsStart) {
		srv.Shutdown()
		return nil, errors.New("the embedded NATS server did not start; is another process using its folder?")
	}
	return srv, nil
}
