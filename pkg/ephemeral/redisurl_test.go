package ephemeral

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"countersign.dev/pkg/secret"
)

func TestTheURLSaysWhereRedisIs(t *testing.T) {
	t.Parallel()
	type where struct {
		Addrs                     []string
		User, Password            string
		DB                        int
		Master                    string
		SentinelUser, SentinelKey string
		Cluster, TLS              bool
	}
	cases := map[string]struct {
		url  string
		want where
	}{
		"one server":                  {"redis://127.0.0.1:1234", where{Addrs: []string{"127.0.0.1:1234"}}},
		"the usual port":              {"redis://localhost", where{Addrs: []string{"localhost:6379"}}},
		"a database":                  {"redis://localhost/3", where{Addrs: []string{"localhost:6379"}, DB: 3}},
		"a slash at the end":          {"redis://localhost:1/", where{Addrs: []string{"localhost:1"}}},
		"IPv6":                        {"redis://[::1]:7", where{Addrs: []string{"[::1]:7"}}},
		"IPv6 and the usual port":     {"redis://[::1]", where{Addrs: []string{"[::1]:6379"}}},
		"a password without a user":   {"redis://:pa%40ss%2Fword@localhost", where{Addrs: []string{"localhost:6379"}, Password: "pa@ss/word"}},
		"a user":                      {"rediss://me:p:q@redis.example:1", where{Addrs: []string{"redis.example:1"}, User: "me", Password: "p:q", TLS: true}},
		"an @ in the password":        {"redis://u:p@q@localhost", where{Addrs: []string{"localhost:6379"}, User: "u", Password: "p@q"}},
		"a cluster":                   {"rediss://a:1,b:2,c", where{Addrs: []string{"a:1", "b:2", "c:6379"}, TLS: true}},
		"a cluster behind one name":   {"rediss://a:1?cluster=true", where{Addrs: []string{"a:1"}, Cluster: true, TLS: true}},
		"one server, said explicitly": {"rediss://a:1?cluster=false", where{Addrs: []string{"a:1"}, TLS: true}},
		"sentinels": {
			"rediss://u:p@s1,s2:5/2?master=main&sentinel_user=su&sentinel_password=s%26p",
			where{
				Addrs: []string{"s1:26379", "s2:5"}, User: "u", Password: "p", DB: 2, Master: "main",
				SentinelUser: "su", SentinelKey: "s&p", TLS: true,
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, err := RedisConfig{URL: secret.New(c.url)}.options()
			if err != nil {
				t.Fatal(err)
			}
			got := where{
				o.Addrs, o.Username, o.Password, o.DB, o.MasterName,
				o.SentinelUsername, o.SentinelPassword, o.IsClusterMode, o.TLSConfig != nil,
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Fatalf("got %+v, want %+v", got, c.want)
			}
			if o.TLSConfig != nil && o.TLSConfig.InsecureSkipVerify {
				t.Fatal("certificates are not verified")
			}
		})
	}
}

func TestAWrongConfigurationIsRefusedWithoutRepeatingIt(t *testing.T) {
	t.Parallel()
	noPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(noPEM, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	const canary = "k4n4ry"
	cases := map[string]RedisConfig{
		"nothing":                     {},
		"no scheme":                   {URL: secret.New("localhost:6379/" + canary)},
		"another scheme":              {URL: secret.New("http://u:" + canary + "@localhost")},
		"no host":                     {URL: secret.New("redis://u:" + canary + "@")},
		"no host beside a port":       {URL: secret.New("redis://:6379")},
		"an empty address":            {URL: secret.New("redis://localhost,")},
		"a port that is none":         {URL: secret.New("redis://localhost:" + canary)},
		"a port that is too large":    {URL: secret.New("redis://localhost:65536")},
		"a bad escape":                {URL: secret.New("redis://u:%zz" + canary + "@localhost")},
		"a user without a password":   {URL: secret.New("redis://" + canary + "@localhost")},
		"a password with a slash":     {URL: secret.New("redis://u:a/" + canary + "@localhost")},
		"a password with a question":  {URL: secret.New("redis://u:a?" + canary + "@localhost")},
		"a database that is none":     {URL: secret.New("redis://localhost/" + canary)},
		"an unknown parameter":        {URL: secret.New("redis://localhost?" + canary + "=1")},
		"no verification":             {URL: secret.New("rediss://redis.example?skip_verify=true")},
		"a bad parameter":             {URL: secret.New("redis://localhost?cluster=" + canary)},
		"a broken query":              {URL: secret.New("redis://localhost?a=%zz" + canary)},
		"a cluster with a database":   {URL: secret.New("rediss://a,b/1")},
		"a sentinel's cluster":        {URL: secret.New("rediss://a?master=m&cluster=true")},
		"plain text to another host":  {URL: secret.New("redis://u:" + canary + "@redis.example")},
		"plain text to one of many":   {URL: secret.New("redis://localhost,10.0.0.1:6379")},
		"a prefix that picks a slot":  {URL: secret.New("redis://localhost"), Prefix: "{a}:"},
		"a CA file that is not there": {URL: secret.New("rediss://redis.example"), CAFile: noPEM + ".not"},
		"a CA file without one":       {URL: secret.New("rediss://redis.example"), CAFile: noPEM},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, err := NewRedis(c)
			if err == nil {
				_ = store.Close()
				t.Fatal("accepted")
			}
			if strings.Contains(err.Error(), canary) {
				t.Fatalf("the error repeats the URL: %v", err)
			}
		})
	}
}
