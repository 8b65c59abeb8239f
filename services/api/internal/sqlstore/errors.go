package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"countersign.dev/pkg/fault"
)

// ErrUnavailable answers while the database cannot be reached, does not answer
// in time, or has no connection or lock to give. Nothing was read; a write may
// or may not have happened.
var ErrUnavailable = fault.New(fault.Unavailable, "database_unavailable", "the service cannot reach its database; try again in a moment")

const retryIn = 2 * time.Second

// wrap says what was being done, and makes a fault of what time may heal.
// Faults of rules pass as they are.
func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	err = fmt.Errorf("%s: %w", what, err)
	if passing(err) {
		return ErrUnavailable.RetryIn(retryIn).Because(err)
	}
	return err
}

// passing reports whether the same call may succeed later.
func passing(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return passingInPostgres(pg.Code)
	}
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		switch lite.Code() & 0xff { // the high bits tell kinds of one code apart
		case lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_IOERR, lib.SQLITE_FULL, lib.SQLITE_CANTOPEN,
			lib.SQLITE_READONLY, lib.SQLITE_NOMEM, lib.SQLITE_INTERRUPT:
			return true
		}
		return false
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	for _, gone := range []error{
		context.DeadlineExceeded, driver.ErrBadConn, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
		sql.ErrTxDone, // its time ran out between two statements: no transaction here is used after its end
	} {
		if errors.Is(err, gone) {
			return true
		}
	}
	return pgconn.SafeToRetry(err) || pgconn.Timeout(err)
}

const deadlock = "40P01" // of Postgres

// passingInPostgres reads an SQLSTATE.
func passingInPostgres(code string) bool {
	switch code {
	case "40001", deadlock, // serialization
		"55P03",          // lock_timeout
		"25006", "25P03": // a standby that is read-only, idle in transaction for too long
		return true
	}
	for _, class := range []string{
		"08", // the connection
		"53", // out of connections, memory, disk
		"57", // shut down, starting up, statement_timeout
		"58", // the system below
	} {
		if strings.HasPrefix(code, class) {
			return true
		}
	}
	return false
}

// constraint is a unique rule: Postgres tells its name, SQLite a column of it.
type constraint struct{ name, column string }

var (
	accountDomain = constraint{"accounts_domain_key", "accounts.domain"}
	livingDomain  = constraint{"organizations_living_domain_key", "organizations.domain"}
	userEmail     = constraint{"users_email_key", "users.email_canonical"}
	provenDomain  = constraint{"organization_domains_proven_key", "organization_domains.domain"}
)

// violatedBy reports whether err is a violation of the unique rule.
func (c constraint) violatedBy(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code == "23505" && pg.ConstraintName == c.name
	}
	lite, ok := errors.AsType[*sqlite.Error](err)
	return ok && lite.Code() == lib.SQLITE_CONSTRAINT_UNIQUE && strings.Contains(lite.Error(), c.column)
}

// orphan reports whether err says that the row to hang on is not there.
func orphan(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code == "23503"
	}
	lite, ok := errors.AsType[*sqlite.Error](err)
	return ok && lite.Code() == lib.SQLITE_CONSTRAINT_FOREIGNKEY
}

// noTable reports whether err says that a table has not been made yet.
func noTable(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code == "42P01"
	}
	lite, ok := errors.AsType[*sqlite.Error](err)
	return ok && lite.Code() == lib.SQLITE_ERROR && strings.Contains(lite.Error(), "no such table")
}
