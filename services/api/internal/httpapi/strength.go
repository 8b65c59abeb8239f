package httpapi

import (
	"context"
	"slices"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/pipeline"
)

type strengthIn struct {
	Plain     secret.Text `in:"plain_text" required:"true" doc:"The password as far as it is typed. It is not kept."`
	OrgDomain string      `in:"org_domain" doc:"The organization; it follows from the domain of the address when it is left out."`
	Email     string      `in:"user_email" doc:"Address of the person, whose parts are easy to guess. Whether it has a user makes no difference."`
	Given     string      `in:"given_name" doc:"First name of the person; likewise."`
	Family    string      `in:"family_name" doc:"Last name; likewise."`
	Nickname  string      `in:"nickname" doc:"Nickname; likewise."`
	Locale    string      `in:"locale" doc:"Language of the words in the answer, such as fr; that of Accept-Language when it is left out, or else the organization's."`
}

type strengthOut struct {
	Type        string   `json:"__type__"`
	Domain      string   `json:"__domain__"`
	Environment string   `json:"__environment__"`
	Score       int      `json:"score" doc:"How hard it is to guess, 0 to 4."`
	MinStrength int      `json:"min_strength" doc:"The least score that the organization takes."`
	Acceptable  bool     `json:"acceptable" doc:"Whether POST /api/v2/password would take it, but for two things that only that call looks at: whether it has leaked, and whether it is the one before."`
	Reason      *string  `json:"reason" doc:"Why not: the code of the error that POST /api/v2/password would answer."`
	Warning     *string  `json:"warning" doc:"What is wrong with it, for the person."`
	Suggestions []string `json:"suggestions" doc:"What would be better, for the person."`
}

func (a *API) passwordStrength(ctx context.Context, c pipeline.Call, in strengthIn) (strengthOut, error) {
	switch {
	case in.Plain.IsZero():
		return strengthOut{}, errPlainText
	case c.Tenant.Org == "":
		return strengthOut{}, errStrength
	}
	assessed, err := a.Passwords.Strength(ctx, asCaller(c), password.Draft{
		Plain: in.Plain, Email: in.Email, Names: []string{in.Given, in.Family, in.Nickname},
	})
	if err != nil {
		return strengthOut{}, err
	}
	warning, suggestions := assessed.Words(slices.Concat([]string{in.Locale}, c.Request.Header.Values("Accept-Language"), []string{c.Org.Locale})...)
	return strengthOut{
		Type: "PasswordStrength", Domain: c.Org.Domain, Environment: c.Tenant.Env, Score: assessed.Score, MinStrength: assessed.Least,
		Acceptable: assessed.Reason() == "", Reason: orNull(assessed.Reason()), Warning: orNull(warning), Suggestions: orEmpty(suggestions),
	}, nil
}

var errStrength = fault.New(fault.Invalid, "missing_parameter", "org_domain, or a user_email whose domain tells the organization, must be provided")
