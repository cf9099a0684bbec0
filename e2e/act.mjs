// What the scripts of TypeScript clients share: lists the persona's tools, calls one, tries one outside it, and prints one line of JSON,
// whatever happens.
export async function act(client, transport, [tool, args, outside]) {
  const out = {};
  try {
    await client.connect(transport);
    out.version = client.getNegotiatedProtocolVersion?.(); // v2 says it
    out.tools = (await client.listTools()).tools.map((t) => t.name);
    out.result = await client.callTool({ name: tool, arguments: JSON.parse(args) });
    out.outside = await client.callTool({ name: outside, arguments: {} }).then((r) => JSON.stringify(r), (e) => e.message);
  } catch (e) {
    out.error = String(e.message ?? e);
  }
  await client.close().catch(() => {});
  console.log(JSON.stringify(out));
}
