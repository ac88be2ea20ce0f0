// How quick the console is on a server with many accounts and a long audit: the first
// page with an empty cache, the lists, their searches and their next pages, as a person
// waits for them. Prints the median and the slowest of some rounds in milliseconds; nothing
// here passes or fails. `make console-measure` fills the data directory and runs it.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Browser, Server, adminPassword, logIn } from '../test/support/world.mjs';

const rounds = Number(process.env.ROUNDS ?? 10), accounts = Number(process.env.ACCOUNTS ?? 10_000), events = Number(process.env.EVENTS ?? 100_000);
const fill = join(dirname(fileURLToPath(import.meta.url)), '../../bin/fill');

const server = await Server.start();
await server.down();
await promisify(execFile)(fill, ['-data', server.dir, '-accounts', String(accounts), '-events', String(events)]);
await server.up();
const browser = await Browser.start();

const times = new Map();
/** Does something on the page and takes the time until what is shown is there. */
async function timed(name, run) {
  const began = performance.now();
  await run();
  if (!times.has(name)) times.set(name, []);
  times.get(name).push(performance.now() - began);
}

for (let i = 0; i < rounds; i++) {
  // Each round has a window of its own, so nothing is cached.
  let page;
  await timed('first page, nothing cached', async () => {
    page = await browser.open(server);
    await page.getByRole('button', { name: 'Log in', exact: true }).waitFor();
  });
  const inside = await page.evaluate(() => performance.getEntriesByType('paint').find((e) => e.name === 'first-contentful-paint')?.startTime ?? NaN);
  if (!times.has('of which until something is painted')) times.set('of which until something is painted', []);
  times.get('of which until something is painted').push(inside);
  await timed('log in', () => logIn(page, 'admin', adminPassword));
  const first = page.locator('tbody tr').first();
  const told = (text) => page.getByRole('status').filter({ hasText: text }).first().waitFor();
  await timed('users: first page', async () => {
    await page.getByRole('link', { name: 'Users' }).click();
    await first.waitFor();
  });
  const search = page.getByLabel('Search name, user name or address');
  await timed('users: search of one (300 ms are the pause after typing)', async () => {
    await search.fill(`user${1234 + i}`);
    await told(/^1 account/);
  });
  await timed('users: search of a thousand', async () => {
    await search.fill('frida');
    await told(/^1[,.]?000 accounts/);
  });
  await timed('users: all again', async () => {
    await search.fill('');
    await told(/^10[,.]?00\d accounts/);
  });
  await timed('users: next page', async () => {
    const before = await first.innerText();
    await page.getByRole('button', { name: 'Next' }).click();
    await page.waitForFunction((was) => document.querySelector('tbody tr') && document.querySelector('tbody tr').innerText !== was, before);
  });
  await timed('audit: first page', async () => {
    await page.getByRole('link', { name: 'Audit' }).click();
    await page.getByRole('heading', { name: 'Audit', level: 1 }).waitFor();
    await first.waitFor();
  });
  const rows = (text) => page.waitForFunction((t) => {
    const all = [...document.querySelectorAll('tbody tr')];
    return all.length > 0 && all.every((r) => r.innerText.includes(t));
  }, text);
  await timed('audit: an account (300 ms are the pause after typing)', async () => {
    await page.getByRole('textbox', { name: 'Account' }).fill(`user${1234 + i}`);
    await rows(`user${1234 + i}`);
  });
  await page.getByRole('button', { name: 'Clear filters' }).click();
  await timed('audit: a text (300 ms are the pause after typing)', async () => {
    await page.getByRole('searchbox', { name: 'Text' }).fill('users.update');
    await rows('users.update');
  });
  const before = await page.locator('tbody tr').count();
  await timed('audit: older events', async () => {
    await page.getByRole('button', { name: 'Older events' }).click();
    await page.waitForFunction((n) => document.querySelectorAll('tbody tr').length > n, before);
  });
  assert.deepEqual(page.troubles, []);
  await page.context().close();
}
await browser.stop();
await server.stop();

console.log(`${accounts} accounts, ${events} events of the audit, ${rounds} rounds; milliseconds`);
for (const [name, all] of times) {
  all.sort((a, b) => a - b);
  console.log(`${name.padEnd(60)} median ${Math.round(all[all.length >> 1])}  slowest ${Math.round(all.at(-1))}`);
}
