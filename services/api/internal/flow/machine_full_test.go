//go:build !race

package flow_test

// The operations of one run, of which package rapid makes a hundred: 120,000 in
// all.
const (
	perRun = 1200
	raced  = false
)
