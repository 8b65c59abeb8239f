// Package flow owns authorization requests: what an app asks when it sends a
// browser to us, the login that answers it, and the way back with a code (RFC
// 6749 4.1, OpenID Connect Core 3.1).
//
// The edge of OAuth calls [Service.Start]. A browser that is signed in well
// enough goes back with a code at once; any other gets a flow, to which the
// sign-in page adds a proof at a time ([Service.Password], [Service.Code]).
// What is proven is compared by the rules of passwords and factors, whether it
// is enough is decided by package login, and this is the one that begins or
// raises the browser's session and has package grant make the code.
//
// A flow is 256 random bits, of which only a digest is kept. It belongs to one
// client, one tenant and one browser, lives for half an hour, and is finished
// once, by one conditional step.
package flow

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/login"
)

const (
	// Life is how long a login may take, from the app and back.
	Life = 30 * time.Minute
	// tries are how many proofs of a flow may be wrong before the app has to
	// begin another one. The guard counts beside it, for all flows together.
	tries = 10
)

// Flow is an authorization request under way.
type Flow struct {
	Request   `json:"request"`
	RequestID string `json:"request_id"` // its public name
	// Browser is the digest of the cookie of the browser that it began in;
	// Network and Agent are what may be said of that browser in another one.
	Browser []byte `json:"browser"`
	Network string `json:"network"`
	Agent   string `json:"agent"`
	// Token is what the flow is found by, for a link that leads back to it: the
	// record is sealed.
	Token string `json:"token"`
	Step  Step   `json:"step"`
	// UserID is whose first half is proven, empty for nobody's. SessionID says
	// that it was proven in this session of the browser, which a second factor
	// then raises.
	UserID    string `json:"user_id"`
	SessionID string `json:"session_id"`
	// Login is all that was proven, once it is enough for the user; a session
	// that is raised has Proof instead. Renewing says that the login needs
	// another password before it is good for anything.
	Login    *login.Login `json:"login,omitempty"`
	Proof    string       `json:"proof,omitempty"`
	Renewing bool         `json:"renewing,omitempty"`
	Allowed  bool         `json:"allowed,omitempty"` // the user was asked for consent, and gave it
	// Recovered says that a recovery code was used in this flow, which an
	// enrolment has to follow.
	Recovered bool      `json:"recovered,omitempty"`
	Enrolling enrolling `json:"enrolling,omitzero"`
	Codes     []string  `json:"codes,omitempty"` // recovery codes that are not saved yet
	// Typed is the address in the form.
	Typed string `json:"typed"`
	// Said is what the page says about the last try, and Until when another one
	// may be made, where there is a time.
	Said   Said      `json:"said"`
	Until  time.Time `json:"until"`
	Advice Advice    `json:"advice,omitempty"`
	// Sent says that a code was sent to the phone, and SendAt when another one
	// may be asked for.
	Sent   bool      `json:"sent,omitempty"`
	SendAt time.Time `json:"send_at,omitzero"`
	// Elsewhere says that the link was opened in another browser.
	Elsewhere bool      `json:"elsewhere,omitempty"`
	Opener    string    `json:"opener,omitempty"` // the user who did
	Tries     int       `json:"tries"`
	At        time.Time `json:"at"`
}

// enrolling is the factor whose first code is awaited. A user has one such, so
// that one which was begun elsewhere takes its place: ID tells the two apart.
type enrolling struct {
	ID     string `json:"id,omitempty"`
	URI    string `json:"uri,omitempty"`
	Secret string `json:"secret,omitempty"`
	Phone  string `json:"phone,omitempty"` // masked
}

// Said is what became of a try.
type Said string

// What the page may have to say.
const (
	Wrong     Said = "wrong"       // address or password, without telling which
	Paused    Said = "paused"      // for a while: Until
	Off       Said = "off"         // the password takes no more tries
	Busy      Said = "busy"        // nothing was compared
	Late      Said = "late"        // the first half was too long ago
	WrongCode Said = "code"        // of a second factor
	NoCode    Said = "malformed"   // that was none
	NoRecover Said = "no_recovery" // that was no recovery code
	Used      Said = "used"        // a right code, once more
	NotSent   Said = "not_sent"    // no code was sent that could be compared
	Sent      Said = "sent"        // a code, just now
	Refused   Said = "refused"     // to send another one so soon
	Shut      Said = "shut"        // the second factors take no codes
	Lapsed    Said = "lapsed"      // the password is so old that a link alone replaces it
	Weak      Said = "weak"        // the new password: see Advice
	NoNumber  Said = "number"      // no phone that can get codes here
	NotSaved  Said = "not_saved"   // the box was not ticked
	Stale     Said = "stale"       // the enrolment took too long, or was replaced by another: here is a new one
	NoAddress Said = "address"     // that is no address
	OtherOrg  Said = "other_org"   // the address is of another organization
	Changed   Said = "changed"     // the password was set; sign in with it
	OneADay   Said = "one_a_day"   // a second recovery code within a day
)

// What may go wrong, as somebody reads it who looks at a page.
var (
	// ErrOver answers for flows that never were, are finished or too old, and
	// for those of other browsers, without saying which.
	ErrOver = fault.New(fault.NotFound, "sign_in_over", "this sign-in is over: it was finished, took too long, or began in another browser; go back to the app and sign in from there")
	// ErrOther answers when somebody else has signed in than the app asked for.
	ErrOther = fault.New(fault.Forbidden, "sign_in_other_user", "the app asks for another user than the one who has signed in; go back to the app and sign in as that user")
	// ErrTries ends a flow with too many wrong tries.
	ErrTries = fault.New(fault.Forbidden, "sign_in_tries", "too many tries of this sign-in were wrong; go back to the app and begin again")
	// ErrMethod answers where nothing that the user has is allowed for the app.
	ErrMethod = fault.New(fault.Forbidden, "sign_in_method", "the app allows no way of signing in that this user has; ask its operator")
	// ErrClient answers for apps that are not there, inactive or of a deleted
	// organization, and under another organization than the request names.
	ErrClient = fault.New(fault.Malformed, "app_not_valid", "client_id names no app that is active here; the app has to be registered, and its link corrected")
	// ErrRedirect answers for redirect URIs that the app has not registered.
	// Nobody is sent to one of those, not even with an error (RFC 9700 4.11).
	ErrRedirect = fault.New(fault.Malformed, "redirect_uri_not_valid", "redirect_uri is not one of those that the app has registered, character by character; register it or correct the link")
)

// Store keeps flows. Losing one is safe: the user begins again.
type Store interface {
	Get(ctx context.Context, key string) ([]byte, error)
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
	Swap(ctx context.Context, key string, old, next []byte, ttl time.Duration) (bool, error)
}

// Sealer keeps flows from whoever reads the store; seal.Keyring implements it.
type Sealer interface {
	Seal(purpose, aad string, plain []byte) ([]byte, error)
	Open(purpose, aad string, sealed []byte) ([]byte, error)
}

// held is a flow as it was read: what changes it must find it so.
type held struct {
	Flow
	key    string
	stored []byte
}

func (s *Service) put(ctx context.Context, f Flow) (secret.Text, error) {
	token := id.Token()
	f.Token = token.Reveal()
	value, err := s.sealed(keyOf(token), f)
	if err != nil {
		return secret.Text{}, err
	}
	return token, s.Store.Put(ctx, keyOf(token), value, Life)
}

// find reads the flow of a browser. One that is shown by another browser, or
// by one without the cookie, is dead from then on.
func (s *Service) find(ctx context.Context, token, browser secret.Text) (held, error) {
	h := held{key: keyOf(token)}
	stored, err := s.Store.Get(ctx, h.key)
	if err != nil {
		return held{}, err
	}
	if stored == nil {
		return held{}, ErrOver
	}
	h.stored = stored
	if h.Flow, err = s.opened(h.key, stored); err != nil {
		return held{}, err
	}
	if s.Now().Sub(h.At) >= Life {
		return held{}, ErrOver
	}
	if browser.IsZero() || !slices.Equal(h.Browser, digest(browser)) {
		if _, err := s.take(ctx, h); err != nil {
			return held{}, err
		}
		return held{}, ErrOver
	}
	return h, nil
}

// take ends a flow: of many that try, one does. What somebody noted in it
// meanwhile, such as a wrong try in another tab, does not keep it from ending.
func (s *Service) take(ctx context.Context, h held) (bool, error) {
	for range tries {
		taken, err := s.Store.Swap(ctx, h.key, h.stored, nil, 0)
		if err != nil || taken {
			return taken, err
		}
		if h.stored, err = s.Store.Get(ctx, h.key); err != nil || h.stored == nil {
			return false, err
		}
	}
	return false, nil
}

// finish ends a flow as one that led its browser on: what stays of it proves
// nothing, and lets the browser go the same way again (see Again). Of many that
// come here, one does.
func (s *Service) finish(ctx context.Context, h held) (bool, error) {
	left := Life - s.Now().Sub(h.At)
	if left < time.Millisecond {
		return false, nil
	}
	value, err := s.sealed(h.key, Flow{Request: h.Request, RequestID: h.RequestID, Browser: h.Browser, Token: h.Token, Step: StepFinished, At: h.At})
	if err != nil {
		return false, err
	}
	return s.Store.Swap(ctx, h.key, h.stored, value, left)
}

// end takes a flow and returns why; a fault of the store comes first.
func (s *Service) end(ctx context.Context, h held, why error) error {
	if _, err := s.take(ctx, h); err != nil {
		return err
	}
	return why
}

// keep stores a changed flow, unless somebody has changed it meanwhile: then
// what they did is what the page shows.
func (s *Service) keep(ctx context.Context, h held) error {
	value, err := s.sealed(h.key, h.Flow)
	if err != nil {
		return err
	}
	left := Life - s.Now().Sub(h.At)
	if left < time.Millisecond {
		return ErrOver
	}
	_, err = s.Store.Swap(ctx, h.key, h.stored, value, left)
	return err
}

// weight is how far a flow has come, by what would be lost with it.
func (f Flow) weight() int {
	switch {
	case len(f.Codes) > 0: // nobody shows them again
		return 4
	case f.Login != nil || f.Proof != "":
		return 3
	case f.Recovered:
		return 2
	case f.UserID != "":
		return 1
	}
	return 0
}

// move stores what a proof has led to. Notes that somebody has made in the flow
// meanwhile, such as a wrong try in another tab, do not undo it: what was used
// up for it cannot be given again. What is over stays over, and what has come
// further stays there: a password that took its time does not undo a recovery
// code.
func (s *Service) move(ctx context.Context, h held, said Said) error {
	h.Said, h.Until, h.Advice = said, time.Time{}, nil
	value, err := s.sealed(h.key, h.Flow)
	if err != nil {
		return err
	}
	for range tries {
		left := Life - s.Now().Sub(h.At)
		if left < time.Millisecond {
			return ErrOver
		}
		kept, err := s.Store.Swap(ctx, h.key, h.stored, value, left)
		if err != nil || kept {
			return err
		}
		if h.stored, err = s.Store.Get(ctx, h.key); err != nil || h.stored == nil {
			return err
		}
		if now, err := s.opened(h.key, h.stored); err != nil || now.Step == StepFinished || now.weight() > h.weight() {
			return err
		}
	}
	return nil
}

// wrong counts a wrong proof.
func (s *Service) wrong(ctx context.Context, h held, said Said) error {
	h.Tries++
	h.Said, h.Until, h.Advice = said, time.Time{}, nil
	if h.Tries >= tries {
		return s.end(ctx, h, ErrTries)
	}
	return s.keep(ctx, h)
}

// say stores what the page says next.
func (s *Service) say(ctx context.Context, h held, said Said, until time.Time) error {
	h.Said, h.Until, h.Advice = said, until, nil
	return s.keep(ctx, h)
}

// sealPurpose keeps flows apart from all else that is sealed.
const sealPurpose = "flow"

// sealed is what is kept of a flow: nobody reads in the store who signs in.
func (s *Service) sealed(key string, f Flow) ([]byte, error) {
	plain, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode flow: %w", err)
	}
	return s.Keys.Seal(sealPurpose, key, plain)
}

func (s *Service) opened(key string, stored []byte) (f Flow, err error) {
	plain, err := s.Keys.Open(sealPurpose, key, stored)
	if err != nil {
		return Flow{}, fmt.Errorf("open flow: %w", err)
	}
	if err := json.Unmarshal(plain, &f); err != nil {
		return Flow{}, fmt.Errorf("read flow: %w", err)
	}
	return f, nil
}

func keyOf(token secret.Text) string { return fmt.Sprintf("flow:{%x}", digest(token)) }

// digest is the stored form of 256 random bits: nobody can try candidates.
func digest(token secret.Text) []byte {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return sum[:]
}
