// Command countersign is the one binary: every service and every tool.
package main

import (
	"os"

	"countersign.dev/services/countersign"
)

func main() {
	os.Exit(countersign.Main(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}
