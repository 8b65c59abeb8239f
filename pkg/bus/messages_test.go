package bus_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/bus/bustest"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
)

// mail is a request of a kind for the mail workers.
func mail(kind event.Kind, id string) event.Requested {
	r := challenge(id)
	r.Kind, r.Channel = kind, event.ChannelEmail
	return r
}

// serveMail serves one class of mails.
func serveMail(t *testing.T, b *bus.Bus, class string, handle handler) {
	t.Helper()
	background(t, func(ctx context.Context) error {
		return b.Serve(ctx, bus.Work{Channel: event.ChannelEmail, Class: class, Env: event.EnvDefault, Workers: 1, Handle: handle})
	})
}

func public(id string) event.Public {
	return event.Public{
		ID: id, Type: event.TypePasswordChanged, Env: event.EnvDefault, OrgID: "org_1", UserID: "user_1", At: time.Now().UnixMilli(),
		Data: map[string]string{"by": "link"},
	}
}

func TestAMailIsStoredWithItsKindAndLife(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b, js := bustest.Bus(t, srv), admin(t, srv)
	for i, kind := range []event.Kind{event.KindPassword, event.KindMagicLink, event.KindNotice} {
		r := mail(kind, "dlv_"+strconv.Itoa(i))
		r.N, r.ExpiresAt = 7, time.Now().Add(time.Hour-time.Millisecond).UnixMilli()
		mustRequest(t, b, r, r)
		msg := stored(t, js, bus.StreamMessages, uint64(i)+1)
		payload, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"countersign.v1." + string(kind) + ".requested.email.default.org_1", string(payload), r.DeliveryID + ".7", "1h0m0s"}
		if got := []string{msg.Subject, string(msg.Data), msg.Header.Get("Nats-Msg-Id"), msg.Header.Get("Nats-TTL")}; !slices.Equal(got, want) {
			t.Errorf("stored %q, want %q", got, want)
		}
	}
	if n := state(t, js, bus.StreamMessages).Msgs; n != 3 {
		t.Errorf("%d messages, want 3: one id, one message", n)
	}
}

// Each class has its line: while the worker of the notices is busy for good,
// links and codes pass.
func TestCodesLinksAndNoticesWaitInLinesOfTheirOwn(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b, js := bustest.Bus(t, srv), admin(t, srv)
	got := map[string]chan call{}
	for _, class := range []string{bus.ClassCode, bus.ClassLink} {
		got[class] = make(chan call, 10)
		serveMail(t, b, class, into(got[class], nil))
	}
	busy, release := make(chan call, 10), make(chan struct{})
	defer close(release)
	serveMail(t, b, bus.ClassNotice, func(ctx context.Context, r event.Requested, try bus.Try) error {
		_ = into(busy, nil)(ctx, r, try)
		<-release
		return nil
	})
	sandbox, text := mail(event.KindPassword, "dlv_sandbox"), mail(event.KindNotice, "dlv_text")
	sandbox.Env, text.Channel = event.EnvSandbox, event.ChannelSMS
	mustRequest(t, b, sandbox, text, mail(event.KindNotice, "dlv_notice"))
	if first := next(t, busy, "the notice"); first.DeliveryID != "dlv_notice" {
		t.Errorf("the worker of the notices got %s", first.DeliveryID)
	}
	for i := range 20 {
		mustRequest(t, b, mail(event.KindNotice, "dlv_more_"+strconv.Itoa(i)))
	}
	mustRequest(t, b, mail(event.KindPassword, "dlv_password"), mail(event.KindMagicLink, "dlv_magic"), mail("", "dlv_code"))
	links := []string{next(t, got[bus.ClassLink], "a link").DeliveryID, next(t, got[bus.ClassLink], "the other link").DeliveryID}
	slices.Sort(links)
	if code := next(t, got[bus.ClassCode], "the code").DeliveryID; code != "dlv_code" || !slices.Equal(links, []string{"dlv_magic", "dlv_password"}) {
		t.Errorf("the worker of the codes got %s, the one of the links %v", code, links)
	}
	// Handled comes before acknowledged.
	eventually(t, "the 21 notices and the two of other workers wait", func() bool { return state(t, js, bus.StreamMessages).Msgs == 23 })
	if len(got[bus.ClassLink])+len(got[bus.ClassCode])+len(busy) != 0 {
		t.Error("something was handed to a second worker")
	}
}

// A flood of mails is refused at its own bound and takes nothing from codes,
// results and events.
func TestAFloodOfMailsStopsNoCode(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b := bustest.Bus(t, srv, func(c *bus.Config) { c.Limits.Messages = 16 << 10 })
	var refused error
	for i := 0; refused == nil && i < 1000; i++ {
		refused = b.Request(t.Context(), mail(event.KindNotice, "dlv_"+strconv.Itoa(i)))
	}
	checkUnavailable(t, refused)
	if api, ok := errors.AsType[*jetstream.APIError](refused); !ok || api.ErrorCode != 10077 {
		t.Errorf("the cause is %v, want the server's 10077", refused)
	}
	mustRequest(t, b, challenge("dlv_code"))
	if err := b.Announce(t.Context(), public("event_1")); err != nil {
		t.Errorf("announce: %v", err)
	}
	if err := b.Report(t.Context(), event.Outcome{DeliveryID: "dlv_code", Result: event.Accepted, Attempt: 1, At: 1}); err != nil {
		t.Errorf("report: %v", err)
	}
	handled := make(chan call, 1000)
	serveMail(t, b, bus.ClassNotice, into(handled, nil))
	empty(t, admin(t, srv), bus.StreamMessages)
	mustRequest(t, b, mail(event.KindNotice, "dlv_after"))
}

func TestAnEventIsStoredOnceAndKeptForEveryReader(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b, js := bustest.Bus(t, srv), admin(t, srv)
	p := public("event_1")
	for range 3 {
		if err := b.Announce(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	payload, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, reader := range []string{"first", "second"} { // both read it from the start
		c, err := js.CreateConsumer(t.Context(), bus.StreamEvents, jetstream.ConsumerConfig{Durable: reader, FilterSubject: "countersign.v1.event.*.*.default.org_1"})
		if err != nil {
			t.Fatal(err)
		}
		msg, err := c.Next(jetstream.FetchMaxWait(patience))
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"countersign.v1.event.password.changed.default.org_1", string(payload), "event_1", ""}
		if got := []string{msg.Subject(), string(msg.Data()), msg.Headers().Get("Nats-Msg-Id"), msg.Headers().Get("Nats-TTL")}; !slices.Equal(got, want) {
			t.Errorf("%s read %q, want %q", reader, got, want)
		}
		if err := msg.DoubleAck(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := state(t, js, bus.StreamEvents).Msgs; n != 1 {
		t.Errorf("%d events are kept, want 1", n)
	}
	for name, change := range map[string]func(*event.Public){
		"to all organizations": func(p *event.Public) { p.OrgID = ">" },
		"of no type":           func(p *event.Public) { p.Type = "delivery.accepted.>" },
	} {
		wrong := public("event_2")
		change(&wrong)
		if err := b.Announce(t.Context(), wrong); err == nil || fault.KindOf(err) != fault.Internal {
			t.Errorf("announced %s: %v, want an internal error", name, err)
		}
	}
}

func TestEventsPushOutTheOldest(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b := bustest.Bus(t, srv, func(c *bus.Config) { c.Limits.Events = 16 << 10 })
	js := admin(t, srv)
	for i := 0; i < 1000 && state(t, js, bus.StreamEvents).FirstSeq < 10; i++ {
		if err := b.Announce(t.Context(), public("event_"+strconv.Itoa(i))); err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
	}
	if s := state(t, js, bus.StreamEvents); s.FirstSeq < 10 || s.Bytes > 16<<10 {
		t.Errorf("kept %+v, want the newest of 16 KiB", s)
	}
	srv.Stop()
	checkUnavailable(t, b.Announce(t.Context(), public("event_down")))
}

func TestAMailThatNobodyCanHandleIsParkedOnTheShelfOfItsChannel(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b, js := bustest.Bus(t, srv), admin(t, srv)
	outcomes := make(chan event.Outcome, 10)
	serveOutcomes(t, b, outcomesInto(outcomes))
	serveMail(t, b, bus.ClassLink, func(context.Context, event.Requested, bus.Try) error {
		return fault.Permanent(errors.New("no such template"))
	})
	r := mail(event.KindMagicLink, "dlv_1")
	mustRequest(t, b, r)
	checkParkedOutcome(t, outcomes, "dlv_1", 1)
	payload, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	checkParked(t, js, 1, "countersign.v1.dead.email", string(payload), map[string]string{
		bus.HeaderReason: "permanent", bus.HeaderSubject: r.Subject(), bus.HeaderStream: bus.StreamMessages, bus.HeaderSequence: "1",
	})
	empty(t, js, bus.StreamMessages)

	// Rights are given by subject: a kind that lies about itself is not handled.
	r.DeliveryID, r.Kind = "dlv_2", event.KindNotice
	forged, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), event.RequestSubject(event.KindMagicLink, r.Channel, r.Env, r.OrgID), forged); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the forged message is parked", func() bool { return state(t, js, bus.StreamDead).Msgs == 2 })
	checkParked(t, js, 2, "countersign.v1.dead.email", string(forged), map[string]string{bus.HeaderReason: "undecodable"})
}
