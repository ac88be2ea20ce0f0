// The page that tries calls: frames both ways, a challenge answered in each of
// the three ways, and copies without secrets.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accessible, adminPassword, close, logIn, picture, stage } from './support/world.mjs';

let server, browser;
stage((s, b) => {
  [server, browser] = [s, b];
});

const frame = (page, text) => page.locator('ol.frames code').filter({ hasText: text });

async function send(page, name, params) {
  await page.getByLabel('Name', { exact: true }).fill(name);
  await page.getByLabel('Parameters, as a JSON list').fill(JSON.stringify(params));
  await page.getByRole('button', { name: 'Send', exact: true }).click();
}

test('a call is sent as frames, which are shown without secrets and can be taken along', async () => {
  const page = await browser.open(server, { permissions: ['clipboard-read', 'clipboard-write'] });
  await logIn(page, 'admin', adminPassword);
  await page.getByRole('link', { name: 'Try it' }).click();
  await page.getByText('Connected, session').waitFor();
  await send(page, 'getServerTime', []);
  await frame(page, '"msg":"result","id":"try1","result":{"$date":').waitFor();
  await page.locator('details p').filter({ hasText: "Tells the server's time" }).waitFor();
  await accessible(page, 'try');
  await picture(page, 'try');
  const token = await page.evaluate(() => JSON.parse(Object.values(sessionStorage)[0]).token);
  assert(!(await page.locator('body').innerText()).includes(token), 'the login token is shown');

  await page.getByRole('button', { name: 'Copy as conversation' }).click();
  const told = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(told, /^C: \{"msg":"connect".*\nS: \{"msg":"connected"/);
  assert.match(told, /C: \{"msg":"method","id":"try1","method":"getServerTime","params":\[\]\}/);
  assert(!told.includes(token), 'the login token is copied');
  await page.getByRole('button', { name: 'Copy for ddpcat' }).click();
  const cat = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(cat, /^ddpcat -url 'ws:\/\/.*\/websocket' -token "\$TOKEN" \\\n {2}'\{"msg":"method","id":"try1","method":"getServerTime","params":\[\]\}'$/);

  await page.getByLabel('Parameters, as a JSON list').fill('{"a":1}');
  await page.getByRole('button', { name: 'Send', exact: true }).click();
  await page.getByRole('alert').getByText('Parameters are a list').waitFor();
  await page.getByLabel('Parameters, as a JSON list').fill('[');
  await page.getByRole('button', { name: 'Send', exact: true }).click();
  await page.getByRole('alert').getByText('That is no JSON').waitFor();
  // Markup is a text.
  await send(page, '<img src=x onerror=alert(1)>', []);
  await frame(page, "Method '<img src=x onerror=alert(1)>' not found").waitFor();
  await close(page);
});

test('a challenge is answered in each of the three ways', async () => {
  const { username, email, password } = await server.addUser('tara');
  const page = await browser.open(server);
  await logIn(page, username, password);
  await page.goto(`${server.url}/#/try`);
  await page.getByText('Connected, session').waitFor();
  await send(page, '2fa:enable-email', []);
  await frame(page, /"msg":"result","id":"try1"/).waitFor();
  let id = 1;
  // Each answer is right and passes; the factor is switched on again for the next.
  for (const way of ['trailing', 'wrapped', 'literal']) {
    await send(page, '2fa:disable-email', []);
    const challenge = page.getByRole('article').filter({ hasText: 'The call was challenged' });
    await challenge.waitFor();
    if (way === 'trailing') {
      await accessible(page, 'challenge');
      await picture(page, 'try-challenge');
    }
    await challenge.getByLabel('How to answer').selectOption(way);
    await challenge.locator('input[name=answer]').fill(await server.mailbox.code(email));
    await challenge.getByRole('button', { name: 'Send the answer' }).click();
    await challenge.waitFor({ state: 'detached' });
    id += 2;
    await frame(page, new RegExp(`"msg":"result","id":"try${id}","result":true`)).waitFor();
    await send(page, '2fa:enable-email', []);
    await frame(page, new RegExp(`"msg":"result","id":"try${++id}","result":true`)).waitFor();
  }
  await close(page);
});

test('a subscription runs until it is stopped, and nobody may look as nobody', async () => {
  const page = await browser.open(server);
  await logIn(page, 'admin', adminPassword);
  await page.goto(`${server.url}/#/try`);
  await page.getByText('Connected, session').waitFor();
  await page.getByLabel('A subscription').check();
  await send(page, 'stream-notify-logged', ['user-status', false]);
  await frame(page, '"msg":"ready","subs":["trysub').waitFor();
  await page.getByRole('button', { name: 'Stop stream-notify-logged user-status' }).click();
  await frame(page, '"msg":"nosub","id":"trysub').waitFor();
  await page.getByLabel('Connect as').selectOption('nobody');
  await page.getByText('Connected, session').waitFor();
  await page.getByLabel('A method call').check();
  await send(page, '2fa:checkCodesRemaining', []);
  await frame(page, 'error-not-authorized').waitFor();
  await page.getByLabel('A frame as it is').check();
  await page.getByLabel('The frame, as a JSON object').fill('{"msg":"sing"}');
  await page.getByRole('button', { name: 'Send', exact: true }).click();
  await frame(page, '"msg":"error"').waitFor();
  await close(page);
});
