// The official TypeScript SDK v2 as an agent, in the era that VERSION names.
// node sdk2.mjs URL KEY TOOL ARGUMENTS OUTSIDE VERSION  → one line of JSON
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { act } from './act.mjs';

const [url, key, tool, args, outside, version] = process.argv.slice(2);
const client = new Client({ name: 'e2e-sdk2', version: '1.0.0' },
  version === '2026-07-28' ? { versionNegotiation: { mode: { pin: version } } } : {});
await act(client, new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { Authorization: `Bearer ${key}` } } }), [tool, args, outside]);
