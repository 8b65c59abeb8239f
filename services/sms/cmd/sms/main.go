// Command sms runs the worker that sends text messages, configured by
// environment variables (docs/configuration.md).
package main

import (
	"context"
	"io"
	"os"

	"countersign.dev/pkg/logs"
	"countersign.dev/pkg/run"
	"countersign.dev/services/sms"
)

func main() { os.Exit(start(context.Background(), os.Args[1:], os.Environ(), os.Stdout, os.Stderr)) }

func start(ctx context.Context, args, environ []string, out, problems io.Writer) int {
	return run.Program[sms.Config]{Name: "sms", Version: sms.Version, Run: work}.Start(ctx, args, environ, out, problems)
}

func work(ctx context.Context, cfg sms.Config, problems io.Writer) error {
	service, err := sms.New(ctx, cfg, sms.Parts{Log: logs.New(problems, cfg.Log)})
	if err != nil {
		return err
	}
	return service.Run(ctx)
}
