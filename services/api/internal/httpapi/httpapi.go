// Package httpapi is the headless API: /api/v2, called by customers' servers.
//
// REQUEST -> challenge -> event -> worker -> provider
//
// [API.Routes] is its table of contents. The pipeline has checked caller,
// scope, tenant, size and form before a handler here runs; handlers turn
// typed inputs into calls of the rules, and what those return into the
// contract's shapes.
package httpapi

import (
	"net/http"

	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/apikey"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/consent"
	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/login"
	"countersign.dev/services/api/internal/mailserver"
	"countersign.dev/services/api/internal/notice"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/preview"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/template"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// API holds the rules that the handlers call.
type API struct {
	Tenants     *tenant.Service
	Connections *tenant.Connections
	Keys        *apikey.Service
	Apps        *app.Service
	Consents    *consent.Service
	Sessions    *session.Service
	Users       *user.Service
	Factors     *factor.Service
	Deliveries  *delivery.Service
	Logins      *login.Service
	Notices     *notice.Service
	Activity    activity.Store
	Templates   *template.Service

	Passwords           *password.Service
	PasswordConnections *password.Connections
	LinkChallenges      *link.Challenges
	MailServers         *mailserver.Connections
	Previews            *preview.Service

	BaseURL string // what the addresses of logos start with
}

// Routes is the table of the headless API.
func (a *API) Routes() []pipeline.Route {
	return append(a.organizationRoutes(), []pipeline.Route{
		account("POST", "/api-keys", apikey.KeysWrite, "Create an API key", pipeline.Handle(a.createKey), created, own),
		account("GET", "/api-keys", apikey.KeysRead, "List API keys", pipeline.Handle(a.listKeys), own),
		account("DELETE", "/api-keys/{key}", apikey.KeysWrite, "Revoke an API key", pipeline.Handle(a.revokeKey), own),

		org("POST", "/org/{org}/apps", apikey.AppsWrite, "Register an app (OAuth client)", pipeline.Handle(a.createApp), created, conflicts, own),
		org("GET", "/org/{org}/apps", apikey.AppsRead, "List apps", pipeline.Handle(a.listApps), own),
		org("GET", "/org/{org}/apps/{app}", apikey.AppsRead, "Read an app", pipeline.Handle(a.readApp), own),
		org("PUT", "/org/{org}/apps/{app}", apikey.AppsWrite, "Change an app", pipeline.Handle(a.updateApp), own),
		org("DELETE", "/org/{org}/apps/{app}", apikey.AppsWrite, "Delete an app and end all that it was granted", pipeline.Handle(a.deleteApp), own),
		org("POST", "/org/{org}/apps/{app}/secret", apikey.AppsWrite, "Give a confidential app another secret; the one before stops at once", pipeline.Handle(a.rotateAppSecret), created, conflicts, own),

		org("POST", "/org/{org}/users", apikey.UsersWrite, "Create a user", pipeline.Handle(a.createUser), created),
		org("GET", "/org/{org}/users", apikey.UsersRead, "List users", pipeline.Handle(a.listUsers)),
		org("GET", "/org/{org}/users/{user}", apikey.UsersRead, "Read a user by id or e-mail address", pipeline.Handle(a.readUser)),
		org("PUT", "/org/{org}/users/{user}", apikey.UsersWrite, "Change a user", pipeline.Handle(a.updateUser)),
		org("DELETE", "/org/{org}/users/{user}", apikey.UsersWrite, "Delete a user", pipeline.Handle(a.deleteUser)),
		org("GET", "/org/{org}/users/{user}/consents", apikey.UsersRead, "List what a user has allowed apps of others", pipeline.Handle(a.listConsents), own),
		org("DELETE", "/org/{org}/users/{user}/consents/{app}", apikey.UsersWrite, "Take back what a user has allowed an app, and end all that it was granted", pipeline.Handle(a.revokeConsent), own),
		org("GET", "/org/{org}/users/{user}/sessions", apikey.UsersRead, "List the browsers that a user is signed in with", pipeline.Handle(a.listSessions), own),
		org("DELETE", "/org/{org}/users/{user}/sessions", apikey.UsersWrite, "End all sessions of a user, with what came of them", pipeline.Handle(a.endUserSessions), own),
		org("DELETE", "/org/{org}/users/{user}/sessions/{session}", apikey.UsersWrite, "End a session of a user, with what came of it", pipeline.Handle(a.endSession), own),
		org("DELETE", "/org/{org}/sessions", apikey.UsersWrite, "End the sessions of all users, with what came of them", pipeline.Handle(a.endAllSessions), own),

		org("GET", "/org/{org}/totp-connection", apikey.ConnectionsRead, "Read the policy of second factors", pipeline.Handle(a.readConnection)),
		org("PUT", "/org/{org}/totp-connection", apikey.ConnectionsWrite, "Change the policy of second factors", pipeline.Handle(a.updateConnection)),

		org("POST", "/org/{org}/totp-enrollment/{user}", apikey.FactorsEnroll, "Start an enrolment of an authenticator app or a phone", pipeline.Handle(a.enrol), created, sendsCode, conflicts),
		org("PUT", "/org/{org}/totp-enrollment/validation/{user}", apikey.FactorsEnroll, "Confirm an enrolment with its first code", pipeline.Handle(a.confirmEnrolment), makesCodes),
		org("POST", "/org/{org}/totp-challenge/{user}", apikey.Challenges, "Send a code", pipeline.Handle(a.challenge), created, sendsCode),
		org("POST", "/org/{org}/totp-challenge/validation/{user}", apikey.Challenges, "Check a code of an app, of a text message or for recovery, once", pipeline.Handle(a.validate), checksCode),

		org("GET", "/org/{org}/users/{user}/factors", apikey.FactorsRead, "List the second factors of a user", pipeline.Handle(a.listFactors), own),
		org("DELETE", "/org/{org}/users/{user}/factors", apikey.FactorsReset, "Take all second factors and recovery codes of a user away", pipeline.Handle(a.resetFactors), own),
		org("PUT", "/org/{org}/users/{user}/factors/{factor}", apikey.FactorsEnroll, "Rename a second factor", pipeline.Handle(a.renameFactor), own),
		org("POST", "/org/{org}/users/{user}/factors/{factor}/disable", apikey.FactorsReset, "Stop a second factor for good", pipeline.Handle(a.disableFactor), own),
		org("DELETE", "/org/{org}/users/{user}/factors/{factor}", apikey.FactorsReset, "Remove a second factor", pipeline.Handle(a.removeFactor), own),
		org("GET", "/org/{org}/users/{user}/recovery-codes", apikey.FactorsRead, "See how many recovery codes a user has left", pipeline.Handle(a.readRecovery), own),

		org("POST", "/org/{org}/password-connection", apikey.ConnectionsWrite, "Create the policy of passwords", pipeline.Handle(a.createPasswordConnection), created, conflicts),
		org("GET", "/org/{org}/password-connection", apikey.ConnectionsRead, "Read the policy of passwords", pipeline.Handle(a.readPasswordConnection)),
		org("PUT", "/org/{org}/password-connection", apikey.ConnectionsWrite, "Change the policy of passwords", pipeline.Handle(a.updatePasswordConnection)),
		org("GET", "/org/{org}/users/{user}/password", apikey.UsersRead, "See when the password of a user was changed and when it expires", pipeline.Handle(a.readPassword), own),
		org("POST", "/org/{org}/users/{user}/password/force-change", apikey.PasswordsForce, "Make a user set another password", pipeline.Handle(a.forcePassword), own),
		named("/password-request", apikey.PasswordsWrite, "Send a link to create or reset a password", pipeline.Handle(a.passwordRequest), created, sendsMail),
		named("/password", apikey.PasswordsWrite, "Set a password", pipeline.Handle(a.setPassword), conflicts, hashes, toldByCode),
		named("/password-strength", apikey.PasswordsWrite, "Judge a password while it is typed", pipeline.Handle(a.passwordStrength), estimates),
		named("/password-challenge", apikey.Challenges, "Check a password", pipeline.Handle(a.passwordChallenge), hashes),

		org("GET", "/org/{org}/magic-link-connection", apikey.ConnectionsRead, "Read the policy of logins by link", pipeline.Handle(a.readLinkConnection)),
		org("PUT", "/org/{org}/magic-link-connection", apikey.ConnectionsWrite, "Change the policy of logins by link", pipeline.Handle(a.updateLinkConnection)),
		named("/magic-link-challenge", apikey.Challenges, "Send a link to log in with", pipeline.Handle(a.linkChallenge), created, sendsMail),

		org("POST", "/org/{org}/templates", apikey.TemplatesWrite, "Create a template of a mail or text message", pipeline.Handle(a.createTemplate), created, conflicts, own),
		org("GET", "/org/{org}/templates", apikey.TemplatesRead, "List templates", pipeline.Handle(a.listTemplates), own),
		org("GET", "/org/{org}/templates/{template}", apikey.TemplatesRead, "Read a template", pipeline.Handle(a.readTemplate), own),
		org("PUT", "/org/{org}/templates/{template}", apikey.TemplatesWrite, "Change a template, one language at a time", pipeline.Handle(a.updateTemplate), own),
		org("DELETE", "/org/{org}/templates/{template}", apikey.TemplatesWrite, "Delete a template", pipeline.Handle(a.deleteTemplate), conflicts, own),
		org("POST", "/org/{org}/template-preview", apikey.TemplatesRead, "Show what a template makes", pipeline.Handle(a.previewTemplate), own),
		org("GET", "/org/{org}/smtp-connection", apikey.MailServersRead, "Read the mail server of an organization", pipeline.Handle(a.readSMTPConnection), own),
		org("PUT", "/org/{org}/smtp-connection", apikey.MailServersWrite, "Set or change the mail server of an organization", pipeline.Handle(a.putSMTPConnection), own, makesKeys),
		org("DELETE", "/org/{org}/smtp-connection", apikey.MailServersWrite, "Remove the mail server of an organization", pipeline.Handle(a.removeSMTPConnection), own),

		org("GET", "/org/{org}/inbox", apikey.InboxRead, "Read the messages of the sandbox", pipeline.Handle(a.inbox), own),
		org("GET", "/org/{org}/activity", apikey.ActivityRead, "Read what happened", pipeline.Handle(a.activity), own),
		org("GET", "/org/{org}/deliveries", apikey.DeliveriesRead, "See what became of each message", pipeline.Handle(a.deliveries), own),
	}...)
}

// organizationRoutes are what an organization is, and how its pages look.
func (a *API) organizationRoutes() []pipeline.Route {
	return []pipeline.Route{
		account("POST", "/organizations", apikey.OrganizationsWrite, "Create an organization", pipeline.Handle(a.createOrganization), created),
		account("GET", "/organizations", apikey.OrganizationsRead, "List organizations", pipeline.Handle(a.listOrganizations)),
		org("GET", "/organizations/{org}", apikey.OrganizationsRead, "Read an organization", pipeline.Handle(a.readOrganization), remembered),
		org("PUT", "/organizations/{org}", apikey.OrganizationsWrite, "Change what an organization says about itself", pipeline.Handle(a.updateOrganization), conflicts, own),
		org("POST", "/organizations/{org}/email-domains/{domain}/verification", apikey.OrganizationsWrite, "Look for the proof of an e-mail domain in the DNS", pipeline.Handle(a.verifyEmailDomain), own),
		org("DELETE", "/organizations/{org}", apikey.OrganizationsWrite, "Delete an organization with its users", pipeline.Handle(a.deleteOrganization), conflicts),
		org("GET", "/org/{org}/page-texts", apikey.OrganizationsRead, "List what the pages of an organization say", pipeline.Handle(a.listPageTexts), own),
		org("PUT", "/org/{org}/page-texts/{locale}", apikey.OrganizationsWrite, "Set what the pages of an organization say in a language", pipeline.Handle(a.putPageText), conflicts, own),
		org("DELETE", "/org/{org}/page-texts/{locale}", apikey.OrganizationsWrite, "Take out what the pages of an organization say in a language", pipeline.Handle(a.deletePageText), conflicts, own),
		org("POST", "/org/{org}/page-preview", apikey.OrganizationsRead, "Get an address that shows the hosted pages with sample data, for half an hour", pipeline.Handle(a.previewPages), own),
	}
}

type option func(*pipeline.Route)

// created marks calls that make or send something: they answer 201, and a
// repeat with the same Idempotency-Key does nothing again.
func created(r *pipeline.Route) { r.Success, r.Idempotent = http.StatusCreated, true }

// conflicts marks calls that the state of things can refuse.
func conflicts(r *pipeline.Route) { r.Faults = append(r.Faults, http.StatusConflict) }

// own marks calls of our own making, where unknown parameters are refused.
func own(r *pipeline.Route) { r.Strict = true }

func remembered(r *pipeline.Route) { r.Reach = pipeline.Remembered }
func sendsCode(r *pipeline.Route)  { r.Rate, r.Within = pipeline.RateSecond, pipeline.WithinSend }
func checksCode(r *pipeline.Route) { r.Rate, r.Within = pipeline.RateSecond, pipeline.WithinCheck }

// makesCodes marks the call that hashes new recovery codes: it may wait for
// its turn.
func makesCodes(r *pipeline.Route) { r.Rate, r.Within = pipeline.RateSecond, pipeline.WithinHash }

// makesKeys marks the call that may make an RSA key, which takes its time.
func makesKeys(r *pipeline.Route) {
	r.Rate, r.Within, r.BodyOnly = pipeline.RateSecond, pipeline.WithinHash, true
}

func sendsMail(r *pipeline.Route) { sendsCode(r) }

// toldByCode marks the call whose password code belongs to an organization,
// whatever the domain of the address beside it.
func toldByCode(r *pipeline.Route) { r.TellsOrg = "password_code" }

// hashes marks calls that cost an evaluation of Argon2: they may wait for
// their turn.
func hashes(r *pipeline.Route) {
	r.Rate, r.Within, r.BodyOnly = pipeline.RateSecond, pipeline.WithinHash, true
}

// estimates marks the call that judges a password: some milliseconds of work,
// and a secret that belongs into the body.
func estimates(r *pipeline.Route) {
	r.Rate, r.BodyOnly, r.Strict = pipeline.RateEstimates, true, true
}

func account(method, path, scope, summary string, handler pipeline.Handler, options ...option) pipeline.Route {
	route := pipeline.Route{
		Method: method, Path: "/api/v2" + path, Summary: summary, Scope: scope, Handler: handler,
		Credential: pipeline.APIKey, Reach: pipeline.Account, Rate: pipeline.RateAPI,
		Faults: []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusServiceUnavailable},
	}
	for _, apply := range options {
		apply(&route)
	}
	return route
}

func org(method, path, scope, summary string, handler pipeline.Handler, options ...option) pipeline.Route {
	return account(method, path, scope, summary, handler, append([]option{func(r *pipeline.Route) { r.Reach = pipeline.Organization }}, options...)...)
}

// named is for calls whose parameters name the organization; they are all POSTs.
func named(path, scope, summary string, handler pipeline.Handler, options ...option) pipeline.Route {
	return account(http.MethodPost, path, scope, summary, handler, append([]option{func(r *pipeline.Route) { r.Reach = pipeline.Named }}, options...)...)
}
