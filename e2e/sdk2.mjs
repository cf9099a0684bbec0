// The official TypeScript SDK v2 as an agent, in the era that VERSION names: lists the persona's tools, calls one, tries one
// outside it.
// node sdk2.mjs URL KEY TOOL ARGUMENTS OUTSIDE VERSION  → one line of JSON
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const [url, key, tool, args, outside, version] = process.argv.slice(2);
const client = new Client({ name: 'e2e-sdk2', version: '1.0.0' },
  version === '2026-07-28' ? { versionNegotiation: { mode: { pin: version } } } : {});
const out = {};
try {
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { Authorization: `Bearer ${key}` } } }));
  out.version = client.getNegotiatedProtocolVersion();
  out.tools = (await client.listTools()).tools.map((t) => t.name);
  out.result = await client.callTool({ name: tool, arguments: JSON.parse(args) });
  out.outside = await client.callTool({ name: outside, arguments: {} }).then((r) => JSON.stringify(r), (e) => e.message);
} catch (e) {
  out.error = String(e.message ?? e);
}
await client.close().catch(() => {});
console.log(JSON.stringify(out));
