package phone_test

import (
	"strings"
	"testing"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/phone"
)

func TestNumbersBecomeE164(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"+4915112345678":      "+4915112345678",
		" +49 151 1234-5678 ": "+4915112345678",
		"+1 (415) 555-2671":   "+14155552671",
		"+15005550006":        "+15005550006",
		"+33 6 12 34 56 78":   "+33612345678",
		"+84 0912 345 678":    "+84912345678",  // as it is dialed at home
		"+39 06 698 12345":    "+390669812345", // where the 0 is a part of it
	} {
		if got, err := phone.Parse(in); err != nil || got != want {
			t.Errorf("Parse(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestNotNumbers(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"empty":             "",
		"national":          "015112345678",
		"too short":         "+491",
		"too long":          "+49151123456789012345",
		"an extension":      "+14155552671 ext. 5",
		"letters":           "+1415555CALL",
		"Arabic digits":     "+٤٩١٥١١٢٣٤٥٦٧٨",
		"full-width digits": "+４９１５１１２３４５６７８",
		"a line break":      "+4915112345678\n+1",
		"more zeros":        "+8400912345678",
		"NUL":               "+49151\x0012345678",
		"1 MiB":             "+" + strings.Repeat("1", 1<<20),
	} {
		if got, err := phone.Parse(in); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: Parse = %q, %v; want an Invalid fault", name, got, err)
		}
	}
}

func TestWhoMayReceive(t *testing.T) {
	t.Parallel()
	const mobile, usa, premium, shared, satellite = "+4915112345678", "+14155552671", "+499001234567", "+491801234567", "+881612345678"
	for name, c := range map[string]struct {
		number    string
		countries []string
		code      string
	}{
		"every country is allowed":        {mobile, nil, ""},
		"a listed country":                {mobile, []string{"DE", "FR"}, ""},
		"a country that is not listed":    {usa, []string{"DE"}, "country_not_allowed"},
		"no country is listed":            {mobile, []string{}, "country_not_allowed"},
		"premium rate":                    {premium, nil, "number_not_allowed"},
		"shared cost":                     {shared, nil, "number_not_allowed"},
		"satellite, of no country at all": {satellite, nil, "number_not_allowed"},
	} {
		err := phone.CheckSMS(c.number, c.countries)
		if c.code == "" && err != nil || c.code != "" && (err == nil || !strings.HasPrefix(err.Error(), c.code)) {
			t.Errorf("%s: CheckSMS = %v, want %q", name, err, c.code)
		}
	}
}

// A number that is taken is read as itself again.
//
// Covers R-131 for telephone numbers.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"+4915112345678", "+1 415 555 2671", "+++", "tel:+49", "+49 (0) 151"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		number, err := phone.Parse(text)
		if err != nil {
			return
		}
		if again, err := phone.Parse(number); err != nil || again != number {
			t.Fatalf("Parse(%q) = %q, and again %q, %v", text, number, again, err)
		}
	})
}
