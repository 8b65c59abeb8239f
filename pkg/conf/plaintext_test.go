package conf_test

import (
	"strings"
	"testing"

	"countersign.dev/pkg/conf"
)

func TestConnectionsAreEncryptedOrStayOnTheMachine(t *testing.T) {
	t.Parallel()
	const (
		never    = iota // refused with and without the switch
		always          // encrypted: taken in both cases
		withFlag        // plain text to this machine: taken with the switch
	)
	cases := map[string]int{
		"tls://nats.example.com:4222":                                          always,
		"TLS://nats.example.com:4222":                                          always,
		"tls://a:4222,tls://b:4222":                                            always,
		"wss://nats.example.com":                                               always,
		"nats://nats.example.com:4222":                                         never,
		"nats://127.0.0.1:4222":                                                withFlag,
		"nats://user:canary@localhost:4222":                                    withFlag,
		"nats://[::1]:4222":                                                    withFlag,
		"nats://localhost":                                                     withFlag,
		"ws://127.0.0.1":                                                       withFlag,
		"tls://a:4222,nats://b:4222":                                           never,
		"tls://a:4222,b:4222":                                                  never,
		"nats://127.0.0.1:4222,nats://10.0.0.1:4222":                           never,
		"nats://127.0.0.1:4222, nats://[::1]:4222":                             withFlag,
		"nats://127.0.0.1:4222@nats.example.com:4222":                          never,
		"nats://127.0.0.1.example.com:4222":                                    never,
		"nats://localhost.example.com:4222":                                    never,
		"nats://0.0.0.0:4222":                                                  never,
		"nats://:4222":                                                         never,
		"nats://":                                                              never,
		"rediss://redis.example.com:6379/0":                                    always,
		"rediss://redis.example.com?skip_verify=true":                          never,
		"rediss://redis.example.com?skip_verify=true&%zz":                      never,
		"rediss://127.0.0.1:6379?skip_verify=true":                             withFlag,
		"redis://:canary@127.0.0.1:6379/0":                                     withFlag,
		"redis://:p@canary@127.0.0.1:6379":                                     withFlag,
		"redis://redis:6379":                                                   never,
		"redis://127.0.0.1:6379?addr=127.0.0.1:6380":                           withFlag,
		"redis://127.0.0.1:6379?addr=10.0.0.1:6379":                            never,
		"redis://127.0.0.1:6379?addr=[::1]:1&addr=10.0.0.1:1":                  never,
		"unix:///run/redis.sock":                                               always,
		"postgres://app:canary@db.example.com/x?sslmode=verify-full":           always,
		"postgresql://db.example.com/x?sslmode=verify-ca":                      always,
		"postgres://a:1,b:2/x?sslmode=verify-full":                             always,
		"postgres://db.example.com/x":                                          never,
		"postgres://db.example.com/x?sslmode=require":                          never,
		"postgres://db.example.com/x?sslmode=prefer":                           never,
		"postgres://db.example.com/x?ssl=true":                                 never,
		"postgres://db.example.com/x?sslmode=verify-full&sslmode=disable":      never,
		"postgres://db.example.com/x?sslmode=disable&sslmode=verify-full":      never,
		"postgres://db.example.com/x?sslmode=VERIFY-FULL":                      never,
		"postgres://db.example.com/sslmode=verify-full":                        never,
		"postgres://db.example.com/x#?sslmode=verify-full":                     never,
		"postgres://127.0.0.1:5432/x":                                          withFlag,
		"postgres://localhost/x?sslmode=disable":                               withFlag,
		"postgres://localhost,db.example.com/x":                                never,
		"postgres://localhost/x?host=db.example.com":                           never,
		"postgres://db.example.com/x?host=/run/postgresql":                     never,
		"postgres:///x?host=/run/postgresql":                                   always,
		"postgres:///x":                                                        never,
		"postgres:///x?sslmode=verify-full":                                    always,
		"postgres://localhost/x?host=/run/postgresql":                          withFlag,
		"host=db.example.com user=app password=canary sslmode=verify-full":     always,
		"host=db.example.com password='can ary sslmode=verify-full'":           never,
		"host=db.example.com password='it\\'s canary' sslmode = 'verify-full'": always,
		"host=db.example.com password=a\\ sslmode=verify-full":                 never,
		"host=db.example.com sslmode=disable":                                  never,
		"host=/run/postgresql dbname=x":                                        always,
		"host=localhost dbname=x":                                              withFlag,
		"host=localhost hostaddr=10.0.0.1":                                     never,
		"host=127.0.0.1,::1":                                                   withFlag,
		"dbname=x":                                                             never,
		"host=db sslmode='verify-full":                                         never,
		"host=db sslmode=disable sslmode=verify-full":                          never,
		"file:/var/lib/countersign/data.db":                                    always,
		"sqlite:data.db":                                                       always,
		"http://127.0.0.1":                                                     never,
		"127.0.0.1:4222":                                                       never,
		"canary":                                                               never,
		"":                                                                     never,
	}
	for raw, want := range cases {
		t.Run(raw, func(t *testing.T) {
			t.Parallel()
			strict := conf.PlainText("COUNTERSIGN_X_URL", raw, false)
			dev := conf.PlainText("COUNTERSIGN_X_URL", raw, true)
			if (strict == nil) != (want == always) {
				t.Errorf("without the switch: %v", strict)
			}
			if (dev == nil) != (want != never) {
				t.Errorf("with the switch: %v", dev)
			}
			for _, err := range []error{strict, dev} {
				if err != nil && (!strings.HasPrefix(err.Error(), "COUNTERSIGN_X_URL: ") || strings.Contains(err.Error(), "canary")) {
					t.Errorf("the message is %q", err)
				}
			}
		})
	}
}

func TestPlainTextSaysWhatToSet(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		raw  string
		dev  bool
		want string
	}{
		"NATS in production":    {"nats://n:4222", false, "COUNTERSIGN_N: the connection is not encrypted, or the certificate not verified: use tls://. For development on one machine set COUNTERSIGN_INSECURE_DEV=true and a loopback host (127.0.0.1, [::1], localhost)"},
		"Postgres elsewhere":    {"postgres://db/x", true, "COUNTERSIGN_N: COUNTERSIGN_INSECURE_DEV allows plain text to this machine only (127.0.0.1, [::1], localhost): use sslmode=verify-full for any other host"},
		"Redis without a check": {"rediss://r?skip_verify=1", false, "COUNTERSIGN_N: the connection is not encrypted, or the certificate not verified: use rediss:// without skip_verify. For development on one machine set COUNTERSIGN_INSECURE_DEV=true and a loopback host (127.0.0.1, [::1], localhost)"},
		"something else":        {"amqp://r", true, "COUNTERSIGN_N: is not a connection that can be checked: it starts with tls://, rediss:// or postgres:// (or is a list of settings for Postgres)"},
		"Postgres without host": {"postgres:///x", true, "COUNTERSIGN_N: names no host: name one"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := conf.PlainText("COUNTERSIGN_N", c.raw, c.dev); err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	cases := map[string]bool{
		"127.0.0.1": true, "127.0.0.1:8080": true, "127.8.9.1:1": true, "localhost": true, "LocalHost:80": true,
		"::1": true, "[::1]": true, "[::1]:80": true, "::ffff:127.0.0.1": true, "[::ffff:127.0.0.1]:80": true,
		"": false, ":8080": false, "0.0.0.0:80": false, "[::]:80": false, "10.0.0.1:80": false, "127.0.0.1.nip.io": false,
		"localhost.example.com": false, "0x7f.1": false, "2130706433": false, "127.1": false, "[::1%lo]:80": false,
		"128.0.0.1": false, "example.com:80": false, "localhost:80:80": false, "[::1": false, "127.0.0.1 ": false,
	}
	for host, want := range cases {
		if got := conf.Loopback(host); got != want {
			t.Errorf("Loopback(%q) = %v", host, got)
		}
	}
}
