package password

import (
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/zxcvbn"
)

// The refusals of new passwords. Those about a length say which.
var (
	ErrCommon = fault.New(fault.Invalid, "password_blocklisted",
		"this password is one of the first that somebody who guesses would try; choose one of your own, such as four words that do not belong together")
	ErrContext = fault.New(fault.Invalid, "password_contains_context",
		"this password is little more than words that an attacker knows: of the user's address or name, the organization or this service; choose words that have nothing to do with them")
	ErrWeak     = fault.New(fault.Invalid, "password_too_weak", "this password is easier to guess than the connection's min_strength allows; the advice says why")
	ErrBreached = fault.New(fault.Invalid, "password_breached",
		"this password is in a list of leaked ones, which attackers try first; choose another one, and change it wherever else it is used")
	ErrSame = fault.New(fault.Invalid, "password_unchanged", "the new password must differ from the one before")
)

func errShort(least int) *fault.Error {
	return fault.Newf(fault.Invalid, "password_too_short", "a password needs at least %d characters; spaces and every other sign count", least)
}

func errLong(most int) *fault.Error {
	return fault.Newf(fault.Invalid, "password_too_long", "a password has at most %d characters here", most)
}

// Assessment is what a new password is worth. Nothing in it says what the
// password is, nor any part of it.
type Assessment struct {
	Score int // 0 to 4, of the estimate
	Least int // that the connection asks for
	// Warning and Suggestions are what the estimate has to say, if anything.
	Warning     zxcvbn.Advice
	Suggestions []zxcvbn.Advice

	refusal *fault.Error // nil for none
	length  int          // that a refusal is about, in characters
}

// Reason is the code of the refusal, empty when the password may be set as far
// as this can tell.
func (a Assessment) Reason() string {
	if a.refusal == nil {
		return ""
	}
	return a.refusal.Code
}

// Refused is the refusal, nil for none. Its advice is in a language that the
// request asks for, or else in the locale.
func (a Assessment) Refused(locale string) error {
	if a.refusal == nil {
		return nil
	}
	return a.refusal.Advise(told{a, locale})
}

// refused is a refusal that no estimate is needed for.
func refused(f *fault.Error, locale string) error {
	return Assessment{refusal: f}.Refused(locale)
}

// told is the advice about a refusal.
type told struct {
	Assessment
	locale string
}

// In implements fault.Advice.
func (t told) In(languages ...string) []string {
	warning, suggestions := t.Words(append(languages, t.locale)...)
	return append([]string{warning}, suggestions...)
}

// Words is what to tell the person: what is wrong, empty for nothing, and what
// would be better. They are in the first of the languages that we speak, BCP 47
// tags or values of Accept-Language, or else in English.
func (a Assessment) Words(languages ...string) (warning string, suggestions []string) {
	speech := speechFor(languages...)
	// The estimate knows best what is wrong with what it finds weak.
	if warning = speech.advice[a.Warning]; a.refusal != nil && (warning == "" || a.refusal != ErrWeak) {
		warning = speech.refusal(a.refusal.Code, a.length)
	}
	for _, advice := range a.better() {
		suggestions = append(suggestions, speech.advice[advice])
	}
	return warning, suggestions
}

// better is what to do instead.
func (a Assessment) better() []zxcvbn.Advice {
	switch {
	case a.refusal == nil, a.refusal == ErrWeak && len(a.Suggestions) > 0:
		return a.Suggestions
	case a.refusal == ErrWeak: // good, but the connection asks for more
		return []zxcvbn.Advice{zxcvbn.AddAnotherWord}
	case a.refusal == ErrCommon, a.refusal == ErrContext, a.refusal == ErrBreached:
		return []zxcvbn.Advice{zxcvbn.UseAFewWords, zxcvbn.NoNeedForSymbols}
	}
	return nil // the refusal says all: a length, or the password before
}
