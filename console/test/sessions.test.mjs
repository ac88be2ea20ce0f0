// Sessions of everybody: an administrator sees them, finds one and ends it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accessible, adminPassword, close, confirm, logIn, picture, stage } from './support/world.mjs';

let server, browser;
stage((s, b) => {
  [server, browser] = [s, b];
});

test('an administrator ends the session of somebody, who is told', async () => {
  const { username, password } = await server.addUser('sven');
  // Whatever a client calls itself is a text.
  const his = await browser.open(server, { userAgent: '<img src=x onerror=alert(1)> Firefox/131.0' });
  await logIn(his, username, password);
  const page = await browser.open(server);
  await logIn(page, 'admin', adminPassword);
  await page.getByRole('link', { name: 'Sessions', exact: true }).click();
  await page.getByRole('row', { name: /^admin/ }).getByText('this session').waitFor();
  // Another window shows the same, whatever is done in this one.
  const other = await browser.open(server);
  await logIn(other, 'admin', adminPassword);
  await other.getByRole('link', { name: 'Sessions', exact: true }).click();
  await other.getByRole('row', { name: /^sven/ }).waitFor();
  await page.getByRole('row', { name: /^admin/ }).nth(1).waitFor();
  await page.getByRole('row', { name: /^sven/ }).getByText('connected').waitFor();
  await accessible(page, 'sessions');
  await picture(page, 'sessions');
  await page.getByLabel('Search by user, client or address').fill('sven');
  await page.waitForFunction(() => !/admin/.test(document.querySelector('tbody')?.textContent ?? ''));
  await page.getByLabel('Order').selectOption('By user name');
  await page.getByRole('row', { name: /^sven/ }).getByRole('button', { name: 'End' }).click();
  const dialog = page.getByRole('dialog', { name: 'End this session?' });
  await accessible(page, 'sessions, end');
  await dialog.getByRole('button', { name: 'End', exact: true }).click();
  await confirm(page, adminPassword);
  await page.getByText('The session was ended.').waitFor();
  await page.getByText('Nothing here yet.').waitFor();
  await his.getByText('Your session was ended').waitFor();
  await other.getByRole('row', { name: /^sven/ }).waitFor({ state: 'detached' });
  await other.getByRole('row', { name: /^admin/ }).first().waitFor();
  await close(other);
  await page.setViewportSize({ width: 360, height: 700 });
  await accessible(page, 'sessions, narrow');
  assert((await page.evaluate(() => document.documentElement.scrollWidth)) <= 360, 'the page is wider than the screen');
  await close(his);
  await close(page);
});

test('somebody without the rights sees no such page, and gets nothing over the wire', async () => {
  const { username, password } = await server.addUser('nils');
  const page = await browser.open(server);
  await logIn(page, username, password);
  assert.equal(await page.getByRole('link', { name: 'Sessions', exact: true }).count(), 0);
  await page.goto(`${server.url}/#/try`);
  await page.getByText('Connected, session').waitFor();
  await page.getByLabel('Name', { exact: true }).fill('sessions:listAll');
  await page.getByRole('button', { name: 'Send', exact: true }).click();
  await page.locator('ol.frames code').filter({ hasText: /"id":"try1","error":\{.*not-allowed/ }).waitFor();
  await close(page);
});
