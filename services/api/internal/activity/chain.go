package activity

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strconv"

	"countersign.dev/services/api/internal/tenant"
)

// Chains is how many chains an environment of an organization has. The records
// of one user are in one of them.
const Chains = 16

// ChainOf is the chain of a user's records. What concerns nobody is in the
// first.
func ChainOf(userID string) int {
	if userID == "" {
		return 0
	}
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(userID)) // never fails
	return int(sum.Sum32() % Chains)
}

// Place is where a record stands.
type Place struct {
	Chain  int
	Number int64
	Hash   string // base64url
}

// Entry is a record at its place.
type Entry struct {
	Record
	Place
}

// End is the end of a chain.
type End struct {
	Tenant tenant.ID
	Place
	Seal string // base64url
}

// Index makes keyed digests.
type Index interface {
	Sum(purpose string, parts ...string) []byte
}

// Chain computes hashes. Its key is not in the database: who can write there
// cannot make a record that fits.
type Chain struct{ Index Index }

// The purposes keep the two digests apart.
const (
	purposeRecord = "activity.record"
	purposeEnd    = "activity.end"
)

// Next is the end of a chain after one more record. Before is the hash of the
// record before, empty for the first.
func (c Chain) Next(before string, number int64, r Record) (End, error) {
	data, err := r.data()
	if err != nil {
		return End{}, err
	}
	chain := ChainOf(r.UserID)
	hash := c.sum(purposeRecord, before, strconv.Itoa(chain), strconv.FormatInt(number, 10), r.ID, r.Tenant.Account, r.Tenant.Org, r.Tenant.Env,
		r.Action, r.Result, r.Actor, r.UserID, r.TraceID, data, strconv.FormatInt(r.At.UnixMilli(), 10))
	end := End{Tenant: r.Tenant, Place: Place{Chain: chain, Number: number, Hash: hash}}
	end.Seal = c.seal(end)
	return end, nil
}

// seal covers the end of a chain. It is no hash of a record, so that it cannot
// be copied from the record that somebody wants to be the last.
func (c Chain) seal(e End) string {
	return c.sum(purposeEnd, e.Hash, e.Tenant.Account, e.Tenant.Org, e.Tenant.Env, strconv.Itoa(e.Chain), strconv.FormatInt(e.Number, 10))
}

func (c Chain) sum(purpose string, parts ...string) string {
	return base64.RawURLEncoding.EncodeToString(c.Index.Sum(purpose, parts...))
}

// data is the words of a record in their one form.
func (r Record) data() (string, error) {
	if len(r.Data) == 0 {
		return "{}", nil
	}
	text, err := json.Marshal(r.Data) // in the order of the names
	if err != nil {
		return "", fmt.Errorf("encode data of a record: %w", err)
	}
	return string(text), nil
}
