// axe-core looks at every page, at both widths and in both colours, and the pages may not stick out sideways.
// node a11y.mjs PLAN  where PLAN is JSON: {link, url, pages: [paths], dialogs: {path: selector of what opens one}, strangers: [paths without a session], shots?}
// → one line of JSON: {looked, problems}
import { readFile } from 'node:fs/promises';
import { chromium } from 'playwright-core';

const plan = JSON.parse(process.argv[2]);
const axe = await readFile(new URL('node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const out = { looked: 0, problems: [] };

async function look(page, name) {
  await page.evaluate(axe); // as a debugger does, which the pages' policy lets through
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    for (const width of [390, 1440]) {
      await page.setViewportSize({ width, height: 900 });
      const where = `${name} at ${width} px, ${colorScheme}`;
      const found = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'], resultTypes: ['violations'] }));
      for (const v of found.violations) {
        for (const node of v.nodes.slice(0, 3)) out.problems.push(`${where}: ${v.id}: ${node.target.join(' ')}: ${node.failureSummary.replace(/\s+/g, ' ')}`);
      }
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (wide > 0) out.problems.push(`${where}: ${wide} pixels wider than the window`);
      out.looked++;
      if (plan.shots) await page.screenshot({ path: `${plan.shots}/a11y-${name.replace(/[^a-z0-9]+/gi, '-')}-${width}-${colorScheme}.png`, fullPage: !name.includes('dialog') });
    }
  }
}

try {
  const bad = await (await browser.newContext()).newPage(); // what is wrong has to be found
  await bad.setContent('<html lang="en"><title>bad</title><main><h1>bad</h1><img src="data:,"><p style="color:#999;background:#aaa">faint</p></main>');
  await bad.evaluate(axe);
  const known = (await bad.evaluate(() => window.axe.run(document))).violations.map((v) => v.id);
  for (const id of ['image-alt', 'color-contrast']) if (!known.includes(id)) out.problems.push(`axe does not find ${id}`);
  const stranger = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage();
  for (const path of plan.strangers) {
    await stranger.goto(plan.url + path);
    await look(stranger, path);
  }
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  page.on('pageerror', (e) => out.problems.push(String(e)));
  await page.goto(plan.link);
  await page.getByTestId('use-link').click();
  await page.getByTestId('me').waitFor();
  for (const path of plan.pages) {
    const answer = await page.goto(plan.url + path);
    if (answer.status() >= 500 || answer.status() >= 400 && !path.includes('nothing')) out.problems.push(`${path}: ${answer.status()}`);
    for (const all of await page.locator('details').all()) await all.evaluate((d) => { d.open = true; });
    await look(page, path);
    if (plan.dialogs[path]) {
      await page.locator(plan.dialogs[path]).evaluateAll((all) => all.forEach((d) => d.showModal()));
      await look(page, `${path} dialog`);
    }
  }
} catch (e) {
  out.problems.push(String(e.stack ?? e));
}
await browser.close();
console.log(JSON.stringify(out));
