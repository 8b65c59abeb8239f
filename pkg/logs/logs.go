// Package logs makes the logger that every service writes with.
//
// It owns the shape of a log line: one line per record whatever the values
// hold, time in UTC, the request id of the context, and a net under the rule
// that secrets are never logged. The net covers attributes by the name of
// their key ([New] lists the names), and e-mail addresses, phone numbers and
// URL credentials inside any text. It is a net, not a licence: a secret under
// a harmless key with no shape of its own still shows, which is why secrets
// travel as secret.Text.
//
// The wiring of a service calls New once and hands the logger on. Messages are
// static; what varies goes into attributes.
package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"

	"countersign.dev/pkg/fault"
)

// Format is how a record is written.
type Format string

// The formats.
const (
	JSON Format = "json" // one JSON object a line, for machines
	Text Format = "text" // key=value, for people
)

// UnmarshalText reads a format and refuses any but the two.
func (f *Format) UnmarshalText(text []byte) error {
	switch format := Format(text); format {
	case JSON, Text:
		*f = format
		return nil
	}
	return errors.New("the log format is json or text")
}

// Config is what an operator may set about logs.
type Config struct {
	Level  slog.Level `env:"LEVEL" envDefault:"info" doc:"The least level that is logged: debug, info, warn or error."`
	Format Format     `env:"FORMAT" envDefault:"json" doc:"How a line is written: json or text."`
}

// New makes a logger that writes to w, one Write per record. An empty format
// means JSON. The value of an attribute is replaced by *** when its key, or
// the key of a group around it, is or ends with one of: code, token, secret,
// password, authorization, cookie, phone, phone_number, email, to (a whole
// word), or a few more of the kind.
func New(w io.Writer, cfg Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.Level, ReplaceAttr: replace}
	var handler slog.Handler = slog.NewJSONHandler(oneLine{w}, options)
	if cfg.Format == Text {
		handler = slog.NewTextHandler(oneLine{w}, options)
	}
	return slog.New(&contextHandler{base: handler, open: handler})
}

type requestIDKey struct{}

// WithRequestID returns a context whose log records carry the id.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID returns the id of the request that ctx belongs to, "" outside one.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// contextHandler adds the request id. It goes to the top of the record even
// when the logger has open groups, so that one query finds every line: base is
// the handler without what was added since the first group, open the one with
// it, and reopen leads from the first to the second.
type contextHandler struct {
	base, open slog.Handler
	reopen     []func(slog.Handler) slog.Handler
}

func (h *contextHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.base.Enabled(ctx, level)
}

func (h *contextHandler) Handle(ctx context.Context, record slog.Record) error {
	id := RequestID(ctx)
	if id == "" {
		return h.open.Handle(ctx, record)
	}
	attr := slog.String("request_id", id)
	if len(h.reopen) == 0 {
		record = record.Clone()
		record.AddAttrs(attr)
		return h.base.Handle(ctx, record)
	}
	handler := h.base.WithAttrs([]slog.Attr{attr})
	for _, step := range h.reopen {
		handler = step(handler)
	}
	return handler.Handle(ctx, record)
}

func (h *contextHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	if len(h.reopen) == 0 {
		with := h.base.WithAttrs(attrs)
		return &contextHandler{base: with, open: with}
	}
	return h.then(func(next slog.Handler) slog.Handler { return next.WithAttrs(attrs) })
}

func (h *contextHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return h.then(func(next slog.Handler) slog.Handler { return next.WithGroup(name) })
}

func (h *contextHandler) then(step func(slog.Handler) slog.Handler) slog.Handler {
	steps := append(slices.Clip(h.reopen), step)
	return &contextHandler{base: h.base, open: step(h.open), reopen: steps}
}

// Panic describes a recovered value for a log line. A panic may carry any
// value, a request body included, so only what cannot hold one is spelled
// out: the runtime's own errors and the code of a fault. Of anything else the
// type is named; the stack says where to look.
func Panic(value any) string {
	if err, ok := value.(error); ok {
		if bug, ok := errors.AsType[runtime.Error](err); ok {
			return bug.Error()
		}
		if f, ok := errors.AsType[*fault.Error](err); ok {
			return "fault " + f.Code
		}
	}
	return fmt.Sprintf("a value of type %T", value)
}
