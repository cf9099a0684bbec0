// The official TypeScript SDKs as agents whose clients can be asked for something: v1, v2 with sessions, and v2 of the stateless era. Each calls
// a tool, notes what it is asked, and answers it.
// node asked.mjs v1|VERSION URL KEY TOOL ARGUMENTS  → one line of JSON: {version, asked, result} or {error}
const [kind, url, key, tool, args] = process.argv.slice(2);
const capabilities = { elicitation: { form: {}, url: {} }, sampling: {} };
const out = { asked: [] };
const answers = {
  'elicitation/create': async ({ params }) => {
    out.asked.push(params);
    return params.mode === 'url' ? { action: 'accept' } : { action: 'accept', content: { name: 'Ada', integer: 7, titledSingleSelectEnum: 'hero-2' } };
  },
  'sampling/createMessage': async ({ params }) => {
    out.asked.push(params);
    return { role: 'assistant', content: { type: 'text', text: 'Tom' }, model: 'e2e' };
  },
};
let client, Transport;
if (kind === 'v1') {
  const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
  const types = await import('@modelcontextprotocol/sdk/types.js');
  ({ StreamableHTTPClientTransport: Transport } = await import('@modelcontextprotocol/sdk/client/streamableHttp.js'));
  client = new Client({ name: 'e2e-asked', version: '1.0.0' }, { capabilities });
  client.setRequestHandler(types.ElicitRequestSchema, answers['elicitation/create']);
  client.setRequestHandler(types.CreateMessageRequestSchema, answers['sampling/createMessage']);
} else {
  const { Client, StreamableHTTPClientTransport } = await import('@modelcontextprotocol/client');
  Transport = StreamableHTTPClientTransport;
  client = new Client({ name: 'e2e-asked', version: '2.0.0' }, { capabilities, ...(kind === '2026-07-28' ? { versionNegotiation: { mode: { pin: kind } } } : {}) });
  for (const [method, answer] of Object.entries(answers)) client.setRequestHandler(method, answer);
}
try {
  await client.connect(new Transport(new URL(url), { requestInit: { headers: { Authorization: `Bearer ${key}` } } }));
  out.version = client.getNegotiatedProtocolVersion?.();
  out.result = await client.callTool({ name: tool, arguments: JSON.parse(args) });
} catch (e) {
  out.error = String(e.message ?? e);
}
await client.close().catch(() => {});
console.log(JSON.stringify(out));
