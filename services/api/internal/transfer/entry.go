package transfer

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/user"
)

// Entry is one user in a file. Its names are those of OpenID Connect where
// that has one. What a file does not say is nil or zero.
type Entry struct {
	Email         *string `json:"email"`
	EmailVerified bool    `json:"email_verified"`
	Phone         *string `json:"phone_number"`
	PhoneVerified bool    `json:"phone_number_verified"`
	Active        *bool   `json:"active"`
	user.Profile
	Address           *user.Postal `json:"address"`
	CreatedAt         time.Time    `json:"created_at"`
	PasswordHash      secret.Text  `json:"password_hash"`
	PasswordSalt      string       `json:"password_salt"`
	HashAlgorithm     string       `json:"hash_algorithm"`
	PasswordChangedAt time.Time    `json:"password_changed_at"`
	MustChange        bool         `json:"must_change"`

	// What an export says beside that, and an import passes over.
	Kind      string          `json:"kind"`
	ID        string          `json:"id"`
	UpdatedAt string          `json:"updated_at"`
	Password  json.RawMessage `json:"password"`
}

var (
	errLine = fault.New(fault.Invalid, "malformed_line", "the line is no JSON object with fields of the right kinds")
	errTime = fault.New(fault.Invalid, "malformed_line", "times are written as 2026-03-01T12:00:00Z (RFC 3339)")
	errFlag = fault.New(fault.Invalid, "malformed_line", "flags are true or false")
)

// parseJSON reads a line of JSON. Its errors repeat nothing of it but names
// that are field names.
func parseJSON(line []byte) (e Entry, err error) {
	decoder := json.NewDecoder(strings.NewReader(string(line)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&e); err != nil {
		if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && isName(kind.Field) {
			return Entry{}, fault.Newf(fault.Invalid, "malformed_line", "%s is of another kind than it should be", kind.Field)
		}
		if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok && isName(strings.Trim(name, `"`)) {
			return Entry{}, fault.Newf(fault.Invalid, "malformed_line", "there is no field %s", strings.Trim(name, `"`))
		}
		if _, ok := errors.AsType[*time.ParseError](err); ok {
			return Entry{}, errTime
		}
		return Entry{}, errLine
	}
	if decoder.More() {
		return Entry{}, errLine
	}
	return e, nil
}

// isName reports whether text can stand in a report: what was meant as a name
// may be an address.
func isName(text string) bool {
	return text != "" && len(text) <= 40 && !strings.ContainsFunc(text, func(r rune) bool {
		return r != '_' && r != '.' && (r < 'a' || r > 'z')
	})
}

// column sets one value of an entry from the text of a cell, which is not
// empty.
type column func(e *Entry, cell string) error

// columns are those of a CSV file, by the names of its header.
func columns() map[string]column {
	out := map[string]column{
		"email":                 text(func(e *Entry) **string { return &e.Email }),
		"email_verified":        flag(func(e *Entry) *bool { return &e.EmailVerified }),
		"phone_number":          text(func(e *Entry) **string { return &e.Phone }),
		"phone_number_verified": flag(func(e *Entry) *bool { return &e.PhoneVerified }),
		"active":                flag(func(e *Entry) *bool { e.Active = new(bool); return e.Active }),
		"must_change":           flag(func(e *Entry) *bool { return &e.MustChange }),
		"created_at":            moment(func(e *Entry) *time.Time { return &e.CreatedAt }),
		"password_changed_at":   moment(func(e *Entry) *time.Time { return &e.PasswordChangedAt }),
		"password_hash":         func(e *Entry, cell string) error { e.PasswordHash = secret.New(cell); return nil },
		"password_salt":         func(e *Entry, cell string) error { e.PasswordSalt = cell; return nil },
		"hash_algorithm":        func(e *Entry, cell string) error { e.HashAlgorithm = cell; return nil },
		"id":                    func(*Entry, string) error { return nil },
		"updated_at":            func(*Entry, string) error { return nil },
	}
	for name, of := range profileColumns {
		out[name] = text(func(e *Entry) **string { return of(&e.Profile) })
	}
	for name, of := range addressColumns {
		out["address."+name] = text(func(e *Entry) **string {
			if e.Address == nil {
				e.Address = &user.Postal{}
			}
			return of(e.Address)
		})
	}
	return out
}

var profileColumns = map[string]func(*user.Profile) **string{
	"given_name":         func(p *user.Profile) **string { return &p.GivenName },
	"family_name":        func(p *user.Profile) **string { return &p.FamilyName },
	"nickname":           func(p *user.Profile) **string { return &p.Nickname },
	"gender":             func(p *user.Profile) **string { return &p.Gender },
	"birthdate":          func(p *user.Profile) **string { return &p.Birthdate },
	"locale":             func(p *user.Profile) **string { return &p.Locale },
	"picture":            func(p *user.Profile) **string { return &p.Picture },
	"preferred_username": func(p *user.Profile) **string { return &p.PreferredUsername },
	"website":            func(p *user.Profile) **string { return &p.Website },
	"zoneinfo":           func(p *user.Profile) **string { return &p.Zoneinfo },
}

var addressColumns = map[string]func(*user.Postal) **string{
	"country":        func(p *user.Postal) **string { return &p.Country },
	"formatted":      func(p *user.Postal) **string { return &p.Formatted },
	"locality":       func(p *user.Postal) **string { return &p.Locality },
	"postal_code":    func(p *user.Postal) **string { return &p.PostalCode },
	"region":         func(p *user.Postal) **string { return &p.Region },
	"street_address": func(p *user.Postal) **string { return &p.StreetAddress },
}

func text(of func(*Entry) **string) column {
	return func(e *Entry, cell string) error { *of(e) = &cell; return nil }
}

func flag(of func(*Entry) *bool) column {
	return func(e *Entry, cell string) error {
		value, known := map[string]bool{"true": true, "1": true, "false": false, "0": false}[strings.ToLower(cell)]
		if !known {
			return errFlag
		}
		*of(e) = value
		return nil
	}
}

func moment(of func(*Entry) *time.Time) column {
	return func(e *Entry, cell string) (err error) {
		if *of(e), err = time.Parse(time.RFC3339, cell); err != nil {
			return errTime
		}
		return nil
	}
}
