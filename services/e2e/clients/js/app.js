// An app that lives in the browser, with oidc-client-ts. The test calls it as its
// buttons would; when a page has done what it is there for, its body says so.
const app = (() => {
  const settings = async () => (await fetch('/settings.json')).json()
  const make = async (more) => new oidc.UserManager({
    response_type: 'code',
    loadUserInfo: true,
    automaticSilentRenew: false,
    userStore: new oidc.WebStorageStateStore({ store: window.sessionStorage }),
    ...await settings(),
    ...more,
  })
  const told = (user) => user && { ...user, scopes: user.scopes }

  // What each page does as it opens.
  const pages = {
    '/callback': async (manager) => { await manager.signinCallback() },
    '/silent': async (manager) => { await manager.signinCallback() },
    '/goodbye': async (manager) => { await manager.signoutCallback() },
  }
  window.addEventListener('load', async () => {
    try {
      await pages[location.pathname]?.(await make())
      document.body.dataset.state = 'done'
    } catch (err) {
      document.body.dataset.state = 'failed'
      document.body.textContent = `${err.name}: ${err.message}`
    }
  })

  return {
    signIn: async (more) => { (await make()).signinRedirect(more) },
    signOut: async () => { (await make()).signoutRedirect() },
    user: async () => told(await (await make()).getUser()),
    renew: async () => told(await (await make()).signinSilent()),
    revoke: async () => { await (await make()).revokeTokens() },
    // As a page of the app that was just opened and knows nobody: only the session
    // of the browser can tell who is there.
    recognize: async () => {
      const memory = new oidc.WebStorageStateStore({ store: new oidc.InMemoryWebStorage() })
      const manager = await make({ userStore: memory, silentRequestTimeoutInSeconds: 30 })
      try {
        return { user: told(await manager.signinSilent()) }
      } catch (err) {
        return { error: err.error ?? `${err.name}: ${err.message}` }
      }
    },
    userInfo: async (token) => {
      const manager = await make()
      const res = await fetch(await manager.metadataService.getUserInfoEndpoint(), { headers: { Authorization: `Bearer ${token}` } })
      return res.status
    },
  }
})()
