package bus_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/bus/bustest"
)

// subjects of each stream.
var subjects = map[string][]string{
	bus.StreamChallenges: {"countersign.v1.challenge.requested.>"},
	bus.StreamMessages:   {"countersign.v1.password.requested.>", "countersign.v1.magiclink.requested.>", "countersign.v1.notice.requested.>"},
	bus.StreamDeliveries: {"countersign.v1.delivery.>"},
	bus.StreamDead:       {"countersign.v1.dead.>"},
	bus.StreamEvents:     {"countersign.v1.event.>"},
}

// shelves keep what was read; the others are queues.
var shelves = []string{bus.StreamDead, bus.StreamEvents}

// good is a stream that we accept.
func good(name string) jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Name:        name,
		Subjects:    subjects[name],
		Retention:   jetstream.WorkQueuePolicy,
		Discard:     jetstream.DiscardNew,
		MaxBytes:    1 << 20,
		AllowMsgTTL: true,
		Duplicates:  2 * time.Minute,
	}
	if slices.Contains(shelves, name) {
		c.Retention, c.Discard, c.AllowMsgTTL = jetstream.LimitsPolicy, jetstream.DiscardOld, false
	}
	return c
}

//
func TestAStreamThatDoesNotMatchIsNamedWithItsField(t *testing.T) {
	t.Parallel()
	type cfg = jetstream.StreamConfig
	cases := map[string]struct {
		stream string
		change func(*cfg)
		field  string // empty means that it is accepted
	}{
		"a stream as we need it":         {bus.StreamChallenges, func(*cfg) {}, ""},
		"more room and a longer window":  {bus.StreamDeliveries, func(c *cfg) { c.MaxBytes, c.Duplicates = 100<<20, time.Hour }, ""},
		"one more subject":               {bus.StreamChallenges, func(c *cfg) { c.Subjects = append(c.Subjects, "more.>") }, ""},
		"limits retention":               {bus.StreamChallenges, func(c *cfg) { c.Retention = jetstream.LimitsPolicy }, "retention"},
		"interest retention":             {bus.StreamDeliveries, func(c *cfg) { c.Retention = jetstream.InterestPolicy }, "retention"},
		"a shelf that forgets":           {bus.StreamDead, func(c *cfg) { c.Retention = jetstream.WorkQueuePolicy }, "retention"},
		"a shelf that refuses":           {bus.StreamDead, func(c *cfg) { c.Discard = jetstream.DiscardNew }, "discard"},
		"events as we need them":         {bus.StreamEvents, func(c *cfg) { c.MaxAge = 365 * 24 * time.Hour }, ""},
		"events that are read once":      {bus.StreamEvents, func(c *cfg) { c.Retention = jetstream.WorkQueuePolicy }, "retention"},
		"events that stop when full":     {bus.StreamEvents, func(c *cfg) { c.Discard = jetstream.DiscardNew }, "discard"},
		"events for a day":               {bus.StreamEvents, func(c *cfg) { c.MaxAge = 24 * time.Hour }, "max_age"},
		"the last event of a kind alone": {bus.StreamEvents, func(c *cfg) { c.MaxMsgsPerSubject = 1 }, "max_msgs_per_subject"},
		"events without limit of bytes":  {bus.StreamEvents, func(c *cfg) { c.MaxBytes = -1 }, "max_bytes"},
		"events in memory":               {bus.StreamEvents, func(c *cfg) { c.Storage = jetstream.MemoryStorage }, "storage"},
		"events that may come twice":     {bus.StreamEvents, func(c *cfg) { c.Duplicates = time.Minute }, "duplicate_window"},
		"mails as we need them":          {bus.StreamMessages, func(*cfg) {}, ""},
		"mails that are kept":            {bus.StreamMessages, func(c *cfg) { c.Retention = jetstream.LimitsPolicy }, "retention"},
		"mails that push out others":     {bus.StreamMessages, func(c *cfg) { c.Discard = jetstream.DiscardOld }, "discard"},
		"mails without limit of bytes":   {bus.StreamMessages, func(c *cfg) { c.MaxBytes = -1 }, "max_bytes"},
		"mails in memory":                {bus.StreamMessages, func(c *cfg) { c.Storage = jetstream.MemoryStorage }, "storage"},
		"mails without life":             {bus.StreamMessages, func(c *cfg) { c.AllowMsgTTL = false }, "allow_msg_ttl"},
		"mails without notices":          {bus.StreamMessages, func(c *cfg) { c.Subjects = c.Subjects[:2] }, "subjects"},
		"mails that may come twice":      {bus.StreamMessages, func(c *cfg) { c.Duplicates = time.Minute }, "duplicate_window"},
		"the old discarded for the new":  {bus.StreamChallenges, func(c *cfg) { c.Discard = jetstream.DiscardOld }, "discard"},
		"no limit of bytes":              {bus.StreamChallenges, func(c *cfg) { c.MaxBytes = -1 }, "max_bytes"},
		"a shelf without limit of bytes": {bus.StreamDead, func(c *cfg) { c.MaxBytes = -1 }, "max_bytes"},
		"memory":                         {bus.StreamDeliveries, func(c *cfg) { c.Storage = jetstream.MemoryStorage }, "storage"},
		"other subjects":                 {bus.StreamChallenges, func(c *cfg) { c.Subjects = []string{"countersign.v1.challenge.requested.sms.>"} }, "subjects"},
		"no message life":                {bus.StreamChallenges, func(c *cfg) { c.AllowMsgTTL = false }, "allow_msg_ttl"},
		"a short duplicate window":       {bus.StreamChallenges, func(c *cfg) { c.Duplicates = time.Minute }, "duplicate_window"},
		"an age limit":                   {bus.StreamDeliveries, func(c *cfg) { c.MaxAge = 24 * time.Hour }, "max_age"},
		"a limit for each subject":       {bus.StreamDeliveries, func(c *cfg) { c.MaxMsgsPerSubject = 10 }, "max_msgs_per_subject"},
		"no acknowledgement":             {bus.StreamChallenges, func(c *cfg) { c.NoAck = true }, "no_ack"},
		"our subjects in another stream": {bus.StreamChallenges, func(c *cfg) { c.Name = "OTHER" }, "subjects"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := bustest.Server(t)
			have := good(c.stream)
			c.change(&have)
			js := admin(t, srv)
			if _, err := js.CreateStream(t.Context(), have); err != nil {
				t.Fatal(err)
			}
			checkMismatch(t, bustest.Connect(t, srv), c.stream, c.field)
			after, err := js.Stream(t.Context(), have.Name)
			if err != nil || after.CachedInfo().Config.Retention != have.Retention || after.CachedInfo().Config.MaxBytes != have.MaxBytes {
				t.Errorf("the stream was changed: %v", err)
			}
		})
	}
}

// checkMismatch waits for Ready to name the field, or to be content.
func checkMismatch(t *testing.T, b *bus.Bus, stream, field string) {
	t.Helper()
	if field == "" {
		eventually(t, "the bus is ready", func() bool { return b.Ready(t.Context()) == nil })
		return
	}
	var err error
	var wrong *bus.Mismatch
	eventually(t, "a mismatch is reported", func() bool {
		err = b.Ready(t.Context())
		return errors.As(err, &wrong)
	})
	if wrong.Stream != stream || wrong.Field != field || !strings.Contains(err.Error(), stream) || !strings.Contains(err.Error(), field) {
		t.Errorf("mismatch %+v in %q, want field %s of %s", wrong, err, field, stream)
	}
}

//
func TestOneReplicaIsNotEnoughWhereThreeAreWanted(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	js := admin(t, srv)
	for name := range subjects {
		if _, err := js.CreateStream(t.Context(), good(name)); err != nil {
			t.Fatal(err)
		}
	}
	b := bustest.Connect(t, srv, func(c *bus.Config) { c.Limits.Replicas = 3 })
	checkMismatch(t, b, bus.StreamChallenges, "num_replicas")
	if n := strings.Count(b.Ready(t.Context()).Error(), "num_replicas"); n != 5 {
		t.Errorf("%d streams are named, want all 5", n)
	}
}

func TestAMismatchThatAnOperatorMendsIsOver(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	js := admin(t, srv)
	have := good(bus.StreamChallenges)
	have.AllowMsgTTL = false
	if _, err := js.CreateStream(t.Context(), have); err != nil {
		t.Fatal(err)
	}
	b := bustest.Connect(t, srv)
	checkMismatch(t, b, bus.StreamChallenges, "allow_msg_ttl")
	have.AllowMsgTTL = true
	if _, err := js.UpdateStream(t.Context(), have); err != nil {
		t.Fatal(err)
	}
	checkMismatch(t, b, "", "")
}

func TestManyProcessesMayCreateTheStreamsAtOnce(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	var starting sync.WaitGroup
	for i := range 8 {
		starting.Go(func() {
			b := bustest.Connect(t, srv, func(c *bus.Config) { c.Limits.Challenges = int64(i+1) << 20 })
			eventually(t, "every bus is ready", func() bool { return b.Ready(t.Context()) == nil })
		})
	}
	starting.Wait()
	s, err := admin(t, srv).Stream(t.Context(), bus.StreamChallenges)
	if err != nil {
		t.Fatal(err)
	}
	before := s.CachedInfo().Config.MaxBytes
	b := bustest.Bus(t, srv, func(c *bus.Config) { c.Limits.Challenges = 50 << 20 })
	if err := b.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if info, err := s.Info(t.Context()); err != nil || info.Config.MaxBytes != before {
		t.Errorf("max_bytes went from %d to %d: %v", before, info.Config.MaxBytes, err)
	}
}

func TestTheStreamsAreCreatedAsDesigned(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	bustest.Bus(t, srv)
	js := admin(t, srv)
	room := map[string]int64{
		bus.StreamChallenges: 64 << 20, bus.StreamMessages: 256 << 20, bus.StreamDeliveries: 64 << 20, bus.StreamDead: 64 << 20, bus.StreamEvents: 256 << 20,
	}
	for name := range subjects {
		s, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		c := s.CachedInfo().Config
		if c.Storage != jetstream.FileStorage || c.MaxBytes != room[name] || c.Duplicates < 2*time.Minute || c.Duplicates > 10*time.Minute {
			t.Errorf("%s: %+v", name, c)
		}
		queue := c.Retention == jetstream.WorkQueuePolicy && c.Discard == jetstream.DiscardNew && c.AllowMsgTTL && c.MaxAge == 0
		shelf := c.Retention == jetstream.LimitsPolicy && c.Discard == jetstream.DiscardOld && c.MaxAge == 30*24*time.Hour
		if wanted := slices.Contains(shelves, name); wanted != shelf || !wanted != queue || !slices.Equal(c.Subjects, subjects[name]) {
			t.Errorf("%s: %+v", name, c)
		}
	}
}
