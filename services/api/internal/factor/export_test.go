package factor

// ParseRecoveryCode is what reading a code comes down to, with its one form and
// the form in which it is shown.
func ParseRecoveryCode(typed string) (canonical, written string, ok bool) {
	code, ok := parseRecoveryCode(typed)
	if !ok {
		return "", "", false
	}
	return code.Canonical().Reveal(), code.Written(), true
}

// IsDigits reports whether a text is a code of an app or a text message.
func IsDigits(text string) bool { return digitsPattern.MatchString(text) }
