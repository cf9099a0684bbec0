// The official TypeScript SDK as an agent: lists the persona's tools, calls one, tries one outside it.
// node sdk.mjs URL KEY TOOL ARGUMENTS OUTSIDE  → one line of JSON
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const [url, key, tool, args, outside] = process.argv.slice(2);
const client = new Client({ name: 'e2e-sdk', version: '1.0.0' });
const transport = new StreamableHTTPClientTransport(new URL(url), {
  requestInit: { headers: { Authorization: `Bearer ${key}` } },
});
const out = {};
try {
  await client.connect(transport);
  out.tools = (await client.listTools()).tools;
  out.result = await client.callTool({ name: tool, arguments: JSON.parse(args) });
  if (outside) {
    out.outside = await client.callTool({ name: outside, arguments: {} }).then(
      (r) => ({ result: r }), (e) => ({ error: e.message, code: e.code }));
  }
} catch (e) {
  out.error = String(e.message ?? e);
  out.code = e.code;
}
await client.close().catch(() => {});
console.log(JSON.stringify(out));
