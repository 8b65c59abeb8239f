package transfer

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/user"
)

// portion is how many lines are one transaction, and how many rows of an
// export are read at once.
const portion = 500

// Report takes the lines that failed.
type Report interface {
	io.Writer
	// Keep cuts off what was written after size bytes, and returns how many
	// are left: there may be fewer, when somebody has taken the report away.
	Keep(size int64) (int64, error)
	// Sync returns when what was written is safe.
	Sync() error
}

// Importer brings users.
type Importer struct {
	Store    Store
	Peppers  password.Peppers
	Firebase *password.Firebase // nil: there are no hashes of Firebase
	Outbox   *outbox.Composer
	Now      func() time.Time
}

// Run is one import.
type Run struct {
	File   // without Run
	Lines  Lines
	Mode   Mode
	DryRun bool
	Report Report
	By     activity.By
	Each   func(Counts) // hears of every portion; nil hears nothing
}

// Import reads the lines and writes their users, beginning where the last run
// of the same file has stopped. That lines failed is no error: the counts say
// so. It returns ErrTakenOver, tenant.ErrNotFound, and what reading, writing
// and reporting return; what was counted until then is done.
func (s *Importer) Import(ctx context.Context, run Run) (Counts, error) {
	if !slices.Contains([]Mode{Leave, Update, Fail}, run.Mode) {
		return Counts{}, fault.Newf(fault.Invalid, "invalid_parameter", "users who are here are met with %s, %s or %s", Leave, Update, Fail)
	}
	run.Run = id.UUID()
	at := Checkpoint{}
	if !run.DryRun {
		var err error
		begun := s.tell(run, event.TypeUsersImportBegun, Counts{})
		if at, err = s.Store.BeginImport(ctx, run.File, s.Now(), begun); err != nil {
			return Counts{}, err
		}
	}
	var err error
	if at.Report, err = run.Report.Keep(at.Report); err != nil {
		return at.Counts, fmt.Errorf("open report: %w", err)
	}
	for range at.Lines {
		if _, err := run.Lines.next(); err != nil {
			return at.Counts, fmt.Errorf("go on where the import has stopped: %w", err)
		}
	}
	for done := false; !done; {
		if done, err = s.portion(ctx, run, &at); err != nil {
			return at.Counts, err
		}
		if run.Each != nil {
			run.Each(at.Counts)
		}
	}
	if run.DryRun {
		return at.Counts, nil
	}
	return at.Counts, s.Store.FinishImport(ctx, run.File, s.Now(), s.tell(run, event.TypeUsersImported, at.Counts))
}

// tell makes the record of a run. One tells of all: a record for each user
// would lock the ends of chains that logins wait for.
func (s *Importer) tell(run Run, action string, c Counts) []outbox.Entry {
	data := map[string]string{"on_conflict": string(run.Mode)}
	if action == event.TypeUsersImported {
		for name, n := range map[string]int64{"lines": c.Lines, "created": c.Created, "updated": c.Updated, "skipped": c.Skipped, "failed": c.Failed} {
			data[name] = strconv.FormatInt(n, 10)
		}
	}
	return []outbox.Entry{s.Outbox.Event(activity.Record{Tenant: run.Tenant, Action: action, By: run.By, Data: data})}
}

// portion reads and writes the next lines and moves at. It reports whether
// they were the last.
func (s *Importer) portion(ctx context.Context, run Run, at *Checkpoint) (done bool, err error) {
	now := s.Now().Truncate(time.Millisecond)
	var problems []problem
	batch := Batch{File: run.File, Mode: run.Mode, DryRun: run.DryRun, At: now}
	lines := int64(0)
	for ; lines < portion; lines++ {
		got, err := run.Lines.next()
		if errors.Is(err, io.EOF) {
			done = true
			break
		}
		if err != nil {
			return false, err
		}
		row, why := s.row(run, got, now)
		if why != nil {
			problems = append(problems, newProblem(got, why))
			continue
		}
		batch.Rows = append(batch.Rows, row)
	}
	if lines == 0 {
		return true, nil
	}
	next := *at
	err = s.Store.ImportUsers(ctx, batch, func(outcomes []Outcome) (Checkpoint, error) {
		// A store that has to begin again calls once more.
		next = *at
		next.Lines += lines
		all := next.count(batch.Rows, outcomes, slices.Clone(problems))
		written, err := writeProblems(run.Report, at.Report, all)
		next.Report = written
		return next, err
	})
	if err == nil {
		*at = next
	}
	return done, err
}

// count adds what became of the rows, and returns all lines that failed.
func (c *Checkpoint) count(rows []Row, outcomes []Outcome, problems []problem) []problem {
	for i, outcome := range outcomes {
		switch outcome {
		case Created:
			c.Created++
		case Updated:
			c.Updated++
		case Skipped:
			c.Skipped++
		case Taken:
			email := rows[i].User.Email.Written
			problems = append(problems, newProblem(read{line: rows[i].Line, entry: Entry{Email: &email}}, user.ErrEmailTaken))
		}
	}
	c.Failed += int64(len(problems))
	slices.SortFunc(problems, func(a, b problem) int { return cmp.Compare(a.Line, b.Line) })
	return problems
}

// row makes a user of a line, or says why it is none.
func (s *Importer) row(run Run, got read, now time.Time) (Row, error) {
	e := got.entry
	if got.err != nil {
		return Row{}, got.err
	}
	brought := user.Brought{
		Change:        user.Change{Email: e.Email, Phone: e.Phone, Active: e.Active, Profile: e.Profile},
		EmailVerified: e.EmailVerified, PhoneVerified: e.PhoneVerified, CreatedAt: e.CreatedAt.Truncate(time.Millisecond),
	}
	if e.Address != nil {
		brought.Address = *e.Address
	}
	u, err := brought.New(run.Tenant, now)
	if err != nil {
		return Row{}, err
	}
	row := Row{Line: got.line, User: u, MustChange: e.MustChange, ChangedAt: now, Onto: func(u *user.User) error { return brought.Onto(u, now) }}
	if !e.PasswordChangedAt.IsZero() {
		row.ChangedAt = e.PasswordChangedAt.Truncate(time.Millisecond)
	}
	row.Hash, err = s.hash(e)
	switch {
	case err != nil:
		return Row{}, err
	case row.Hash == "" && (e.MustChange || !e.PasswordChangedAt.IsZero()):
		return Row{}, fault.New(fault.Invalid, "invalid_parameter", "must_change and password_changed_at need a password_hash")
	case row.ChangedAt.After(now) || row.ChangedAt.Unix() < 0:
		return Row{}, fault.New(fault.Invalid, "invalid_parameter", "password_changed_at must be between 1970 and now")
	}
	return row, nil
}

const algorithmFirebase = "firebase_scrypt"

func (s *Importer) hash(e Entry) (string, error) {
	text := e.PasswordHash.Reveal()
	switch {
	case e.HashAlgorithm != "" && e.HashAlgorithm != algorithmFirebase:
		return "", fault.New(fault.Invalid, "invalid_parameter", "hash_algorithm is empty or "+algorithmFirebase+": all other hashes say themselves what they are")
	case text == "":
		return "", nil
	case e.HashAlgorithm == "" || password.IsForeign(text):
		return s.Peppers.Import(text)
	case s.Firebase == nil:
		return "", password.ErrFirebase
	}
	return s.Firebase.Import(text, e.PasswordSalt)
}

// problem is a line of the report. It holds no hash and no full address.
type problem struct {
	Line   int64  `json:"line"`
	Code   string `json:"code"`
	Reason string `json:"reason"`
	Email  string `json:"email,omitempty"` // masked
}

func newProblem(got read, why error) problem {
	p := problem{Line: got.line, Code: "internal_error", Reason: "the line was not understood"}
	if f, ok := errors.AsType[*fault.Error](why); ok {
		p.Code, p.Reason = f.Code, f.Message
	}
	if got.entry.Email != nil {
		p.Email = secret.MaskEmail(*got.entry.Email)
	}
	return p
}

// writeProblems puts lines behind the first size bytes of the report and
// returns how many it has then.
func writeProblems(report Report, size int64, problems []problem) (int64, error) {
	if len(problems) == 0 {
		return size, nil
	}
	if _, err := report.Keep(size); err != nil {
		return 0, fmt.Errorf("write report: %w", err)
	}
	var lines []byte
	for _, p := range problems {
		line, err := json.Marshal(p)
		if err != nil {
			return 0, fmt.Errorf("write report: %w", err)
		}
		lines = append(append(lines, line...), '\n')
	}
	if _, err := report.Write(lines); err != nil {
		return 0, fmt.Errorf("write report: %w", err)
	}
	if err := report.Sync(); err != nil {
		return 0, fmt.Errorf("write report: %w", err)
	}
	return size + int64(len(lines)), nil
}
