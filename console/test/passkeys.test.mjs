// Passkeys in a browser, with Chromium's own virtual authenticator: added, asked
// for, logged in with, lost, and what browsers without them are shown.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { ddpjs } from '../../clients/support/ddpjs.mjs';
import { watchWebSocket } from '../../clients/support/sockets.mjs';
import { codeNow } from './support/totp.mjs';
import { accessible, adminPassword, close, confirm, logIn, picture, stage } from './support/world.mjs';

let server, browser;
stage((s, b) => {
  [server, browser] = [s, b];
});

const markup = '<img src=x onerror="document.title=1"> & "key"';
const section = (page) => page.locator('#my-keys');
const summary = (page) => page.getByRole('region', { name: 'How your account is protected' });
const dialog = (page, name) => page.getByRole('dialog', { name });
const asked = (page) => dialog(page, 'Confirm that it is you');
const usePasskey = (page) => asked(page).getByRole('button', { name: 'Use a passkey' });
const sha256 = (text) => createHash('sha256').update(text).digest('hex');

/** The device of a window: keeps keys, and answers as its owner does. kind is what it is beside a computer that keeps its keys. */
async function device(page, kind = {}) {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('WebAuthn.enable', { enableUI: false });
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2', ctap2Version: 'ctap2_1', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
      automaticPresenceSimulation: true, ...kind,
    },
  });
  const send = (name, params = {}) => cdp.send(`WebAuthn.${name}`, { authenticatorId, ...params });
  return {
    /** Whether the finger on it is the owner's. */
    verified: (isUserVerified) => send('setUserVerified', { isUserVerified }),
    /** Whether somebody touches it when it asks. */
    present: (enabled) => send('setAutomaticPresenceSimulation', { enabled }),
    keys: async () => (await send('getCredentials')).credentials,
    take: (credential) => send('addCredential', { credential }),
    empty: () => send('clearCredentials'),
  };
}

/** A window of a new account, logged in, with a device. */
async function enter(name, options = {}) {
  const user = await server.addUser(name, options);
  const page = await browser.open(server, options);
  const d = await device(page, options.kind);
  if (options.stay) await page.getByLabel('Stay logged in on this device').check();
  await logIn(page, user.username, user.password);
  await summary(page).waitFor();
  return { user, page, d };
}

/** Adds a passkey; prove answers what is asked before. */
async function add(page, name, prove) {
  await section(page).getByRole('button', { name: 'Add a passkey' }).click();
  const form = dialog(page, 'Add a passkey');
  await form.getByLabel('Name', { exact: true }).fill(name);
  await form.getByRole('button', { name: 'Continue' }).click();
  await prove?.();
}

const added = (page, name) => section(page).getByText(`“${name}” is added. Your other sessions were ended.`).waitFor();

async function enrolled(name, options) {
  const all = await enter(name, options);
  const { key = 'Key' } = options ?? {};
  await add(all.page, key, () => confirm(all.page, all.user.password));
  await added(all.page, key);
  return all;
}

async function logOut(page) {
  await page.getByRole('button', { name: 'Log out', exact: true }).click();
  await page.getByRole('button', { name: 'Log in', exact: true }).waitFor();
}

/** Posts to a route as the administrator. */
async function office(route, body) {
  admin ??= await post('login', { user: 'admin', password: adminPassword });
  return post(route, body, {
    'X-Auth-Token': admin.data.authToken, 'X-User-Id': admin.data.userId, 'x-2fa-code': sha256(adminPassword), 'x-2fa-method': 'password',
  });
}
let admin;

async function post(route, body, headers = {}) {
  const answer = await fetch(`${server.url}/api/v1/${route}`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) });
  assert.equal(answer.status, 200, `${route}: ${await answer.clone().text()}`);
  return answer.json();
}

const set = (id, value) => office(`settings/${id}`, { value });

/** What calls a page makes. */
function calls(page) {
  const list = [];
  page.on('websocket', (ws) => ws.on('framesent', ({ payload }) => {
    const m = JSON.parse(payload);
    if (m.msg === 'method') list.push(m.method);
  }));
  return list;
}

test('a passkey is added, named and removed, and passes protected calls without typing', async () => {
  const { user, page, d } = await enter('pia');
  // Another login of the account ends when the key is added.
  const other = await browser.open(server);
  await logIn(other, user.username, user.password);
  await accessible(page, 'no passkey');
  await section(page).getByRole('button', { name: 'Add a passkey' }).click();
  const form = dialog(page, 'Add a passkey');
  assert.match(await form.getByLabel('Name', { exact: true }).inputValue(), /on Linux/);
  await accessible(page, 'add a passkey');
  await page.keyboard.press('Escape');
  await form.waitFor({ state: 'detached' });

  // The finger of somebody else adds nothing; the same options are good once more, without another proof.
  await d.verified(false);
  await add(page, markup, () => confirm(page, user.password));
  await form.getByRole('alert').getByText('Nothing was confirmed').waitFor();
  await d.verified(true);
  await form.getByRole('button', { name: 'Continue' }).click();
  await added(page, markup);
  assert.equal(await asked(page).count(), 0);
  await summary(page).getByText('Strong').waitFor();
  await section(page).getByRole('heading', { name: markup }).waitFor();
  await section(page).getByText('on one device').waitFor();
  await other.getByText('Your session was ended').waitFor();
  await close(other);

  // A protected call: the sentence of the server, one button, and nothing typed.
  const mail = page.locator('#my-mail');
  await mail.getByRole('button', { name: 'Switch on' }).click();
  await asked(page).getByText('It confirms this and nothing else: to switch codes by e-mail on.').waitFor();
  assert(await usePasskey(page).evaluate((e) => e === document.activeElement), 'the button has no focus');
  await accessible(page, 'challenge by passkey');
  await picture(page, 'challenge-passkey');
  await d.verified(false);
  await page.keyboard.press('Enter');
  await asked(page).getByRole('alert').getByText('Nothing was confirmed').waitFor();
  await d.verified(true);
  await usePasskey(page).click();
  await mail.getByRole('button', { name: 'Switch off' }).waitFor();

  // Both ways: to the mail, wrong there, and back to the passkey, whose question is asked for anew.
  await page.getByRole('button', { name: 'New token' }).click();
  await dialog(page, 'New token').getByLabel('Name', { exact: true }).fill('bot');
  await dialog(page, 'New token').getByRole('button', { name: 'Make the token' }).click();
  await usePasskey(page).waitFor();
  await asked(page).getByLabel('Code by e-mail').check();
  await asked(page).getByRole('button', { name: 'Send a code' }).click();
  await asked(page).getByText(`Sent to ${user.email}.`).waitFor();
  const code = await server.mailbox.code(user.email);
  await confirm(page, code === '000000' ? '000001' : '000000');
  await asked(page).getByRole('alert').getByText('That code is wrong').waitFor();
  await asked(page).getByLabel('Passkey').check();
  await asked(page).getByText('It confirms this and nothing else: to ').waitFor();
  // A dialogue that was left open for long asks anew before it uses the key.
  await page.evaluate(() => {
    const now = performance.now.bind(performance);
    performance.now = () => now() + 110_000;
  });
  await usePasskey(page).click();
  await dialog(page, 'Your new token').getByLabel('I have kept it').check();
  await dialog(page, 'Your new token').getByRole('button', { name: 'Done' }).click();
  await mail.getByRole('button', { name: 'Switch off' }).click();
  await dialog(page, 'Switch codes by e-mail off?').getByRole('button', { name: 'Switch off' }).click();
  await usePasskey(page).click();
  await mail.getByRole('button', { name: 'Switch on' }).waitFor();

  // The device has a key for the account: it makes no second one.
  await add(page, 'Twice', () => usePasskey(page).click());
  await form.getByRole('alert').getByText('This device has a passkey for your account already.').waitFor();
  await form.getByRole('button', { name: 'Cancel' }).click();

  await section(page).getByRole('button', { name: `Rename: ${markup}` }).click();
  await accessible(page, 'rename a passkey');
  await dialog(page, 'Rename this passkey').getByLabel('Name', { exact: true }).fill('Laptop');
  await page.keyboard.press('Enter');
  await section(page).getByRole('heading', { name: 'Laptop' }).waitFor();
  await section(page).getByText('The new name is kept.').waitFor();
  await accessible(page, 'passkeys');

  await section(page).getByRole('button', { name: 'Remove: Laptop' }).click();
  await dialog(page, 'Remove this passkey?').getByText('It is your last passkey. After this your password alone opens the account.').waitFor();
  await accessible(page, 'remove a passkey');
  await dialog(page, 'Remove this passkey?').getByRole('button', { name: 'Remove' }).click();
  await usePasskey(page).click();
  await section(page).getByText('“Laptop” is removed.').waitFor();
  await section(page).getByRole('heading', { name: 'Laptop' }).waitFor({ state: 'detached' });
  await summary(page).getByText('Weak').waitFor();
  assert(!(await page.title()).startsWith('1'), 'markup of a name was run');
  await close(page);
});

test('a login with nothing typed: in the field of the name, by the button; with the password the passkey is asked for', async () => {
  const { user, page, d } = await enrolled('leo', { key: 'Laptop' });
  await summary(page).getByText('Strong').waitFor();
  await picture(page, 'passkeys');
  const list = calls(page);
  const logins = () => list.filter((m) => m === 'login').length;
  // The browser offers the key in the field; Chromium's virtual device takes the offer by itself.
  await page.reload();
  await summary(page).waitFor();
  let before = logins();
  await page.getByRole('button', { name: 'Log out', exact: true }).click();
  await summary(page).waitFor({ state: 'detached' });
  await summary(page).waitFor();
  assert.equal(logins(), before + 1);

  // Nobody takes it: it is there until the button asks, which ends it. One login comes of both.
  await d.present(false);
  await logOut(page);
  assert.equal(await page.getByLabel('User name or e-mail address').getAttribute('autocomplete'), 'username webauthn');
  const button = page.getByRole('button', { name: 'Log in with a passkey' });
  await button.waitFor();
  await accessible(page, 'login with a passkey');
  await picture(page, 'login-passkey');
  await d.present(true);
  before = logins();
  await button.click();
  await summary(page).waitFor();
  assert.equal(logins(), before + 1);

  // Given up, it says so, and the password is there.
  await d.present(false);
  await logOut(page);
  await d.verified(false);
  await d.present(true);
  await button.click();
  await page.getByRole('alert').getByText('Nothing was confirmed').waitFor();
  await page.getByLabel('User name or e-mail address').fill(user.username);
  await page.getByLabel('Password', { exact: true }).fill(user.password);
  await page.getByRole('button', { name: 'Log in', exact: true }).click();
  await asked(page).getByText('It confirms this and nothing else: to log in.').waitFor();
  await d.verified(true);
  await usePasskey(page).click();
  await summary(page).waitFor();

  // A key that the server does not know any more is told, and so is a setting that takes the button away.
  await section(page).getByRole('button', { name: 'Remove: Laptop' }).click();
  await dialog(page, 'Remove this passkey?').getByRole('button', { name: 'Remove' }).click();
  await usePasskey(page).click();
  await section(page).getByText('“Laptop” is removed.').waitFor();
  await d.present(false);
  await logOut(page);
  await d.present(true);
  await button.click();
  await page.getByRole('alert').getByText('That passkey opens no account here.').waitFor();
  await set('Accounts_WebAuthn_Passwordless_Login', false);
  await button.waitFor({ state: 'detached' });
  await set('Accounts_WebAuthn_Passwordless_Login', true);
  await button.waitFor();
  await close(page);
});

test('an account that begins with a passkey keeps its only way in; browsers without passkeys say so', async () => {
  await set('Accounts_WebAuthn_Sign_Up', true);
  const page = await browser.open(server, { path: '#/register', viewport: { width: 360, height: 800 } });
  const d = await device(page);
  await page.getByLabel('a passkey').check();
  await page.getByLabel('User name').fill('admin');
  await page.getByLabel('E-mail address').fill('sue@example.org');
  await accessible(page, 'register with a passkey');
  await page.getByRole('button', { name: 'Make the account' }).click();
  await page.getByRole('alert').getByText(/exists|taken|already|blocked/).waitFor();
  await d.empty();
  await page.getByLabel('User name').fill('sue');
  await page.getByRole('button', { name: 'Make the account' }).click();
  await summary(page).waitFor();
  await set('Accounts_WebAuthn_Sign_Up', false);
  await accessible(page, 'passkeys, narrow');
  await picture(page, 'passkeys-narrow');
  await section(page).getByRole('button', { name: /^Remove: / }).click();
  await dialog(page, 'Remove this passkey?').getByRole('button', { name: 'Remove' }).click();
  await usePasskey(page).click();
  await section(page).getByRole('alert').getByText('This passkey is the only way into your account, so it stays.').waitFor();
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  assert(!wide, 'the page is wider than the window');
  await close(page);

  // An account with a passkey and codes by e-mail, in a browser that knows no passkeys.
  const eli = await enrolled('eli', { kind: { defaultBackupEligibility: true, defaultBackupState: true } });
  await section(eli.page).getByText('synced', { exact: true }).waitFor();
  await eli.page.locator('#my-mail').getByRole('button', { name: 'Switch on' }).click();
  await usePasskey(eli.page).click();
  await eli.page.locator('#my-mail').getByRole('button', { name: 'Switch off' }).waitFor();
  const old = await browser.open(server);
  await old.addInitScript(() => delete window.PublicKeyCredential);
  await old.reload();
  await old.getByRole('button', { name: 'Log in', exact: true }).waitFor();
  assert.equal(await old.getByRole('button', { name: 'Log in with a passkey' }).count(), 0);
  await logIn(old, eli.user.username, eli.user.password, () => server.mailbox.code(eli.user.email));
  await section(old).getByText('This browser knows no passkeys.').waitFor();
  await section(old).getByRole('heading', { name: 'Key', exact: true }).waitFor();
  assert.equal(await section(old).getByRole('button', { name: 'Add a passkey' }).count(), 0);
  await accessible(old, 'no passkeys in this browser');
  // What takes nothing else says where to go.
  await section(old).getByRole('button', { name: 'Remove: Key' }).click();
  await dialog(old, 'Remove this passkey?').getByRole('button', { name: 'Remove' }).click();
  await asked(old).getByRole('alert').getByText('This browser knows no passkeys.').waitFor();
  await asked(old).getByText('Nothing else of your account is taken here.').waitFor();
  await accessible(old, 'challenge without passkeys');
  await old.keyboard.press('Escape');

  // The setting takes them away and gives them back while the page is open.
  await set('Accounts_TwoFactorAuthentication_By_WebAuthn_Enabled', false);
  await section(eli.page).getByText('Passkeys are switched off on this server.').waitFor();
  await set('Accounts_TwoFactorAuthentication_By_WebAuthn_Enabled', true);
  await section(eli.page).getByRole('button', { name: 'Add a passkey' }).waitFor();
  // A page that came without HTTPS, as browsers tell it.
  await old.addInitScript(() => Object.defineProperty(window, 'isSecureContext', { value: false }));
  await old.reload();
  await section(old).getByText('Browsers use passkeys on pages with HTTPS only').waitFor();
  await close(old);

  // The published client knows nothing of passkeys, and passes with its mail.
  const client = ddpjs(server.ws, watchWebSocket());
  await client.connect();
  const details = await client.login(eli.user).then(() => assert.fail('no challenge'), (e) => e.details);
  assert.deepEqual([details.method, details.availableMethods], ['email', ['webauthn', 'email']]);
  const object = { user: { username: eli.user.username }, password: { digest: sha256(eli.user.password), algorithm: 'sha-256' } };
  const { id } = await client.call('login', { totp: { login: object, code: await server.mailbox.code(eli.user.email) } });
  assert(id);
  client.close();
  await close(eli.page);
});

test('two tabs answer each their own question, and a question goes with its session', async () => {
  const { user, page, d } = await enrolled('tim', { stay: true });
  const second = await page.context().newPage();
  const copy = await device(second);
  for (const key of await d.keys()) await copy.take(key);
  await second.goto(server.url);
  await summary(second).waitFor();

  // What the second tab changes makes the question of the first one void; it gets another.
  await page.locator('#my-app').getByRole('button', { name: 'Set up' }).click();
  await asked(page).getByText('to set up an authenticator app.', { exact: false }).first().waitFor();
  await second.locator('#my-mail').getByRole('button', { name: 'Switch on' }).click();
  await usePasskey(second).click();
  await second.locator('#my-mail').getByRole('button', { name: 'Switch off' }).waitFor();
  await usePasskey(page).click();
  await asked(page).getByRole('alert').getByText('That passkey was not taken').waitFor();
  await usePasskey(page).click();
  await dialog(page, 'Set up an authenticator app').waitFor();
  await page.keyboard.press('Escape');

  // The device waits for a finger when the session ends: nothing stays open, and no error is left of it.
  await d.present(false);
  await page.locator('#my-app').getByRole('button', { name: 'Set up' }).click();
  await usePasskey(page).click();
  await asked(page).locator('button[aria-busy=true]').waitFor();
  await second.getByRole('button', { name: 'Log out', exact: true }).click();
  await page.getByRole('button', { name: 'Log in', exact: true }).waitFor();
  assert.equal(await page.getByRole('dialog').count(), 0);
  assert.equal(await page.getByText('Something went wrong').count(), 0);
  assert(user.username);
  await close(page);
});

test('a demand of a passkey leads to adding one: for a call, and for a role', async () => {
  await set('Accounts_TwoFactorAuthentication_Protected_Calls', 'personalAccessTokens:generateToken = webauthn');
  const { user, page } = await enter('ada');
  const token = async () => {
    await page.getByRole('button', { name: 'New token' }).click();
    await dialog(page, 'New token').getByLabel('Name', { exact: true }).fill('bot');
    await dialog(page, 'New token').getByRole('button', { name: 'Make the token' }).click();
  };
  await token();
  await dialog(page, 'New token').getByRole('alert').getByText('Set up a passkey').waitFor();
  await page.keyboard.press('Escape');
  const banner = page.getByRole('status').filter({ has: page.getByRole('button', { name: 'Add a passkey' }) });
  await accessible(page, 'a passkey is demanded');
  await banner.getByRole('button', { name: 'Add a passkey' }).click();
  await page.waitForFunction(() => document.activeElement?.closest('article')?.id === 'my-keys');
  await add(page, 'Key', () => confirm(page, user.password));
  await added(page, 'Key');
  await banner.waitFor({ state: 'detached' });
  await token();
  await usePasskey(page).click();
  await dialog(page, 'Your new token').getByLabel('I have kept it').check();
  await dialog(page, 'Your new token').getByRole('button', { name: 'Done' }).click();
  await set('Accounts_TwoFactorAuthentication_Protected_Calls', '');
  await close(page);

  const bea = await server.addUser('bea');
  const { users } = await fetch(`${server.url}/api/v1/users.list?count=100`, { headers: { 'X-Auth-Token': admin.data.authToken, 'X-User-Id': admin.data.userId } }).then((r) => r.json());
  await office('users.update', { userId: users.find((u) => u.username === 'bea')._id, data: { roles: ['user', 'bot'] } });
  await set('Accounts_TwoFactorAuthentication_Mandatory_Roles', 'bot:webauthn');
  const hers = await browser.open(server);
  await device(hers, { transport: 'usb' });
  await logIn(hers, bea.username, bea.password);
  await hers.getByText('has none that is strong enough').waitFor();
  await hers.getByRole('status').getByRole('button', { name: 'Add a passkey' }).click();
  await add(hers, 'Key', () => confirm(hers, bea.password));
  await added(hers, 'Key');
  await section(hers).getByText('security key', { exact: true }).waitFor();
  await hers.getByText('has none that is strong enough').waitFor({ state: 'detached' });
  await hers.locator('#my-sessions').getByText('this one').waitFor();
  await set('Accounts_TwoFactorAuthentication_Mandatory_Roles', '');
  await close(hers);
});

test('administrators see, demand and reset passkeys, and a call is tried with one', async () => {
  const { page: his, d } = await enrolled('otto');
  // Frames both ways: the question is asked for and answered, and its signature is not shown.
  await his.goto(`${server.url}/#/try`);
  await his.getByText('Connected, session').waitFor();
  const send = async (name, ...params) => {
    await his.getByLabel('Name', { exact: true }).fill(name);
    await his.getByLabel('Parameters, as a JSON list').fill(JSON.stringify(params));
    await his.getByRole('button', { name: 'Send', exact: true }).click();
  };
  const challenge = his.getByRole('article').filter({ hasText: 'The call was challenged' });
  await send('2fa:enable-email');
  await challenge.getByText('The answer is good for this alone: to switch codes by e-mail on.').waitFor();
  await accessible(his, 'try with a passkey');
  await challenge.getByRole('button', { name: 'Answer with a passkey' }).click();
  await challenge.waitFor({ state: 'detached' });
  await send('personalAccessTokens:generateToken', { tokenName: 'bot' });
  await challenge.locator('select').first().selectOption('webauthn');
  await challenge.getByLabel('How to answer').selectOption('literal');
  await challenge.getByRole('button', { name: 'Ask for the question of a passkey' }).click();
  await challenge.getByRole('button', { name: 'Answer with a passkey' }).click();
  await challenge.waitFor({ state: 'detached' });
  assert(!/signature\W+[A-Za-z0-9_-]{40}/.test(await his.locator('ol.frames').innerText()), 'a signature is shown');

  const page = await browser.open(server);
  await logIn(page, 'admin', adminPassword);
  await page.goto(`${server.url}/#/settings?q=passkey`);
  await page.getByLabel('Log in with a passkey alone').waitFor();
  await page.getByLabel('Where new passkeys are kept').getByRole('option', { name: 'On another device or a security key' }).waitFor({ state: 'attached' });
  await accessible(page, 'settings of passkeys');

  await page.goto(`${server.url}/#/protect`);
  await page.getByLabel('Add a method, a route or a wildcard').fill('saveSettings');
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByLabel('What saveSettings takes').selectOption('takes a passkey only');
  await page.getByText('Some entries take a passkey only, and your account has none').waitFor();
  await page.getByText(/^covers \d+ method/).waitFor();
  await accessible(page, 'a passkey only');
  await page.getByRole('button', { name: 'Remove saveSettings' }).click();
  await page.getByLabel('Add a method, a route or a wildcard').fill('getServerTime=webauthn');
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await confirm(page, adminPassword);
  await page.getByText('The list is saved and in force.').waitFor();
  await page.getByRole('switch', { name: 'Protect getServerTime' }).uncheck();
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await confirm(page, adminPassword);
  await page.getByText('Nothing: calls ask only where they do by themselves.').waitFor();
  await page.getByText('Unsaved', { exact: true }).waitFor({ state: 'detached' });

  // The tile is the filter: as many as it says, and nobody without a passkey.
  await page.goto(`${server.url}/#/users`);
  const tile = page.getByRole('list', { name: 'Numbers of accounts' }).getByRole('button', { name: /Passkeys$/ });
  const count = Number(await tile.locator('strong').innerText());
  await page.getByRole('rowheader', { name: 'admin' }).waitFor();
  await tile.click();
  await page.getByRole('rowheader', { name: 'admin' }).waitFor({ state: 'detached' });
  assert.equal(await page.getByLabel('Second factor').inputValue(), 'webauthn');
  await page.getByText(count === 1 ? '1 account' : `${count} accounts`, { exact: false }).first().waitFor();
  assert.equal(await page.getByRole('rowheader').count(), count);
  await page.getByRole('rowheader', { name: 'otto' }).waitFor();
  await page.getByLabel('Second factor').selectOption('none');
  await page.getByRole('rowheader', { name: 'otto' }).waitFor({ state: 'detached' });
  assert.equal(await tile.getAttribute('aria-pressed'), 'false');

  await page.goto(`${server.url}/#/users?q=otto`);
  await page.getByRole('row').filter({ hasText: 'otto' }).getByText('Passkeys').waitFor();
  await page.getByRole('link', { name: 'otto' }).click();
  const reset = page.getByRole('button', { name: 'Reset the passkeys' });
  await reset.waitFor();
  // Where resets wait, the owner sees it and stops it.
  const delay = (hours) => office('settings/Accounts_TwoFactorAuthentication_Reset_Delay', { value: hours });
  await delay(1);
  await reset.click();
  await dialog(page, 'Reset the passkeys?').getByRole('button', { name: 'Reset the passkeys' }).click();
  await confirm(page, adminPassword);
  await page.getByText('The reset is on its way.').waitFor();
  await page.getByText('The passkeys are reset at').waitFor();
  await his.goto(`${server.url}/#/security`);
  await summary(his).getByText('Your passkeys are about to be removed by an administrator.').waitFor();
  await section(his).getByText('An administrator asked for the removal of your passkeys.').waitFor();
  await accessible(his, 'pending reset of passkeys');
  await section(his).getByRole('button', { name: 'Stop the removal' }).click();
  await usePasskey(his).click();
  await section(his).getByText('It stays.').waitFor();
  await summary(his).getByText('Your passkeys are about to be removed').waitFor({ state: 'detached' });
  await delay(0);
  // The device would take the offer of the login page by itself, with the key that is gone.
  await d.present(false);
  const userId = decodeURIComponent(page.url().split('/users/')[1]);
  await office('users.update', { userId, data: { password: 'otto has another password' } });
  await page.getByText('One passkey waits for the password').waitFor();
  await page.getByText('Remove them if they are somebody else’s.').waitFor();
  await reset.click();
  await accessible(page, 'reset of passkeys');
  await dialog(page, 'Reset the passkeys?').getByRole('button', { name: 'Reset the passkeys' }).click();
  await confirm(page, adminPassword);
  await page.getByText('The passkeys are removed.').waitFor();
  await his.getByText('Your session was ended').waitFor();
  await close(page);
  await close(his);
});

test('a passkey from before a mailed link set the password is shown as such, and counts again beside the new one', async () => {
  const { user, page, d } = await enrolled('sam', { key: 'Laptop' });
  // The app lets its owner in without the key. A code by e-mail would not, beside a link by e-mail.
  await page.locator('#my-app').getByRole('button', { name: 'Set up' }).click();
  await usePasskey(page).click();
  const setUp = dialog(page, 'Set up an authenticator app');
  await setUp.getByLabel('First code that the app shows').fill(codeNow(await setUp.locator('.secret').innerText()));
  await setUp.getByRole('button', { name: 'Switch on' }).click();
  const codes = dialog(page, 'Your backup codes');
  const backup = await codes.getByRole('listitem').first().innerText();
  await codes.getByLabel('I have kept them').check();
  await codes.getByRole('button', { name: 'Done' }).click();
  await d.present(false);
  await post('users.forgotPassword', { email: user.email });
  const link = await server.mailbox.mail(user.email, /#\/reset-password\//);
  const [, token] = /#\/reset-password\/([A-Za-z0-9_-]+)/.exec(link.replace(/=\r?\n/g, ''));
  const password = 'sam chose another password';
  await post('users.resetPassword', { token, password });
  await page.getByText('Your session was ended').waitFor();
  await page.getByLabel('User name or e-mail address').fill(user.username);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Log in', exact: true }).click();
  await asked(page).getByLabel('Authenticator app').check();
  await confirm(page, backup);
  await summary(page).getByText('One passkey is from before your password was set anew').waitFor();
  await summary(page).getByText('1, 1 not confirmed').waitFor();
  await section(page).getByText('It proves nothing until you use it once beside the new password.').waitFor();
  await accessible(page, 'a passkey that is not confirmed');
  await picture(page, 'passkeys-unconfirmed');

  // No call is asked to be confirmed with it; the page says why.
  await page.getByRole('button', { name: 'New token' }).click();
  await dialog(page, 'New token').getByLabel('Name', { exact: true }).fill('bot');
  await dialog(page, 'New token').getByRole('button', { name: 'Make the token' }).click();
  await asked(page).getByText('prove nothing yet').waitFor();
  assert.equal(await usePasskey(page).count(), 0);
  await accessible(page, 'challenge without a passkey that counts');
  await page.keyboard.press('Escape');
  await asked(page).waitFor({ state: 'detached' });

  // A new connection, for which fewer logins are counted, and the summary leads to the key.
  await page.reload();
  await summary(page).getByRole('button', { name: 'Confirm your passkeys' }).click();
  await page.waitForFunction(() => document.activeElement?.closest('article')?.id === 'my-keys');
  await section(page).getByRole('button', { name: 'Confirm: Laptop' }).click();
  const form = dialog(page, 'Confirm this passkey');
  await accessible(page, 'confirm a passkey');
  await form.getByLabel('Your password').fill(user.password);
  await form.getByRole('button', { name: 'Confirm', exact: true }).click();
  await form.getByRole('alert').getByText('That is not your password.').waitFor();
  await d.present(true);
  await form.getByLabel('Your password').fill(password);
  await form.getByRole('button', { name: 'Confirm', exact: true }).click();
  await section(page).getByText('“Laptop” counts again.').waitFor();
  await section(page).getByText('not confirmed').waitFor({ state: 'detached' });
  await summary(page).getByText('A passkey is your second factor.').waitFor();
  // The login before gave way to the one that is used now, which a reload finds.
  await summary(page).getByText('one place').waitFor();
  await page.reload();
  await summary(page).getByText('A passkey is your second factor.').waitFor();
  // It logs in alone again: the device takes what the browser offers.
  await page.getByRole('button', { name: 'Log out', exact: true }).click();
  await summary(page).waitFor({ state: 'detached' });
  await summary(page).waitFor();
  await close(page);
});

/** Adds passkeys to the account of a page over REST until the server refuses one. It says which one that was, and why. */
const fillUp = (page) => page.evaluate(async () => {
  const { userId, token } = JSON.parse(sessionStorage.getItem('ddpserver.session:/'));
  const post = async (route, body, proof = {}) => {
    const headers = { 'content-type': 'application/json', 'x-user-id': userId, 'x-auth-token': token, ...proof };
    return (await fetch(`api/v1/${route}`, { method: 'POST', headers, body: JSON.stringify(body) })).json();
  };
  const passkey = { 'x-2fa-method': 'webauthn' };
  for (let n = 2; ; n++) {
    const body = { mode: 'addCredential' };
    const { details, errorType } = await post('users.webauthn.registrationOptions', body, passkey);
    if (errorType !== 'totp-required') return { n, errorType };
    const answer = await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(details.publicKey) });
    const { publicKey } = await post('users.webauthn.registrationOptions', body, { ...passkey, 'x-2fa-code': JSON.stringify(answer) });
    // The device makes another key for the account in the place of its own, which is lost on it.
    const options = PublicKeyCredential.parseCreationOptionsFromJSON({ ...publicKey, excludeCredentials: [] });
    await post('users.webauthn.register', { credential: await navigator.credentials.create({ publicKey: options }), name: `Key ${n}` });
  }
});

/** Starts the server again with another ROOT_URL, at the address it had: pages there are of an origin that it allows. */
async function move(rootURL) {
  const { url } = server;
  await server.down();
  Object.assign(server.env, { ROOT_URL: rootURL, ALLOWED_ORIGINS: url });
  await server.up();
  server.url = url;
}

// The last one: it leaves the server at another address.
test('too many passkeys, a server for another host, and one whose address rules passkeys out say so', async () => {
  const { page } = await enrolled('ida', { key: 'Key 1', expected: [/WebSocket/, /ERR_CONNECTION_REFUSED/] });
  const button = section(page).getByRole('button', { name: 'Add a passkey' });
  await button.click();
  await set('API_Enable_Rate_Limiter', false);
  assert.deepEqual(await fillUp(page), { n: 21, errorType: 'webauthn-too-many-credentials' });
  // A window that was open meanwhile hears it of the server, and then no window offers it.
  await dialog(page, 'Add a passkey').getByRole('button', { name: 'Continue' }).click();
  await dialog(page, 'Add a passkey').getByRole('alert').getByText('as many passkeys as it may have').waitFor();
  await page.keyboard.press('Escape');
  await section(page).getByText('Remove one to add another.').waitFor();
  assert(await button.isDisabled(), 'the button is on');
  await accessible(page, 'too many passkeys');
  await section(page).getByRole('button', { name: 'Remove: Key 2', exact: true }).click();
  await dialog(page, 'Remove this passkey?').getByRole('button', { name: 'Remove' }).click();
  await usePasskey(page).click();
  await section(page).getByText('Remove one to add another.').waitFor({ state: 'detached' });
  assert(await button.isEnabled(), 'the button is off');
  await set('API_Enable_Rate_Limiter', true);

  for (const [rootURL, said] of [
    ['https://chat.example.com', 'The passkeys of this server are for chat.example.com'],
    [server.url.replace('localhost', '127.0.0.1'), 'The address of this server rules passkeys out'],
  ]) {
    await move(rootURL);
    await page.reload();
    await section(page).getByText(said).waitFor();
    await section(page).getByRole('heading', { name: 'Key 3', exact: true }).waitFor();
    assert.equal(await button.count(), 0);
    await accessible(page, said);
  }
  await close(page);
});
