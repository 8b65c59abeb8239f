package ephemeral_test

import (
	"crypto/rand"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/ephemeral/ephemeraltest"
	"countersign.dev/pkg/rig"
	"countersign.dev/pkg/secret"
)

// connect opens a store with keys of its own.
func connect(t testing.TB, url string) *ephemeral.Redis {
	t.Helper()
	return connectWith(t, ephemeral.RedisConfig{URL: secret.New(url), Prefix: rand.Text() + ":"})
}

func connectWith(t testing.TB, config ephemeral.RedisConfig) *ephemeral.Redis {
	t.Helper()
	store, err := ephemeral.NewRedis(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// raw is a client for what the store has no method for.
func raw(t testing.TB, server *rig.RedisServer) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestMemory(t *testing.T) {
	t.Parallel()
	ephemeraltest.Run(t, func(*testing.T) ephemeral.Store { return ephemeral.NewMemory(nil) })
}

func TestRedis(t *testing.T) {
	t.Parallel()
	server := rig.Redis(t)
	ephemeraltest.Run(t, func(t *testing.T) ephemeral.Store { return connect(t, server.URL) })
}

// A cluster of one node holds all slots, and its client takes the cluster's
// way: slots, redirects, no script with keys of two slots.
func TestRedisCluster(t *testing.T) {
	t.Parallel()
	server := rig.Redis(t, "--cluster-enabled", "yes")
	client := raw(t, server)
	if err := client.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	// The node has to believe in itself before it answers.
	store := connect(t, server.URL+"?cluster=true")
	await(t, 10*time.Second, func() bool {
		return store.Ping(t.Context()) == nil && store.Put(t.Context(), "k", nil, time.Minute) == nil
	})
	if err := store.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	ephemeraltest.Run(t, func(t *testing.T) ephemeral.Store { return connect(t, server.URL+"?cluster=true") })
}

func TestRedisSentinel(t *testing.T) {
	t.Parallel()
	master := rig.Redis(t)
	sentinel := rig.Sentinel(t, master, "main")
	store := connectWith(t, ephemeral.RedisConfig{URL: secret.New(sentinel.URL + "/3?master=main"), Prefix: "p:"})
	if err := store.Put(t.Context(), "k", []byte("v"), time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := store.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: master.Addr, DB: 3})
	defer func() { _ = client.Close() }()
	if got, err := client.Get(t.Context(), "p:k").Result(); err != nil || got != "v" {
		t.Fatalf("the master holds %q, %v", got, err)
	}
}

// The races of the suite run in one process; here half of the writers are in
// another one.
func TestACodeIsUsedOnceByTwoProcesses(t *testing.T) {
	t.Parallel()
	if url := os.Getenv("EPHEMERAL_OTHER"); url != "" {
		fire(t, url)
		return
	}
	server := rig.Redis(t)
	store := connectWith(t, ephemeral.RedisConfig{URL: secret.New(server.URL), Prefix: shared})
	code := ephemeral.Code{ID: "id", Digest: []byte("right"), Tries: 5, ExpiresAt: time.Now().Add(time.Minute)}
	for round := range firingRounds {
		if _, err := store.Arm(t.Context(), target(round), code, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	other := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestACodeIsUsedOnceByTwoProcesses$", "-test.v")
	other.Env = append(os.Environ(), "EPHEMERAL_OTHER="+server.URL)
	var out []byte
	var failure error
	done := make(chan struct{})
	go func() {
		defer close(done)
		out, failure = other.CombinedOutput()
	}()
	fire(t, server.URL)
	<-done
	if failure != nil {
		t.Fatalf("the other process: %v\n%s", failure, out)
	}
	client := raw(t, server)
	for round := range firingRounds {
		got, err := client.HGetAll(t.Context(), shared+"tally:"+target(round)).Result()
		if err != nil || got["right"] != "1" || got["used"] != "31" {
			t.Fatalf("round %d: got %v, %v; want right 1, used 31", round, got, err)
		}
	}
}
