// The editor of the list of protected calls.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accessible, adminPassword, close, confirm, logIn, picture, stage } from './support/world.mjs';

let server, browser, bob;
stage(async (s, b) => {
  [server, browser] = [s, b];
  bob = await server.addUser('bob');
});

const open = async (page) => {
  await page.getByRole('link', { name: 'Protected calls' }).click();
  await page.getByRole('heading', { name: 'Protected calls', level: 1 }).waitFor();
  await page.getByRole('status').getByText(/^\d+ calls$/).waitFor();
};
const save = async (page) => {
  await page.getByRole('button', { name: 'Save' }).click();
  await confirm(page, adminPassword);
  await page.getByRole('status').getByText('The list is saved and in force.').waitFor();
};

/** A line on which the list can be late, with answers 'held' until it is set to something else, or 'failed'. */
async function line(page) {
  const asked = new Set(), held = [];
  let state = '';
  await page.routeWebSocket(/websocket$/, (ws) => {
    const there = ws.connectToServer();
    ws.onMessage((text) => {
      const m = JSON.parse(text);
      if (m.method === 'server:surface' && !m.params?.length) asked.add(m.id);
      there.send(text);
    });
    there.onMessage((text) => {
      const m = JSON.parse(text);
      if (m.msg !== 'result' || !asked.has(m.id)) return ws.send(text);
      held.push(() => ws.send(state === 'failed' ? JSON.stringify({ msg: 'result', id: m.id, error: { error: 500, reason: 'Internal server error' } }) : text));
      if (state !== 'held') held.splice(0).forEach((send) => send());
    });
  });
  await page.reload();
  return (next) => {
    state = next;
    if (state !== 'held') held.splice(0).forEach((send) => send());
  };
}

test('calls are protected by a switch and by a wildcard, and are asked from then on', async () => {
  const page = await browser.open(server);
  const list = await line(page);
  await logIn(page, 'admin', adminPassword);
  await open(page);
  const other = await browser.open(server, { viewport: { width: 360, height: 800 }, colorScheme: 'dark' });
  await logIn(other, 'admin', adminPassword);
  await other.getByRole('button', { name: 'Menu' }).click();
  await open(other);

  // One call by its switch; a call that does the same is shown as covered.
  await page.getByLabel('Search calls').fill('setUserStatus');
  const own = page.getByRole('switch', { name: 'Protect setUserStatus', exact: true });
  await own.check();
  await page.getByText('1 added, not saved').waitFor();
  await page.getByLabel('Search calls').fill('users.setStatus');
  await page.getByText('Covered by setUserStatus').waitFor();
  assert(await page.getByRole('switch', { name: 'Protect POST users.setStatus' }).isChecked());
  await page.getByRole('link', { name: 'My security' }).click();
  await page.getByRole('dialog', { name: 'Leave without saving?' }).getByRole('button', { name: 'Cancel' }).click();

  // The list is narrowed to one of the two kinds.
  await page.getByLabel('Search calls').fill('setStatus');
  await page.getByLabel('Kind').selectOption('REST routes');
  await page.getByRole('switch', { name: 'Protect POST users.setStatus' }).waitFor();
  await page.getByLabel('Kind').selectOption('Methods');
  await page.getByRole('switch', { name: 'Protect POST users.setStatus' }).waitFor({ state: 'detached' });
  await page.getByLabel('Kind').selectOption('Methods and routes');

  // A wildcard says what it would cover before it is added.
  const field = page.getByLabel('Add a method, a route or a wildcard');
  await field.fill('no.such.thing');
  await page.getByText('Fits no call of this server.').waitFor();
  await field.fill('/api/v1/users.get*');
  await page.getByText(/^Would cover .* routes?/).waitFor();
  await page.locator('#add-preview').getByText('GET users.getStatus', { exact: true }).waitFor();
  await accessible(page, 'protect, preview');
  await picture(page, 'protect-preview');
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByText('2 added, not saved').waitFor();
  await save(page);
  // The other window shows it without a reload.
  await other.getByText('users.get*', { exact: true }).waitFor();
  await other.getByText('setUserStatus', { exact: true }).first().waitFor();
  await accessible(other, 'protect at 360 px, dark');
  await picture(other, 'protect-360-dark');

  // An ordinary user is asked now, sees no editor, and is not told what the list says.
  const his = await browser.open(server);
  await logIn(his, 'bob', bob.password);
  assert.equal(await his.getByRole('link', { name: 'Protected calls' }).count(), 0);
  await his.goto(`${server.url}/#/protect`);
  await his.getByRole('alert').getByText('Your account may not see this page.').waitFor();
  const got = await his.evaluate(async () => {
    const { userId, token } = JSON.parse(Object.values(sessionStorage)[0]);
    const headers = { 'X-User-Id': userId, 'X-Auth-Token': token, 'Content-Type': 'application/json' };
    const ask = async (method, ...params) => {
      const message = JSON.stringify({ msg: 'method', id: '1', method, params });
      const r = await fetch(`api/v1/method.call/${encodeURIComponent(method)}`, { method: 'POST', headers, body: JSON.stringify({ message }) }).then((r) => r.json());
      return JSON.parse(r.message);
    };
    return { status: await ask('setUserStatus', 'away', ''), surface: await ask('server:surface'), preview: await ask('server:surface', { protectedCalls: '*' }) };
  });
  assert.equal(got.status.error?.error, 'totp-required');
  assert.equal(got.surface.result?.protection, undefined);
  assert.equal(got.preview.result?.protection, undefined);
  await close(his);

  // Filters: by what the list says, by effect, by what a call asks by itself.
  await page.getByLabel('Search calls').fill('');
  await page.getByLabel('Now').selectOption('Protected by the list');
  await page.getByRole('switch', { name: 'Protect GET users.getStatus' }).waitFor();
  await page.getByLabel('Now').selectOption('All');
  await page.getByLabel('Asks by itself').selectOption('Asks every time');
  await page.getByRole('switch', { name: 'Protect deleteUser', exact: true }).waitFor();
  await accessible(page, 'protect');
  await picture(page, 'protect');
  await page.getByLabel('Asks by itself').selectOption('Anything');

  // Taken off again: by the switch, and by the entry.
  await page.getByLabel('Search calls').fill('setUserStatus');
  await own.uncheck();
  await page.getByRole('button', { name: 'Remove users.get*' }).click();
  await page.getByText('2 removed, not saved').waitFor();
  list('held');
  await save(page);
  // What was saved stays in sight until the list was read anew, also when it cannot be read.
  const asSaved = async () => {
    assert.deepEqual([await page.getByRole('button', { name: 'Remove users.get*' }).count(), await own.isChecked()], [0, false]);
    assert.equal(await page.getByText('Unsaved', { exact: true }).count(), 0);
  };
  await asSaved();
  list('failed');
  await page.getByRole('alert').getByText('The server failed.').waitFor();
  await asSaved();
  await other.getByText('Nothing: calls ask only where they do by themselves.').waitFor();
  await close(other);
  await close(page);
});
