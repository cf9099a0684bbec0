// Somebody signs in at an identity provider, or tries to, or signs out there.
// node signin.mjs PLAN  where PLAN is JSON: {url: of Remit, step: 'in' | 'refused' | 'out', login, issuer, state?: a browser's, shots?: folder}
// → one line of JSON: {state, path, me, account, shown, problems}
import { chromium } from 'playwright-core';

const plan = JSON.parse(process.argv[2]);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const out = { problems: [] };
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, storageState: plan.state });
  await context.route((url) => url.hostname !== '127.0.0.1', (route) => route.abort()); // the provider's fonts
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.on('console', (m) => { if (m.type() === 'error' && m.location().url.startsWith(plan.url) && !m.text().includes('status of 4') && !m.text().includes('status of 503')) out.problems.push(m.text()); });
  const shot = async (name) => { if (plan.shots) await page.screenshot({ path: `${plan.shots}/${name}.png`, fullPage: true }); };

  const atProvider = async () => {
    await page.goto(`${plan.url}/catalog?q=mail`);
    await shot('sign-in');
    await page.getByTestId('sign-in-provider').click();
    if (!page.url().startsWith(plan.issuer)) return;
    await page.locator('input[name=login]').or(page.getByRole('button', { name: 'Continue' })).first().waitFor();
    if (await page.locator('input[name=login]').count()) {
      await page.locator('input[name=login]').fill(plan.login);
      await page.locator('input[name=password]').fill('any');
      await page.locator('button[type=submit]').click();
    }
    await page.getByRole('button', { name: 'Continue' }).click();
  };
  switch (plan.step) {
    case 'in':
      await atProvider();
      await page.getByTestId('me').waitFor();
      out.path = page.url().slice(plan.url.length);
      out.me = await page.getByTestId('me').innerText();
      await page.goto(`${plan.url}/account`);
      out.account = await page.locator('main').innerText();
      await shot('account');
      break;
    case 'refused':
      await atProvider();
      out.shown = await page.getByTestId('error').innerText();
      await shot(`refused-${plan.login}`);
      break;
    case 'out':
      await page.goto(`${plan.issuer}/session/end`);
      await page.getByRole('button', { name: 'Yes, sign me out' }).click();
      await page.waitForLoadState();
      await page.goto(`${plan.url}/account`);
      out.path = page.url().slice(plan.url.length);
      break;
  }
  out.state = await context.storageState();
} catch (e) {
  out.problems.push(String(e.stack ?? e));
}
await browser.close();
console.log(JSON.stringify(out));
