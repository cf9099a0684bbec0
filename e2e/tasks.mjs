// The official TypeScript SDK v1 as an agent that takes tasks: it calls a tool as one, follows it, and answers what it is asked meanwhile; or,
// with "plain", calls it as any other.
// node tasks.mjs task|plain URL KEY TOOL ARGUMENTS  → one line of JSON: {support, ids, statuses, asked, result} or {error}
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CallToolResultSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';

const [kind, url, key, name, args] = process.argv.slice(2);
const out = { ids: [], statuses: [], asked: [] };
const client = new Client({ name: 'e2e-tasks', version: '1.0.0' }, { capabilities: { elicitation: { form: {} } } });
client.setRequestHandler(ElicitRequestSchema, async ({ params }) => {
  out.asked.push(params);
  return { action: 'accept', content: { interpretation: 'legal' } };
});
try {
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { Authorization: `Bearer ${key}` } } }));
  out.support = (await client.listTools()).tools.find((t) => t.name === name)?.execution?.taskSupport;
  const params = { name, arguments: JSON.parse(args) };
  if (kind === 'plain') {
    out.result = await client.callTool(params);
  } else {
    for await (const m of client.experimental.tasks.callToolStream(params, CallToolResultSchema, { task: { ttl: 300000 } })) {
      if (m.task) out.ids.push(m.task.taskId), out.statuses.push(m.task.status);
      if (m.result) out.result = m.result;
      if (m.error) out.error = String(m.error.message);
    }
  }
} catch (e) {
  out.error = String(e.message ?? e);
}
await client.close().catch(() => {});
console.log(JSON.stringify(out));
