// mcp-remote, as desktop clients start it, with the official TypeScript SDK v1 before it: lists the persona's tools, calls one,
// tries one outside it.
// node remote.mjs URL KEY TOOL ARGUMENTS OUTSIDE  → one line of JSON
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';

const [url, key, tool, args, outside] = process.argv.slice(2);
const client = new Client({ name: 'e2e-remote', version: '1.0.0' });
const out = {};
try {
  await client.connect(new StdioClientTransport({
    command: process.execPath,
    args: ['node_modules/mcp-remote/dist/proxy.js', url, '--header', 'Authorization:${REMIT_AUTH}', '--transport', 'http-only', '--allow-http'],
    env: { REMIT_AUTH: `Bearer ${key}`, HOME: process.env.HOME, PATH: process.env.PATH },
    stderr: 'ignore',
  }));
  out.tools = (await client.listTools()).tools.map((t) => t.name);
  out.result = await client.callTool({ name: tool, arguments: JSON.parse(args) });
  out.outside = await client.callTool({ name: outside, arguments: {} }).then((r) => JSON.stringify(r), (e) => e.message);
} catch (e) {
  out.error = String(e.message ?? e);
}
await client.close().catch(() => {});
console.log(JSON.stringify(out));
