package ephemeral

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"countersign.dev/pkg/secret"
)

// defaultPrefix is the same in every process, because they share the state.
const defaultPrefix = "countersign:"

// RedisConfig says where Redis is.
type RedisConfig struct {
	// URL is redis://user:password@host:port/db, or rediss:// for TLS. Several
	// comma separated addresses, or ?cluster=true behind one, mean a cluster;
	// ?master=name means that the addresses are sentinels, which may have
	// credentials of their own: &sentinel_user=…&sentinel_password=….
	// Without TLS only this machine is accepted as host.
	URL secret.Text
	// CAFile holds the certificates (PEM) that TLS trusts, those of the
	// system when it is empty.
	CAFile string
	// ServerName is what the certificates are for. Empty means the host that
	// is dialed; nodes of a cluster may be known by bare addresses.
	ServerName string
	// Prefix comes before every key, "countersign:" when it is empty.
	Prefix string
	// Now is the caller's clock, time.Now when it is nil.
	Now func() time.Time
}

// options turns the configuration into the client's. No error repeats a part
// of the URL: with a password that is not escaped, any part may be a piece of
// it. That is also why net/url does not parse it, whose errors quote it.
func (c RedisConfig) options() (*redis.UniversalOptions, error) {
	if strings.ContainsAny(c.Prefix, "{}") {
		return nil, errors.New("the prefix holds a brace, which would decide the slot of every key")
	}
	scheme, rest, ok := strings.Cut(c.URL.Reveal(), "://")
	if !ok || scheme != "redis" && scheme != "rediss" {
		return nil, errors.New("the URL does not start with redis:// or rediss://")
	}
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	o := baseOptions()
	if i := strings.LastIndex(authority, "@"); i >= 0 {
		if err := setCredentials(o, authority[:i]); err != nil {
			return nil, err
		}
		authority = authority[i+1:]
	}
	path, query, _ := strings.Cut(tail, "?")
	if err := setQuery(o, query); err != nil {
		return nil, err
	}
	if err := setAddresses(o, authority); err != nil {
		return nil, err
	}
	if err := setDatabase(o, strings.TrimPrefix(path, "/")); err != nil {
		return nil, err
	}
	return o, c.secure(o, scheme == "rediss")
}

func baseOptions() *redis.UniversalOptions {
	return &redis.UniversalOptions{
		DialTimeout: dialWithin, ReadTimeout: ioWithin, WriteTimeout: ioWithin,
		PoolTimeout: dialWithin, ContextTimeoutEnabled: true,
		// One try: the caller decides about another, and the library's own
		// would not fit into the deadline.
		MaxRetries: -1, DialerRetries: 1,
		MaxRedirects: 3, // of a cluster whose slots have moved
		// Nothing but our own commands on the wire.
		DisableIdentity: true, PipelinePoolSize: -1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

func setCredentials(o *redis.UniversalOptions, text string) error {
	user, password, both := strings.Cut(text, ":")
	var errUser, errPassword error
	o.Username, errUser = url.PathUnescape(user)
	o.Password, errPassword = url.PathUnescape(password)
	if errUser != nil || errPassword != nil || !both {
		return errors.New("the credentials in the URL are not user:password with % escapes")
	}
	return nil
}

func setQuery(o *redis.UniversalOptions, text string) error {
	query, err := url.ParseQuery(text)
	if err != nil {
		return errors.New("the parameters of the URL cannot be read")
	}
	for name, values := range query {
		switch value := values[0]; name {
		case "master":
			o.MasterName = value
		case "sentinel_user":
			o.SentinelUsername = value
		case "sentinel_password":
			o.SentinelPassword = value
		case "cluster":
			if o.IsClusterMode, err = strconv.ParseBool(value); err != nil {
				return errors.New("the URL's parameter cluster is neither true nor false")
			}
		default:
			return errors.New("the URL has a parameter other than master, cluster, sentinel_user and sentinel_password")
		}
	}
	if o.MasterName != "" && o.IsClusterMode {
		return errors.New("the URL asks for a sentinel's master and for a cluster")
	}
	return nil
}

func setAddresses(o *redis.UniversalOptions, text string) error {
	port := "6379"
	if o.MasterName != "" {
		port = "26379"
	}
	for address := range strings.SplitSeq(text, ",") {
		if _, _, err := net.SplitHostPort(address); err != nil {
			address = net.JoinHostPort(strings.Trim(address, "[]"), port)
		}
		host, port, err := net.SplitHostPort(address)
		if n, errPort := strconv.ParseUint(port, 10, 16); err != nil || errPort != nil || n == 0 || host == "" {
			return errors.New("an address in the URL is not host:port")
		}
		o.Addrs = append(o.Addrs, address)
	}
	return nil
}

func setDatabase(o *redis.UniversalOptions, text string) error {
	if text == "" {
		return nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return errors.New("the URL's path is not the number of a database")
	}
	if n != 0 && o.MasterName == "" && (len(o.Addrs) > 1 || o.IsClusterMode) {
		return errors.New("a cluster has no databases: leave the URL's path empty")
	}
	o.DB = int(n)
	return nil
}

// secure sets up TLS, always verified, or makes sure that the bytes do not
// leave the machine.
func (c RedisConfig) secure(o *redis.UniversalOptions, encrypted bool) error {
	dialer := &net.Dialer{Timeout: dialWithin, KeepAlive: 30 * time.Second}
	if !encrypted {
		o.Dialer = dialer.DialContext
		for _, address := range o.Addrs {
			if !loopback(address) {
				return errors.New("redis:// is for this machine only: use rediss:// for another host")
			}
		}
		return nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return fmt.Errorf("read the CA file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return errors.New("the CA file holds no certificate")
		}
	}
	// The client's own TLS dialer does not listen to the context.
	overTLS := &tls.Dialer{NetDialer: dialer, Config: config}
	o.Dialer = func(ctx context.Context, network, address string) (net.Conn, error) {
		return overTLS.DialContext(ctx, network, address)
	}
	o.TLSConfig = config
	return nil
}

func loopback(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
