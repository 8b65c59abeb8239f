// Package flow holds the tests that go the whole way: request, challenge,
// event, worker, provider, with the programs as they are shipped, each a
// process of its own.
//
// There is nothing here to call. What the processes stand on is real too:
// Postgres and Redis as child processes, NATS, and the fake of Twilio that
// compose runs as well.
package flow
