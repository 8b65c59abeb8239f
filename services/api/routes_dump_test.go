package api_test

import (
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// cell is one value of one row, as whoever holds the database reads it.
type cell struct{ column, kind, value string }

// row is one row of one table.
type row struct {
	table string
	cells []cell
}

// forgotten are cells that the service empties by itself after a while, or that
// say when somebody was there: they tell nothing about a request that came
// between two looks.
var forgotten = map[string]string{"refresh_tokens": "successor", "sessions": "seen_at"}

func (r row) String() string {
	var out strings.Builder
	out.WriteString(r.table)
	for _, c := range r.cells {
		if c.column == forgotten[r.table] {
			continue
		}
		fmt.Fprintf(&out, " %s=%s", c.column, c.value)
	}
	return out.String()
}

// openSQL opens the database of a house beside the service, with nothing of
// ours in between.
func (p *parts) openSQL(t *testing.T) *sql.DB {
	t.Helper()
	driver, name := "pgx", p.database
	if path, lite := strings.CutPrefix(p.database, "sqlite:"); lite {
		driver, name = "sqlite", path
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// tables lists the tables of the schema as it is now.
func tables(t *testing.T, db *sql.DB, p *parts) []string {
	t.Helper()
	query := `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1`
	if strings.HasPrefix(p.database, "sqlite:") {
		query = `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY 1`
	}
	var names []string
	for _, r := range read(t, db, "", query) {
		if !strings.HasPrefix(r.cells[0].value, "goose") { // which migrations ran
			names = append(names, r.cells[0].value)
		}
	}
	if len(names) == 0 {
		t.Fatal("the database has no tables")
	}
	return names
}

// dump reads every row of every table.
func dump(t *testing.T, db *sql.DB, p *parts) []row {
	t.Helper()
	var all []row
	for _, table := range tables(t, db, p) {
		all = append(all, read(t, db, table, `SELECT * FROM `+table)...)
	}
	return all
}

func read(t *testing.T, db *sql.DB, table, query string) []row {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		t.Fatal(err)
	}
	var out []row
	for rows.Next() {
		values, into := make([]any, len(types)), make([]any, len(types))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		r := row{table: table}
		for i, value := range values {
			if raw, ok := value.([]byte); ok {
				value = string(raw)
			}
			r.cells = append(r.cells, cell{types[i].Name(), types[i].DatabaseTypeName(), fmt.Sprint(value)})
		}
		out = append(out, r)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// changes returns the rows that went and those that came between two dumps; a
// row that changed went and came.
func changes(before, after []row) (went, came []row) {
	return missing(before, after), missing(after, before)
}

func missing(from, in []row) (out []row) {
	count := map[string]int{}
	for _, r := range in {
		count[r.String()]++
	}
	for _, r := range from {
		if count[r.String()]--; count[r.String()] < 0 {
			out = append(out, r)
		}
	}
	return out
}

// wantUnchanged fails when a row is not what it was.
func wantUnchanged(t *testing.T, what string, before, after []row) {
	t.Helper()
	went, came := changes(before, after)
	for _, r := range went {
		t.Errorf("%s: a row is gone or changed: %.400q", what, r)
	}
	for _, r := range came {
		t.Errorf("%s: a row is new or changed: %.400q", what, r)
	}
}

// columns lists the columns of the schema as it is now, with their types.
func columns(t *testing.T, db *sql.DB, p *parts) map[string]string {
	t.Helper()
	types := map[string]string{}
	for _, table := range tables(t, db, p) {
		addColumns(t, db, table, types)
	}
	return types
}

func addColumns(t *testing.T, db *sql.DB, table string, types map[string]string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `SELECT * FROM `+table+` LIMIT 0`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	found, err := rows.ColumnTypes()
	if err != nil || rows.Err() != nil {
		t.Fatal(err, rows.Err())
	}
	for _, column := range found {
		types[column.Name()] = column.DatabaseTypeName()
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
