package email

import (
	"time"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/courier"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/service"
)

// longestCall is longer than everything a mail server may take its time for
// (RFC 5321 4.5.3.2); the provider gives up on each step by itself.
const longestCall = 25 * time.Minute

// codePolicy is for what is dead in minutes. Its retries are the bus's: there
// is no time to wait elsewhere, and nobody publishes a code again.
func codePolicy() courier.Policy {
	return courier.Policy{
		CallTimeout: longestCall, Lease: 25 * time.Second, Prolong: 8 * time.Second, Doubt: 5 * time.Second,
	}
}

// mailPolicy is for what lives an hour or more. The lease outlives two
// extensions that fail; whoever meets a mail that is being sent comes back when
// it ends, so a short one would use up the tries of the bus during a slow send.
func mailPolicy() courier.Policy {
	return courier.Policy{
		CallTimeout: longestCall, Lease: 90 * time.Second, Prolong: 30 * time.Second,
		SecondSend: 2 * time.Minute, Doubt: 30 * time.Second,
		Defer: courier.Deferral{From: 3, Pauses: []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}},
	}
}

// consumers are those of the default environment. Each worker uses at most one
// connection to the mail server, so that the workers of a class are its share
// of the connections: half for codes, a quarter each for links and news. With
// fewer than three connections the classes take turns.
func consumers(connections int) []service.Consumer {
	quarter := max(1, connections/4)
	return []service.Consumer{
		{Class: bus.ClassCode, Env: event.EnvDefault, Workers: max(1, connections-2*quarter), Policy: codePolicy()},
		{Class: bus.ClassLink, Env: event.EnvDefault, Workers: quarter, Policy: mailPolicy()},
		{Class: bus.ClassNotice, Env: event.EnvDefault, Workers: quarter, Policy: mailPolicy()},
	}
}

// lanes are for organizations with a mail server of their own: a lane for each
// kind of each organization. Two workers keep a lane going while one of them
// waits for the end of a slow send.
func lanes() service.Consumer {
	return service.Consumer{Class: "own", Env: event.EnvDefault, Workers: 2, Policy: mailPolicy(), Lanes: event.ChannelOwnEmail}
}

// sandboxWorkers are enough for messages that go nowhere.
const sandboxWorkers = 2

func sandboxConsumers() []service.Consumer {
	all := consumers(1)
	for i := range all {
		all[i].Env, all[i].Workers = event.EnvSandbox, sandboxWorkers
	}
	return all
}
