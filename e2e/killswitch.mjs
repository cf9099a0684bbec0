// A reviewer pulls the kill switch of a persona on its live page, or lets it go.
// node killswitch.mjs PLAN  where PLAN is JSON: {link: one-time link or session state, url: of the persona, resume: boolean, state, shots?: folder}
// → one line of JSON: {state, shown, problems}
import { chromium } from 'playwright-core';

const plan = JSON.parse(process.argv[2]);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const out = { problems: [] };
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, storageState: plan.state });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.on('console', (m) => { if (m.type() === 'error') out.problems.push(m.text()); });
  if (!plan.state) {
    await page.goto(plan.link);
    await page.getByTestId('use-link').click();
    await page.getByTestId('personas').waitFor();
  }
  await page.goto(`${plan.url.split('?')[0]}/live`);
  const banner = page.getByTestId('suspended-persona');
  if (plan.resume) {
    await banner.getByTestId('resume').click();
    await banner.waitFor({ state: 'detached' });
  } else {
    await page.locator('summary', { hasText: 'Suspend this persona' }).click();
    await page.getByTestId('suspend-reason').fill('an agent went astray');
    await page.getByTestId('suspend').click();
    await banner.waitFor();
    out.shown = await banner.innerText();
    if (plan.shots) await page.screenshot({ path: `${plan.shots}/suspended.png`, fullPage: true });
  }
  out.state = await context.storageState();
} catch (e) {
  out.problems.push(String(e.stack ?? e));
}
await browser.close();
console.log(JSON.stringify(out));
