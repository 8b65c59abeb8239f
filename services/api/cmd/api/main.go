// Command api runs the api service, configured by environment variables
// (docs/configuration.md).
package main

import (
	"context"
	"errors"
	"io"
	"os"

	"countersign.dev/pkg/logs"
	"countersign.dev/pkg/run"
	"countersign.dev/services/api"
)

func main() { os.Exit(start(context.Background(), os.Args[1:], os.Environ(), os.Stdout, os.Stderr)) }

func start(ctx context.Context, args, environ []string, out, problems io.Writer) int {
	return run.Program[api.Config]{Name: "api", Version: api.Version, Run: work}.Start(ctx, args, environ, out, problems)
}

func work(ctx context.Context, cfg api.Config, problems io.Writer) error {
	log := logs.New(problems, cfg.Log)
	service, err := api.New(ctx, cfg, api.Parts{Log: log})
	if err != nil {
		return err
	}
	g := &run.Group{Log: log, Notice: cfg.DrainNotice}
	service.Add(g)
	return errors.Join(g.Run(ctx), service.Close())
}
