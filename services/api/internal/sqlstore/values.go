package sqlstore

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/tenant"
)

// instant is a time as unix milliseconds; the zero time is NULL.
type instant struct{ t *time.Time }

// millis is a time as an argument.
func millis(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

// Scan implements sql.Scanner.
func (i instant) Scan(from any) error {
	switch ms := from.(type) {
	case nil:
		*i.t = time.Time{}
	case int64:
		*i.t = time.UnixMilli(ms).UTC()
	default:
		return fmt.Errorf("a time cannot be read from %T", from)
	}
	return nil
}

// document is a value as JSON text; nil is NULL.
type document struct{ of any }

// Value implements driver.Valuer.
func (d document) Value() (driver.Value, error) {
	text, err := json.Marshal(d.of)
	if err != nil || string(text) == "null" {
		return nil, err
	}
	return string(text), nil
}

// Scan implements sql.Scanner.
func (d document) Scan(from any) error {
	switch text := from.(type) {
	case nil:
		return nil
	case string:
		return json.Unmarshal([]byte(text), d.of)
	case []byte:
		return json.Unmarshal(text, d.of)
	default:
		return fmt.Errorf("a document cannot be read from %T", from)
	}
}

// ifThere fills what an outer join may not have found: then it stays as it is.
func ifThere(into []any) []any {
	out := make([]any, len(into))
	for i, one := range into {
		out[i] = optional{one}
	}
	return out
}

type optional struct{ into any }

// Scan implements sql.Scanner.
func (o optional) Scan(from any) error {
	if from == nil {
		return nil
	}
	if inner, ok := o.into.(sql.Scanner); ok {
		return inner.Scan(from)
	}
	// What the columns of joined tables are read into; their kinds are those
	// of the migrations.
	switch into := o.into.(type) {
	case *string:
		return assign(into, from)
	case *int:
		return assign(into, from)
	case *int64:
		return assign(into, from)
	case *bool:
		return assign(into, from)
	case *[]byte:
		return assign(into, from)
	default:
		return fmt.Errorf("an optional column cannot be read into %T", into)
	}
}

func assign[T any](into *T, from any) error {
	var value sql.Null[T]
	if err := value.Scan(from); err != nil {
		return err
	}
	*into = value.V
	return nil
}

// list is texts as JSON; none is [], never null.
func list(texts []string) document {
	if texts == nil {
		texts = []string{}
	}
	return document{texts}
}

// conditions is a WHERE clause of constant texts with numbered arguments.
type conditions struct {
	text string
	args []any
}

// below is the condition that everything below a tenant starts with.
func below(t tenant.ID) *conditions {
	c := &conditions{}
	c.and("account_id", t.Account)
	c.and("org_id", t.Org)
	c.and("environment", t.Env)
	return c
}

// and adds "column = value". The column is a constant, never input.
func (c *conditions) and(column string, value any) {
	c.join(column + " = " + c.next(value))
}

// andAny adds "column IN (values)".
func (c *conditions) andAny(column string, values []string) {
	places := make([]string, len(values))
	for i, value := range values {
		places[i] = c.next(value)
	}
	c.join(column + " IN (" + strings.Join(places, ", ") + ")")
}

// next takes an argument and returns its placeholder.
func (c *conditions) next(value any) string {
	c.args = append(c.args, value)
	return "$" + strconv.Itoa(len(c.args))
}

func (c *conditions) join(condition string) {
	if c.text != "" {
		c.text += " AND "
	}
	c.text += condition
}

// farAway is past the end of every list; beyond it the offset would overflow.
const farAway = int64(1) << 40

// page returns the bounded page and its LIMIT clause.
func (c *conditions) page(p listing.Page) (listing.Page, string) {
	p = listing.Of(p.Number, p.Per)
	offset := farAway
	if int64(p.Number-1) < farAway/int64(p.Per) {
		offset = int64(p.Offset())
	}
	return p, " LIMIT " + c.next(p.Per) + " OFFSET " + c.next(offset)
}
