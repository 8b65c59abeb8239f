package countersign

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api"
)

type usersCommand struct {
	Import usersImportCommand `cmd:"" help:"Bring users with the hashes of their passwords from a file. It can be stopped at any moment; the same command goes on."`
	Export usersExportCommand `cmd:"" help:"Write all that is kept about one user, or about all, as lines of JSON, without secrets."`
}

type usersImportCommand struct {
	Org        string `arg:"" help:"Domain of the organization."`
	File       string `arg:"" help:"File of users, or - for the standard input, which cannot be gone on with after a stop."`
	Env        string `required:"" enum:"sandbox,default" help:"Environment: sandbox, or default for production."`
	Format     string `enum:",csv,jsonl" default:"" help:"csv or jsonl; by the name of the file when empty."`
	OnConflict string `enum:"skip,update,fail" default:"skip" help:"What to do with an address that has a user: skip, update or fail."`
	DryRun     bool   `help:"Do everything and take it back: shows what would fail."`
	Firebase   string `name:"firebase-parameters" help:"File with hash_config as Firebase's console shows it; for hash_algorithm firebase_scrypt. Keep it as safe as the passwords."`
	Report     string `help:"Where lines that failed are reported; FILE.errors.jsonl when empty."`
}

// Run implements the command.
func (c usersImportCommand) Run(ctx context.Context, p *process) (err error) {
	cfg, err := operatorConfig[api.UsersConfig](p)
	if err != nil {
		return err
	}
	in := api.Import{Org: c.Org, Env: c.Env, OnConflict: c.OnConflict, DryRun: c.DryRun}
	if in.Format, err = c.format(); err != nil {
		return err
	}
	if c.Firebase != "" {
		if in.Firebase, err = readFirebase(c.Firebase); err != nil {
			return err
		}
	}
	source, err := c.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	progress := newMeter(p.stderr)
	in.Input, in.Digest = source, source.digest
	in.Each = func(n api.ImportCounts) { progress.at(source.share(), n.Lines, fmt.Sprintf(", %d failed", n.Failed)) }
	counts, reportErr, err := c.run(ctx, cfg, in)
	progress.end()
	return errors.Join(c.tell(p.stdout, counts, err), reportErr)
}

// run imports, with a report that stays only when there is something in it.
func (c usersImportCommand) run(ctx context.Context, cfg api.UsersConfig, in api.Import) (counts api.ImportCounts, reportErr, err error) {
	users, err := api.OpenUsers(ctx, cfg)
	if err != nil {
		return counts, nil, err
	}
	defer func() { err = errors.Join(err, users.Close()) }()
	if in.Report, err = os.OpenFile(c.report(), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		return counts, nil, fmt.Errorf("open report: %w", err)
	}
	counts, err = users.Import(ctx, in)
	reportErr = in.Report.Close()
	if info, statErr := os.Stat(c.report()); statErr == nil && info.Size() == 0 {
		reportErr = errors.Join(reportErr, os.Remove(c.report()))
	}
	return counts, reportErr, err
}

// tell says what became of the lines. That some failed is an error, so that a
// script notices.
func (c usersImportCommand) tell(w io.Writer, n api.ImportCounts, err error) error {
	verb := "Read"
	if c.DryRun {
		verb = "Dry run, nothing was changed. Read"
	}
	if n.Lines > 0 || err == nil {
		fmt.Fprintf(w, "%s %d lines: %d created, %d updated, %d skipped, %d failed.\n", verb, n.Lines, n.Created, n.Updated, n.Skipped, n.Failed)
	}
	switch {
	case err != nil && !c.DryRun && c.File != "-":
		return fmt.Errorf("stopped after %d lines; the same command goes on from there: %w", n.Lines, err)
	case err != nil:
		return err
	case n.Failed > 0:
		return fmt.Errorf("%d of %d lines failed: see %s", n.Failed, n.Lines, c.report())
	}
	return nil
}

func (c usersImportCommand) report() string {
	switch {
	case c.Report != "":
		return c.Report
	case c.File == "-":
		return "users.errors.jsonl"
	}
	return c.File + ".errors.jsonl"
}

func (c usersImportCommand) format() (string, error) {
	if c.Format != "" {
		return c.Format, nil
	}
	switch strings.ToLower(filepath.Ext(c.File)) {
	case ".csv":
		return "csv", nil
	case ".jsonl", ".ndjson":
		return "jsonl", nil
	}
	return "", errors.New("say --format csv or --format jsonl: the name of the file does not tell")
}

// source is a file that counts what was read of it.
type source struct {
	*os.File
	digest string
	size   int64 // zero where nobody knows
	read   int64
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.File.Read(p)
	s.read += int64(n)
	return n, err //nolint:wrapcheck // a reader passes on what it hears
}

// share is how much of it was read; below zero where nobody knows.
func (s *source) share() float64 {
	if s.size == 0 {
		return -1
	}
	return float64(s.read) / float64(s.size)
}

// open opens the file and reads it once for its digest: that is how the next
// run knows that it is the same.
func (c usersImportCommand) open() (*source, error) {
	if c.File == "-" {
		return &source{File: os.Stdin}, nil
	}
	file, err := os.Open(c.File)
	if err != nil {
		return nil, fmt.Errorf("open users: %w", err)
	}
	sum := sha256.New()
	size, err := io.Copy(sum, file)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read users: %w", err), file.Close())
	}
	return &source{File: file, digest: hex.EncodeToString(sum.Sum(nil)), size: size}, nil
}

// readFirebase reads hash_config as the console shows it: a name, a colon and a
// value on each line. JSON of the same names, a line each, is read as well.
func readFirebase(path string) (*api.FirebaseParameters, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open parameters of Firebase: %w", err)
	}
	defer func() { _ = file.Close() }()
	f := &api.FirebaseParameters{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.Trim(value, `", `)
		switch strings.Trim(name, "\" \t") {
		case "base64_signer_key":
			f.SignerKey = secret.New(value)
		case "base64_salt_separator":
			f.Separator = value
		case "rounds":
			f.Rounds, err = strconv.Atoi(value)
		case "mem_cost":
			f.MemCost, err = strconv.Atoi(value)
		}
		if err != nil {
			return nil, errors.New("read parameters of Firebase: rounds and mem_cost are numbers")
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read parameters of Firebase: %w", err)
	}
	return f, nil
}
