// An author has a draft made with a language model that a test holds back, refines it and submits it; a reviewer goes through it by
// keyboard, comments, and approves it. Somebody without scripts does the first half, too.
// node page.mjs PLAN  where PLAN is JSON: {url, author, reviewer: one-time links, title, job, change, undo, near: a near miss to add, let: URL that
// lets one question to the model go on, dead: URL that makes the model refuse, through: another way to Remit, cut: URL that cuts it, shots?: folder}
// → one line of JSON: {steps, first, modelled, refined, undone, columns, explained, submitted, badge, read, focus, said, served, live, plain, shift, problems}
import { chromium } from 'playwright-core';

const plan = JSON.parse(process.argv[2]);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const problems = [];
const out = { shift: {} };

async function person(link, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  page.on('console', (m) => { if (m.type() === 'error' && !/ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION/.test(m.text())) problems.push(m.text()); });
  page.on('pageerror', (e) => problems.push(String(e)));
  page.on('response', (r) => { if (r.status() >= 500) problems.push(`${r.status()} ${r.url()}`); });
  await page.addInitScript(() => {
    window.shifted = 0;
    new PerformanceObserver((list) => { for (const e of list.getEntries()) if (!e.hadRecentInput) window.shifted += e.value; }).observe({ type: 'layout-shift', buffered: true });
  });
  await page.goto(link);
  await page.getByTestId('use-link').click();
  await page.getByTestId('personas').or(page.getByTestId('new')).first().waitFor();
  return page;
}
// The same page at both widths and in both colours.
async function shot(page, name) {
  if (!plan.shots) return;
  const size = page.viewportSize();
  for (const scheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme: scheme });
    for (const width of [390, 1440]) {
      await page.setViewportSize({ width, height: 900 });
      const high = await page.locator('dialog[open]').count() ? 900 : await page.evaluate(() => document.documentElement.scrollHeight);
      await page.screenshot({ path: `${plan.shots}/page-${name}-${width}-${scheme}.png`, fullPage: high > 900, clip: { x: 0, y: 0, width, height: Math.min(high, 2200) } });
    }
  }
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize(size);
}
// A picture for docs/pages.md: what is on the screen.
async function picture(page, name, width, height, colorScheme, from) {
  if (!plan.shots) return;
  const size = page.viewportSize();
  await page.emulateMedia({ colorScheme });
  await page.setViewportSize({ width, height });
  if (from) await page.getByTestId(from).evaluate((el) => el.scrollIntoView());
  await page.screenshot({ path: `${plan.shots}/docs-page-${name}.png` });
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize(size);
}
const shifted = async (page, name) => { out.shift[name] = await page.evaluate(() => window.shifted); };
const tools = (page) => page.locator('article[data-card]').evaluateAll((cards) => cards.map((c) => c.dataset.tool));
const let_ = async (times) => { for (let i = 0; i < times; i++) await fetch(plan.let, { method: 'POST' }); };
const describe = async (page, title, more = '', at = plan.url) => { // a job that was asked about before is answered from memory
  await page.goto(`${at}/new`);
  await page.getByTestId('title').fill(title);
  await page.getByTestId('job').fill(plan.job + more);
};

try {
  // The draft without the model comes while the model is held back; then the model's.
  const ada = await person(plan.author);
  await shot(ada, 'empty');
  await describe(ada, plan.title);
  await shot(ada, 'describe');
  await ada.getByTestId('compose').click();
  await ada.getByTestId('progress-open').waitFor();
  await ada.locator('[data-step=model].now').waitFor();
  out.steps = await ada.locator('.steps li').allInnerTexts();
  out.first = await ada.locator('.arrived strong').allInnerTexts();
  await shot(ada, 'stream');
  await picture(ada, 'stream', 1100, 760, 'light');
  await shifted(ada, 'stream');
  await let_(3);
  await ada.getByTestId('model').waitFor();
  out.url = ada.url().split('?')[0];
  out.modelled = await tools(ada);
  await shifted(ada, 'draft');
  await shot(ada, 'draft');

  // Refined in words, with the difference; the way back; both side by side; why a tool is not there.
  await ada.getByTestId('change').fill(plan.change);
  await ada.getByTestId('refine').click();
  await ada.locator('[data-step=model].now').waitFor();
  await let_(3);
  await ada.getByTestId('refined').waitFor();
  await ada.getByTestId('model').waitFor();
  out.refined = await ada.getByTestId('refined').innerText();
  await shot(ada, 'refined');
  await picture(ada, 'phone', 390, 844, 'light', 'refined');
  await ada.getByTestId('drafts').click();
  out.columns = await ada.locator('[data-testid^=draft-]').allInnerTexts();
  await shot(ada, 'drafts');
  await ada.goBack();
  await ada.getByTestId('near-misses').getByTestId('explain').first().click();
  out.explained = await ada.getByTestId('is-left-out').innerText();
  await shot(ada, 'explain');
  await ada.goto(out.url);
  const missed = ada.getByTestId('near-misses').locator(`button[data-tool="${plan.near}"]`);
  await missed.click();
  await ada.locator(`article[data-tool="${plan.near}"]`).waitFor();
  await ada.getByTestId('group-effect').click();
  await ada.getByTestId('group').first().waitFor();
  await ada.getByTestId('submit').click();
  await ada.waitForURL(/\/review/);
  out.submitted = await tools(ada);

  // A model that refuses, and a connection that is cut: the draft is there and says what happened.
  await fetch(plan.dead, { method: 'POST' });
  await describe(ada, 'While the model is dead', ' Be kind.');
  await ada.getByTestId('compose').click();
  await ada.getByTestId('model-failed').waitFor();
  out.dead = await ada.getByTestId('model-failed').innerText();
  out.deadTools = await tools(ada);
  await shot(ada, 'dead');
  await fetch(plan.dead, { method: 'DELETE' });
  await describe(ada, 'Cut off', ' Be brief.', plan.through);
  await ada.getByTestId('compose').click();
  await ada.getByTestId('progress-open').waitFor();
  await ada.locator('[data-step=model].now').waitFor();
  await fetch(plan.cut, { method: 'POST' });
  await ada.locator('[data-step=model].missed').waitFor();
  out.cut = await ada.getByTestId('progress-status').innerText();
  await shot(ada, 'cut');
  await ada.getByTestId('progress-open').click();
  await ada.getByTestId('model-failed').waitFor();
  out.afterCut = await ada.getByTestId('model-failed').innerText();
  out.cutTools = await tools(ada);

  // The reviewer needs no mouse.
  const ravi = await person(plan.reviewer);
  out.badge = await ravi.getByTestId('reviews').innerText();
  await ravi.goto(`${out.url}/review`);
  await shot(ravi, 'review');
  await picture(ravi, 'review', 1000, 740, 'dark');
  await shifted(ravi, 'review');
  await ravi.keyboard.press('?');
  await ravi.getByTestId('keys').waitFor();
  await shot(ravi, 'keys');
  await ravi.keyboard.press('Escape');
  const focused = () => ravi.evaluate(() => document.activeElement.dataset.tool ?? document.activeElement.dataset.testid);
  const cards = await tools(ravi);
  await ravi.keyboard.press('j');
  await ravi.keyboard.press('j');
  await ravi.keyboard.press('k');
  out.focus = [await focused() === cards[0]];
  await ravi.keyboard.press('o');
  out.focus.push(await ravi.locator('.definition[open]').count() === 1);
  await ravi.keyboard.press('a');
  out.focus.push(await focused() === cards[1]);
  await ravi.keyboard.press('r');
  await ravi.keyboard.type('Why? <img src=x onerror=alert(1)> j k a');
  await ravi.keyboard.press('Tab');
  await ravi.keyboard.press('Enter');
  await ravi.getByTestId('comment-on-tool').waitFor();
  out.said = await ravi.getByTestId('comment-on-tool').innerText();
  out.read = await ravi.getByTestId('read-count').innerText();
  await shot(ravi, 'comment');
  out.served = await ravi.getByTestId('served').allTextContents();
  out.all = await ravi.evaluate(async (at) => (await fetch(at)).text(), await ravi.getByTestId('all-served').getAttribute('href'));
  await ravi.keyboard.press('j');
  for (const _ of cards) await ravi.keyboard.press('a');
  out.focus.push(await focused() === 'approve');
  out.readAll = await ravi.getByTestId('read-count').innerText();
  await ravi.keyboard.press('Enter');
  await ravi.waitForURL(/\/live/);
  out.live = await ravi.getByTestId('state').innerText();

  // Without scripts the same forms work, one page after the other.
  await let_(6);
  const plain = await (await browser.newContext({ javaScriptEnabled: false, storageState: await ada.context().storageState() })).newPage();
  plain.setDefaultTimeout(60_000);
  await describe(plain, 'Without scripts');
  await plain.getByTestId('compose').click();
  await plain.getByTestId('job-text').waitFor();
  out.plain = await plain.locator('article[data-card]').evaluateAll((all) => all.length);
  await plain.getByTestId('change').fill(plan.change);
  await plain.getByTestId('refine').click();
  await plain.getByTestId('refined').waitFor();
  await plain.getByTestId('undo').click();
  await plain.getByTestId('notice').waitFor();
  out.plainUndone = await plain.getByTestId('notice').innerText();
} catch (e) {
  problems.push(String(e.stack ?? e));
}
out.problems = problems;
await browser.close();
console.log(JSON.stringify(out));
