// An approved tool drifts: its reviewer compares the definitions and approves the new one.
// node drift.mjs PLAN  where PLAN is JSON: {author, reviewer: one-time links, title, job, tool: to be added if the draft lacks it, shots?: folder} for the
// first approval, or {states: of both, url, shots?} for the second → one line of JSON: {url, endpoint, key, states, changes, problems}
import { chromium } from 'playwright-core';

const plan = JSON.parse(process.argv[2]);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const out = { problems: [] };

async function person(link, state) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, storageState: state });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.on('console', (m) => { if (m.type() === 'error') out.problems.push(m.text()); });
  if (!state) {
    await page.goto(link);
    await page.getByTestId('use-link').click();
    await page.waitForURL((u) => !u.pathname.startsWith('/link/'));
  }
  return page;
}

try {
  const [author, reviewer] = [await person(plan.author, plan.states?.[0]), await person(plan.reviewer, plan.states?.[1])];
  if (!plan.states) {
    await author.getByTestId('new').first().click();
    await author.getByTestId('title').fill(plan.title);
    await author.getByTestId('job').fill(plan.job);
    await author.getByTestId('compose').click();
    await author.getByTestId('job-text').waitFor();
    out.url = author.url().split('?')[0];
    if (await author.locator(`article[data-tool="${plan.tool}"]`).count() === 0) {
      await author.getByTestId('search').fill(plan.tool);
      await author.getByTestId('search-go').click();
      await author.getByTestId('found').locator(`button[data-tool="${plan.tool}"]`).click();
      await author.locator(`article[data-tool="${plan.tool}"]`).waitFor();
    }
  } else {
    out.url = plan.url;
    await author.goto(plan.url);
    await author.getByTestId('revise').click();
    await author.getByTestId('submit').waitFor();
  }
  await author.getByTestId('submit').click();
  await author.waitForURL(/\/review/);
  await reviewer.goto(`${out.url}/review`);
  if (plan.states) {
    out.changes = await reviewer.getByTestId('difference').innerText();
    if (plan.shots) await reviewer.screenshot({ path: `${plan.shots}/drift.png`, fullPage: true });
  }
  await reviewer.getByTestId('approve').click();
  await reviewer.waitForURL(/\/live/);
  out.endpoint = (await reviewer.getByTestId('endpoint').innerText()).trim();
  if (!plan.states) {
    await reviewer.getByTestId('key-agent').fill('e2e-agent');
    await reviewer.getByTestId('key-user').fill('zoe@example.com');
    await reviewer.getByTestId('create-key').click();
    out.key = (await reviewer.getByTestId('secret').innerText()).trim();
  }
  out.states = [await author.context().storageState(), await reviewer.context().storageState()];
} catch (e) {
  out.problems.push(String(e.stack ?? e));
}
await browser.close();
console.log(JSON.stringify(out));
