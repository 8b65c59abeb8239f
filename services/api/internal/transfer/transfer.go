// Package transfer moves users in and out of an organization: from the file of
// another system with the hashes of their passwords, and into a file with all
// that is kept about them.
//
// It is called by an operator's tools and hands to the rules of users and
// passwords, which say what a line may hold, and to the store. A file of any
// size takes the same memory: lines are bounded, and read and written a
// portion at a time.
//
// An import can be killed at any moment. The place that it has come to stands
// in the database and moves in the transaction that writes the users, so the
// next run of the same file goes on exactly there.
package transfer

import (
	"context"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// Mode says what becomes of a line whose address has a user already.
type Mode string

// The modes.
const (
	Leave  Mode = "skip"   // the user stays as it is
	Update Mode = "update" // what the line says is taken over; a password that was used here stays
	Fail   Mode = "fail"   // the line is refused
)

// Counts are how many lines were read and what became of them.
type Counts struct {
	Lines   int64 `json:"lines"`
	Created int64 `json:"created"`
	Updated int64 `json:"updated"`
	Skipped int64 `json:"skipped"`
	Failed  int64 `json:"failed"`
}

// Checkpoint is how far an import has come.
type Checkpoint struct {
	Counts
	Report int64 // bytes of the report that belong to it
}

// Row is one line that is good: a user, and the password where there is one.
type Row struct {
	Line int64 // in the file
	User user.User
	// Onto applies the line to the user who has the address already.
	Onto func(*user.User) error
	// Hash is what is stored of the password; empty for none.
	Hash       string
	MustChange bool
	ChangedAt  time.Time
}

// Outcome is what became of a row.
type Outcome int

// The outcomes.
const (
	Created Outcome = iota
	Updated
	Skipped
	Taken // refused: the address has a user
)

// File is whose import of which file is meant, and who works on it.
type File struct {
	Tenant tenant.ID
	Digest string // of its content and format; empty: nothing is remembered of it
	Run    string // id of the run that holds it
}

// Batch is what one transaction writes.
type Batch struct {
	File
	Mode Mode
	Rows []Row
	// DryRun does everything and then takes it back.
	DryRun bool
	At     time.Time
}

// ErrTakenOver stops a run when another one has begun with the same file.
var ErrTakenOver = fault.New(fault.Conflict, "import_taken_over", "another import of the same file has begun meanwhile and goes on from here; this one stops")

// Store writes users.
type Store interface {
	// BeginImport takes a file over for a run, with entries that tell of it,
	// and returns how far the runs before have come. A file that was imported
	// to its end begins anew. It returns tenant.ErrNotFound.
	BeginImport(ctx context.Context, f File, at time.Time, entries []outbox.Entry) (Checkpoint, error)
	// ImportUsers writes rows and the checkpoint that conclude returns, in one
	// transaction. Conclude hears what became of each row, and must not call
	// the store. It returns ErrTakenOver, or what conclude returns.
	ImportUsers(ctx context.Context, b Batch, conclude func([]Outcome) (Checkpoint, error)) error
	// FinishImport notes that the file was imported, with entries that tell of
	// it. It returns ErrTakenOver.
	FinishImport(ctx context.Context, f File, at time.Time, entries []outbox.Entry) error
}
