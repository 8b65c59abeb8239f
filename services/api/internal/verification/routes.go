package verification

import (
	"net/http"
	"slices"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/pipeline"
)

// The rate classes. Callers are browsers, of which many share an address.
// Reading is free of guesses; what makes, sends or checks something is not done
// while nobody can count it.
var (
	rateRead     = pipeline.Rate{Class: "verification_reads", Rate: ephemeral.Rate{Burst: 1000, Per: 5 * time.Second}}
	rateRequests = pipeline.Rate{Class: "verification_requests", Rate: pipeline.RatePages.Rate, Essential: true}
	rateStarts   = pipeline.Rate{Class: "verification_starts", Rate: pipeline.RatePages.Rate, Essential: true}
	rateChecks   = pipeline.Rate{Class: "verification_checks", Rate: pipeline.RatePages.Rate, Essential: true}
	rateForms    = pipeline.Rate{Class: "verification_forms", Rate: pipeline.RatePages.Rate, Essential: true}
)

// Paths that tests and documents name, the newest of each operation.
const (
	PathGenerate = "/authz-srv/authrequest/authz/generate"
	PathFinish   = "/login-srv/verification/login"
	PathLogin    = "/login-srv/login"
)

// Routes is the table of the verification flow.
func (a *API) Routes() []pipeline.Route {
	return slices.Concat(a.requests(), a.logins(), a.forms(), a.enrolments(), a.own(), a.resets())
}

// under is one operation under all its paths, the newest first. They share one
// handler.
func under(route pipeline.Route, paths ...string) (routes []pipeline.Route) {
	route.Reach, route.WriteFault = pipeline.Nobody, WriteFault
	if route.Credential == "" {
		route.Credential = pipeline.None
	}
	if route.Credential == pipeline.UserToken {
		route.Scope = grant.Profile
	}
	route.Envelope, route.CORS = true, route.Write == nil
	for _, path := range paths {
		route.Path = path
		routes = append(routes, route)
	}
	return routes
}

// reads is an operation that changes nothing.
func reads(summary string, handler pipeline.Handler) pipeline.Route {
	return pipeline.Route{Method: http.MethodGet, Summary: summary, Rate: rateRead, Handler: handler}
}

// sends is one whose input holds what ends in no log.
func sends(summary string, rate pipeline.Rate, within time.Duration, handler pipeline.Handler) pipeline.Route {
	return pipeline.Route{Method: http.MethodPost, Summary: summary, Rate: rate, Within: within, BodyOnly: true, Handler: handler}
}

func (a *API) requests() []pipeline.Route {
	state := reads("Read the state of a request id", answer(a.state))
	state.Faults = []int{http.StatusNotFound}
	return slices.Concat(
		under(sends("Get a request id for a login", rateRequests, pipeline.WithinCheck, answer(a.generate)), PathGenerate),
		under(state, "/authz-srv/authrequest/{request_id}"),
		under(reads("Read what a login page may know of the tenant", answer(a.tenantInfo)), "/public-srv/tenantinfo/basic"),
		under(reads("Read what a login page may know of the app", answer(a.publicInfo)), "/public-srv/public/{request_id}"),
		under(reads("Read what a login that goes on still needs", answer(a.trackInfo)), "/public-srv/public/trackinfo/{request_id}/{track_id}"),
		under(reads("Read where a login stands that goes on", maybe(a.precheck)), "/token-srv/prelogin/metadata/{track_id}"),
	)
}

func (a *API) logins() []pipeline.Route {
	return slices.Concat(
		under(sends("List the methods that a user may prove", rateStarts, pipeline.WithinCheck, answer(a.list)),
			"/verification-srv/public/graph/user/setup", "/verification-srv/v2/setup/public/configured/list"),
		under(sends("Ask whether a user may prove a method", rateStarts, pipeline.WithinCheck, answer(a.check)),
			"/verification-srv/v2/setup/public/configured/check/{method}"),
		under(sends("Start a method; a code is sent where it needs one", rateStarts, pipeline.WithinSend, answer(a.initiate)),
			"/verification-srv/authentication/{method}/initiation", "/verification-srv/v2/authenticate/initiate/{method}"),
		under(sends("Prove a method", rateChecks, pipeline.WithinHash, answer(a.verify)),
			"/verification-srv/authentication/{method}/verification", "/verification-srv/v2/authenticate/authenticate/{method}"),
		under(sends("Cancel what was started", rateStarts, pipeline.WithinCheck, answer(a.cancel)),
			"/verification-srv/authentication/{method}/cancel", "/verification-srv/v2/authenticate/cancel/{method}",
			"/verification-srv/v2/setup/cancel/{method}", "/verification-actions-srv/setup/{method}/cancellation"),
	)
}

// forms are what a browser sends by itself and is sent on from. They end in no
// document, since they answer with no JSON.
func (a *API) forms() []pipeline.Route {
	leaves := func(summary string, within time.Duration, handler pipeline.Handler) pipeline.Route {
		route := sends(summary, rateForms, within, handler)
		route.Success, route.Write = http.StatusFound, pipeline.Depart
		return route
	}
	return slices.Concat(
		under(leaves("Finish a login, and go back to the app", pipeline.WithinCheck, leave(a.finish)), PathFinish),
		under(leaves("Log in with a password, and go back to the app", pipeline.WithinHash, leave(a.login)), PathLogin),
		under(leaves("Go on with a login that has waited, and back to the app", pipeline.WithinCheck, leave(a.goOn)), "/login-srv/precheck/continue/{track_id}"),
	)
}

func (a *API) enrolments() []pipeline.Route {
	start := sends("Start to enrol a method, signed in", rateStarts, pipeline.WithinSend, answer(a.enrol))
	start.Credential = pipeline.UserToken
	start.Faults = []int{http.StatusConflict}
	within := sends("Start to enrol a method that a login waits for", rateStarts, pipeline.WithinSend, answer(a.enrolInLogin))
	within.Faults = start.Faults
	status := sends("Ask whether a method that was started is proven", rateRead, pipeline.WithinCheck, maybe(a.status))
	read := reads(status.Summary, status.Handler)
	return slices.Concat(
		under(start, "/verification-actions-srv/setup/{method}/initiation", "/verification-srv/v2/setup/initiate/{method}"),
		under(within, "/verification-actions-srv/setup/{method}/initiation/{track_id}", "/verification-actions-srv/setup/{method}/initiate/{track_id}"),
		under(sends("Confirm an enrolment by its first code", rateChecks, pipeline.WithinHash, answer(a.confirm)),
			"/verification-actions-srv/setup/{method}/verification", "/verification-srv/v2/setup/enroll/{method}"),
		under(status, "/verification-srv/v2/notification/status/{status_id}"),
		under(read, "/verification-srv/verificationstatus/{status_id}"),
	)
}

// own are the calls about what the user of an access token has.
func (a *API) own() []pipeline.Route {
	list := reads("List what the user has set up", answer(a.ownList))
	remove := pipeline.Route{
		Method: http.MethodDelete, Summary: "Remove what the user has set up of a method", Rate: rateStarts, Within: pipeline.WithinCheck, Handler: maybe(a.remove),
	}
	rename := pipeline.Route{
		Method: http.MethodPut, Summary: "Give what the user has set up a name", Rate: rateStarts, Within: pipeline.WithinCheck, BodyOnly: true,
		Faults: []int{http.StatusNotFound}, Handler: answer(a.rename),
	}
	methods := reads("List the methods of the tenant", answer(a.config))
	for _, route := range []*pipeline.Route{&list, &remove, &rename, &methods} {
		route.Credential = pipeline.UserToken
	}
	return slices.Concat(
		under(list, "/verification-actions-srv/users/configurations"),
		under(remove, "/verification-actions-srv/users/configurations/{method}"),
		under(rename, "/verification-actions-srv/setup/users/friendlyname/{method}/{medium}"),
		under(methods, "/verification-actions-srv/config", "/verification-srv/config/list"),
	)
}
