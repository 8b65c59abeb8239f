package zxcvbn

// farthest is the largest step of a sequence.
const farthest = 5

// sequences finds parts whose units are all the same step apart: abc, 9753.
func sequences(password []uint16) []match {
	if len(password) < 2 {
		return nil
	}
	var out []match
	step := func(k int) int { return int(password[k]) - int(password[k-1]) }
	begin := 0
	for k := 1; k <= len(password); k++ {
		if k < len(password) && (k == 1 || step(k) == step(k-1)) {
			continue
		}
		if by := step(k - 1); isSequence(by, k-1-begin) {
			out = append(out, sequenceMatch(password, begin, k-1, by))
		}
		begin = k - 1
	}
	return out
}

// isSequence reports whether as many equal steps are no coincidence.
func isSequence(by, steps int) bool {
	size := max(by, -by)
	return 0 < size && size <= farthest && (steps > 1 || size == 1)
}

func sequenceMatch(password []uint16, i, j, by int) match {
	starts := 26.0
	switch first := password[i]; {
	case first == 'a' || first == 'A' || first == 'z' || first == 'Z' || first == '0' || first == '1' || first == '9':
		starts = 4 // where most begin
	case isDigit(first):
		starts = 10
	}
	if by < 0 {
		starts *= 2
	}
	m := match{kind: sequence, i: i, j: j}
	m.guesses = starts * float64(m.length())
	return m
}

func isDigit(unit uint16) bool { return '0' <= unit && unit <= '9' }
