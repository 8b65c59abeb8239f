package api_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/rig"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api"
	apps "countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/grant"
)

// signers are keys as the service has them, to measure bare signatures with.
type signers struct {
	elliptic *ecdsa.PrivateKey
	rsa      *rsa.PrivateKey
}

func newSigners(b *testing.B) signers {
	b.Helper()
	first, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(b, err)
	second, err := rsa.GenerateKey(rand.Reader, 2048)
	must(b, err)
	return signers{first, second}
}

// bare is what signatures of the tokens alone take, or their verification.
type bare struct{ es256, rs256 lap }

// sign signs all tokens of one answer n times by each algorithm.
func (s signers) sign(h *bench, n int, tokens ...string) bare {
	each := func(by func(sum []byte) error) func(int) {
		return func(int) {
			for _, raw := range tokens {
				sum := sha256.Sum256([]byte(raw[:strings.LastIndex(raw, ".")]))
				if err := by(sum[:]); err != nil {
					h.Error(err)
				}
			}
		}
	}
	return bare{
		h.load(n, each(func(sum []byte) error { _, err := ecdsa.SignASN1(rand.Reader, s.elliptic, sum); return err })),
		h.load(n, each(func(sum []byte) error { _, err := rsa.SignPKCS1v15(nil, s.rsa, crypto.SHA256, sum); return err })),
	}
}

// verify verifies one signature of the token's claims n times by each.
func (s signers) verify(h *bench, n int, raw string) bare {
	input := []byte(raw[:strings.LastIndex(raw, ".")])
	sum := sha256.Sum256(input)
	first, err := ecdsa.SignASN1(rand.Reader, s.elliptic, sum[:])
	must(h.B, err)
	second, err := rsa.SignPKCS1v15(nil, s.rsa, crypto.SHA256, sum[:])
	must(h.B, err)
	return bare{
		h.load(n, func(int) {
			if sum := sha256.Sum256(input); !ecdsa.VerifyASN1(&s.elliptic.PublicKey, sum[:], first) {
				h.Error("not verified")
			}
		}),
		h.load(n, func(int) {
			sum := sha256.Sum256(input)
			h.failed(rsa.VerifyPKCS1v15(&s.rsa.PublicKey, crypto.SHA256, sum[:], second))
		}),
	}
}

func (h *bench) failed(err error) {
	if err != nil {
		h.Error(err)
	}
}

// beside reports calls beside their bare signatures, from the same run. The
// ratio is to ES256, which signs what these calls make and read.
func (h *bench) beside(ours lap, floor bare) {
	h.ReportMetric(0, "ns/op")
	h.ReportMetric(ours.perSecond(), "ours/s")
	h.ReportMetric(ours.cpuEach(), "ours-cpu-ms/op")
	h.ReportMetric(floor.es256.perSecond(), "es256/s")
	h.ReportMetric(floor.es256.cpuEach(), "es256-cpu-ms/op")
	h.ReportMetric(floor.rs256.cpuEach(), "rs256-cpu-ms/op")
	h.ReportMetric(ours.cpuEach()/floor.es256.cpuEach(), "x-es256-cpu")
}

// storefront is a town whose users log in to an app.
type storefront struct {
	*town
	h       *bench
	service *api.Service
	app     apps.App
	server  apps.App // a confidential one, which asks about tokens
	secret  string
	grants  *grant.Service
}

func newStorefront(b *testing.B, database string, short ephemeral.Store) *storefront {
	b.Helper()
	ctx := context.Background()
	f := &storefront{town: newTown(b, database, 1_000)}
	h, service := serveBench(b, database, short, f.keys)
	h.client = spread()
	f.h, f.service = h, service
	uris := []string{callbackURL}
	var err error
	f.app, _, err = service.RegisterApp(ctx, f.where, apps.New{Change: apps.Change{RedirectURIs: &uris}})
	must(b, err)
	var value secret.Text
	f.server, value, err = service.RegisterApp(ctx, f.where, apps.New{Type: apps.Confidential, Change: apps.Change{RedirectURIs: &uris}})
	must(b, err)
	f.secret = value.Reveal()
	f.grants = &grant.Service{Store: f.store, Now: time.Now}
	return f
}

// spread calls from many addresses, each within its limit of calls a minute.
func spread() *http.Client {
	var dialed atomic.Int32
	return &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: inFlight, MaxConnsPerHost: inFlight,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			from := net.IPv4(127, 0, 1, byte(dialed.Add(1)))
			return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: from}}).DialContext(ctx, network, address)
		},
	}}
}

// codes are n codes of logins of all users in turn.
func (f *storefront) codes(n int) []string {
	out := make([]string, n)
	for i := range out {
		code, err := f.grants.NewCode(context.Background(), grant.New{
			Tenant: f.where, UserID: f.people[i%len(f.people)].ID, ClientID: f.app.ID, RedirectURI: callbackURL, Challenge: challengeOf(verifierOK),
			Scope: []string{grant.OpenID, grant.Email, grant.Profile}, AMR: []string{grant.Password},
		})
		must(f.B, err)
		out[i] = code.Reveal()
	}
	return out
}

func (f *storefront) exchange(code string) string {
	return f.h.post(tokenPath, "grant_type", "authorization_code", "client_id", f.app.ID, "code", code, "redirect_uri", callbackURL, "code_verifier", verifierOK)
}

// exchanged are the answers to n codes.
func (f *storefront) exchanged(n int) ([]string, lap) {
	codes, answers := f.codes(n), make([]string, n)
	return answers, f.h.load(n, func(i int) { answers[i-1] = f.exchange(codes[i-1]) })
}

// onEngines runs a benchmark on SQLite with state in process, and on Postgres
// with Redis.
func onEngines(b *testing.B, do func(f *storefront, n int)) {
	b.Helper()
	b.Run("sqlite", func(b *testing.B) {
		do(newStorefront(b, "sqlite:"+filepath.Join(b.TempDir(), "bench.db"), ephemeral.NewMemory(time.Now)), max(b.N, 2*inFlight))
	})
	b.Run("postgres", func(b *testing.B) {
		short, err := ephemeral.NewRedis(ephemeral.RedisConfig{URL: secret.New(rig.Redis(b).URL)})
		must(b, err)
		b.Cleanup(func() { _ = short.Close() })
		do(newStorefront(b, rig.Postgres(b), short), max(b.N, 2*inFlight))
	})
}

// BenchmarkTokens measures what an app asks of the provider over HTTP: tokens
// for a code, tokens for a refresh token, a look at an access token, and what
// it tells of its user. Beside each stand the signatures that it cannot do
// without, two that are made or one that is verified.
func BenchmarkTokens(b *testing.B) {
	with := newSigners(b)
	b.Run("exchange", func(b *testing.B) {
		onEngines(b, func(f *storefront, n int) {
			answers, ours := f.exchanged(n)
			f.h.beside(ours, with.sign(f.h, n, field(answers[0], "access_token"), field(answers[0], "id_token")))
		})
	})
	b.Run("refresh", func(b *testing.B) {
		onEngines(b, func(f *storefront, n int) {
			answers, _ := f.exchanged(n)
			ours := f.h.load(n, func(i int) {
				f.h.post(tokenPath, "grant_type", "refresh_token", "client_id", f.app.ID, "refresh_token", field(answers[i-1], "refresh_token"))
			})
			f.h.beside(ours, with.sign(f.h, n, field(answers[0], "access_token"), field(answers[0], "id_token")))
		})
	})
	b.Run("introspection", func(b *testing.B) {
		onEngines(b, func(f *storefront, n int) {
			answers, _ := f.exchanged(holders)
			ours := f.h.load(n, func(i int) {
				told := f.h.post("/token-srv/introspect", "token", field(answers[i%len(answers)], "access_token"), "client_id", f.server.ID, "client_secret", f.secret)
				if !strings.Contains(told, `"active":true`) {
					f.h.Errorf("told %s", told)
				}
			})
			f.h.beside(ours, with.verify(f.h, n, field(answers[0], "access_token")))
		})
	})
	b.Run("userinfo", func(b *testing.B) {
		onEngines(b, func(f *storefront, n int) {
			answers, _ := f.exchanged(holders)
			lanes := make([]bench, len(answers))
			for i, answer := range answers {
				lanes[i] = *f.h
				lanes[i].token = field(answer, "access_token")
			}
			ours := f.h.load(n, func(i int) {
				if told := lanes[i%len(lanes)].call(http.MethodGet, "/users-srv/userinfo"); field(told, "sub") == "" {
					f.h.Errorf("told %s", told)
				}
			})
			f.h.beside(ours, with.verify(f.h, n, field(answers[0], "access_token")))
		})
	})
}
