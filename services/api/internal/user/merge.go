package user

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"countersign.dev/pkg/fault"
)

const maxClaim = 256

// claim is one text of a profile or a postal address.
type claim struct {
	name string
	have **string
	want *string
}

func mergeProfile(have *Profile, want Profile) error {
	return merge([]claim{
		{"profile[given_name]", &have.GivenName, want.GivenName},
		{"profile[family_name]", &have.FamilyName, want.FamilyName},
		{"profile[nickname]", &have.Nickname, want.Nickname},
		{"profile[gender]", &have.Gender, want.Gender},
		{"profile[birthdate]", &have.Birthdate, want.Birthdate},
		{"profile[locale]", &have.Locale, want.Locale},
		{"profile[picture]", &have.Picture, want.Picture},
		{"profile[preferred_username]", &have.PreferredUsername, want.PreferredUsername},
		{"profile[website]", &have.Website, want.Website},
		{"profile[zoneinfo]", &have.Zoneinfo, want.Zoneinfo},
	})
}

func mergePostal(u *User, want Postal) error {
	if want == (Postal{}) {
		return nil
	}
	merged := Postal{}
	if u.Address != nil {
		merged = *u.Address
	}
	err := merge([]claim{
		{"address[country]", &merged.Country, want.Country},
		{"address[formatted]", &merged.Formatted, want.Formatted},
		{"address[locality]", &merged.Locality, want.Locality},
		{"address[postal_code]", &merged.PostalCode, want.PostalCode},
		{"address[region]", &merged.Region, want.Region},
		{"address[street_address]", &merged.StreetAddress, want.StreetAddress},
	})
	if err != nil {
		return err
	}
	u.Address = &merged
	if merged == (Postal{}) {
		u.Address = nil
	}
	return nil
}

// merge takes over what is said; an empty text clears.
func merge(claims []claim) error {
	for _, c := range claims {
		if c.want == nil {
			continue
		}
		text := strings.TrimSpace(norm.NFC.String(*c.want))
		if utf8.RuneCountInString(text) > maxClaim {
			return fault.Newf(fault.Invalid, "invalid_parameter", "%s must have at most %d characters", c.name, maxClaim)
		}
		for _, r := range text {
			if r != '\n' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs) {
				return fault.Newf(fault.Invalid, "invalid_parameter", "%s holds a character that is not allowed", c.name)
			}
		}
		*c.have = nil
		if text != "" {
			*c.have = &text
		}
	}
	return nil
}
