// The audit: what happens elsewhere appears by itself, is found again with
// filters, and can be taken along.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { accessible, adminPassword, close, logIn, picture, stage } from './support/world.mjs';

let server, browser;
stage((s, b) => {
  [server, browser] = [s, b];
});

test('an event appears by itself, is found with filters and exported', async () => {
  const { username, password } = await server.addUser('anna');
  const page = await browser.open(server, { acceptDownloads: true });
  await logIn(page, 'admin', adminPassword);
  await page.getByRole('link', { name: 'Audit', exact: true }).click();
  await page.getByRole('row', { name: /login ok admin/ }).first().waitFor();
  await accessible(page, 'audit');

  const hers = await browser.open(server, { userAgent: '<b>Anna</b>"s browser' });
  await hers.getByLabel('User name or e-mail address').fill(username);
  await hers.getByLabel('Password', { exact: true }).fill('not it');
  await hers.getByRole('button', { name: 'Log in', exact: true }).click();
  await page.getByRole('row', { name: /login refused/ }).first().waitFor();
  await logIn(hers, username, password);
  await page.getByRole('row', { name: /login ok anna/ }).waitFor();
  await picture(page, 'audit');

  await page.getByRole('textbox', { name: 'Account' }).fill('anna');
  await page.getByRole('combobox', { name: /^Outcome/ }).selectOption('ok');
  await page.getByRole('combobox', { name: /^Act\b/ }).selectOption('login');
  await page.getByRole('row', { name: /login ok admin/ }).first().waitFor({ state: 'detached' });
  await page.getByRole('row', { name: /login ok anna/ }).waitFor();
  // Live with a filter, too: her next login appears, nobody else's does.
  await hers.getByRole('button', { name: 'Log out', exact: true }).click();
  await logIn(hers, username, password);
  await page.getByRole('row', { name: /login ok anna/ }).nth(1).waitFor();
  assert.equal(await page.getByRole('row', { name: /login ok admin/ }).count(), 0);

  for (const [kind, pattern] of [['JSON lines', /"act":"login"/], ['CSV', /^[^\n]*\bact\b[^\n]*\n/]]) {
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: `Export as ${kind}` }).click()]);
    const text = await readFile(await file.path(), 'utf8');
    assert.match(text, pattern);
    assert.match(text, /anna/);
    assert(!text.includes('not it'));
  }
  await page.getByRole('button', { name: 'Clear filters' }).click();
  await page.getByRole('row', { name: /login ok admin/ }).first().waitFor();
  await page.setViewportSize({ width: 360, height: 700 });
  await accessible(page, 'audit, narrow');
  assert((await page.evaluate(() => document.documentElement.scrollWidth)) <= 360, 'the page is wider than the screen');
  await close(hers);
  await close(page);
});
