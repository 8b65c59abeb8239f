package bus_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/bus/bustest"
	"countersign.dev/pkg/fault"
)

func TestAnAddressThatCanNeverWorkIsRefusedWithoutRepeatingIt(t *testing.T) {
	t.Parallel()
	cases := map[string]bus.Config{
		"no address":             {},
		"an address of another":  {URL: "http://user:hunter2@127.0.0.1:4222"},
		"one without a host":     {URL: "nats://"},
		"one that is not one":    {URL: "nats://user:hunter2%zz@127.0.0.1:4222"},
		"a good one and another": {URL: "nats://127.0.0.1:4222,user:hunter2@127.0.0.1"},
		"a CA that is not there": {URL: "tls://user:hunter2@127.0.0.1:4222", CAFile: filepath.Join(t.TempDir(), "none.pem")},
	}
	for name, cfg := range cases {
		b, err := bus.Connect(cfg)
		if err == nil {
			b.Close()
			t.Errorf("%s was accepted", name)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error tells the password: %v", name, err)
		}
	}
}

func TestABusInsideTheProcessNeedsNoAddress(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b := bustest.Bus(t, srv, func(c *bus.Config) { c.URL, c.Conn = "", srv })
	calls := make(chan call, 10)
	serve(t, b, 1, into(calls, nil))
	mustRequest(t, b, challenge("dlv_1"))
	next(t, calls, "the message")
	srv.Stop()
	checkUnavailable(t, b.Request(t.Context(), challenge("dlv_2")))
	srv.Start()
	back(t, b, challenge("dlv_3"))
	if got := next(t, calls, "the message"); got.DeliveryID != "dlv_3" {
		t.Errorf("handled %s", got.DeliveryID)
	}
}

func TestRunAndServeEndWithTheirContextAlsoWithoutAServer(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	srv.Stop()
	b, err := bus.Connect(bus.Config{URL: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := b.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	stop := serve(t, b, 2, into(nil, nil))
	cancel()
	running.Wait()
	stop()
	b.Close()
	checkUnavailable(t, b.Request(t.Context(), challenge("dlv_1")))
}

func TestTheCertificateOfTheServerIsVerified(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca, pair := certificate(t, dir)
	srv, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: filepath.Join(dir, "nats"), JetStreamMaxStore: 1 << 30,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, TLSTimeout: 5,
	})
	if err != nil {
		t.Fatal(err)
	}
	go srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(patience) {
		t.Fatal("the server did not start")
	}
	url := "tls://" + srv.Addr().String()
	n := &bustest.NATS{URL: url}
	bustest.Bus(t, n, func(c *bus.Config) { c.CAFile = ca })

	stranger := bustest.Connect(t, n)
	if err := stranger.Ready(t.Context()); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("a server of an unknown CA: %v, want no connection", err)
	}
}

// certificate makes a CA and a certificate of 127.0.0.1 in one.
func certificate(t *testing.T, dir string) (caFile string, pair tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	caFile = filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return caFile, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
