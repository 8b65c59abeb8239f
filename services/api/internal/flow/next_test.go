package flow

import (
	"testing"
	"time"

	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/user"
)

// What a request needs next, for each prompt, age, level, session, second
// factor and hint.
// Covers R-036 for a session that has less than its user.
// Covers R-148 for prompt, max_age, acr_values and id_token_hint.
func TestNextStep(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	signedIn := func(acr string, ago time.Duration) *session.Session {
		return &session.Session{User: user.User{ID: "ana"}, ACR: acr, AuthTime: now.Add(-ago)}
	}
	weak, strong := signedIn(grant.OneFactor, time.Minute), signedIn(grant.TwoFactors, time.Minute)
	anyAge := func(change func(*Request)) Request {
		r := Request{MaxAge: -1}
		if change != nil {
			change(&r)
		}
		return r
	}
	prompt := func(values ...string) Request { return anyAge(func(r *Request) { r.Prompt = values }) }
	level := func(acr string, values ...string) Request {
		return anyAge(func(r *Request) { r.ACR, r.Prompt = acr, values })
	}
	age := func(most time.Duration, values ...string) Request {
		return anyAge(func(r *Request) { r.MaxAge, r.Prompt = most, values })
	}
	of := func(id string, values ...string) Request {
		return anyAge(func(r *Request) { r.Subject, r.Prompt = id, values })
	}
	unknown := func(values ...string) Request {
		return anyAge(func(r *Request) { r.Unknown, r.Prompt = true, values })
	}
	login, unmet := "login_required", "unmet_authentication_requirements"
	for name, c := range map[string]struct {
		request Request
		session *session.Session
		of      need
		want    step
		code    string
	}{
		"nobody is signed in":                             {prompt(), nil, nothing, signIn, ""},
		"nobody is signed in, and no page may be shown":   {prompt("none"), nil, nothing, giveBack, login},
		"one factor, and none more":                       {prompt(), weak, nothing, finish, ""},
		"one factor, and none more, without a page":       {prompt("none"), weak, nothing, finish, ""},
		"one factor of somebody with two":                 {prompt(), weak, proof, secondFactor, ""},
		"one factor of somebody with two, without a page": {prompt("none"), weak, proof, giveBack, login},
		"two factors":                                            {prompt(), strong, proof, finish, ""},
		"two factors, without a page":                            {prompt("none"), strong, proof, finish, ""},
		"two factors of somebody who has removed one":            {prompt(), strong, nothing, finish, ""},
		"a login is asked for":                                   {prompt("login"), strong, proof, signIn, ""},
		"an account is to be chosen":                             {prompt("select_account"), strong, proof, signIn, ""},
		"consent to an app that needs none":                      {prompt("consent"), strong, proof, finish, ""},
		"login and consent":                                      {prompt("login", "consent"), strong, proof, signIn, ""},
		"a proof that is young enough":                           {age(time.Minute), strong, proof, finish, ""},
		"a proof that is a second too old":                       {age(59 * time.Second), strong, proof, signIn, ""},
		"a proof that is too old, without a page":                {age(59*time.Second, "none"), strong, proof, giveBack, login},
		"no age at all":                                          {age(0), signedIn(grant.TwoFactors, 0), proof, signIn, ""},
		"no age at all, without a page":                          {age(0, "none"), signedIn(grant.TwoFactors, 0), proof, giveBack, login},
		"young enough and one factor of two":                     {age(time.Hour), weak, proof, secondFactor, ""},
		"too old and one factor of two":                          {age(time.Second), weak, proof, signIn, ""},
		"one factor is asked for, and there":                     {level("aal1"), weak, nothing, finish, ""},
		"one factor is asked for, of somebody with two":          {level("aal1"), weak, proof, secondFactor, ""},
		"two are asked for, and there":                           {level("aal2"), strong, proof, finish, ""},
		"two are asked for, and can be":                          {level("aal2"), weak, proof, secondFactor, ""},
		"two are asked for, and can be, without a page":          {level("aal2", "none"), weak, proof, giveBack, login},
		"two are asked for of somebody with one":                 {level("aal2"), weak, nothing, giveBack, unmet},
		"two are asked for of somebody with one, without a page": {level("aal2", "none"), weak, nothing, giveBack, unmet},
		"two are asked for, and nobody is signed in":             {level("aal2"), nil, nothing, signIn, ""},
		"two are asked for, nobody is signed in, without a page": {level("aal2", "none"), nil, nothing, giveBack, login},
		"a level that nobody has heard of":                       {unknown(), strong, proof, giveBack, unmet},
		"a level that nobody has heard of, and nobody signed in": {unknown(), nil, nothing, giveBack, unmet},
		"a level that nobody has heard of, without a page":       {unknown("none"), nil, nothing, giveBack, unmet},
		"the one who is expected":                                {of("ana"), strong, proof, finish, ""},
		"the one who is expected, with one factor of two":        {of("ana"), weak, proof, secondFactor, ""},
		"somebody else than expected":                            {of("ben"), strong, proof, signIn, ""},
		"somebody else than expected, without a page":            {of("ben", "none"), strong, proof, giveBack, login},
		"the one who is expected, after a login was asked for":   {of("ana", "login"), strong, proof, signIn, ""},
		"a second factor is to be enrolled":                      {prompt(), weak, enrolment, signIn, ""},
		"a second factor is to be enrolled, without a page":      {prompt("none"), weak, enrolment, giveBack, login},
		"two are asked for, and one is to be enrolled":           {level("aal2"), weak, enrolment, signIn, ""},
		"a session that lies in the future counts as just now":   {age(time.Minute), signedIn(grant.TwoFactors, -time.Second), proof, finish, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, refusal := next(c.request, c.session, c.of, now)
			code := ""
			if refusal != nil {
				code = refusal.Code
			}
			if got != c.want || code != c.code {
				t.Errorf("step %d %q, want %d %q", got, code, c.want, c.code)
			}
		})
	}
}
