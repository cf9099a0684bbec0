// The official TypeScript SDK of the stateless era (2026-07-28) as an agent whose client can open pages: it calls one tool, and notes
// which pages it was told to open.
// node modern.mjs URL KEY TOOL ARGUMENTS  → one line of JSON: {version, pages, result} or {error}
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const [url, key, tool, args] = process.argv.slice(2);
const client = new Client({ name: 'e2e-modern', version: '1.0.0' }, {
  capabilities: { elicitation: { url: {} } },
  versionNegotiation: { mode: { pin: '2026-07-28' } },
});
const out = { pages: [] };
client.setRequestHandler('elicitation/create', async (request) => {
  out.pages.push(request.params.url);
  return { action: 'accept' };
});
try {
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { Authorization: `Bearer ${key}` } } }));
  out.version = client.getNegotiatedProtocolVersion?.();
  out.result = await client.callTool({ name: tool, arguments: JSON.parse(args) });
} catch (e) {
  out.error = String(e.message ?? e);
  out.code = e.code;
}
await client.close().catch(() => {});
console.log(JSON.stringify(out));
