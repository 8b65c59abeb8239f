// Package clients holds the tests in which libraries that nobody here wrote
// sign users in: golang.org/x/oauth2 with go-oidc, openid-client in Node.js, and
// oidc-client-ts in a real Chromium. In that browser also runs a page that signs
// users in by the verification flow, and sends what the vendor's SDK sends.
//
// There is nothing here to call. The tests are the judges of our wire format:
// what these clients refuse, the apps of customers would refuse too. They are a
// module of their own so that what they need is in no program of ours; ADR 0019
// says more.
package clients
