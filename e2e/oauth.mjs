// An official TypeScript SDK as somebody's own client, from a bare persona URL: it finds the authorization server, registers
// itself or brings a client id that was registered before, has its person sign in there in a browser, and calls a tool.
// node oauth.mjs PLAN  where PLAN is JSON: {url: of the persona, sdk: 'legacy' | 'modern', login, clientId?, tool, arguments}
// → one line of JSON: {resource, server, scope, clientId, tools, result, again} or {error}
import http from 'node:http';
import { chromium } from 'playwright-core';

const plan = JSON.parse(process.argv[2]);
const { Client, StreamableHTTPClientTransport, UnauthorizedError } = plan.sdk === 'modern'
  ? await import('@modelcontextprotocol/client')
  : {
    ...await import('@modelcontextprotocol/sdk/client/index.js'),
    ...await import('@modelcontextprotocol/sdk/client/streamableHttp.js'),
    ...await import('@modelcontextprotocol/sdk/client/auth.js'),
  };

const out = {};
let answered;
const answer = new Promise((resolve) => { answered = resolve; });
const listener = http.createServer((req, res) => {
  const url = new URL(req.url, 'http://127.0.0.1');
  res.end('You may close this window.');
  if (url.pathname === '/callback') answered(url.searchParams);
});
await new Promise((resolve) => { listener.listen(plan.port ?? 0, '127.0.0.1', resolve); });
const redirectUrl = `http://127.0.0.1:${listener.address().port}/callback`;

// person signs in at the authorization server.
async function person(address) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  try {
    const context = await browser.newContext();
    await context.route((url) => url.hostname !== '127.0.0.1', (route) => route.abort());
    const page = await context.newPage();
    page.setDefaultTimeout(30_000);
    await page.goto(String(address));
    await page.locator('input[name=login]').fill(plan.login);
    await page.locator('input[name=password]').fill('any');
    await page.locator('button[type=submit]').click();
    await page.getByRole('button', { name: 'Continue' }).click();
    return await Promise.race([answer, new Promise((_, no) => { setTimeout(() => no(new Error(`no answer came; the browser is at ${page.url()}`)), 30_000).unref(); })]);
  } finally {
    await browser.close();
  }
}

let stored = plan.clientId ? { client_id: plan.clientId } : undefined;
let tokens, verifier, params;
const authProvider = {
  redirectUrl,
  clientMetadata: { client_name: 'e2e', redirect_uris: [redirectUrl], grant_types: ['authorization_code'], response_types: ['code'], token_endpoint_auth_method: 'none' },
  clientInformation: () => stored,
  ...(plan.clientId ? {} : { saveClientInformation: (information) => { stored = information; } }),
  tokens: () => tokens,
  saveTokens: (given) => { tokens = given; },
  saveCodeVerifier: (text) => { verifier = text; },
  codeVerifier: () => verifier,
  redirectToAuthorization: async (url) => {
    out.server = url.origin;
    out.resource = url.searchParams.get('resource');
    out.scope = url.searchParams.get('scope');
    params = await person(url);
  },
};

const client = new Client({ name: 'e2e-oauth', version: '1.0.0' });
const connect = () => { const t = new StreamableHTTPClientTransport(new URL(plan.url), { authProvider }); return client.connect(t).then(() => t); };
try {
  await connect().catch(async (e) => {
    if (!(e instanceof UnauthorizedError)) throw e;
    if (params?.get('error')) throw new Error(`the authorization server says ${params}`);
    const t = new StreamableHTTPClientTransport(new URL(plan.url), { authProvider });
    await t.finishAuth(plan.sdk === 'modern' ? params : params.get('code'), params.get('iss') ?? undefined);
    await connect();
  });
  out.clientId = stored.client_id;
  out.tools = (await client.listTools()).tools.map((t) => t.name);
  out.result = await client.callTool({ name: plan.tool, arguments: plan.arguments });
} catch (e) {
  out.error = String(e.stack ?? e);
}
await client.close().catch(() => {});
listener.close();
listener.closeAllConnections();
console.log(JSON.stringify(out));
