package zxcvbn

// EstimateIn is Estimate in a year.
func EstimateIn(year int, password string, context ...string) Result {
	return estimate(password, context, year)
}

// Work is how many steps an estimate takes.
func Work(password string, context ...string) int {
	e := newEstimator(context, 2026)
	e.judge(units(password))
	return e.work
}

// Words returns the word lists by their name, the most used word first.
func Words() map[string][]string {
	out := map[string][]string{}
	for from, name := range names {
		for _, w := range read(list(from), name) {
			text := make([]byte, len(w.units))
			for i, unit := range w.units {
				text[i] = byte(unit)
			}
			out[name] = append(out[name], string(text))
		}
	}
	return out
}

// Alphabets is in how many ways the l33t of a password can be read.
func Alphabets(password string) int {
	return len(newEstimator(nil, 2026).alphabets(units(password)))
}

// L33tChars are all characters that may stand for a letter.
const L33tChars = l33tChars

// MostAlphabets is for how many ways of reading l33t there is room.
const MostAlphabets = mostAlphabets
