//go:build race

package flow_test

// The machine runs on one goroutine: what the race detector could find needs few
// operations, each of which takes ten times as long under it.
const (
	perRun = 100
	raced  = true
)
