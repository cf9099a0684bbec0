// A real OpenID provider on loopback, npm's oidc-provider: everybody has a login of any password; groups are what the test
// says last. It prints one line when it listens.
// node provider.mjs PLAN  where PLAN is JSON: {port, remit: URL of Remit, secret: of the client}
// POST /test/groups with JSON {login: [groups]} sets groups.
import http from 'node:http';
import { Provider } from 'oidc-provider';

const plan = JSON.parse(process.argv[2]);
const issuer = `http://127.0.0.1:${plan.port}`;
let groups = {};

const provider = new Provider(issuer, {
  clients: [{
    client_id: 'remit',
    client_secret: plan.secret,
    redirect_uris: [`${plan.remit}/sign-in/callback`],
    backchannel_logout_uri: `${plan.remit}/sign-in/logout`,
    backchannel_logout_session_required: true,
  }, {
    client_id: 'registered-before', // of people's own clients
    token_endpoint_auth_method: 'none',
    application_type: 'native', // any port of a loopback address
    redirect_uris: ['http://127.0.0.1/callback'],
  }],
  claims: { openid: ['sub'], profile: ['preferred_username', 'name', 'groups'], email: ['email', 'email_verified'] },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, preferred_username: id, name: `${id} of Example`, groups: groups[id] ?? [], email: `${id}@example.com`, email_verified: true }),
  }),
  scopes: ['openid', 'profile', 'email', 'offline_access', 'remit:support'], // what clients that register themselves may ask for
  pkce: { required: () => true },
  features: {
    devInteractions: { enabled: true },
    backchannelLogout: { enabled: true },
    registration: { enabled: true },
    resourceIndicators: { // access tokens are made for the persona's address that a client names (RFC 8707), as RFC 9068 says
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource) => {
        const persona = new URL(resource).pathname.split('/')[2];
        return { audience: resource, scope: `remit:${persona}`, accessTokenFormat: 'jwt', accessTokenTTL: 300, jwt: { sign: { alg: 'RS256' } } };
      },
    },
  },
  fetch: (url, options) => fetch(url, { ...options, dispatcher: undefined }), // without its guard: Remit is on loopback
  cookies: { keys: ['a key of a test'] },
});

provider.on('backchannel.error', (_, e) => console.error(e));

const front = provider.callback();
http.createServer((req, res) => {
  if (req.method !== 'POST' || req.url !== '/test/groups') return front(req, res);
  let body = '';
  req.on('data', (part) => { body += part; });
  req.on('end', () => { groups = JSON.parse(body); res.end(); });
}).listen(plan.port, '127.0.0.1', () => console.log(`listening at ${issuer}`));
