package zxcvbn_test

import (
	"strings"
	"testing"

	"countersign.dev/pkg/zxcvbn"
)

// mostWork is in steps: a look into an index, a comparison of two ways to put
// a password together, of two repeats or of two dates, an alphabet that is put
// down. A step takes 5 to 50 ns, and what is not counted is less, so that 50 ms
// are far.
const mostWork = 250_000

// No password makes much work, whatever it is made of. That it is counted and
// not measured keeps the test from failing on a busy machine; the benchmark
// says how long it takes.
//
//
func TestNoPasswordMakesMuchWork(t *testing.T) {
	t.Parallel()
	most, worst := 0, ""
	look := func(password string, context ...string) {
		if work := zxcvbn.Work(password, context...); work > most {
			most, worst = work, password
		}
	}
	for _, s := range samples(10_000) {
		look(s.Password, s.Context...)
	}
	for _, password := range crafted() {
		look(password)
		look(password + strings.Repeat("x", 1<<20)) // what is not looked at
	}
	var begins []string
	for n := range 100 {
		begins = append(begins, strings.Repeat("a", n))
	}
	look(begins[99]+"a", begins...)
	t.Logf("at most %d steps, for %q", most, worst)
	if most > mostWork {
		t.Errorf("%d steps for %q, more than %d", most, worst, mostWork)
	}
	if most < mostWork/10 {
		t.Errorf("%d steps at most: the bound says nothing", most)
	}
}

// The ways to read l33t multiply with its characters; there are no more than
// the table makes.
func TestL33tHasFewReadings(t *testing.T) {
	t.Parallel()
	for password, want := range map[string]int{
		"password":                    1, // in one alphabet: without l33t
		"p4ssw0rd":                    1,
		"p4ssw@rd":                    2, // 4 or @ is the a
		"1":                           2, // i or l
		"4($1|":                       6,
		zxcvbn.L33tChars:              zxcvbn.MostAlphabets,
		zxcvbn.L33tChars + "password": zxcvbn.MostAlphabets,
	} {
		if got := zxcvbn.Alphabets(password); got != want {
			t.Errorf("%q can be read in %d ways, want %d", password, got, want)
		}
	}
}
