package api_test

import (
	"bufio"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// cage is where values of a kind may stand. Patterns are those of package path.
type cage struct{ kind, place, why string }

// cages are all the places where a value that came in, or was made, may be
// read again. What stands elsewhere has leaked. An entry that nothing needs
// fails the test. In a place a slash is written as a dot.
var cages = []cage{
	{"email", "sql users.email*", "where a person's mail goes, and who the person is"},
	{"email", "answer of * .api.v2.org.{org}.users*", "what the caller keeps here"},
	{"phone", "answer of * .api.v2.org.{org}.users*", "what the caller keeps here; at rest it is sealed"},
	{"text", "answer of * .api.v2.org.{org}.users*", "what the caller keeps here"},
	{"text", "sql users.profile", "what a person is called, and the like"},
	{"text", "sql users.address", "where a person lives"},
	{"value of profile.*", "answer of * .api.v2.org.{org}.users*", "any text is a name"},
	{"value of profile.*", "sql users.profile", "any text is a name"},
	{"value of address.*", "answer of * .api.v2.org.{org}.users*", "any text is an address"},
	{"value of address.*", "sql users.address", "any text is an address"},

	{"label", "answer of *", "domains and names of organizations and keys are no secrets to their account"},
	{"label", "sql organizations.*", "what an organization is called"},
	{"label", "sql organization_domains.domain", "whose addresses are those of its people"},
	{"label", "sql users.email*", "an address at the domain of its organization"},
	{"label", "sql api_keys.name", "what a key is called"},
	{"page text", "answer of *", "what everybody reads on the pages"},
	{"page text", "sql organizations.page_texts", "the same"},
	{"value of welcome", "answer of *", "any text is a welcome"},
	{"value of help", "answer of *", "any text is a help"},
	{"value of name", "answer of *", "any text is a name"},
	{"value of name", "sql organizations.*", "any text is a name"},
	{"value of name", "sql api_keys.name", "any text is a name"},
	{"value of issuer", "answer of *", "any text is a name"},
	{"label", "sql connections.issuer", "what apps show above a code"},
	{"device", "answer of *", "what a user calls a device, for whoever looks after it"},
	{"device", "sql factors.name", "what a user calls a device"},
	{"value of device_name", "answer of *", "any text is a name"},
	{"value of device_name", "sql factors.name", "any text is a name"},
	{"label", "sql factors.name", "what a user calls a device"},
	{"email", "answer of POST *.totp-enrollment.{user}", "an app shows whose code it is"},
	{"app secret", "answer of POST *.totp-enrollment.{user}", "the app takes it over, this once"},
	{"recovery code", "answer of PUT *.totp-enrollment.validation.{user}", "shown once, for the user to keep"},
	{"value of email_domains", "answer of *", "kept as it is said"},
	{"value of email_domains", "sql organizations.email_domains", "kept as it is said"},

	{"secret", "answer of POST .api.v2.api-keys", "a key's secret is shown once, when it is made"},
	{"secret", "answer of POST .api.v2.org.{org}.apps", "an app's secret is shown once, when it is made"},
	{"secret", "answer of POST .api.v2.org.{org}.apps.{app}.secret", "and when it is replaced"},
	{"label", "sql apps.name", "what an app is called"},
	{"value of name", "sql apps.name", "any text is a name"},
	{"value of scopes", "answer of * .api.v2.org.{org}.apps*", "any word is a scope"},
	{"value of scopes", "sql apps.scopes", "any word is a scope"},
	{"value of audience", "answer of * .api.v2.org.{org}.apps*", "any text is an audience"},
	{"value of audience", "sql apps.audience", "any text is an audience"},
	{"token", "answer of POST *.oauth.token", "that is what the call is for"},
	{"code", "answer of GET *.inbox", "the sandbox's messages are there to be read"},
	{"phone", "answer of GET *.inbox", "the sandbox's messages are there to be read"},
	{"email", "answer of GET *.inbox", "the sandbox's messages are there to be read"},
	{"email", "sql links.email*", "where a link goes, and whom it may make a user"},
	{"email", "sql password_codes.email*", "the same, once the link was followed"},
	{"email", "answer of POST .api.v2.magic-link-challenge", "the address that was asked for"},
	{"label", "sql links.email*", "an address at the domain of its organization"},
	{"label", "sql password_codes.email*", "the same"},
	{"words", "answer of * .api.v2.org.{org}.template*", "what the caller keeps here, for messages to everybody"},
	{"words", "sql templates.contents", "what messages to everybody say"},
	{"value of subject", "answer of * .api.v2.org.{org}.template*", "any text is a subject"},
	{"value of subject", "sql templates.contents", "any text is a subject"},
	{"label", "sql templates.name", "what a template is called"},
	{"value of name", "sql templates.name", "any text is a name"},

	{"mail user", "answer of * .api.v2.org.{org}.smtp-connection", "who signs in at the organization's mail server; the password is nowhere"},
	{"mail user", "sql smtp_connections.username", "the same"},
	{"label", "sql smtp_connections.from_name", "who mails come from, for everybody to read"},
	{"value of from_name", "answer of * .api.v2.org.{org}.smtp-connection", "any text is a name"},
	{"value of username", "answer of * .api.v2.org.{org}.smtp-connection", "any text is a user"},
	{"value of host", "answer of * .api.v2.org.{org}.smtp-connection", "any word is the name of a host"},
	{"value of dkim_selector", "answer of * .api.v2.org.{org}.smtp-connection", "any word is a selector, which the DNS shows"},

	{"*link", "answer of GET .magic-link.verify.{token}", "the cookie by which the browser has it from there on"},
	{"*link", "answer of GET .callback", "the same"},
	{"mailed link", "answer of GET *.inbox", "the sandbox's messages are there to be read"},
	{"link", "answer of POST .api.v2.password-request", "where the connection says that the caller sends it"},
	{"link", "answer of POST .api.v2.magic-link-challenge", "the same"},
	{"ticket", "answer of POST .api.v2.org.{org}.page-preview", "that is what the call is for"},
	{"ticket", "answer of GET .preview.{ticket}*", "the pages lead to each other"},
	{"label", "answer of GET .preview.{ticket}*", "whose pages they are"},
	{"label", "answer of GET .session.sign-out", "the app that asks to sign its user out"},
	{"value of *", "answer of POST .session.end_session", "repeated as GET, where browsers bring our cookie"},
	{"value of state", "answer of * .session.*", "goes along to the app as it came"},
	{"password code", "answer of POST .link", "what the browser brings to the app"},
	{"password code", "answer of POST .api.v2.password-challenge", "with which a password that must change is changed"},
	{"authorization code", "answer of POST .link", "what the browser brings to the app"},
	{"authorization code", "answer of POST .api.v2.password", "the end of a login"},
	{"authorization code", "answer of POST .api.v2.password-challenge", "the end of a login"},
	{"authorization code", "answer of POST *.totp-challenge.validation.{user}", "the end of a login that had to wait"},
	{"refresh token", "answer of POST *.oauth.token", "that is what the call is for"},
	{"email", "content of an * token", "both say who has logged in, to the app where that was"},
	{"label", "content of an * token", "both say in which organization"},
	{"text", "content of an ID token", "what a person is called, for the app"},
	{"app secret", "answer of GET .account.{realm}.enrolment", "the app takes it over, for as long as the page can be loaded again"},
	{"recovery code", "answer of GET .account.{realm}.recovery-codes*", "for the session that has made them, until they are saved"},
	{"recovery code", "answer of GET .login.recovery-codes.txt", "the file that the page offers, until its person says that it is saved"},
	{"email", "answer of GET .password", "what a manager of passwords keeps the new one under; the link went to this address"},
	{"email", "answer of GET .account.{realm}", "the same, for whoever has signed in within five minutes"},
	{"something", "answer of GET .account.{realm}", "parts of the address and the organization's domain, which count little in a password"},
	{"something", "answer of GET .password", "the same"},
	{"label", "error answer", "the way on from the account page of a realm leads back to it"},
	{"flow", "answer of GET .login", "in the forms of the page, for the browser that it began in"},
	{"flow", "answer of POST .login*", "where the page is, for the same browser"},
	{"name of a parameter", "answer of POST .*.auth*z*", "repeated as GET, where browsers bring our cookie"},
	{"value of *", "answer of POST .*.auth*z*", "the same"},
	{"value of *locale*", "answer of GET *", "the page's language, as the app asks for it"},
	{"email", "answer of * .users-srv.userinfo", "who has signed in, for the app"},
	{"text", "answer of * .users-srv.userinfo", "what a person is called, for the app"},
	{"*nonce", "answer of POST *.token", "comes back to the app as the contract says"},
	{"*nonce", "content of an ID token", "that is what it is for"},
	{"value of token_type_hint", "answer of POST *.revoke", "comes back as the contract says"},
	{"*token", "answer of POST *.oauth2.token", "that is what the call is for"},
	{"*token", "answer of POST *.oauth.client.token", "that is what the call is for"},
	{"*token", "answer of POST .token-srv.token", "that is what the call is for"},
	{"step", "answer of * .verification-*", "the next step needs it; at rest there is a digest"},
	{"step", "answer of * .authz-srv.authrequest.*", "the same"},
	{"step", "answer of GET .token-srv.prelogin.*", "the same, for whoever shows it"},
	{"step", "answer of GET .public-srv.*", "the same"},
	{"step", "answer of POST .password-srv.resetpassword", "the same"},
	{"step", "answer of POST .users-srv.resetpassword.*", "the same"},
	{"app secret", "answer of POST .verification-*.initia*", "the app takes it over, this once"},
	{"email", "answer of POST .verification-*.initia*", "an app shows whose code it is"},
	{"recovery code", "answer of POST .verification-*", "shown once, for the user to keep"},
	{"value of friendly_name", "answer of PUT .verification-actions-srv.*", "any text is a name"},
	{"provider id", "sql deliveries.provider_id", "what the provider calls the message; only its signature gets it there"},
	{"name of a parameter", "error answer", "the caller reads which parameter there is not"},
}

// finding is a value of a kind that stands in a place.
type finding struct{ kind, place string }

// search looks for every value in every place.
func (r *trail) search() {
	r.t.Helper()
	used := map[int]bool{}
	found := r.find()
	for _, f := range slices.SortedFunc(maps.Keys(found), func(a, b finding) int { return strings.Compare(a.kind+a.place, b.kind+b.place) }) {
		allowed := false
		for i, c := range cages {
			kind, _ := path.Match(c.kind, f.kind)
			place, _ := path.Match(c.place, strings.ReplaceAll(f.place, "/", "."))
			if kind && place {
				used[i], allowed = true, true
			}
		}
		if !allowed {
			r.t.Errorf("%s is in %s: %s", f.kind, f.place, found[f])
		}
	}
	for i, c := range cages {
		if !used[i] {
			r.t.Errorf("no %s is in %s: take the entry out (%s)", c.kind, c.place, c.why)
		}
	}
}

// typedKey is the key of an app as people type it, in groups of four.
var typedKey = regexp.MustCompile(`\b[A-Z2-7]{4}(?: [A-Z2-7]{4}){7}\b`)

// find returns what stands where, with its surroundings.
func (r *trail) find() map[finding]string {
	found := map[finding]string{}
	for place, texts := range r.places {
		text := strings.Join(texts, "\n")
		for _, key := range typedKey.FindAllString(text, -1) {
			text += "\n" + strings.ReplaceAll(key, " ", "")
		}
		add := func(kind string, at, end int) {
			found[finding{kind, place}] = fmt.Sprintf("%q", text[max(0, at-60):min(len(text), end+20)])
		}
		r.findWords(lowered(text), add)
		r.findRuns(text, add)
		for _, form := range encoded(marker) {
			if at := strings.Index(text, form); at >= 0 {
				add("something encoded", at, at+len(form))
			}
		}
	}
	return found
}

// lowered is a text in lower case, byte for byte.
func lowered(text string) string {
	out := []byte(text)
	for i, c := range out {
		if c >= 'A' && c <= 'Z' {
			out[i] = c + 'a' - 'A'
		}
	}
	return string(out)
}

// findWords finds what these tests invented.
func (r *trail) findWords(text string, add func(kind string, at, end int)) {
	for at := strings.Index(text, marker); at >= 0; {
		end := min(len(text), at+len(marker)+14)
		add(cmp.Or(r.kinds[text[at:end]], "something"), at, end)
		next := strings.Index(text[end:], marker)
		if next < 0 {
			return
		}
		at = end + next
	}
}

// findRuns goes through the runs of digits and of the characters of base64url,
// of which secrets and tokens are made.
func (r *trail) findRuns(text string, add func(kind string, at, end int)) {
	digits, word := -1, -1
	for i := 0; i <= len(text); i++ {
		var c byte
		if i < len(text) {
			c = text[i]
		}
		number := c >= '0' && c <= '9'
		switch {
		case number && digits < 0:
			digits = i
		case !number && digits >= 0:
			if kind := r.digits(text, digits, i); kind != "" {
				add(kind, digits, i)
			}
			digits = -1
		}
		letter := number || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_'
		switch {
		case letter && word < 0:
			word = i
		case !letter && word >= 0:
			if kind := r.long(text[word:i]); kind != "" {
				add(kind, word, i)
			}
			word = -1
		}
	}
}

// secretSize is how long the secrets of this service are: 32 bytes.
const secretSize = 43

// long says whether a run of characters is a secret, stands beside one, or is
// the signature of a token.
func (r *trail) long(run string) (kind string) {
	for _, size := range []int{secretSize, appSecretSize, recoverySize, recoverySize - 3} {
		if len(run) >= size {
			kind = cmp.Or(kind, r.kinds[run[:size]], r.kinds[run[len(run)-size:]])
		}
	}
	if len(run) >= recoverySize-3 {
		kind = cmp.Or(kind, r.kinds[run])
	}
	return kind
}

// digits says whether a run of digits holds a number or is a code. Codes have
// six digits, so a run that is part of a word or of a fraction is none.
func (r *trail) digits(text string, at, end int) string {
	for i := at; i+11 <= end; i++ {
		if kind := r.kinds[text[i:i+11]]; kind != "" {
			return kind
		}
	}
	if end-at != 6 || r.kinds[text[at:end]] == "" {
		return ""
	}
	before, after := text[max(0, at-2):at], text[end:min(len(text), end+2)]
	if fractional.MatchString(before+"0") || fractional.MatchString("0"+after) || part.MatchString(before) || part.MatchString(after[:min(1, len(after))]) {
		return ""
	}
	return r.kinds[text[at:end]]
}

var (
	fractional = regexp.MustCompile(`[0-9]\.[0-9]`)
	part       = regexp.MustCompile(`[A-Za-z_]$`)
)

// encoded are the forms in which a text stands inside of bytes that were only
// packed, not sealed.
func encoded(text string) []string {
	forms := []string{hex.EncodeToString([]byte(text)), strings.ToUpper(hex.EncodeToString([]byte(text)))}
	for shift := range 3 { // base64 of a text depends on where it begins
		full := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + text + "xxx"))
		forms = append(forms, full[4:len(full)-8])
	}
	return forms
}

// tenantless are keys in Redis that hold no organization, with the reason.
var tenantless = []struct{ form, why string }{
	{`^rate:\{[a-z_]+\|<uuid>\}$`, "a rate of one API key, which belongs to one account and environment"},
	{`^from:\{rate\|[a-z_]+\|<network>\}$`, "a rate of an address, before anybody has said who calls"},
	{`^from:\{secret\|(<uuid>|app_[0-9A-Za-z]{27}|unknown)\|<network>\}$`, "guesses of the secret of one API key or app from an address"},
	{`^flow:\{[0-9a-f]{64}\}(:place)?$`, "a digest of 256 random bits; what is kept under it is sealed, and names its tenant"},
	{`^from:\{malformed\|<network>\}$`, "malformed codes from an address"},
	{`^wrong passwords:\{<uuid>\|(sandbox|default)\|<network>\}$`, "wrong passwords from an address, as one account tells it in one environment"},
	{`^idempotency:\{[0-9a-f]{64}\}$`, "a digest of account, environment, API key and the caller's own key"},
	{`^claim:\{delivery_[0-9A-Za-z]{27}\}$`, "a claim of one delivery, whose id is random"},
	{`^exchange\.(request|attempt|status|track|reset|setting):\{[0-9a-f]{64}\}$`, "a digest of 128 random bits, which only the app's page knows that was answered; what is kept under it is sealed and holds the tenant"},
}

var (
	anyUUID    = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	anyNetwork = regexp.MustCompile(`127\.0\.0\.1/32|[0-9a-f:]+::/(48|56|64)`)
)

// redisKeys checks that every key names its organization.
func (r *trail) redisKeys() {
	r.t.Helper()
	orgs := map[string]bool{}
	for _, id := range r.places["sql organizations.id"] {
		orgs[id] = true
	}
	named, forms := 0, map[string]string{}
	for key := range r.written() {
		if slices.ContainsFunc(anyUUID.FindAllString(key, -1), func(id string) bool { return orgs[id] }) {
			named++
			continue
		}
		form := strings.TrimPrefix(key, "countersign:")
		forms[anyNetwork.ReplaceAllLiteralString(anyUUID.ReplaceAllLiteralString(form, "<uuid>"), "<network>")] = key
	}
	if named < 20 {
		r.t.Errorf("only %d keys name an organization", named)
	}
	used := map[int]bool{}
	for form, key := range forms {
		i := slices.IndexFunc(tenantless, func(e struct{ form, why string }) bool { return regexp.MustCompile(e.form).MatchString(form) })
		if used[i] = true; i < 0 {
			r.t.Errorf("the key %q in Redis names no organization", key)
		}
	}
	for i, e := range tenantless {
		if !used[i] {
			r.t.Errorf("there is no key of the form %s: take it out (%s)", e.form, e.why)
		}
	}
}

// written reads the keys of the commands that Redis recorded.
func (r *trail) written() map[string]bool {
	r.t.Helper()
	keys := map[string]bool{}
	for _, file := range r.places["redis"] {
		reader := bufio.NewReader(strings.NewReader(file))
		for {
			command, err := readCommand(reader)
			if err != nil {
				break // the end, or a command that is just being written
			}
			if len(command) > 1 && !strings.EqualFold(command[0], "SELECT") {
				keys[command[1]] = true
			}
		}
	}
	return keys
}

// readCommand reads one command: *<parts>, then each part as $<size> and its
// bytes. A line that is no command gives none.
func readCommand(reader *bufio.Reader) (parts []string, err error) {
	line, err := reader.ReadString('\n')
	if err != nil || line[0] != '*' {
		return nil, err
	}
	count, err := strconv.Atoi(strings.TrimSpace(line[1:]))
	for range count {
		if line, err = reader.ReadString('\n'); err != nil {
			return nil, err
		}
		size, err := strconv.Atoi(strings.TrimSpace(line[1:]))
		if err != nil {
			return nil, err
		}
		part := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(reader, part); err != nil {
			return nil, err
		}
		parts = append(parts, string(part[:size]))
	}
	return parts, err
}
