package house_test

// The import table. Each package has one row with all it may import: packages
// of ours by their path in the tree, modules of others by their name. The
// standard library is free except for what a row names under never. Tests may
// import their own package, the helpers and libraries below, in services all of
// pkg, and what their row names for them.
//
// Rules import only downwards, in the order in which they stand here.

// outside is what rules must not know: how a request came in, where things
// are kept, and the machine they run on.
var outside = []string{"net/http", "database/sql", "os"}

// testHelpers are packages for tests alone: no program contains them.
var testHelpers = map[string]string{
	"pkg/rig":                     "real Redis and Postgres as child processes",
	"pkg/bus/bustest":             "a real NATS server inside the test",
	"pkg/rig/smtpsink":            "a mail server that keeps what it takes and misbehaves on demand",
	"pkg/rig/rangeapi":            "the range API of breached passwords, which misbehaves on demand",
	"pkg/ephemeral/ephemeraltest": "the suite that every store of short-lived state runs",
	"services/e2e/stage":          "the programs as processes, and an app that calls them",
}

// testLibraries are modules of others that any test may import.
var testLibraries = []string{"go.uber.org/goleak", "pgregory.net/rapid"}

const (
	api = "services/api/internal/"
	sms = "services/sms/internal/"

	email = "services/email/internal/"
)

var layers = map[string]layer{
	// pkg: below every service, knows none of them.
	"pkg/event": {
		never: outside,
		why:   "the contract on the bus: whoever reads it needs nothing but Go",
	},
	"pkg/fault": {
		never: outside,
		why:   "the one error type: everything else imports it",
	},
	"pkg/secret": {
		never: outside,
		why:   "values that print as ***: everything else imports it",
	},
	"pkg/bus": {
		ours:   []string{"pkg/event", "pkg/fault"},
		others: []string{"github.com/nats-io/nats.go"},
		never:  []string{"net/http", "database/sql"},
		tests:  []string{"github.com/nats-io/nats-server/v2"},
		why:    "publishing and consuming: the only one that knows NATS",
	},
	"pkg/bus/bustest": {
		ours:   []string{"pkg/bus"},
		others: []string{"github.com/nats-io/nats-server/v2"},
		why:    "a NATS server for tests, with the streams of pkg/bus",
	},
	"pkg/ephemeral": {
		ours:   []string{"pkg/fault", "pkg/secret"},
		others: []string{"github.com/redis/go-redis/v9"},
		never:  []string{"net/http", "database/sql"},
		why:    "short-lived state: the only one that knows Redis",
	},
	"pkg/ephemeral/ephemeraltest": {
		ours: []string{"pkg/ephemeral", "pkg/fault"},
		why:  "the suite of pkg/ephemeral",
	},
	"pkg/claim": {
		never: outside,
		tests: []string{"pkg/ephemeral", "pkg/fault", "pkg/secret"},
		why:   "who may send a delivery: rules over short-lived state, which is an interface to it",
	},
	"pkg/brand": {
		others: []string{"golang.org/x/text"},
		never:  outside,
		why:    "names made harmless: what the texts of all channels share",
	},
	"pkg/gsm": {
		others: []string{"golang.org/x/text"},
		never:  outside,
		why:    "what a text message takes on the air: counts characters and knows no message",
	},
	"pkg/wording": {
		ours:   []string{"pkg/brand", "pkg/event", "pkg/gsm"},
		others: []string{"golang.org/x/net"},
		never:  outside,
		why:    "organizations' own words, as the api checks and the workers send them; the library reads their pages",
	},
	"pkg/courier": {
		ours:  []string{"pkg/claim", "pkg/event", "pkg/fault"},
		never: outside,
		tests: []string{"pkg/ephemeral", "pkg/seal", "pkg/secret"}, // real claims and keys
		why:   "what happens to one message; never a provider, never the bus",
	},
	"pkg/courier/inbox": {
		ours:  []string{"pkg/courier", "pkg/event"},
		never: outside,
		tests: []string{"pkg/fault", "pkg/seal"},
		why:   "the sandbox's provider: the message goes back with its result",
	},
	"pkg/service": {
		ours: []string{"pkg/bus", "pkg/claim", "pkg/conf", "pkg/courier", "pkg/courier/inbox", "pkg/ephemeral", "pkg/event", "pkg/logs",
			"pkg/run", "pkg/seal", "pkg/secret", "pkg/telemetry", "pkg/web"},
		never: []string{"database/sql"},
		tests: []string{"pkg/fault"},
		why:   "wiring that all workers share; knows no channel and no provider",
	},
	"pkg/seal": {
		ours:  []string{"pkg/secret"},
		never: outside,
		why:   "cryptography on bytes; where they are kept is not its business",
	},
	"pkg/zxcvbn": {
		never: outside,
		why:   "what a password is worth: computes, and keeps nothing",
	},
	"pkg/dkim": {
		ours:  []string{"pkg/secret"},
		never: outside,
		why:   "keys that sign mails, and their DNS records; signs nothing itself",
	},
	"pkg/breachset": {
		never: outside,
		why:   "a large set in a small file: bytes in and out, wherever they are kept",
	},
	"pkg/conf": {
		ours:   []string{"pkg/secret"},
		others: []string{"github.com/caarlos0/env/v11"},
		never:  []string{"net/http", "database/sql"},
		why:    "configuration: the only one that reads the environment",
	},
	"pkg/logs": {
		ours:  []string{"pkg/fault", "pkg/secret"},
		never: outside,
		why:   "logging with redaction: knows what must not be written",
	},
	"pkg/run": {
		ours:  []string{"pkg/conf", "pkg/logs"},
		never: []string{"net/http", "database/sql"},
		why:   "the life of a process: start, parts, signals, drain",
	},
	"pkg/telemetry": {
		ours:   []string{"pkg/fault"},
		others: []string{"github.com/prometheus/client_golang"},
		never:  []string{"database/sql"},
		why:    "metrics, health and readiness over HTTP",
	},
	"pkg/web": {
		ours:  []string{"pkg/fault", "pkg/logs"},
		never: []string{"database/sql"},
		tests: []string{"pkg/secret"},
		why:   "what every HTTP server of ours does; logs, because it writes the access line",
	},
	"pkg/rig": {
		others: []string{"github.com/jackc/pgx/v5"},
		why:    "real servers for tests: starts and kills programs",
	},
	"pkg/rig/rangeapi": {
		why: "stands in for an outside party: must not share a bug with us, so it imports nothing of ours",
	},
	"pkg/rig/smtpsink": {
		why: "stands in for an outside party: must not share a bug with us, so it imports nothing of ours",
	},

	// services/api: rules, the lowest first.
	api + "listing": {
		never: outside,
		why:   "pages of a list: the lowest rule",
	},
	api + "id": {
		ours:   []string{"pkg/secret"},
		others: []string{"github.com/google/uuid", "github.com/segmentio/ksuid"},
		never:  outside,
		why:    "ids and random secrets: the lowest rule",
	},
	api + "totp": {
		ours:   []string{"pkg/fault", "pkg/secret"},
		others: []string{"github.com/pquerna/otp"},
		never:  outside,
		why:    "keys and codes of authenticator apps: computes, and compares nothing",
	},
	api + "tenant": {
		ours:   []string{"pkg/fault", api + "id", api + "listing", api + "totp"},
		others: []string{"golang.org/x/net", "golang.org/x/text"},
		never:  outside,
		why:    "accounts, organizations, connections: everything belongs to one",
	},
	api + "phone": {
		ours:   []string{"pkg/fault"},
		others: []string{"github.com/nyaruka/phonenumbers"},
		never:  outside,
		why:    "which numbers may receive codes",
	},
	api + "apikey": {
		ours:  []string{"pkg/fault", "pkg/secret", api + "id", api + "listing", api + "tenant"},
		never: outside,
		why:   "API keys and scopes",
	},
	api + "activity": {
		ours:  []string{"pkg/event", api + "listing", api + "tenant"},
		never: outside,
		why:   "what happened, in chains; hears of rules only what they record",
	},
	api + "delivery": {
		ours:  []string{"pkg/event", "pkg/fault", api + "listing", api + "tenant"},
		never: outside,
		why:   "what became of each message",
	},
	api + "outbox": {
		ours:  []string{"pkg/event", "pkg/secret", api + "activity", api + "delivery", api + "id", api + "tenant"},
		never: outside,
		why:   "what must leave the house after a change of state",
	},
	api + "app": {
		ours:  []string{"pkg/event", "pkg/fault", "pkg/secret", api + "activity", api + "id", api + "listing", api + "outbox", api + "tenant"},
		never: outside,
		why:   "apps: the OAuth clients of an organization's environment",
	},
	api + "consent": {
		ours:  []string{"pkg/event", "pkg/fault", api + "activity", api + "app", api + "outbox", api + "tenant"},
		never: outside,
		why:   "what users have allowed apps; asks nobody, and knows no page",
	},
	api + "template": {
		ours:  []string{"pkg/event", "pkg/fault", "pkg/wording", api + "activity", api + "id", api + "listing", api + "outbox", api + "tenant"},
		never: outside,
		why:   "organizations' own words: which there are and which are used; sends nothing",
	},
	api + "preview": {
		ours:  []string{"pkg/fault", "pkg/secret", api + "tenant"},
		never: outside,
		tests: []string{"pkg/seal"}, // real tickets
		why:   "tickets that show an organization's pages with sample data; knows no page",
	},
	api + "user": {
		ours:   []string{"pkg/fault", api + "id", api + "listing", api + "outbox", api + "phone", api + "tenant"},
		others: []string{"golang.org/x/net", "golang.org/x/text"},
		never:  outside,
		why:    "users of an organization; the libraries bring addresses into one form",
	},
	api + "mailserver": {
		ours:  []string{"pkg/dkim", "pkg/event", "pkg/fault", "pkg/secret", api + "activity", api + "id", api + "outbox", api + "tenant", api + "user"},
		never: outside,
		why:   "mail servers of organizations: what one may be; connects to none",
	},
	api + "hashing": {
		ours:  []string{"pkg/fault"},
		never: outside,
		why:   "bounds what is hashed at once; knows no password",
	},
	api + "device": {
		ours:  []string{"pkg/secret", api + "id", api + "tenant"},
		never: outside,
		why:   "browsers that users have signed in from; counts no guess",
	},
	api + "guard": {
		ours:  []string{"pkg/ephemeral", "pkg/event", "pkg/fault", "pkg/secret", api + "activity", api + "device", api + "outbox", api + "tenant"},
		never: outside,
		tests: []string{api + "hashing", api + "password", api + "sqlstore", api + "user", "golang.org/x/crypto"}, // the real parts of a login, and a bare hash to measure it by
		why:   "counts and compares; knows no factor, only whose budget",
	},
	api + "grant": {
		ours:  []string{"pkg/fault", "pkg/secret", api + "id", api + "tenant", api + "user"},
		never: outside,
		tests: []string{api + "sqlstore", api + "apikey"}, // the real store, and a key that may exchange codes
		why:   "what a login turns into: codes and refresh tokens; signs nothing",
	},
	api + "session": {
		ours:  []string{"pkg/event", "pkg/fault", "pkg/secret", api + "activity", api + "grant", api + "id", api + "outbox", api + "tenant", api + "user"},
		never: outside,
		tests: []string{api + "sqlstore", api + "apikey"}, // the real store, and a key that may exchange codes
		why:   "sessions of browsers: what was proven in one, and for how long that counts; knows no page",
	},
	api + "challenge": {
		ours:  []string{"pkg/ephemeral", "pkg/event", "pkg/fault", "pkg/secret", api + "delivery", api + "guard", api + "id", api + "tenant"},
		never: outside,
		tests: []string{api + "sqlstore", api + "user", api + "listing"}, // the real store, a user to have codes, and a list of what was stopped
		why:   "codes: makes, sends and checks them; hears of the bus as an interface",
	},
	api + "notice": {
		ours:  []string{"pkg/event", "pkg/fault", api + "activity", api + "challenge", api + "outbox", api + "template", api + "tenant", api + "user"},
		never: outside,
		why:   "mails that tell users what happened to their accounts; asks no rule whether it did",
	},
	api + "factor": {
		ours: []string{"pkg/ephemeral", "pkg/event", "pkg/fault", "pkg/secret", "pkg/wording", api + "activity", api + "challenge", api + "guard", api + "id", api + "notice",
			api + "outbox", api + "phone", api + "tenant", api + "totp", api + "user"},
		never: outside,
		why:   "second factors: whose they are, and what becomes of them",
	},
	api + "token": {
		ours:   []string{"pkg/fault", "pkg/secret", api + "apikey", api + "app", api + "grant", api + "id", api + "user"},
		others: []string{"github.com/go-jose/go-jose/v4"},
		never:  outside,
		tests:  []string{api + "sqlstore", api + "tenant"}, // the real store, and whose tokens
		why:    "access tokens: the only rule that signs",
	},
	api + "login": {
		ours:  []string{"pkg/fault", "pkg/secret", api + "grant", api + "tenant"},
		never: outside,
		why:   "decides whether what was proven is enough; asks for second factors through an interface, so that all that proves can import it",
	},
	api + "logout": {
		ours:  []string{"pkg/fault", "pkg/secret", api + "activity", api + "app", api + "session", api + "tenant", api + "token"},
		never: outside,
		why:   "decides whose session a request to sign out ends, and where the browser goes; knows no page",
	},
	api + "link": {
		ours: []string{"pkg/event", "pkg/fault", "pkg/secret", api + "activity", api + "apikey", api + "challenge", api + "grant", api + "id", api + "login",
			api + "notice", api + "outbox", api + "template", api + "tenant", api + "user"},
		never: outside,
		why:   "links that are sent by e-mail, and the codes that they become; knows no page and no password",
	},
	api + "mailcode": {
		ours: []string{"pkg/ephemeral", "pkg/event", "pkg/secret", api + "activity", api + "challenge", api + "factor", api + "guard", api + "id", api + "link",
			api + "notice", api + "outbox", api + "template", api + "tenant", api + "user"},
		never: outside,
		tests: []string{api + "sqlstore", api + "delivery", api + "listing"}, // the real store, and what it lists
		why:   "codes that are sent by e-mail: a second way for what challenge makes, within the budgets of links",
	},
	api + "breach": {
		ours:  []string{"pkg/breachset", "pkg/secret"},
		never: []string{"database/sql", "os"},
		why:   "whether a password was in a breach: the one rule that asks somebody over HTTP; where its file lies, and what follows, is not its business",
	},
	api + "password": {
		ours: []string{"pkg/event", "pkg/fault", "pkg/seal", "pkg/secret", "pkg/zxcvbn", api + "activity", api + "apikey", api + "factor", api + "grant",
			api + "guard", api + "id", api + "link", api + "login", api + "notice", api + "outbox", api + "session", api + "template", api + "tenant", api + "user"},
		others: []string{"golang.org/x/crypto", "golang.org/x/text"},
		never:  outside,
		tests:  []string{api + "sqlstore", api + "delivery", api + "listing"}, // the real store, and what it lists
		why:    "passwords, their hashes and their policy: the highest rule; the libraries hash and bring texts into one form",
	},

	api + "flow": {
		ours: []string{"pkg/event", "pkg/fault", "pkg/secret", api + "activity", api + "app", api + "consent", api + "factor", api + "grant", api + "guard", api + "id", api + "link",
			api + "login", api + "mailcode", api + "notice", api + "password", api + "session", api + "tenant", api + "token", api + "user"},
		never: outside,
		tests: []string{api + "outbox"}, // records of sessions
		why:   "authorization requests, from the app and back with a code; asks all that proves something, and knows no page",
	},

	api + "exchange": {
		ours: []string{"pkg/ephemeral", "pkg/event", "pkg/fault", "pkg/secret", api + "activity", api + "app", api + "factor", api + "flow", api + "grant", api + "guard", api + "id",
			api + "link", api + "login", api + "mailcode", api + "notice", api + "password", api + "session", api + "tenant", api + "user"},
		tests: []string{"pkg/seal"},
		never: outside,
		why:   "logins that an app's own page leads through by exchange ids: keeps the stages, asks all that proves something, and knows no path",
	},

	api + "transfer": {
		ours:  []string{"pkg/event", "pkg/fault", "pkg/secret", api + "activity", api + "id", api + "outbox", api + "password", api + "tenant", api + "user"},
		never: outside,
		why:   "moves users in and out: what a line of a file means; asks the rules of users and passwords whether it may be",
	},

	// services/api: what brings deliveries back, and the store.
	api + "backchannel": {
		ours:  []string{"pkg/fault", "pkg/secret", api + "app", api + "tenant", api + "token"},
		never: []string{"database/sql", "os"},
		tests: []string{api + "sqlstore", api + "session", api + "grant", api + "user", api + "activity", api + "outbox"}, // the real store, and what ends in it
		why:   "tells apps that a session has ended: the other rule that speaks HTTP, since the answer decides what follows",
	},
	api + "relay": {
		ours:  []string{"pkg/event", "pkg/fault", api + "outbox"},
		never: outside,
		tests: []string{api + "sqlstore", api + "activity", api + "delivery", api + "id", api + "listing", api + "mailserver", api + "tenant", "github.com/nats-io/nats.go"}, // the real store, and a reader of events
		why:   "publishes the outbox, consumes results and hands them to the delivery rules, through interfaces",
	},
	api + "sqlstore": {
		ours: []string{"pkg/event", "pkg/fault", "pkg/seal", "pkg/secret", api + "activity", api + "apikey", api + "app", api + "backchannel", api + "challenge", api + "consent", api + "delivery", api + "device", api + "factor",
			api + "grant", api + "guard", api + "id", api + "link", api + "listing", api + "mailcode", api + "mailserver", api + "outbox", api + "password", api + "relay", api + "session", api + "template", api + "tenant",
			api + "token", api + "transfer", api + "user"},
		others: []string{"github.com/jackc/pgx/v5", "github.com/pressly/goose/v3", "modernc.org/sqlite"},
		never:  []string{"net/http"},
		tests:  []string{api + "notice", api + "totp"}, // the mails of reminders, the keys of apps
		why:    "implements the stores that the rules declare: the only one that knows SQL",
	},

	// services/api: edges. Never a store, never each other.
	api + "input": {
		ours:  []string{"pkg/fault", "pkg/secret", "pkg/web"},
		never: []string{"database/sql", "os"},
		why:   "gives every body one meaning; knows no route",
	},
	api + "qr": {
		ours:   []string{"pkg/secret"},
		others: []string{"github.com/boombuler/barcode"},
		never:  outside,
		tests:  []string{api + "totp"}, // the addresses that are drawn
		why:    "draws what an app is to read; knows neither keys nor pages",
	},
	api + "pipeline": {
		ours: []string{"pkg/ephemeral", "pkg/fault", "pkg/logs", "pkg/secret", "pkg/web",
			api + "apikey", api + "app", api + "device", api + "grant", api + "input", api + "session", api + "tenant", api + "token"},
		others: []string{"github.com/go-chi/chi/v5"},
		never:  []string{"database/sql", "os"},
		tests:  []string{api + "id", api + "sqlstore", api + "user"}, // the real store
		why:    "the checks of every request: credential, scope, tenant, limits; logs, because only it knows who called",
	},
	api + "httpapi": {
		ours: []string{"pkg/event", "pkg/fault", "pkg/secret", "pkg/wording", api + "activity", api + "apikey", api + "app", api + "consent", api + "delivery", api + "factor", api + "grant",
			api + "id", api + "link", api + "listing", api + "login", api + "mailserver", api + "notice", api + "password", api + "pipeline", api + "preview", api + "qr", api + "session", api + "template", api + "tenant", api + "user"},
		never: []string{"database/sql", "os"},
		tests: []string{api + "input"}, // how a page is asked for
		why:   "edge: the headless API",
	},
	api + "oidc": {
		ours: []string{"pkg/fault", "pkg/secret", "pkg/web", api + "apikey", api + "app", api + "flow", api + "grant", api + "guard", api + "id",
			api + "pipeline", api + "session", api + "tenant", api + "token"},
		never: []string{"database/sql", "os"},
		why:   "edge: every token path",
	},
	api + "pages": {
		ours: []string{"pkg/fault", "pkg/secret", "pkg/web", api + "activity", api + "consent", api + "delivery", api + "factor", api + "flow", api + "grant", api + "id", api + "link", api + "logout",
			api + "mailcode", api + "password", api + "pipeline", api + "preview", api + "qr", api + "session", api + "tenant", api + "app", api + "user"}, // the last two for samples
		others: []string{"golang.org/x/net", "golang.org/x/text"},
		never:  []string{"database/sql", "os"},
		tests:  []string{api + "guard", "github.com/go-chi/chi/v5"}, // the tokens of forms, whose link a page shows, and a router
		why:    "edge: what a browser sees; the libraries pick the language, and read pages that a preview changes",
	},
	api + "verification": {
		ours:  []string{"pkg/ephemeral", "pkg/fault", "pkg/secret", "pkg/web", api + "app", api + "exchange", api + "factor", api + "grant", api + "pipeline"},
		never: []string{"database/sql", "os"},
		tests: []string{api + "token", "github.com/go-chi/chi/v5"}, // what a user's token says, and the pipeline's router
		why:   "edge: the verification flow",
	},
	api + "callback": {
		ours:   []string{"pkg/event", "pkg/fault", "pkg/secret", api + "pipeline"},
		others: []string{"github.com/twilio/twilio-go/client"},
		never:  []string{"database/sql", "os"},
		tests:  []string{"github.com/go-chi/chi/v5"}, // the pipeline's router
		why:    "edge: receipts of providers; the library checks their signature",
	},
	api + "openapi": {
		ours:  []string{"pkg/secret", api + "input", api + "pipeline"},
		never: []string{"database/sql", "os"},
		why:   "edge: describes the routes of the other edges, which it gets as tables",
	},
	"services/api": {
		ours: []string{"pkg/breachset", "pkg/bus", "pkg/claim", "pkg/conf", "pkg/ephemeral", "pkg/event", "pkg/fault", "pkg/logs", "pkg/run", "pkg/seal",
			"pkg/secret", "pkg/telemetry", "pkg/web", api + "activity", api + "apikey", api + "app", api + "backchannel", api + "breach", api + "callback", api + "challenge", api + "consent", api + "delivery", api + "device",
			api + "exchange", api + "factor", api + "flow", api + "grant", api + "guard", api + "hashing", api + "httpapi", api + "link", api + "login", api + "logout", api + "mailcode", api + "mailserver", api + "notice", api + "oidc",
			api + "openapi", api + "outbox", api + "pages", api + "password", api + "pipeline", api + "preview", api + "relay", api + "session", api + "sqlstore", api + "template", api + "tenant",
			api + "token", api + "transfer", api + "user", api + "verification"},
		others: []string{"github.com/go-chi/chi/v5", "github.com/prometheus/client_golang"},
		never:  []string{"database/sql"},
		tests:  []string{api + "app", api + "totp", "github.com/go-jose/go-jose/v4", "github.com/nats-io/nats.go", "github.com/santhosh-tekuri/jsonschema/v6", "golang.org/x/net"},
		why:    "wiring of the api",
	},
	"services/api/cmd/api": {
		ours: []string{"pkg/logs", "pkg/run", "services/api"},
		why:  "a main: configuration, New, Run, exit code",
	},

	// services/sms
	sms + "text": {
		ours:  []string{"pkg/brand", "pkg/gsm", "pkg/wording"},
		never: outside,
		why:   "wording and length of a text message: the lowest",
	},
	sms + "provider/twilio": {
		ours:   []string{"pkg/courier", "pkg/fault", "pkg/secret"},
		others: []string{"github.com/twilio/twilio-go"},
		never:  []string{"database/sql"},
		why:    "one provider and its SDK; answers in the courier's words",
	},

	"services/sms": {
		ours: []string{"pkg/bus", "pkg/conf", "pkg/courier", "pkg/courier/inbox", "pkg/event", "pkg/secret", "pkg/service",
			sms + "provider/twilio", sms + "text"},
		never: []string{"database/sql"},
		why:   "wiring of the SMS worker",
	},
	"services/sms/cmd/sms": {
		ours: []string{"pkg/logs", "pkg/run", "services/sms"},
		why:  "a main: configuration, New, Run, exit code",
	},

	// services/email
	email + "text": {
		ours:  []string{"pkg/brand", "pkg/event", "pkg/wording"},
		never: outside,
		why:   "wording and looks of a mail: the lowest",
	},
	email + "provider/smtp": {
		ours:   []string{"pkg/courier", "pkg/dkim", "pkg/fault", "pkg/secret"},
		others: []string{"github.com/wneessen/go-mail"},
		never:  []string{"net/http", "database/sql"},
		why:    "one way to send and its library; answers in the courier's words",
	},

	email + "provider/own": {
		ours:  []string{"pkg/courier", "pkg/event", "pkg/secret", email + "provider/smtp"},
		never: []string{"net/http", "database/sql"},
		why:   "a mail server for each organization that has one, and where it may be",
	},

	"services/email": {
		ours: []string{"pkg/bus", "pkg/conf", "pkg/courier", "pkg/courier/inbox", "pkg/event", "pkg/service",
			email + "provider/own", email + "provider/smtp", email + "text"},
		never: []string{"database/sql"},
		why:   "wiring of the e-mail worker",
	},
	"services/email/cmd/email": {
		ours: []string{"pkg/logs", "pkg/run", "services/email"},
		why:  "a main: configuration, New, Run, exit code",
	},

	// services/countersign
	"services/countersign": {
		ours: []string{"pkg/breachset", "pkg/bus", "pkg/conf", "pkg/dkim", "pkg/ephemeral", "pkg/fault", "pkg/logs", "pkg/run", "pkg/seal", "pkg/secret",
			"pkg/service", "pkg/telemetry", "pkg/web", "services/api", "services/countersign/demoapp", "services/email", "services/sms"},
		others: []string{"github.com/alecthomas/kong", "github.com/nats-io/nats-server/v2", "github.com/pquerna/otp", "golang.org/x/text"},
		never:  []string{"database/sql"},
		why:    "the one binary: composes the services by their root packages; the libraries play the authenticator app of the tour, and bring passwords into one form",
	},
	"services/countersign/demoapp": {
		others: []string{"github.com/go-jose/go-jose/v4"},
		never:  []string{"database/sql", "os"},
		why:    "an app of dev that signs users in through the service, over HTTP as any other app; it reads ID tokens",
	},
	"services/countersign/cmd/countersign": {
		ours: []string{"services/countersign"},
		why:  "a main of a few lines",
	},

	// services/e2e
	"services/e2e/fakes/program": {
		why: "what fakes have in common as programs: flags, signals, serving",
	},
	"services/e2e/fakes/twilio": {
		tests: []string{"services/sms"},
		why:   "stands in for an outside party: must not share a bug with us, so it imports nothing of ours; its tests let the real worker send to it",
	},
	"services/e2e/cmd/fake-twilio": {
		ours: []string{"services/e2e/fakes/program", "services/e2e/fakes/twilio"},
		why:  "the fake as a program, for compose",
	},
	"services/e2e/fakes/smtp": {
		ours: []string{"pkg/rig/smtpsink"},
		why:  "the mail server of the tests, with a side to steer it over HTTP",
	},
	"services/e2e/cmd/fake-smtp": {
		ours: []string{"pkg/rig/smtpsink", "services/e2e/fakes/program", "services/e2e/fakes/smtp"},
		why:  "the fake as a program, for compose",
	},
	"services/e2e/cmd/fake-breach": {
		ours: []string{"pkg/rig/rangeapi", "services/e2e/fakes/program"},
		why:  "the fake as a program, for compose",
	},
	"services/e2e/cmd/mutate": {
		why: "breaks the code and runs the tests that must notice: works on files, knows none of our code",
	},
	"services/e2e/stage": {
		ours: []string{"pkg/rig", "pkg/rig/smtpsink"},
		why:  "runs programs and calls them over HTTP: it must not reach around what a user has",
	},
	"services/e2e/flow": {
		tests: []string{"services/e2e/fakes/twilio", "services/e2e/stage"},
		why:   "the whole way, with the programs as they are shipped",
	},
	"services/e2e/compose": {
		tests: []string{"services/e2e/fakes/twilio", "services/e2e/stage", "github.com/jackc/pgx/v5", "github.com/nats-io/nats-server/v2",
			"github.com/nats-io/nats.go", "github.com/redis/go-redis/v9", "go.yaml.in/yaml/v3"},
		why: "docker-compose.yml brought to life; it tries rights on the servers with their own clients",
	},
	"services/e2e/cmd/nats-server": {
		others: []string{"github.com/nats-io/nats-server/v2"},
		why:    "a bus that can be killed: the server as a process, for the tests of soak",
	},
	"services/e2e/soak": {
		tests: []string{"pkg/rig/smtpsink", "services/e2e/fakes/twilio", "services/e2e/stage", "github.com/nats-io/nats.go"},
		why:   "lets parts die under load and compares what all sides wrote down; asks the bus itself only whether it is empty",
	},
	"services/e2e/bench": {
		tests: []string{"services/e2e/stage", "golang.org/x/crypto"},
		why:   "how fast whole calls are; the floor of a login is the hash alone",
	},
	"services/e2e/clients/browser": {
		ours:   []string{"pkg/rig"},
		others: []string{"github.com/chromedp/cdproto", "github.com/chromedp/chromedp"},
		why:    "drives a real Chromium; knows no page of ours, so that tests of every page can use it",
	},
	"services/e2e/clients": {
		tests: []string{"services/e2e/clients/browser", "github.com/coreos/go-oidc/v3", "golang.org/x/net", "golang.org/x/oauth2"},
		why:   "clients that nobody here wrote against the program as it is shipped",
	},
	"services/e2e/house": {
		tests: []string{"pkg/fault", "pkg/web"}, // which status a fault has
		why:   "the tests about the tree: the standard library and the go command",
	},
}
