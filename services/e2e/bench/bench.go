// Package bench holds the benchmarks of whole calls, through the programs as
// they are shipped: mails from the request to the mail server, and logins with
// a password.
//
// There is nothing here to call. Each prints what was measured beside its
// floor from the same run (what the call cannot do without, done by nothing
// else) and what share of the floor is left, and logs which process used how
// much CPU. The client and the mail server run on the same cores as all the
// rest. Nothing fails on a figure. `make bench` runs them; docs/performance.md
// keeps the figures.
package bench
