// MCP Inspector's command line as an agent: lists the persona's tools, calls one, tries one outside it.
// node inspect.mjs URL KEY TOOL ARGUMENTS OUTSIDE  → one line of JSON
import { spawnSync } from 'node:child_process';

const [url, key, tool, args, outside] = process.argv.slice(2);
const run = (...more) => spawnSync(process.execPath, ['node_modules/.bin/mcp-inspector', '--cli', '--transport', 'http',
  '--server-url', url, '--header', `Authorization: Bearer ${key}`, ...more], { encoding: 'utf8' });
const out = {};
const list = run('--method', 'tools/list');
if (list.status !== 0) {
  out.error = list.stdout + list.stderr || `ended with ${list.status}`;
} else {
  out.tools = JSON.parse(list.stdout).tools;
  const given = Object.entries(JSON.parse(args)).flatMap(([name, value]) => ['--tool-arg', `${name}=${value}`]);
  out.result = JSON.parse(run('--method', 'tools/call', '--tool-name', tool, ...given).stdout);
  const tried = run('--method', 'tools/call', '--tool-name', outside);
  out.outside = tried.stdout + tried.stderr;
}
console.log(JSON.stringify(out));
