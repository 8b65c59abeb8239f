package verification_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/exchange"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/token"
	"countersign.dev/services/api/internal/verification"
)

// flows stands in for the rules: it notes what it is asked, and answers with
// what it holds.
type flows struct {
	asked []any
	err   error
	step  exchange.Step
	done  bool
	stood exchange.Precheck
}

func (f *flows) note(asked ...any) error {
	f.asked = asked
	return f.err
}

var view = exchange.View{ClientID: clientID, App: "Notes", Locale: "de", ExpiresAt: at, Methods: []exchange.Method{exchange.Password}}

func (f *flows) Generate(_ context.Context, in exchange.Asked) (secret.Text, exchange.View, error) {
	return secret.New("request"), view, f.note("generate", in)
}

func (f *flows) Look(_ context.Context, requestID secret.Text) (exchange.View, error) {
	return view, f.note("look", requestID.Reveal())
}

func (f *flows) Methods(_ context.Context, requestID secret.Text, who exchange.Who) ([]exchange.Configured, error) {
	return []exchange.Configured{
		{Method: exchange.TOTP, Mediums: []exchange.Medium{{ID: "m1", Text: "app"}}}, {Method: exchange.Password},
	}, f.note("methods", requestID.Reveal(), who)
}

func (f *flows) Initiate(_ context.Context, _ exchange.From, in exchange.Initiation) (exchange.Step, error) {
	return f.step, f.note("initiate", in.RequestID.Reveal(), in.Usage, in.Method, in.Who, in.TrackID.Reveal())
}

func proof(v exchange.Verification) []any {
	return []any{v.ExchangeID.Reveal(), v.Method, v.Code.Reveal(), v.RequestID.Reveal(), v.Sub}
}

func (f *flows) Verify(_ context.Context, _ exchange.From, v exchange.Verification) (exchange.Step, error) {
	return f.step, f.note(append([]any{"verify"}, proof(v)...)...)
}

func (f *flows) Cancel(_ context.Context, m exchange.Method, exchangeID secret.Text) error {
	return f.note("cancel", m, exchangeID.Reveal())
}

func (f *flows) Finish(_ context.Context, _ exchange.From, in exchange.Finish) (secret.Text, error) {
	return secret.New("https://app.example.test/back#code=c"), f.note("finish", in.RequestID.Reveal(), in.StatusID.Reveal(), in.Method, in.Sub)
}

func (f *flows) Login(_ context.Context, _ exchange.From, l exchange.Login) (secret.Text, error) {
	return secret.New("https://app.example.test/back?track_id=t"), f.note("login", l.RequestID.Reveal(), l.Who, l.Password.Reveal())
}

func (f *flows) Precheck(_ context.Context, trackID secret.Text) (exchange.Precheck, error) {
	return f.stood, f.note("precheck", trackID.Reveal())
}

func (f *flows) Continue(_ context.Context, _ exchange.From, trackID, requestID secret.Text) (secret.Text, error) {
	return secret.New("https://app.example.test/back?code=c"), f.note("continue", trackID.Reveal(), requestID.Reveal())
}

func (f *flows) Enrol(_ context.Context, _ exchange.From, of grant.Session, in exchange.Enrolment) (exchange.Enrolling, error) {
	issued := factor.Issued{Secret: secret.New("BASE32"), URI: secret.New("otpauth://totp/x")}
	return exchange.Enrolling{Step: f.step, Issued: issued}, f.note("enrol", of.ClientID, in)
}

func (f *flows) EnrolInLogin(_ context.Context, _ exchange.From, trackID secret.Text, in exchange.Enrolment) (exchange.Enrolling, error) {
	return exchange.Enrolling{Step: f.step}, f.note("enrol in login", trackID.Reveal(), in)
}

func (f *flows) Confirm(_ context.Context, _ exchange.From, v exchange.Verification) (exchange.Enrolled, error) {
	return exchange.Enrolled{Step: f.step}, f.note(append([]any{"confirm"}, proof(v)...)...)
}

func (f *flows) Status(_ context.Context, statusID secret.Text) (done bool, m exchange.Method, err error) {
	return f.done, exchange.SMS, f.note("status", statusID.Reveal())
}

func (f *flows) Own(_ context.Context, of grant.Session) ([]exchange.Own, error) {
	return []exchange.Own{
		{Method: exchange.TOTP, Medium: "f1", Name: "Phone", Text: "app", CreatedAt: at}, {Method: exchange.BackupCode, Left: 0},
	}, f.note("own", of.ClientID)
}

func (f *flows) Remove(_ context.Context, _ exchange.From, of grant.Session, m exchange.Method, medium string) error {
	return f.note("remove", of.ClientID, m, medium)
}

func (f *flows) Rename(_ context.Context, _ exchange.From, of grant.Session, m exchange.Method, medium, name string) (string, error) {
	return name, f.note("rename", of.ClientID, m, medium, name)
}

const (
	clientID  = "app_1"
	userToken = "good"
	ours      = "https://app.example.test"
	others    = "https://other.example.test"
)

var at = time.Date(2030, 1, 2, 3, 4, 5, 678_900_000, time.UTC)

// world is what the pipeline asks about apps and users.
type world struct{ scope []string }

func (world) AppByID(_ context.Context, id string) (app.App, error) {
	if id != clientID {
		return app.App{}, app.ErrNotFound
	}
	return app.App{ID: id, Origins: []string{ours}, Methods: []string{app.Password, app.TOTP}}, nil
}

func (world) OriginKnown(_ context.Context, origin string) (bool, error) {
	return origin == ours || origin == others, nil
}

func (w world) ReadUser(_ context.Context, raw secret.Text) (token.Access, error) {
	if raw.Reveal() != userToken {
		return token.Access{}, token.ErrInvalid
	}
	return token.Access{ClientID: clientID, Scope: w.scope}, nil
}

func (world) Live(context.Context, string) (grant.Session, error) {
	return grant.Session{Grant: grant.Grant{ClientID: clientID}}, nil
}

// edge is this edge behind the pipeline.
type edge struct {
	*flows
	mux   *chi.Mux
	table []pipeline.Route
}

func newEdge(t testing.TB) *edge {
	t.Helper()
	w := world{[]string{grant.OpenID, grant.Profile}}
	e := &edge{mux: chi.NewRouter(), flows: &flows{step: exchange.Step{
		ExchangeID: secret.New("next"), ExpiresAt: at, StatusID: secret.New("status"), Sub: "masked", MediumText: "a***@acme.test",
	}}}
	p := &pipeline.Pipeline{
		Limits: ephemeral.NewMemory(time.Now), Log: slog.New(slog.DiscardHandler), Origins: w,
		People: pipeline.People{Tokens: w, Grants: w, Now: time.Now},
	}
	e.table = (&verification.API{Flows: e.flows, Apps: w}).Routes()
	p.Mount(e.mux, e.table)
	return e
}

// reply is an answer.
type reply struct {
	*httptest.ResponseRecorder
	body map[string]any
}

func (r reply) data() map[string]any {
	data, _ := r.body["data"].(map[string]any)
	return data
}

const (
	asJSON = "application/json"
	asForm = "application/x-www-form-urlencoded"
)

// send sends a request with headers, given as names and values.
func (e *edge) send(t testing.TB, method, path, kind, body string, headers ...string) reply {
	t.Helper()
	var reader io.Reader = http.NoBody
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, path, reader)
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	for pair := range slices.Chunk(headers, 2) {
		r.Header.Set(pair[0], pair[1])
	}
	e.asked = nil
	w := httptest.NewRecorder()
	e.mux.ServeHTTP(w, r)
	out := reply{ResponseRecorder: w}
	if text := w.Body.Bytes(); len(text) > 0 {
		if err := json.Unmarshal(text, &out.body); err != nil {
			t.Fatalf("%s %s: %v: %s", method, path, err, text)
		}
	}
	return out
}

// post sends JSON.
func (e *edge) post(t testing.TB, path, body string, headers ...string) reply {
	t.Helper()
	return e.send(t, http.MethodPost, path, asJSON, body, headers...)
}
