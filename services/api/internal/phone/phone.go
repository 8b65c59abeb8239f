// Package phone reads telephone numbers.
//
// Numbers are kept in E.164 and shown masked. What a number may be used for
// is decided here by its type and country, on the data of libphonenumber.
package phone

import (
	"slices"
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"

	"countersign.dev/pkg/fault"
)

// maxInput bounds what is parsed; E.164 has at most 15 digits.
const maxInput = 40

var errNumber = fault.New(fault.Invalid, "invalid_parameter", "phone_number must be an international number such as +4915112345678")

// Parse reads an international number, with or without separators, and
// returns it in E.164. National numbers, extensions and what no plan allows
// are refused.
func Parse(text string) (string, error) {
	number, err := read(text)
	if err != nil {
		return "", err
	}
	e164 := phonenumbers.Format(number, phonenumbers.E164)
	// One 0 behind the country code is a habit and is dropped; with more of
	// them a number would have several forms, and limits of its own for each.
	if again, err := read(e164); err != nil || phonenumbers.Format(again, phonenumbers.E164) != e164 {
		return "", errNumber
	}
	return e164, nil
}

// ParseOptional is Parse, but takes the empty text as "none".
func ParseOptional(text string) (string, error) {
	if strings.TrimSpace(text) == "" {
		return "", nil
	}
	return Parse(text)
}

func read(text string) (*phonenumbers.PhoneNumber, error) {
	text = strings.TrimSpace(text)
	if len(text) > maxInput || !strings.HasPrefix(text, "+") || strings.Trim(text, "+0123456789 -().") != "" {
		return nil, errNumber
	}
	number, err := phonenumbers.Parse(text, "")
	if err != nil || number.GetExtension() != "" || !phonenumbers.IsPossibleNumber(number) {
		return nil, errNumber
	}
	return number, nil
}

// Numbers of these types cost extra or reach no phone of a person. A personal
// number (070 in the United Kingdom) is passed on to anywhere, at our cost.
var refusedTypes = []phonenumbers.PhoneNumberType{
	phonenumbers.PREMIUM_RATE, phonenumbers.SHARED_COST, phonenumbers.TOLL_FREE, phonenumbers.PERSONAL_NUMBER,
	phonenumbers.UAN, phonenumbers.PAGER, phonenumbers.VOICEMAIL,
}

// CheckSMS says whether text messages may go to a number in E.164. Countries
// limits it to these (ISO 3166 alpha-2); nil allows all.
func CheckSMS(e164 string, countries []string) error {
	number, err := read(e164)
	if err != nil {
		return err
	}
	region := phonenumbers.GetRegionCodeForNumber(number)
	// 001 are the global services: satellites, shared-cost, premium.
	if region == "001" || slices.Contains(refusedTypes, phonenumbers.GetNumberType(number)) {
		return fault.New(fault.Invalid, "number_not_allowed", "phone_number is of a kind that cannot receive codes (premium, shared cost, satellite, personal); use a mobile number")
	}
	if countries == nil {
		return nil
	}
	if region == "" || !slices.Contains(countries, region) {
		return fault.New(fault.Invalid, "country_not_allowed", "phone_number is in a country that the TOTP connection does not list; add it to countries first")
	}
	return nil
}

// prefixDigits behind the country code tell an area or an operator in most
// plans. There are at most a thousand of them per country.
const prefixDigits = 3

// Prefix returns the country code of a number in E.164 with the first digits
// behind it, such as +49151. Numbers that earn somebody money by being texted
// share one, so sends are watched by it.
func Prefix(e164 string) string {
	number, err := read(e164)
	if err != nil {
		return ""
	}
	national := phonenumbers.GetNationalSignificantNumber(number)
	return "+" + strconv.Itoa(int(number.GetCountryCode())) + national[:min(prefixDigits, len(national))]
}
