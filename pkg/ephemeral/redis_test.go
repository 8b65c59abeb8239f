package ephemeral_test

import (
	"context"
	"errors"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/rig"
	"countersign.dev/pkg/secret"
)

// await asks until the answer is yes: a server does not tell when it is back.
func await(t *testing.T, within time.Duration, yes func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !yes() {
		select {
		case <-ctx.Done():
			t.Fatalf("not within %s", within)
		case <-tick.C:
		}
	}
}

// The two processes of TestACodeIsUsedOnceByTwoProcesses.
const (
	shared       = "shared:"
	firingRounds = 100
)

func target(round int) string { return "code:{" + strconv.Itoa(round) + "}" }

// fire sends the right guess 16 times at once for each code, in step with the
// other process, and leaves the answers in Redis.
func fire(t *testing.T, url string) {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer func() { _ = client.Close() }()
	store := connectWith(t, ephemeral.RedisConfig{URL: secret.New(url), Prefix: shared})
	for round := range firingRounds {
		meet(t, client, round)
		var group sync.WaitGroup
		for range 16 {
			group.Go(func() {
				v, err := store.Consume(t.Context(), target(round), []byte("right"), time.Now())
				if err != nil {
					t.Error(err)
					return
				}
				if err := client.HIncrBy(t.Context(), shared+"tally:"+target(round), string(v.Outcome), 1).Err(); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	}
}

// meet waits until both processes are at this round.
func meet(t *testing.T, client *redis.Client, round int) {
	t.Helper()
	gate := shared + "gate:" + strconv.Itoa(round)
	n, err := client.Incr(t.Context(), gate).Result()
	if err != nil {
		t.Fatal(err)
	}
	if n == 2 {
		if err := client.LPush(t.Context(), gate+".open", "1").Err(); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := client.BLPop(t.Context(), 20*time.Second, gate+".open").Err(); err != nil {
		t.Fatal(err)
	}
}

func TestAFlushedScriptCacheIsNoMatter(t *testing.T) {
	t.Parallel()
	server := rig.Redis(t)
	store := connect(t, server.URL)
	client := raw(t, server)
	for range 3 {
		if err := client.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		if a, err := store.Allow(t.Context(), "k", ephemeral.Rate{Burst: 10, Per: time.Hour}); err != nil || !a.OK {
			t.Fatalf("got %+v, %v", a, err)
		}
	}
}

func TestTheRateKeepsItsMicroseconds(t *testing.T) {
	t.Parallel()
	server := rig.Redis(t)
	store := connectWith(t, ephemeral.RedisConfig{URL: secret.New(server.URL), Prefix: "p:"})
	if _, err := store.Allow(t.Context(), "k", ephemeral.Rate{Burst: 10, Per: time.Hour}); err != nil {
		t.Fatal(err)
	}
	got, err := raw(t, server).Get(t.Context(), "p:k").Result()
	if err != nil || len(got) != 16 || strings.Trim(got, "0123456789") != "" {
		t.Fatalf("kept as %q, %v; want sixteen digits", got, err)
	}
}

func TestTheRateAfterAClockThatWasSetBack(t *testing.T) {
	t.Parallel()
	server := rig.Redis(t)
	store := connectWith(t, ephemeral.RedisConfig{URL: secret.New(server.URL), Prefix: "p:"})
	ahead := time.Now().Add(time.Hour).UnixMicro()
	if err := raw(t, server).Set(t.Context(), "p:k", ahead, time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	got, err := store.Allow(t.Context(), "k", ephemeral.Rate{Burst: 2, Per: 2 * time.Minute})
	if err != nil || got.OK || got.RetryAfter != time.Minute {
		t.Fatalf("got %+v, %v; want a wait of one step and no fresh budget", got, err)
	}
}

// down wants a fault of kind Unavailable within two seconds, with nothing of
// the cause in its public half.
func down(t *testing.T, store *ephemeral.Redis, during string) {
	t.Helper()
	code := ephemeral.Code{ID: "id", Digest: []byte("d"), Tries: 5, ExpiresAt: time.Now().Add(time.Minute)}
	calls := map[string]func() error{
		"get":     func() error { _, err := store.Get(t.Context(), "k"); return err },
		"put":     func() error { return store.Put(t.Context(), "k", nil, time.Minute) },
		"swap":    func() error { _, err := store.Swap(t.Context(), "k", nil, []byte("x"), time.Minute); return err },
		"delete":  func() error { _, err := store.Delete(t.Context(), "k"); return err },
		"arm":     func() error { _, err := store.Arm(t.Context(), "c", code, time.Minute); return err },
		"armed":   func() error { _, err := store.Armed(t.Context(), "c"); return err },
		"disarm":  func() error { _, err := store.Disarm(t.Context(), "c", "id"); return err },
		"consume": func() error { _, err := store.Consume(t.Context(), "c", []byte("d"), time.Now()); return err },
		"allow": func() error {
			_, err := store.Allow(t.Context(), "r", ephemeral.Rate{Burst: 1, Per: time.Hour})
			return err
		},
		"ping":  func() error { return store.Ping(t.Context()) },
		"check": func() error { return store.Check(t.Context()) },
	}
	var group sync.WaitGroup
	defer group.Wait()
	for name, call := range calls {
		group.Go(func() {
			start := time.Now()
			err := call()
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("%s, %s: took %s", during, name, took)
			}
			f, ok := errors.AsType[*fault.Error](err)
			if !ok || f.Kind != fault.Unavailable || f.Code != "state_unavailable" || f.After != 2*time.Second || f.Cause == nil {
				t.Errorf("%s, %s: got %v", during, name, err)
				return
			}
			if strings.Contains(f.Message, "127.0.0.1") || strings.Contains(f.Message, "timeout") {
				t.Errorf("%s, %s: the message shows the cause: %s", during, name, f.Message)
			}
		})
	}
}

func TestAKilledServerIsUnavailableUntilItIsBack(t *testing.T) {
	t.Parallel()
	for name, parameters := range map[string]string{"alone": "", "through a sentinel": "?master=main"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := rig.Redis(t)
			url := server.URL
			if parameters != "" {
				url = rig.Sentinel(t, server, "main").URL + parameters
			}
			store := connect(t, url)
			if err := store.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			server.Kill()
			for range 3 { // the pool may answer from what it learned before
				down(t, store, "killed")
			}
			server.Start()
			await(t, 5*time.Second, func() bool { return store.Ping(t.Context()) == nil })
			if a, err := store.Allow(t.Context(), "k", ephemeral.Rate{Burst: 1, Per: time.Hour}); err != nil || !a.OK {
				t.Fatalf("got %+v, %v", a, err)
			}
		})
	}
}

func TestARestartBetweenTwoCallsIsNotSeen(t *testing.T) {
	t.Parallel()
	server := rig.Redis(t)
	store := connect(t, server.URL)
	for range 3 {
		if err := store.Put(t.Context(), "k", nil, time.Minute); err != nil {
			t.Fatal(err)
		}
		server.Kill()
		server.Start()
	}
}

func TestASlowServerIsUnavailable(t *testing.T) {
	t.Parallel()
	server := rig.Redis(t)
	store := connect(t, server.URL)
	client := raw(t, server)
	if err := store.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := client.Do(t.Context(), "CLIENT", "PAUSE", "5000", "ALL").Err(); err != nil {
		t.Fatal(err)
	}
	down(t, store, "paused")
}

func TestAPortThatAcceptsAndSaysNothingIsUnavailable(t *testing.T) {
	t.Parallel()
	for name, parameters := range map[string]string{
		"alone": "", "a cluster": "?cluster=true", "a sentinel": "?master=main",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			down(t, connect(t, "redis://"+l.Addr().String()+parameters), "silent")
		})
	}
}

func TestAFullServerRefusesAndComparesNothing(t *testing.T) {
	t.Parallel()
	server := rig.Redis(t, "--maxmemory-policy", "noeviction")
	store := connect(t, server.URL)
	client := raw(t, server)
	code := ephemeral.Code{ID: "id", Digest: []byte("right"), Tries: 5, ExpiresAt: time.Now().Add(time.Minute)}
	if _, err := store.Arm(t.Context(), "k", code, time.Minute); err != nil {
		t.Fatal(err)
	}
	memory := func(limit string) {
		t.Helper()
		if err := client.ConfigSet(t.Context(), "maxmemory", limit).Err(); err != nil {
			t.Fatal(err)
		}
	}
	memory("1")
	if v, err := store.Consume(t.Context(), "k", []byte("right"), time.Now()); fault.KindOf(err) != fault.Unavailable {
		t.Fatalf("got %+v, %v", v, err)
	}
	memory("0")
	if v, err := store.Consume(t.Context(), "k", []byte("right"), time.Now()); err != nil || v.Outcome != ephemeral.Right {
		t.Fatalf("got %+v, %v", v, err)
	}
}

func TestCheckRefusesAServerThatEvicts(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		args []string
		want string
	}{
		"no limit on memory":           {args: []string{"--maxmemory", "0", "--maxmemory-policy", "allkeys-lru"}},
		"a limit and no eviction":      {args: []string{"--maxmemory", "50mb", "--maxmemory-policy", "noeviction"}},
		"eviction of what has a ttl":   {args: []string{"--maxmemory", "50mb", "--maxmemory-policy", "volatile-lru"}, want: "volatile-lru"},
		"eviction of everything":       {args: []string{"--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lfu"}, want: "allkeys-lfu"},
		"a server that hides it":       {args: []string{"--rename-command", "CONFIG", ""}},
		"a user who may not ask":       {args: []string{"--user", "default", "on", "nopass", "~*", "&*", "+@all", "-config"}},
		"a hidden one that would drop": {args: []string{"--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru", "--rename-command", "CONFIG", ""}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := connect(t, rig.Redis(t, c.args...).URL).Check(t.Context())
			if c.want == "" && err != nil {
				t.Fatal(err)
			}
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || fault.KindOf(err) != fault.Internal) {
				t.Fatalf("got %v, want an error that names %s", err, c.want)
			}
		})
	}
}

// A cluster refuses a script with keys of two slots. Each of ours gets one
// key, and names no other.
func TestEveryScriptTouchesItsOneKeyOnly(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("scripts.go")
	if err != nil {
		t.Fatal(err)
	}
	scripts := strings.Split(string(source), "redis.NewScript(`")[1:]
	if len(scripts) < 5 {
		t.Fatalf("%d scripts found", len(scripts))
	}
	call := regexp.MustCompile(`redis\.p?call\(([^,)]*),? ?([^,)]*)`)
	for i, script := range scripts {
		script, _, _ = strings.Cut(script, "`")
		calls := call.FindAllStringSubmatch(script, -1)
		if len(calls) == 0 {
			t.Errorf("script %d calls nothing", i)
		}
		for _, c := range calls {
			if command, key := c[1], c[2]; key != "KEYS[1]" && command != "'TIME'" {
				t.Errorf("script %d: %s has the key %q", i, command, key)
			}
		}
	}
}
