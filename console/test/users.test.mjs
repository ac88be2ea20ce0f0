// The page of accounts: found, made, changed, closed.

import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { test } from 'node:test';
import { accessible, adminPassword, close, confirm, logIn, picture, stage } from './support/world.mjs';

const markup = '<img src=x onerror="document.title=1">';
let server, browser, bob;
stage(async (s, b) => {
  [server, browser] = [s, b];
  bob = await server.addUser('bob');
});

const open = async (page) => {
  await page.getByRole('link', { name: 'Users' }).click();
  await page.getByRole('heading', { name: 'Users', level: 1 }).waitFor();
  await page.getByRole('row').first().waitFor();
};
const row = (page, name) => page.getByRole('row').filter({ has: page.getByRole('rowheader', { name }) });
const search = (page, text) => page.getByLabel('Search name, user name or address').fill(text);

/** Waits for what was done, and answers the challenge of a call that is not asked again for some minutes. */
async function proven(page, done) {
  await page.getByRole('dialog', { name: 'Confirm that it is you' }).or(done).first().waitFor();
  if (!(await done.isVisible())) await confirm(page, adminPassword);
  await done.waitFor();
}

/** The code of an authenticator app for this secret, now. */
function totp(secret) {
  const bits = [...secret.replace(/=+$/, '')].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const mac = createHmac('sha1', key).update(counter).digest();
  return String((mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

/** Sets an authenticator app up over REST, as the console's own page does over DDP. */
async function enrol(url, username, password) {
  const post = await inside(url, username, password);
  const { secret } = await post('users.enableTotp');
  await post('users.validateTotp', { code: totp(secret) });
}

/** Switches codes by e-mail on in the same way. */
async function switchOnMail(url, username, password) {
  const post = await inside(url, username, password);
  await post('users.2fa.enableEmail');
}

/** Logs in over REST; what is returned posts as somebody whose password proves every call. */
async function inside(url, username, password) {
  const send = async (route, body, headers = {}) => {
    const r = await fetch(`${url}/api/v1/${route}`, { method: 'POST', headers: { 'Content-Type': 'application/json', ...headers }, body: JSON.stringify(body) });
    const answer = await r.json();
    assert(r.ok, `${route}: ${JSON.stringify(answer)}`);
    return answer;
  };
  const { data } = await send('login', { user: username, password });
  const headers = { 'X-User-Id': data.userId, 'X-Auth-Token': data.authToken, 'x-2fa-code': createHash('sha256').update(password).digest('hex'), 'x-2fa-method': 'password' };
  return (route, body = {}) => send(route, body, headers);
}

test('accounts are made, found and shown live in another window', async () => {
  const page = await browser.open(server);
  await logIn(page, 'admin', adminPassword);
  await open(page);
  const other = await browser.open(server, { viewport: { width: 360, height: 800 }, colorScheme: 'dark' });
  await logIn(other, 'admin', adminPassword);
  await other.getByRole('button', { name: 'Menu' }).click();
  await open(other);

  // Invited: the person gets a link. The name is markup and stays text.
  await page.getByRole('button', { name: 'New account' }).click();
  const dialog = page.getByRole('dialog', { name: 'New account' });
  await accessible(page, 'new account');
  await picture(page, 'users-new');
  await dialog.getByLabel('User name').fill('nora');
  await dialog.getByLabel('Name', { exact: true }).fill(markup);
  await dialog.getByLabel('E-mail address').fill('nora@example.org');
  await dialog.getByRole('button', { name: 'Make the account' }).click();
  await confirm(page, adminPassword);
  await page.getByRole('status').getByText('is on its way to nora').waitFor();
  await server.mailbox.mail('nora@example.org', /#\/enroll-account\//);
  await page.getByRole('dialog').getByText('Close', { exact: true }).click();
  await row(page, markup).getByText('Invited').waitFor();
  await row(other, markup).getByText('Invited').waitFor();

  // With a random password, which is shown once and opens the account.
  await page.getByRole('button', { name: 'New account' }).click();
  await dialog.getByLabel('User name').fill('rita');
  await dialog.getByLabel('E-mail address').fill('rita@example.org');
  await dialog.getByLabel('Make a random one').check();
  await dialog.getByRole('button', { name: 'Make the account' }).click();
  await confirm(page, adminPassword);
  const password = await page.getByRole('dialog').locator('.secret').innerText();
  assert.equal(password.length, 20);
  await picture(page, 'users-random');
  await page.getByRole('dialog').getByText('Close', { exact: true }).click();
  await row(page, 'rita').waitFor();

  // Found by the beginning of a word, by state, by factor; the address keeps the question.
  await search(page, 'nor');
  await page.getByRole('status').getByText('1 account').waitFor();
  await row(page, markup).waitFor();
  await search(page, 'nobody');
  await page.getByText('No account fits.').waitFor();
  await page.getByRole('button', { name: 'All accounts' }).click();
  await page.getByLabel('State').selectOption('Invited');
  await page.getByRole('status').getByText('1 account').waitFor();
  await page.reload();
  await page.getByRole('status').getByText('1 account').waitFor();
  assert.equal(await page.getByLabel('State').inputValue(), 'pending');
  await page.getByRole('button', { name: 'All accounts' }).click();
  await page.getByRole('button', { name: 'No factor' }).click();
  await row(page, 'bob').waitFor();
  await page.getByRole('button', { name: 'All accounts' }).click();
  await page.getByLabel('Order').selectOption('Newest first');
  await page.waitForFunction(() => /rita/.test(document.querySelector('tbody tr')?.textContent ?? ''));
  await accessible(page, 'users');
  await picture(page, 'users');
  await accessible(other, 'users at 360 px, dark');
  await picture(other, 'users-360-dark');

  // Whoever is no administrator sees none of it and is sent none of it.
  const hers = await browser.open(server);
  const frames = [];
  hers.on('websocket', (ws) => ws.on('framereceived', (f) => frames.push(f.payload)));
  await hers.reload();
  await logIn(hers, 'rita', password);
  assert.equal(await hers.getByRole('link', { name: 'Users' }).count(), 0);
  await hers.goto(`${server.url}/#/users`);
  await hers.getByRole('alert').getByText('Your account may not see this page.').waitFor();
  const got = await hers.evaluate(async () => {
    const { userId, token } = JSON.parse(Object.values(sessionStorage)[0]);
    const headers = { 'X-User-Id': userId, 'X-Auth-Token': token, 'Content-Type': 'application/json' };
    const answers = [];
    for (const method of ['users:list', 'users:info', 'users:statistics']) {
      const message = JSON.stringify({ msg: 'method', id: '1', method, params: method === 'users:info' ? [userId] : [] });
      const r = await fetch(`api/v1/method.call/${encodeURIComponent(method)}`, { method: 'POST', headers, body: JSON.stringify({ message }) }).then((r) => r.json());
      answers.push(JSON.parse(r.message));
    }
    const rest = await fetch('api/v1/users.statistics', { headers }).then((r) => r.status);
    return { answers, rest };
  });
  for (const a of got.answers) assert(a.error && a.result === undefined, JSON.stringify(a));
  assert.equal(got.rest, 403);
  assert(!frames.some((f) => f.includes('nora@example.org')));
  await close(hers);
  await close(other);
  await close(page);
});

test('a page that hears of more changes than it may ask for shows the last one', async () => {
  const carl = await server.addUser('carl');
  const page = await browser.open(server);
  const his = await browser.open(server);
  await logIn(his, 'carl', carl.password);
  await logIn(page, 'admin', adminPassword);
  await open(page);
  await page.getByRole('link', { name: 'carl', exact: true }).click();
  await page.getByRole('heading', { name: 'carl', level: 1 }).waitFor();
  // Each change is made when the one before was seen. Connections and methods are limited to ten calls in ten seconds, the page's too.
  for (let i = 1; i <= 15; i++) {
    await his.evaluate(async (name) => {
      const { token } = JSON.parse(Object.values(sessionStorage)[0]);
      const socket = new WebSocket(document.baseURI.replace(/^http/, 'ws').replace(/#.*/, '') + 'websocket');
      const answered = (id) => new Promise((done, fail) => socket.addEventListener('message', ({ data }) => {
        const m = JSON.parse(data);
        if (m.msg === id || (m.msg === 'result' && m.id === id)) (m.error ? fail(new Error(data)) : done());
      }));
      const send = (m) => socket.send(JSON.stringify(m));
      await new Promise((done) => socket.addEventListener('open', done));
      const connected = answered('connected');
      send({ msg: 'connect', version: '1', support: ['1'] });
      await connected;
      const loggedIn = answered('1');
      send({ msg: 'method', id: '1', method: 'login', params: [{ resume: token }] });
      await loggedIn;
      const named = answered('2');
      send({ msg: 'method', id: '2', method: 'setRealName', params: [name] });
      await named;
      socket.close();
    }, `Carl the ${i}.`);
    await page.getByRole('heading', { name: `Carl the ${i}.`, level: 1 }).waitFor();
  }
  await close(his);
  await close(page);
});

test('what the limits refuse to a page is asked for again when they allow it', async () => {
  const page = await browser.open(server);
  await logIn(page, 'admin', adminPassword);
  await open(page);
  // Two other connections of the same account use up what it may ask in ten seconds.
  await page.evaluate(async () => {
    const { token, userId } = JSON.parse(Object.values(sessionStorage)[0]);
    const use = () => new Promise((done, fail) => {
      const socket = new WebSocket(document.baseURI.replace(/^http/, 'ws').replace(/#.*/, '') + 'websocket');
      const send = (m) => socket.send(JSON.stringify(m));
      let answers = 0;
      socket.addEventListener('open', () => send({ msg: 'connect', version: '1', support: ['1'] }));
      socket.addEventListener('message', ({ data }) => {
        const m = JSON.parse(data);
        if (m.msg === 'connected') send({ msg: 'method', id: 'in', method: 'login', params: [{ resume: token }] });
        if (m.msg !== 'result') return;
        if (m.id === 'in') {
          if (m.error) return fail(new Error(data));
          for (let n = 0; n < 10; n++) send({ msg: 'method', id: `${n}`, method: 'users:info', params: [userId] });
        } else if (++answers === 10) {
          socket.close();
          done();
        }
      });
    });
    await Promise.all([use(), use()]);
  });
  await page.getByRole('link', { name: 'bob', exact: true }).click();
  await page.getByRole('heading', { name: 'bob', level: 1 }).waitFor();
  await close(page);
});

test('an account is edited, protected, closed and deleted', async () => {
  const page = await browser.open(server);
  const his = await browser.open(server);
  await logIn(his, 'bob', bob.password);
  await logIn(page, 'admin', adminPassword);
  await open(page);
  await page.getByRole('link', { name: 'bob', exact: true }).click();
  await page.getByRole('heading', { name: 'bob', level: 1 }).waitFor();
  await accessible(page, 'account');
  await picture(page, 'users-one');

  // Unsaved changes are not left without asking; saved ones are the account's.
  await page.getByLabel('Name', { exact: true }).fill('Bob <i>Builder</i>');
  await page.getByRole('link', { name: 'All users' }).click();
  await page.getByRole('dialog', { name: 'Leave without saving?' }).getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('button', { name: 'Save' }).click();
  await proven(page, page.getByRole('heading', { name: 'Bob <i>Builder</i>', level: 1 }));
  await page.getByLabel('User name').fill('admin');
  await page.getByRole('button', { name: 'Save' }).click();
  await confirm(page, adminPassword);
  await page.getByRole('alert').waitFor();
  await page.getByRole('button', { name: 'Undo' }).click();

  // His sessions end.
  await page.getByRole('button', { name: 'End all sessions' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'End all sessions' }).click();
  await proven(page, page.getByRole('status').getByText('All sessions are ended.'));
  await his.getByRole('button', { name: 'Log in', exact: true }).waitFor();
  await his.getByRole('alert').getByText('Your session was ended').waitFor();

  // He lost his app: it is reset, and the page shows it by itself.
  await enrol(server.url, 'bob', bob.password);
  await page.getByText('Authenticator app', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Reset the authenticator app' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Reset the authenticator app' }).click();
  await confirm(page, adminPassword);
  await page.getByRole('status').getByText('The reset is on its way.').waitFor();

  // He lost his mailbox: codes by e-mail are reset as well.
  await switchOnMail(server.url, 'bob', bob.password);
  await page.getByText('Codes by e-mail', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Reset codes by e-mail' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Reset codes by e-mail' }).click();
  await confirm(page, adminPassword);
  await page.getByRole('status').getByText('Codes by e-mail are off.').waitFor();
  await page.getByText('Codes by e-mail', { exact: true }).waitFor({ state: 'detached' });

  // He forgot his password: a link, or one that the administrator hands over.
  await page.getByRole('button', { name: 'Send a link for a new password' }).click();
  await confirm(page, adminPassword);
  await page.getByRole('status').getByText('The link is on its way.').waitFor();
  await server.mailbox.mail('bob@example.org', /#\/reset-password\//);
  await page.getByRole('button', { name: 'Set a random one' }).click();
  await confirm(page, adminPassword);
  const password = await page.locator('.secret').innerText();
  await picture(page, 'users-password');

  await logIn(his, 'bob', password);
  await page.getByRole('button', { name: 'Deactivate' }).click();
  await accessible(page, 'question');
  await page.getByRole('dialog').getByRole('button', { name: 'Deactivate' }).click();
  await confirm(page, adminPassword);
  await page.getByText('Deactivated', { exact: true }).waitFor();
  await his.getByRole('button', { name: 'Log in', exact: true }).waitFor();
  await page.getByRole('button', { name: 'Activate' }).click();
  await confirm(page, adminPassword);
  await page.getByRole('status').getByText('The account is active.').waitFor();

  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await confirm(page, adminPassword);
  await page.getByRole('heading', { name: 'Users', level: 1 }).waitFor();
  await page.getByRole('rowheader', { name: 'admin' }).waitFor();
  assert.equal(await page.getByRole('rowheader', { name: /Bob/ }).count(), 0);
  await close(his);
  await close(page);
});

test('the sessions of an account are shown live, and one of them ends', async () => {
  const { username, password } = await server.addUser('dora');
  const page = await browser.open(server);
  await logIn(page, 'admin', adminPassword);
  await open(page);
  await page.getByRole('link', { name: username, exact: true }).click();
  const card = page.locator('article').filter({ has: page.getByRole('heading', { name: 'Sessions', level: 2 }) });
  await card.getByText('There are 0 sessions.').waitFor();
  await card.getByText('Nothing here yet.').waitFor();

  // Both appear by themselves, with what their clients say of themselves as text.
  const hers = await browser.open(server, { userAgent: '<b>Dora/7' });
  await logIn(hers, username, password);
  const table = card.getByRole('region', { name: 'Sessions' });
  await table.getByRole('row', { name: '<b>Dora 7' }).getByText('connected').waitFor();
  await table.getByRole('row', { name: '<b>Dora 7' }).getByText('127.0.0.0/24').waitFor();
  const phone = await browser.open(server, { userAgent: 'RC Mobile; ios 17.5; v4.49.0 (12345)' });
  await logIn(phone, username, password);
  await table.getByRole('row', { name: 'RC Mobile 4.49.0 (iOS 17.5)' }).waitFor();
  await card.getByText('There are 2 sessions.').waitFor();
  await accessible(page, 'sessions of an account');
  await picture(page, 'users-sessions');

  await table.getByRole('row', { name: 'RC Mobile' }).getByRole('button', { name: 'End' }).click();
  await page.getByRole('dialog', { name: 'End this session?' }).getByRole('button', { name: 'End', exact: true }).click();
  await proven(page, card.getByRole('status').getByText('The session was ended.'));
  await table.getByRole('row', { name: 'RC Mobile' }).waitFor({ state: 'detached' });
  await phone.getByRole('alert').getByText('Your session was ended').waitFor();
  await card.getByText('There is 1 session.').waitFor();
  await hers.getByRole('button', { name: 'Log out', exact: true }).click();
  await card.getByText('Nothing here yet.').waitFor();
  await close(phone);
  await close(hers);
  await close(page);
});
