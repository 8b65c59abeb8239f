package countersign

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/conf"
	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/logs"
	"countersign.dev/pkg/run"
	"countersign.dev/pkg/secret"
	"countersign.dev/pkg/service"
	"countersign.dev/pkg/telemetry"
	"countersign.dev/services/api"
	"countersign.dev/services/countersign/demoapp"
	"countersign.dev/services/email"
	"countersign.dev/services/sms"
)

// devConfig is the little that dev takes from the environment: everything
// else it makes itself.
type devConfig struct {
	Addr     string     `env:"ADDR" envDefault:"127.0.0.1:8080" doc:"address of the API and the inbox; loopback only"`
	OpsAddr  string     `env:"OPS_ADDR" envDefault:"127.0.0.1:9090" doc:"address of metrics, health and readiness"`
	LogLevel slog.Level `env:"LOG_LEVEL" envDefault:"warn" doc:"debug, info, warn or error"`
}

// Validate refuses to show the inbox to a network.
func (c devConfig) Validate() error {
	mistakes := []error{conf.Address("COUNTERSIGN_OPS_ADDR", c.OpsAddr)}
	if !conf.Loopback(c.Addr) {
		mistakes = append(mistakes, conf.Wrong("COUNTERSIGN_ADDR", "dev shows every code it sends, so it listens on loopback only, such as 127.0.0.1:8080"))
	}
	return errors.Join(mistakes...)
}

type devCommand struct {
	Dir string `default:".countersign" help:"Folder for the data and keys of dev."`
}

func (c devCommand) Run(ctx context.Context, p *process) error {
	cfg, err := conf.Load[devConfig](p.environ)
	if err != nil {
		return err
	}
	d, err := openDev(ctx, cfg, c.Dir, p)
	if err != nil {
		return err
	}
	return errors.Join(d.run(ctx), d.close())
}

// dev is everything in one process on embedded parts.
type dev struct {
	*process
	cfg       devConfig
	home      devHome
	log       *slog.Logger
	telemetry *telemetry.Telemetry
	bus       *bus.Bus
	api       *api.Service
	demo      *demoapp.App
	sms       *sms.Service
	email     *email.Service
	closers   []func()
}

func openDev(ctx context.Context, cfg devConfig, dir string, p *process) (*dev, error) {
	d := &dev{process: p, cfg: cfg, home: devHome{dir}, telemetry: telemetry.New("dev", api.Version), demo: demoapp.New()}
	d.log = logs.New(p.stderr, logs.Config{Level: cfg.LogLevel, Format: "text"})
	if err := d.open(ctx); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *dev) open(ctx context.Context) error {
	keys, err := d.home.prepare()
	if err != nil {
		return err
	}
	database := secret.New("sqlite:" + d.home.path("countersign.db"))
	if err := migrate(ctx, database, keys.seal); err != nil {
		return err
	}
	nats, err := embeddedNATS(d.home.path("nats"))
	if err != nil {
		return err
	}
	d.closers = append(d.closers, func() { nats.Shutdown(); nats.WaitForShutdown() })
	if d.bus, err = bus.Connect(bus.Config{Conn: nats, Name: "dev", Log: d.log, Observe: d.telemetry.Bus()}); err != nil {
		return err
	}
	d.closers = append(d.closers, d.bus.Close)
	short := ephemeral.NewMemory(time.Now)

	worker := service.Config{DeliveryKeys: keys.delivery, Dev: true}
	parts := service.Parts{Ephemeral: short, Bus: d.bus, Telemetry: d.telemetry, Log: d.log}
	if d.sms, err = sms.New(ctx, sms.Config{Config: worker, Provider: "inbox", Workers: 4}, parts); err != nil {
		return err
	}
	if d.email, err = email.New(ctx, email.Config{Config: worker, Provider: "inbox"}, parts); err != nil {
		return err
	}
	d.api, err = api.New(ctx, api.Config{
		Addr: d.cfg.Addr, BaseURL: "http://" + d.cfg.Addr, DatabaseURL: database, SealKeys: keys.seal, DeliveryKeys: keys.delivery,
		IndexKey: keys.index, Guesses: 5, GuessCap: 100, SMSCodeLife: 5 * time.Minute, SMSCodeTries: 5, InsecureDev: true,
	}, api.Parts{Ephemeral: short, Bus: d.bus, Telemetry: d.telemetry, Log: d.log, Inbox: true, Demo: d.demo})
	return err
}

func migrate(ctx context.Context, database, keys secret.Text) error {
	admin, err := api.Operator(ctx, api.OperatorConfig{DatabaseURL: database, SealKeys: keys})
	if err != nil {
		return err
	}
	return errors.Join(admin.Migrate(ctx), admin.Close())
}

func (d *dev) run(ctx context.Context) error {
	g := &run.Group{Log: d.log}
	g.OnStopping(d.telemetry.SetDraining)
	g.Add("bus", d.bus.Run)
	g.Add("operations", operations(d.cfg.OpsAddr, d.telemetry, d.log))
	d.sms.Add(g)
	d.email.Add(g)
	d.api.Add(g)
	g.Add("tour", d.welcome)
	return g.Run(ctx)
}

func (d *dev) close() error {
	var err error
	if d.api != nil {
		err = d.api.Close()
	}
	if d.email != nil {
		err = errors.Join(err, d.email.Close())
	}
	if d.sms != nil {
		err = errors.Join(err, d.sms.Close())
	}
	for _, closePart := range slices.Backward(d.closers) {
		closePart()
	}
	return err
}

// welcome plays the tour at the first start, says where things are at every
// start, and then waits for the end like every other part.
func (d *dev) welcome(ctx context.Context) error {
	base := "http://" + d.api.Addr()
	env, err := d.home.readEnv()
	if errors.Is(err, os.ErrNotExist) {
		env, err = d.firstStart(ctx, base)
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("play the tour: %w", err)
	}
	if err := d.settleDemo(ctx, base, env); err != nil {
		return fmt.Errorf("set the demo up: %w", err)
	}
	env["COUNTERSIGN_URL"] = base
	if err := d.home.writeEnv(env); err != nil {
		return err
	}
	fmt.Fprintf(d.stdout, nextSteps, base, demoSteps(env), base, base, d.cfg.OpsAddr, d.home.path("dev.env"), newSignIn(base, env["COUNTERSIGN_APP_CLIENT_ID"]).steps())
	<-ctx.Done()
	return nil
}

const nextSteps = `
Countersign is up: %s (Ctrl-C stops it)
  demo     %s
  inbox    %s/inbox shows every message as it arrives
  API      %s/docs shows every call, and tries it
  health   http://%s/readyz, and /metrics
  shell    . %s   sets COUNTERSIGN_URL, _ACCOUNT, _CLIENT_ID, _CLIENT_SECRET, _ORG, _USER_ID,
           _APP_CLIENT_ID, _APP_REDIRECT_URI: the demo app, a public OAuth client
           _DEMO_URL, _DEMO_CLIENT_ID, _DEMO_EMAIL, _DEMO_PASSWORD: the app at /demo, and who may sign in
%s
Send yourself a code:
  TOKEN=$(curl -s "$COUNTERSIGN_URL/api/v2/oauth/token" -d grant_type=client_credentials \
    -d "client_id=$COUNTERSIGN_CLIENT_ID" -d "client_secret=$COUNTERSIGN_CLIENT_SECRET" | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  curl -s -X POST "$COUNTERSIGN_URL/api/v2/org/$COUNTERSIGN_ORG/totp-challenge/$COUNTERSIGN_USER_ID" -H "Authorization: Bearer $TOKEN"
`

func (d *dev) firstStart(ctx context.Context, base string) (map[string]string, error) {
	admin := d.api.Admin()
	if err := admin.CreateAccount(ctx, demoAccount, "Demo"); err != nil {
		return nil, err
	}
	key, err := admin.CreateKey(ctx, demoAccount, "sandbox", "dev", []string{api.AllScopes})
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(d.stdout, "First start: account %q with a sandbox API key of all scopes. This is what an app does:\n", demoAccount)
	t := &tour{client: newClient(base, d.stdout), key: demoKey{key.ClientID, key.ClientSecret.Reveal()}}
	if err := t.play(ctx); err != nil {
		return nil, err
	}
	return map[string]string{
		"COUNTERSIGN_ACCOUNT": demoAccount, "COUNTERSIGN_CLIENT_ID": t.key.id, "COUNTERSIGN_CLIENT_SECRET": t.key.secret,
		"COUNTERSIGN_ORG": t.org, "COUNTERSIGN_USER_ID": t.user,
		"COUNTERSIGN_APP_CLIENT_ID": t.appID, "COUNTERSIGN_APP_REDIRECT_URI": demoCallback,
		demoEmailName: cleoEmail, demoPasswordName: cleoPassword,
	}, nil
}
