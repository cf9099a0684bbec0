// A tool's calls need a person. An author writes that into the draft and a reviewer approves it; later an approver decides on a call
// that a client holds open.
// node held.mjs PLAN  where PLAN is JSON: {author, reviewer: one-time links, title, job, tool, policy, shots?: folder} for the first part, or
// {url, approver: one-time link, decision: "approve-call" or "deny-call", shots?} for the second → one line of JSON:
// {endpoint, key, rules} or {badge, arguments, who, recent}, and problems
import { chromium } from 'playwright-core';

const plan = JSON.parse(process.argv[2]);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const out = { problems: [] };

async function person(link) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.on('console', (m) => { if (m.type() === 'error') out.problems.push(m.text()); });
  await page.goto(link);
  await page.getByTestId('use-link').click();
  await page.waitForURL((u) => !u.pathname.startsWith('/link/'));
  return page;
}

async function shot(page, name) {
  if (!plan.shots) return;
  await page.screenshot({ path: `${plan.shots}/${name}.png`, fullPage: true });
  await page.setViewportSize({ width: 390, height: 844 });
  await page.screenshot({ path: `${plan.shots}/${name}-narrow.png`, fullPage: true });
  await page.setViewportSize({ width: 1280, height: 900 });
}

try {
  if (plan.author) {
    const [author, reviewer] = [await person(plan.author), await person(plan.reviewer)];
    await author.getByTestId('new').first().click();
    await author.getByTestId('title').fill(plan.title);
    await author.getByTestId('job').fill(plan.job);
    await author.getByTestId('compose').click();
    await author.getByTestId('job-text').waitFor();
    const url = author.url().split('?')[0];
    const card = author.locator(`article[data-tool="${plan.tool}"]`);
    await card.locator('summary', { hasText: 'Rules for its calls' }).click();
    await card.locator('summary', { hasText: 'Edit as text' }).click();
    await card.getByTestId('policy').fill(plan.policy);
    await author.getByTestId('submit').click();
    await author.waitForURL(/\/review/);
    await reviewer.goto(`${url}/review`);
    out.rules = await reviewer.locator(`article[data-tool="${plan.tool}"]`).getByTestId('rules').innerText();
    await reviewer.getByTestId('approve').click();
    await reviewer.waitForURL(/\/live/);
    out.endpoint = (await reviewer.getByTestId('endpoint').innerText()).trim();
    await reviewer.getByTestId('key-agent').fill('e2e-agent');
    await reviewer.getByTestId('key-user').fill('zoe@example.com');
    await reviewer.getByTestId('create-key').click();
    out.key = (await reviewer.getByTestId('secret').innerText()).trim();
  } else {
    const approver = await person(plan.approver);
    await approver.goto(`${plan.url}/approvals`);
    await approver.getByTestId('pending').waitFor(); // the list looks by itself whether a call has come
    out.badge = await approver.getByTestId('waiting').innerText();
    await shot(approver, 'approvals');
    await approver.getByTestId('pending').getByRole('link', { name: 'Look and decide' }).first().click();
    out.arguments = await approver.getByTestId('arguments').innerText();
    out.who = await approver.locator('section', { hasText: 'Who asks' }).first().innerText();
    await shot(approver, 'approval');
    if (plan.decision === 'deny-call') await approver.getByTestId('deny-reason').fill('not without the customer');
    await approver.getByTestId(plan.decision).click();
    await approver.getByTestId('none-pending').waitFor();
    out.recent = await approver.getByTestId('recent').innerText();
    await shot(approver, 'approvals-after');
  }
} catch (e) {
  out.problems.push(String(e.stack ?? e));
}
await browser.close();
console.log(JSON.stringify(out));
