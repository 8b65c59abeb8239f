// Signs a user in with openid-client, a certified relying party, and does all
// that such a client does afterwards. The test that runs this is the browser: for
// each line {"open": address} it visits the address and writes back, as a line,
// the address to which it was sent at last.
import assert from 'node:assert/strict'
import { createInterface } from 'node:readline'
import { webcrypto } from 'node:crypto'

globalThis.crypto ??= webcrypto // the Node.js of Debian 12 does not have it there
const client = await import('openid-client')

const { issuer, id, secret, redirect, logout, auth, user } = JSON.parse(process.argv[2])
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

async function browse(address) {
  process.stdout.write(JSON.stringify({ open: address.href }) + '\n')
  return new URL((await lines.next()).value)
}

const authentication = { none: client.None, basic: client.ClientSecretBasic, post: client.ClientSecretPost }[auth]
const config = await client.discovery(new URL(issuer), id, undefined, authentication(secret), {
  execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks],
})

async function authorize(parameters, checks = {}) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const expectedState = client.randomState()
  const expectedNonce = client.randomNonce()
  const back = await browse(client.buildAuthorizationUrl(config, {
    redirect_uri: redirect,
    scope: 'openid email profile offline_access',
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    state: expectedState,
    nonce: expectedNonce,
    ...parameters,
  }))
  return client.authorizationCodeGrant(config, back, { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true, ...checks })
}

// refused waits for an error of OAuth 2 in any of the ways in which it comes.
async function refused(promise, code) {
  await assert.rejects(promise, (err) => {
    const said = err.error ?? err.cause?.[0]?.parameters?.error
    assert.equal(said, code, `${err.name}: ${err.message}: ${JSON.stringify(err.cause)}`)
    return true
  })
}

// Nobody is signed in yet.
await refused(authorize({ prompt: 'none' }), 'login_required')

const first = await authorize({ max_age: '300', acr_values: 'aal2' }, { maxAge: 300 })
const claims = first.claims()
assert.equal(claims.sub, user.id)
assert.equal(claims.acr, 'aal2')
assert.deepEqual([...claims.amr].sort(), ['mfa', 'otp', 'pwd'])
assert.equal(first.expires_in, 600)

const info = await client.fetchUserInfo(config, first.access_token, claims.sub)
assert.equal(info.email, user.email)

// The browser has a session now: no page is shown, and the time of the login
// stays what it was.
const again = await authorize({ prompt: 'none', id_token_hint: first.id_token })
assert.equal(again.claims().auth_time, claims.auth_time)
assert.equal(again.claims().sid, claims.sid)

const second = await client.refreshTokenGrant(config, first.refresh_token)
assert.notEqual(second.refresh_token, first.refresh_token)
assert.equal(second.claims().sub, claims.sub)
assert.equal(second.claims().auth_time, claims.auth_time)
const narrow = await client.refreshTokenGrant(config, second.refresh_token, { scope: 'openid' })
assert.equal((await client.fetchUserInfo(config, narrow.access_token, claims.sub)).email, undefined)

if (secret) {
  const about = await client.tokenIntrospection(config, narrow.access_token)
  assert.equal(about.active, true)
  assert.equal(about.client_id, id)
  assert.equal(about.sub, claims.sub)
  assert.equal((await client.tokenIntrospection(config, narrow.refresh_token, { token_type_hint: 'refresh_token' })).active, true)
  const own = await client.clientCredentialsGrant(config, { scope: 'reports:read' })
  assert.equal(own.refresh_token, undefined)
  assert.equal((await client.tokenIntrospection(config, own.access_token)).scope, 'reports:read')
}

// After the revocation nothing of that login is good, and of the other one all.
await client.tokenRevocation(config, narrow.refresh_token)
await refused(client.refreshTokenGrant(config, narrow.refresh_token), 'invalid_grant')
await refused(client.fetchUserInfo(config, narrow.access_token, claims.sub), 'invalid_token')
if (secret) assert.deepEqual(await client.tokenIntrospection(config, narrow.access_token), { active: false })
await client.fetchUserInfo(config, again.access_token, claims.sub)
await client.tokenRevocation(config, 'what nobody has ever issued')

// The end of the session leads back to the app, and ends it.
const farewell = client.randomState()
const gone = await browse(client.buildEndSessionUrl(config, {
  id_token_hint: again.id_token, post_logout_redirect_uri: logout, state: farewell,
}))
assert.equal(gone.origin + gone.pathname, logout)
assert.equal(gone.searchParams.get('state'), farewell)
await refused(authorize({ prompt: 'none' }), 'login_required')

process.stdout.write(JSON.stringify({ done: true }) + '\n')
process.exit(0)
