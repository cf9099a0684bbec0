// Two people click through the whole story in headless Chromium.
// node story.mjs PLAN  where PLAN is JSON: {author, reviewer: one-time links, title, job, keep: [tools that stay], query, add,
// agent, user, shots?: folder}  → one line of JSON: {url, drafted, removed, reviewed, endpoint, key, snippets, problems}
import { chromium } from 'playwright-core';

const plan = JSON.parse(process.argv[2]);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const problems = [];

async function person(link, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.on('console', (m) => { if (m.type() === 'error') problems.push(m.text()); });
  page.on('pageerror', (e) => problems.push(String(e)));
  page.on('response', (r) => { if (r.status() >= 500) problems.push(`${r.status()} ${r.url()}`); });
  await page.goto(link);
  await page.getByTestId('use-link').click();
  await page.getByTestId('personas').or(page.getByTestId('new')).first().waitFor();
  return page;
}

const shot = async (page, name) => { if (plan.shots) await page.screenshot({ path: `${plan.shots}/${name}.png`, fullPage: true }); };
const tools = (page) => page.getByTestId('tool').evaluateAll((cards) => cards.map((c) => c.dataset.tool));
const out = {};

try {
  // The author describes the job.
  const ada = await person(plan.author);
  await ada.getByTestId('new').first().click();
  await ada.getByTestId('title').fill(plan.title);
  await ada.getByTestId('job').fill(plan.job);
  await shot(ada, 'describe');
  await ada.getByTestId('compose').click();
  await ada.getByTestId('job-text').waitFor();
  out.url = ada.url();
  out.drafted = await tools(ada);
  await shot(ada, 'draft');
  if (plan.shots) await ada.screenshot({ path: `${plan.shots}/draft-top.png` }); // for the README

  // One tool goes, another is found by search and added.
  out.removed = out.drafted.filter((t) => !plan.keep.includes(t)).at(-1);
  await ada.locator(`article[data-tool="${out.removed}"]`).getByTestId('remove').check();
  await ada.getByTestId('save').click();
  await ada.locator(`article[data-tool="${out.removed}"]`).waitFor({ state: 'detached' });
  await ada.getByTestId('search').fill(plan.query);
  await ada.getByTestId('search-go').click();
  await ada.getByTestId('found').locator(`button[data-tool="${plan.add}"]`).click();
  await ada.locator(`article[data-tool="${plan.add}"]`).waitFor();
  await ada.getByTestId('submit').click();
  await ada.waitForURL(/\/review/);
  await shot(ada, 'submitted');
  if (await ada.getByTestId('approve').count() > 0) problems.push('the author was offered to approve');

  // Somebody else reviews and approves it, and makes a key.
  const ravi = await person(plan.reviewer);
  await ravi.goto(`${out.url.split('?')[0]}/review`);
  out.reviewed = await tools(ravi);
  await shot(ravi, 'review');
  await ravi.getByTestId('approve').click();
  await ravi.waitForURL(/\/live/);
  out.endpoint = (await ravi.getByTestId('endpoint').innerText()).trim();
  await ravi.getByTestId('key-agent').fill(plan.agent);
  await ravi.getByTestId('key-user').fill(plan.user);
  await ravi.getByTestId('create-key').click();
  out.key = (await ravi.getByTestId('secret').innerText()).trim();
  out.snippets = await ravi.locator('[data-testid^="snippet-"] pre').allInnerTexts();
  await shot(ravi, 'live');
  for (const [name, path] of [['catalog', '/catalog'], ['servers', '/servers'], ['audit', '/audit']]) {
    await ravi.goto(new URL(path, out.url).href);
    await shot(ravi, name);
  }

  // The draft at phone width, in the dark: nothing may stick out sideways.
  const phone = await ravi.context().browser().newContext({ viewport: { width: 390, height: 800 }, colorScheme: 'dark', storageState: await ravi.context().storageState() });
  const small = await phone.newPage();
  for (const path of [out.url, `${out.url}/review`, `${out.url}/live`, '/', '/catalog', '/servers', '/audit']) {
    await small.goto(new URL(path, out.url).href);
    const wide = await small.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (wide > 0) problems.push(`${path} is ${wide} pixels wider than a phone`);
    await shot(small, `phone-${path.split('/').filter(Boolean).slice(-1)[0] || 'home'}`);
  }
} catch (e) {
  problems.push(String(e.stack ?? e));
}
out.problems = problems;
await browser.close();
console.log(JSON.stringify(out));
