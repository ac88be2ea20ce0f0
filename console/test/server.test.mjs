// What an administrator sees of the server, and the mails of one that sends none.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, accessible, adminPassword, close, confirm, logIn, picture, stage } from './support/world.mjs';

let server, browser;
// No MAIL_URL: mails are files, and the outbox shows them.
stage((s, b) => {
  [server, browser] = [s, b];
}, { MAIL_URL: '' });

test('the figures of the server move while one looks', async () => {
  const page = await browser.open(server);
  await logIn(page, 'admin', adminPassword);
  await page.getByRole('link', { name: 'Server', exact: true }).click();
  await page.getByRole('img', { name: /^Calls a second: .* now$/ }).waitFor();
  await page.getByRole('row', { name: /^all/ }).waitFor();
  await page.locator('.chart canvas').first().waitFor();
  const connections = page.getByRole('img', { name: /^Connections: \d+ now$/ });
  const before = Number(/\d+/.exec(await connections.getAttribute('aria-label'))[0]);
  // Another window is another connection; the figure follows by itself.
  const other = await browser.open(server);
  await page.getByRole('img', { name: `Connections: ${before + 1} now` }).waitFor();
  await close(other);
  await accessible(page, 'server');
  await picture(page, 'server');
  await page.setViewportSize({ width: 360, height: 700 });
  await accessible(page, 'server, narrow');
  assert((await page.evaluate(() => document.documentElement.scrollWidth)) <= 360, 'the page is wider than the screen');
  await close(page);
});

test('nodes that share the database see each other; one on its own shows none', async () => {
  const page = await browser.open(server);
  await logIn(page, 'admin', adminPassword);
  await page.getByRole('link', { name: 'Server', exact: true }).click();
  await page.getByRole('row', { name: /^all/ }).waitFor();
  const nodes = page.getByRole('region', { name: 'Nodes' });
  if (!server.env.MONGO_URL) {
    assert.equal(await nodes.count(), 0);
    return close(page);
  }
  await nodes.getByRole('row', { name: /this one/ }).waitFor();
  const { MONGO_URL, ENCRYPTION_KEY } = server.env;
  const second = await Server.start({ MONGO_URL, ENCRYPTION_KEY, NODE_NAME: 'second', MAIL_URL: '' });
  const row = nodes.getByRole('row', { name: /^second/ });
  await row.waitFor();
  await accessible(page, 'server, two nodes');
  await picture(page, 'server-nodes');
  await second.stop();
  await row.waitFor({ state: 'detached' });
  await close(page);
});

test('the outbox shows mails to whoever proves a factor, and new ones by themselves', async () => {
  const { username, email } = await server.addUser('olga');
  const page = await browser.open(server);
  await logIn(page, 'admin', adminPassword);
  await page.getByRole('link', { name: 'Outbox' }).click();
  await confirm(page, adminPassword);
  await page.getByText('No mail since the server started.').waitFor();
  await accessible(page, 'outbox, empty');

  const other = await browser.open(server);
  await other.getByRole('link', { name: 'Forgot the password?' }).click();
  await other.getByLabel('E-mail address').fill(email);
  await other.getByRole('button', { name: 'Send the link' }).click();
  await other.getByText('the mail is on its way').waitFor();
  const mail = page.getByRole('article').filter({ hasText: `To ${email}` });
  await mail.waitFor();
  assert.match(await mail.innerText(), new RegExp(username));
  await accessible(page, 'outbox');
  await picture(page, 'outbox');
  await close(other);
  await close(page);
});

test('somebody without the rights sees neither page, and gets nothing over the wire', async () => {
  const { username, password, email } = await server.addUser('otto');
  const page = await browser.open(server);
  await logIn(page, username, password);
  for (const name of ['Server', 'Outbox']) assert.equal(await page.getByRole('link', { name, exact: true }).count(), 0);
  for (const path of ['server', 'outbox']) {
    await page.goto(`${server.url}/#/${path}`);
    await page.getByText('Your account may not see this page.').waitFor();
  }
  await page.goto(`${server.url}/#/try`);
  await page.getByText('Connected, session').waitFor();
  for (const [n, name] of ['server:status', 'outbox:list'].entries()) {
    await page.getByLabel('Name', { exact: true }).fill(name);
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    await page.locator('ol.frames code').filter({ hasText: new RegExp(`"id":"try${n + 1}","error":\\{.*not-allowed`) }).waitFor();
  }
  assert(email);
  await close(page);
});
