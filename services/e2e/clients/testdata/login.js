// The login page of an app on an origin of its own. It sends what the vendor's
// SDK sends, in the same way: XMLHttpRequest, a content type of JSON on every call
// even without a body, no cookies, and a form of hidden fields where the browser
// leaves the page. The test calls it as its buttons would.
const login = (() => {
  const generations = {
    newest: {
      list: () => '/verification-srv/public/graph/user/setup',
      initiate: (method) => `/verification-srv/authentication/${method}/initiation`,
      verify: (method) => `/verification-srv/authentication/${method}/verification`,
      cancel: (method) => `/verification-srv/authentication/${method}/cancel`,
    },
    older: {
      list: () => '/verification-srv/v2/setup/public/configured/list',
      initiate: (method) => `/verification-srv/v2/authenticate/initiate/${method}`,
      verify: (method) => `/verification-srv/v2/authenticate/authenticate/${method}`,
      cancel: (method) => `/verification-srv/v2/authenticate/cancel/${method}`,
    },
  }
  let config // of the app, as its developer wrote it down
  const ready = new XMLHttpRequest()
  ready.onload = () => {
    config = JSON.parse(ready.responseText)
    document.body.dataset.state = 'done'
  }
  ready.open('GET', '/settings.json')
  window.addEventListener('load', () => ready.send())

  // call resolves whatever the status is; 0 is that of an answer which the browser
  // keeps from this page. A body that is no JSON is an error of the script.
  const call = (method, path, { body, text, headers = {}, token } = {}) => new Promise((resolve, reject) => {
    const http = new XMLHttpRequest()
    http.onreadystatechange = () => {
      if (http.readyState !== XMLHttpRequest.DONE) return
      try {
        resolve({ status: http.status, body: http.responseText ? JSON.parse(http.responseText) : null })
      } catch (err) {
        reject(err)
      }
    }
    http.open(method, config.authority + path, true)
    http.setRequestHeader('Content-Type', 'application/json')
    for (const [name, value] of Object.entries(headers)) http.setRequestHeader(name, value)
    if (token) http.setRequestHeader('Authorization', `Bearer ${token}`)
    http.send(text ?? (body && JSON.stringify(body)))
  })

  // leave sends the browser away with a form. An option that is not set arrives as
  // the text "undefined".
  const leave = (path, options) => {
    const form = document.createElement('form')
    form.action = config.authority + path
    form.method = 'POST'
    for (const [name, value] of Object.entries(options)) {
      const field = document.createElement('input')
      field.type = 'hidden'
      field.name = name
      field.value = value
      form.append(field)
    }
    document.body.append(form)
    form.submit()
  }

  return {
    call,
    authority: () => config.authority,
    requestId: () => call('POST', '/authz-srv/authrequest/authz/generate', {
      body: {
        client_id: config.client_id, redirect_uri: config.redirect_uri, response_type: 'code', response_mode: 'fragment',
        scope: 'email openid profile', nonce: String(Date.now()),
      },
    }),
    tenant: (requestId) => call('GET', '/public-srv/tenantinfo/basic', { headers: { requestId, acceptlanguage: 'en-GB' } }),
    app: (requestId) => call('GET', `/public-srv/public/${requestId}`),
    // The flow in one generation of paths. The options go out as they are.
    list: (age, options) => call('POST', generations[age].list(), {
      body: options, headers: { requestId: options.request_id, acceptlanguage: 'en-GB', 'accept-language': 'en-GB', lat: '48.1', lon: '11.5' },
    }),
    initiate: (age, method, options) => call('POST', generations[age].initiate(method), { body: options, headers: { trackId: 'undefined' } }),
    verify: (age, method, options) => call('POST', generations[age].verify(method), { body: options }),
    cancel: (age, method, options) => call('POST', generations[age].cancel(method), { body: options }),
    finish: (options) => leave('/login-srv/verification/login', { ...options, 'link-id': undefined }),
    // The verifier is made here and now, and fits no challenge.
    exchange: (code) => call('POST', '/token-srv/token', {
      body: {
        code, client_id: config.client_id, redirect_uri: config.redirect_uri, grant_type: 'authorization_code',
        code_verifier: crypto.getRandomValues(new Uint32Array(8)).join('').padEnd(43, '0'),
      },
    }),
    profile: (token) => call('GET', '/users-srv/userinfo', { token }),
    // For answers without a preflight before them.
    simple: (method, path, form) => fetch(config.authority + path, { method, body: form && new URLSearchParams(form) })
      .then((res) => res.status, () => 0),
  }
})()
