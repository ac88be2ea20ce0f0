// A browser, the built server and its mailbox, for tests that do what a person
// does. Chromium is Debian's; playwright-core drives it. Every page is watched:
// an error of the page, a broken policy, a request to anywhere else or a failed
// one ends the test, whatever it was about.

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { executable } from '../../../clients/support/browser.mjs';
import { Server, adminPassword } from '../../../clients/support/server.mjs';

export { Server, adminPassword };

const here = dirname(fileURLToPath(import.meta.url));
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** Where pictures go. */
const pictures = resolve(process.env.CONSOLE_PICTURES ?? join(here, '../../../build/console'));

/** Only a hang takes this long, also beside twenty busy processes; CONSOLE_PATIENCE shortens it for who writes a test. */
const patience = Number(process.env.CONSOLE_PATIENCE ?? 600_000);

export class Browser {
  static async start() {
    const b = new Browser();
    // --no-sandbox: the tests of CI run as root. Only pages of the server under test are opened.
    b.chromium = await chromium.launch({ executablePath: executable(), args: ['--no-sandbox'], timeout: patience });
    return b;
  }

  /** Opens a window of its own (own storage, own cookies) at the console of a server. */
  async open(server, { path = '', expected = [], ...options } = {}) {
    const context = await this.chromium.newContext({ viewport: { width: 1200, height: 900 }, reducedMotion: 'reduce', ...options });
    context.setDefaultTimeout(patience);
    const page = await context.newPage();
    page.troubles = [];
    const trouble = (text) => {
      if (!expected.some((e) => e.test(text))) page.troubles.push(text);
    };
    page.on('pageerror', (e) => trouble(`error of the page: ${e.message}`));
    page.on('console', (m) => {
      // A refusal of REST is an answer like others; browsers report its status.
      if (m.type() === 'error' && !/the server responded with a status of 4\d\d/.test(m.text())) trouble(`console: ${m.text()}`);
    });
    page.on('request', (r) => {
      if (!r.url().startsWith(server.url) && !/^(blob|data):/.test(r.url())) trouble(`a request to ${r.url()}`);
      if (/[?&#]?(token|authToken|resume)=/i.test(r.url())) trouble(`a token in an address: ${r.url()}`);
    });
    await page.goto(`${server.url}/${path}`);
    return page;
  }

  async stop() {
    await this.chromium.close();
  }
}

/** Starts a server and a browser before the tests of a file, hands them to take, and ends them after the last one. */
export function stage(take, env) {
  let server, browser;
  before(async () => {
    server = await Server.start(env);
    browser = await Browser.start();
    await take(server, browser);
  });
  after(async () => {
    await browser?.stop();
    await server?.stop();
  });
}

/** Ends the window and fails if anything was wrong with its page. */
export async function close(page) {
  const { troubles } = page;
  await page.context().close();
  assert.deepEqual(troubles, []);
}

/** Logs in as a person does; answer is asked for a code if the server challenges. */
export async function logIn(page, name, password, code) {
  await page.getByLabel('User name or e-mail address').fill(name);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Log in', exact: true }).click();
  if (code) await confirm(page, code);
  await page.getByRole('heading', { name: 'My security' }).waitFor();
}

/** Answers the dialogue of the second factor: code is a text, or a function that finds it. */
export async function confirm(page, code) {
  const dialog = page.getByRole('dialog', { name: 'Confirm that it is you' });
  await dialog.waitFor();
  await dialog.locator('input[name=code]').fill(typeof code === 'function' ? await code() : code);
  await dialog.getByRole('button', { name: 'Confirm', exact: true }).click();
}

/** Takes a picture of the page under this name. */
export async function picture(page, name) {
  await mkdir(pictures, { recursive: true });
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
}

/** axe-core finds nothing on the page as it is now. */
export async function accessible(page, where) {
  // The policy of the page forbids scripts from elsewhere; what DevTools evaluates is outside of it.
  if (!(await page.evaluate(() => 'axe' in window))) {
    const { readFile } = await import('node:fs/promises');
    await page.evaluate(await readFile(axe, 'utf8'));
  }
  const run = () => page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  let found = await run();
  // A colour on its way to another is nothing that anybody reads: what stays is.
  for (let again = 0; again < 3 && found.violations.length > 0; again++) {
    await page.evaluate(() => Promise.all(
      document.getAnimations().filter((a) => a.effect?.getComputedTiming().endTime !== Infinity).map((a) => a.finished.catch(() => {}))));
    found = await run();
  }
  assert.deepEqual(
    found.violations.map((v) => ({ where, id: v.id, help: v.help, at: v.nodes.map((n) => n.target.join(' ')) })),
    [],
  );
}
