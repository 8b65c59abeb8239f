package zxcvbn

// Advice is one thing to tell the person who chooses a password: a stable word
// that the caller says in their language.
type Advice string

// What is wrong with a password.
const (
	Top10Password        Advice = "top_10_password"
	Top100Password       Advice = "top_100_password"
	CommonPassword       Advice = "common_password"
	LikeCommonPassword   Advice = "similar_to_common_password"
	SingleWord           Advice = "single_word"
	SingleName           Advice = "single_name"
	CommonName           Advice = "common_name"
	ContextWord          Advice = "context_word" // of the user, the organization or the product; the original says nothing here
	StraightRowsOfKeys   Advice = "straight_rows_of_keys"
	ShortKeyboardPattern Advice = "short_keyboard_pattern"
	RepeatedCharacter    Advice = "repeated_character"
	RepeatedPattern      Advice = "repeated_pattern"
	Sequence             Advice = "sequence"
	RecentYear           Advice = "recent_year"
	Date                 Advice = "date"
)

// What makes a better one.
const (
	UseAFewWords            Advice = "use_a_few_words"
	NoNeedForSymbols        Advice = "no_need_for_symbols"
	AddAnotherWord          Advice = "add_another_word"
	UseLongerPattern        Advice = "use_longer_keyboard_pattern"
	AvoidRepeats            Advice = "avoid_repeats"
	AvoidSequences          Advice = "avoid_sequences"
	AvoidRecentYears        Advice = "avoid_recent_years"
	AvoidYourYears          Advice = "avoid_associated_years"
	AvoidYourDates          Advice = "avoid_associated_dates"
	CapitalsHelpLittle      Advice = "capitalization_helps_little"
	AllCapitalsHelpLittle   Advice = "all_uppercase_helps_little"
	ReversalHelpsLittle     Advice = "reversal_helps_little"
	SubstitutionsHelpLittle Advice = "substitutions_help_little"
)

// advise says what to do about a password of a score that is made of these
// parts. Of several the longest is what it is about.
func advise(password []uint16, parts []match, score int) (warning Advice, suggestions []Advice) {
	if len(parts) == 0 {
		return "", []Advice{UseAFewWords, NoNeedForSymbols}
	}
	if score > 2 {
		return "", nil
	}
	longest := parts[0]
	for _, m := range parts[1:] {
		if m.length() > longest.length() {
			longest = m
		}
	}
	warning, suggestions = longest.advice(password[longest.i:longest.j+1], len(parts) == 1)
	return warning, append([]Advice{AddAnotherWord}, suggestions...)
}

func (m match) advice(token []uint16, alone bool) (warning Advice, suggestions []Advice) {
	switch m.kind {
	case dictionary:
		return m.wordWarning(alone), m.wordSuggestions(token)
	case spatial:
		if m.turns == 1 {
			return StraightRowsOfKeys, []Advice{UseLongerPattern}
		}
		return ShortKeyboardPattern, []Advice{UseLongerPattern}
	case repeat:
		if m.base == 1 {
			return RepeatedCharacter, []Advice{AvoidRepeats}
		}
		return RepeatedPattern, []Advice{AvoidRepeats}
	case sequence:
		return Sequence, []Advice{AvoidSequences}
	case recentYear:
		return RecentYear, []Advice{AvoidRecentYears, AvoidYourYears}
	case date:
		return Date, []Advice{AvoidYourDates}
	case bruteforce:
	}
	return "", nil
}

// closeToCommon is how many guesses a variant of a common password may cost
// and still be called one.
const closeToCommon = 10_000

func (m match) wordWarning(alone bool) Advice {
	switch m.list {
	case passwords:
		switch {
		case !alone || m.l33t || m.reversed:
			if m.guesses <= closeToCommon {
				return LikeCommonPassword
			}
			return ""
		case m.rank <= 10:
			return Top10Password
		case m.rank <= 100:
			return Top100Password
		}
		return CommonPassword
	case english:
		if alone {
			return SingleWord
		}
	case surnames, maleNames, femaleNames:
		if alone {
			return SingleName
		}
		return CommonName
	case ownWords:
		return ContextWord
	case film:
	}
	return ""
}

func (m match) wordSuggestions(token []uint16) []Advice {
	var out []Advice
	upper, small := cases(token)
	switch {
	case firstUpper(token):
		out = append(out, CapitalsHelpLittle)
	case upper > 0 && small == 0:
		out = append(out, AllCapitalsHelpLittle)
	}
	if m.reversed && m.length() >= 4 {
		out = append(out, ReversalHelpsLittle)
	}
	if m.l33t {
		out = append(out, SubstitutionsHelpLittle)
	}
	return out
}
