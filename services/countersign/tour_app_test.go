package countersign

import (
	"testing"
	"time"
)

// The key and the codes are those of RFC 6238, appendix B.
const vectorURI = "otpauth://totp/Demo:ben?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&algorithm=SHA1&digits=8&period=30"

// Two steps after each other, of which the RFC has the codes.
const (
	endOfStep  = 1111111109
	beginning  = 1111111111
	codeBefore = "07081804"
	codeAfter  = "14050471"
)

func TestTheAuthenticatorOfTheTourRepeatsNoCode(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		at   []int64
		want []string
	}{
		"one code is the present one":             {[]int64{endOfStep}, []string{codeBefore}},
		"at the same moment the second is next":   {[]int64{endOfStep, endOfStep}, []string{codeBefore, codeAfter}},
		"after the end of a step it is just that": {[]int64{endOfStep, beginning}, []string{codeBefore, codeAfter}},
		"the present one counts, not the next":    {[]int64{59, endOfStep, beginning}, []string{"94287082", codeBefore, codeAfter}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app, err := newAuthenticator(vectorURI)
			if err != nil {
				t.Fatal(err)
			}
			for i, at := range c.at {
				app.now = func() time.Time { return time.Unix(at, 0) }
				if got, err := app.next(); err != nil || got != c.want[i] {
					t.Errorf("call %d: %q, %v, want %q", i+1, got, err, c.want[i])
				}
			}
		})
	}
}

// What is on the display does not depend on what was used.
func TestTheAuthenticatorOfTheTourShowsThePresentCode(t *testing.T) {
	t.Parallel()
	app, err := newAuthenticator(vectorURI)
	if err != nil {
		t.Fatal(err)
	}
	app.now = func() time.Time { return time.Unix(endOfStep, 0) }
	for range 2 {
		if got, err := app.present(); err != nil || got != codeBefore {
			t.Errorf("%q, %v, want %q", got, err, codeBefore)
		}
		if _, err := app.next(); err != nil {
			t.Error(err)
		}
	}
}
