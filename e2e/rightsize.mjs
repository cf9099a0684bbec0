// A reviewer sees on a live persona's page what its agent never used, and takes it away.
// node rightsize.mjs PLAN  where PLAN is JSON: {link: one-time link, url: of the persona, shots?: folder}
// → one line of JSON: {window, proposal, ticked, refused, notice, tools, problems}
import { chromium } from 'playwright-core';

const plan = JSON.parse(process.argv[2]);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const out = { problems: [] };
try {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.on('console', (m) => { if (m.type() === 'error') out.problems.push(m.text()); });
  const shot = async (name) => {
    if (!plan.shots) return;
    await page.screenshot({ path: `${plan.shots}/${name}-1440.png`, fullPage: true });
    await page.setViewportSize({ width: 390, height: 844 });
    await page.screenshot({ path: `${plan.shots}/${name}-390.png`, fullPage: true });
    await page.setViewportSize({ width: 1440, height: 900 });
  };
  await page.goto(plan.link);
  await page.getByTestId('use-link').click();
  await page.getByTestId('personas').waitFor();
  await shot('home');
  await page.goto(`${plan.url}/live`);
  await shot('live');
  await page.getByTestId('tab-unused').click();
  await page.getByTestId('proposal').waitFor();
  out.window = await page.getByTestId('window').innerText();
  out.proposal = await page.getByTestId('proposal').innerText();
  out.ticked = await page.getByTestId('drop').evaluateAll((all) => all.filter((e) => e.checked).map((e) => e.dataset.tool));
  out.refused = await page.getByTestId('refused').innerText();
  await shot('unused');
  await page.getByTestId('accept').click();
  await page.waitForURL(/\/live/);
  out.notice = await page.getByTestId('notice').innerText();
  out.tools = await page.locator('.chips').innerText();
  await shot('narrowed');
} catch (e) {
  out.problems.push(String(e.stack ?? e));
}
await browser.close();
console.log(JSON.stringify(out));
