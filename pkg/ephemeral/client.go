package ephemeral

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// How commands reach Redis: each exactly once, under one deadline.

// once is a command that the client must not send again by itself. It would,
// in a cluster, after a lost answer: then one guess would cost several tries
// and the first right one would be told "used".
type once struct{ *redis.Cmd }

// NoRetry implements redis.Cmder.
func (once) NoRetry() bool { return true }

// single runs scripts through once. It stands in for the client where
// redis.Script wants one.
type single struct{ redis.UniversalClient }

func (s single) send(ctx context.Context, args ...any) *redis.Cmd {
	cmd := redis.NewCmd(ctx, args...)
	_ = s.Process(ctx, once{cmd}) // the error is in cmd
	return cmd
}

// EvalSha implements redis.Scripter.
func (s single) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	return s.eval(ctx, "evalsha", sha, keys, args)
}

// Eval implements redis.Scripter.
func (s single) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return s.eval(ctx, "eval", script, keys, args)
}

func (s single) eval(ctx context.Context, name, script string, keys []string, args []any) *redis.Cmd {
	all := []any{name, script, len(keys)}
	for _, key := range keys {
		all = append(all, key)
	}
	return s.send(ctx, append(all, args...)...)
}

func (r *Redis) do(ctx context.Context, args ...any) *redis.Cmd {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	return single{r.client}.send(ctx, args...)
}

// run runs a script by its hash, or by its text where the server has
// forgotten it (restart, failover, SCRIPT FLUSH).
func (r *Redis) run(ctx context.Context, script *redis.Script, key string, args ...any) *redis.Cmd {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	return script.Run(ctx, single{r.client}, []string{r.prefix + key}, args...)
}

// Check reports a server that would throw state away when its memory is full:
// each claim, code or limit that it drops is a message sent twice, a code that
// nobody can use or a budget given back. It returns a fault of kind
// Unavailable when a server does not answer, a plain error when it evicts. A
// server that does not show its configuration is taken as it is.
func (r *Redis) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	if err := r.Ping(ctx); err != nil {
		return err
	}
	cluster, ok := r.client.(*redis.ClusterClient)
	if !ok {
		return checkEviction(ctx, r.client)
	}
	return cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		return checkEviction(ctx, node)
	})
}

func checkEviction(ctx context.Context, node redis.Cmdable) error {
	set := map[string]string{}
	for _, name := range []string{"maxmemory", "maxmemory-policy"} {
		values, err := node.ConfigGet(ctx, name).Result()
		if redis.HasErrorPrefix(err, "NOPERM") || redis.HasErrorPrefix(err, "unknown command") {
			return nil
		}
		if err != nil {
			return failed("check", err)
		}
		set[name] = values[name]
	}
	if set["maxmemory"] == "0" || set["maxmemory-policy"] == "noeviction" {
		return nil
	}
	return fmt.Errorf("redis drops keys when its memory is full (maxmemory-policy %s): set maxmemory-policy noeviction",
		set["maxmemory-policy"])
}
