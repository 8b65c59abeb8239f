package zxcvbn

import (
	"slices"
	"unicode"
)

const (
	fewestYears    = 20 // any year nearer than this is as likely as another
	firstYear      = 1000
	lastYear       = 2050
	mostOfCentury  = 99
	turnOfTwoDigit = 50 // 50 is 2050, 51 is 1951
)

// years is how many years are tried until this one.
func (e *estimator) years(year int) float64 {
	return float64(max(year-e.year, e.year-year, fewestYears))
}

// recentYears finds years from 1900 to 2019, as the original does: later ones
// are found as dates.
func (e *estimator) recentYears(password []uint16) []match {
	var out []match
	for i := 0; i+4 <= len(password); i++ {
		year, ok := number(password[i : i+4])
		if ok && 1900 <= year && year <= 2019 {
			out = append(out, match{kind: recentYear, i: i, j: i + 3, guesses: e.years(year)})
			i += 3
		}
	}
	return out
}

// number reads digits.
func number(text []uint16) (n int, ok bool) {
	for _, unit := range text {
		if !isDigit(unit) {
			return 0, false
		}
		n = 10*n + int(unit-'0')
	}
	return n, true
}

// dates finds dates: day, month and year in any order that has the year first
// or last, with the same separator twice or without one. Dates within others
// are left out: in 2015_06_04 there is 5_06_04 too.
func (e *estimator) dates(password []uint16) []match {
	all := slices.Concat(e.plainDates(password), e.separatedDates(password))
	var out []match
	for k, m := range all {
		within := func(other match) bool {
			e.work++
			return other.i <= m.i && m.j <= other.j
		}
		if !slices.ContainsFunc(all[:k], within) && !slices.ContainsFunc(all[k+1:], within) {
			out = append(out, m)
		}
	}
	return out
}

// splits are the ways to cut 4 to 8 digits into day, month and year: where the
// second and the third number begin.
var splits = map[int][][2]int{
	4: {{1, 2}, {2, 3}},                 // 1 1 91, 91 1 1
	5: {{1, 3}, {2, 3}},                 // 1 11 91, 11 1 91
	6: {{1, 2}, {2, 4}, {4, 5}},         // 1 1 1991, 11 11 91, 1991 1 1
	7: {{1, 3}, {2, 3}, {4, 5}, {4, 6}}, // 1 11 1991, 11 1 1991, 1991 1 11, 1991 11 1
	8: {{2, 4}, {4, 6}},                 // 11 11 1991, 1991 11 11
}

// plainDates finds dates without separators. Of several readings the year
// nearest to this one counts.
func (e *estimator) plainDates(password []uint16) []match {
	var out []match
	for i := range password {
		for length := 4; length <= 8 && i+length <= len(password); length++ {
			token := password[i : i+length]
			if _, ok := number(token); !ok {
				break
			}
			best := 0.0
			for _, cut := range splits[length] {
				first, _ := number(token[:cut[0]])
				second, _ := number(token[cut[0]:cut[1]])
				third, _ := number(token[cut[1]:])
				if year, ok := yearOf(first, second, third); ok && (best == 0 || e.years(year) < best) {
					best = e.years(year)
				}
			}
			if best > 0 {
				out = append(out, match{kind: date, i: i, j: i + length - 1, guesses: 365 * best})
			}
		}
	}
	return out
}

// separatedDates finds dates like 1/1/91 and 11.11.1991. Which separator it is
// makes four times as many.
func (e *estimator) separatedDates(password []uint16) []match {
	var out []match
	for i := range password {
		for length := 6; length <= 10 && i+length <= len(password); length++ {
			first, second, third, ok := separated(password[i : i+length])
			if !ok {
				continue
			}
			if year, ok := yearOf(first, second, third); ok {
				out = append(out, match{kind: date, i: i, j: i + length - 1, guesses: 4 * 365 * e.years(year)})
			}
		}
	}
	return out
}

// separated reads three numbers with the same separator between them, of at
// most four, two and four digits.
func separated(token []uint16) (first, second, third int, ok bool) {
	at := slices.IndexFunc(token, separates)
	if at < 1 || at > 4 {
		return 0, 0, 0, false
	}
	rest := token[at+1:]
	next := slices.Index(rest, token[at])
	if next < 1 || next > 2 || len(rest)-next-1 < 1 || len(rest)-next-1 > 4 {
		return 0, 0, 0, false
	}
	first, ok1 := number(token[:at])
	second, ok2 := number(rest[:next])
	third, ok3 := number(rest[next+1:])
	return first, second, third, ok1 && ok2 && ok3
}

func separates(unit uint16) bool {
	switch unit {
	case '/', '\\', '_', '.', '-', '\ufeff':
		return true
	case '\u0085': // a blank for Unicode, none for the original
		return false
	}
	return unicode.IsSpace(rune(unit))
}

// yearOf returns the year of three numbers that are a date: the year first or
// last, a day and a month beside it.
func yearOf(first, second, third int) (year int, ok bool) {
	if !plausible(first, second, third) {
		return 0, false
	}
	if firstYear <= third && third <= lastYear {
		return third, dayAndMonth(first, second)
	}
	if firstYear <= first && first <= lastYear {
		return first, dayAndMonth(second, third)
	}
	switch {
	case dayAndMonth(first, second):
		return century(third), true
	case dayAndMonth(second, third):
		return century(first), true
	}
	return 0, false
}

// plausible sorts out what can be no date however it is read.
func plausible(first, second, third int) bool {
	if second > 31 || second <= 0 {
		return false
	}
	noDay, noMonth, none := 0, 0, 0
	for _, n := range []int{first, second, third} {
		if mostOfCentury < n && n < firstYear || n > lastYear {
			return false
		}
		if n > 31 {
			noDay++
		}
		if n > 12 {
			noMonth++
		}
		if n == 0 {
			none++
		}
	}
	return noDay < 2 && noMonth < 3 && none < 2
}

func dayAndMonth(a, b int) bool {
	isDay := func(n int) bool { return 1 <= n && n <= 31 }
	isMonth := func(n int) bool { return 1 <= n && n <= 12 }
	return isDay(a) && isMonth(b) || isDay(b) && isMonth(a)
}

// century completes a year of two digits.
func century(year int) int {
	if year > turnOfTwoDigit {
		return 1900 + year
	}
	return 2000 + year
}
