// An official TypeScript SDK as an agent that goes on calling one tool, each time with another argument, until its standard input ends. It
// prints a line of JSON for each call: {n, sent, ended: ms since 1970, text} or {…, error}.
// node chaos.mjs SDK URL KEY TOOL VERSION NAME  where SDK is v1 or v2, and NAME begins the arguments
const [sdk, url, key, tool, version, name] = process.argv.slice(2);
const { Client, StreamableHTTPClientTransport } = sdk === 'v2' ? await import('@modelcontextprotocol/client') : {
  ...await import('@modelcontextprotocol/sdk/client/index.js'), ...await import('@modelcontextprotocol/sdk/client/streamableHttp.js') };

async function connect() {
  const client = new Client({ name: `e2e-chaos-${sdk}`, version: '1.0.0' }, version === '2026-07-28' ? { versionNegotiation: { mode: { pin: version } } } : {});
  client.onerror = () => {}; // of streams, which the SDK opens again
  await client.connect(new StreamableHTTPClientTransport(new URL(url), {
    requestInit: { headers: { Authorization: `Bearer ${key}` } },
    reconnectionOptions: { initialReconnectionDelay: 100, maxReconnectionDelay: 1000, reconnectionDelayGrowFactor: 1.5, maxRetries: 1000 },
  }));
  return client;
}

let over = false, client;
process.stdin.on('end', () => { over = true; }).resume();
for (let i = 0; !over; i++) {
  const line = { n: `${name}x${i}`, sent: Date.now() };
  try {
    client ??= await connect();
    line.sent = Date.now();
    line.text = JSON.stringify(await client.callTool({ name: tool, arguments: { n: line.n } }));
  } catch (e) {
    line.error = String(e.message ?? e);
    if (/session/i.test(line.error)) client = undefined; // it is to be opened anew
  }
  line.ended = Date.now();
  console.log(JSON.stringify(line));
  await new Promise((done) => setTimeout(done, 100));
}
await client?.close().catch(() => {});
process.exit(0);
