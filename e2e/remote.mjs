// mcp-remote, as desktop clients start it, with the official TypeScript SDK v1 before it.
// node remote.mjs URL KEY TOOL ARGUMENTS OUTSIDE  → one line of JSON
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { act } from './act.mjs';

const [url, key, ...what] = process.argv.slice(2);
await act(new Client({ name: 'e2e-remote', version: '1.0.0' }), new StdioClientTransport({
  command: process.execPath,
  args: ['node_modules/mcp-remote/dist/proxy.js', url, '--header', 'Authorization:${REMIT_AUTH}', '--transport', 'http-only', '--allow-http'],
  env: { REMIT_AUTH: `Bearer ${key}`, HOME: process.env.HOME, PATH: process.env.PATH },
  stderr: 'ignore',
}), what);
