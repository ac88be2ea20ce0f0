// The editor of settings, in two windows.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accessible, adminPassword, close, confirm, logIn, picture, stage } from './support/world.mjs';

const markup = '<img src=x onerror="document.title=1">';
let server, browser, bob;
stage(async (s, b) => {
  [server, browser] = [s, b];
  bob = await server.addUser('bob');
}, { OVERWRITE_SETTING_Message_MaxAllowedSize: '1234' });

const open = async (page) => {
  await page.getByRole('link', { name: 'Settings' }).click();
  await page.getByRole('heading', { name: 'Settings', level: 1 }).waitFor();
  await page.getByRole('status').getByText('settings').waitFor();
};
const find = (page, text) => page.getByLabel('Search settings').fill(text);
const row = (page, id) => page.locator(`[data-setting=${id}]`);
/** Saves and answers the challenge, which comes when the settings guard something. */
const save = async (page) => {
  await page.getByRole('button', { name: 'Save' }).click();
  await confirm(page, adminPassword);
};

test('settings are found, edited together, refused beside their field and saved with a proof; another window shows them', async () => {
  const page = await browser.open(server);
  await logIn(page, 'admin', adminPassword);
  await open(page);
  await accessible(page, 'settings closed');
  await picture(page, 'settings');
  const other = await browser.open(server, { viewport: { width: 360, height: 800 }, colorScheme: 'dark' });
  await logIn(other, 'admin', adminPassword);
  await other.getByRole('button', { name: 'Menu' }).click();
  await open(other);

  // By a name of the console, by the id, and nothing.
  await find(page, 'mailed code');
  await page.getByRole('textbox', { name: 'Life of a mailed code (seconds)' }).waitFor();
  await find(page, 'Password_Policy_MinL');
  await page.getByRole('textbox', { name: 'Shortest password' }).waitFor();
  await page.getByRole('status').getByText(/^1 of \d+ settings$/).waitFor();
  await find(page, 'xyzzy');
  await page.getByRole('status').getByText('No setting fits.').waitFor();
  await find(page, '');

  // A section is opened with the keyboard alone.
  await page.locator('summary', { hasText: 'Accounts: Two Factor Authentication' }).focus();
  await page.keyboard.press('Enter');
  const life = page.getByRole('textbox', { name: 'Life of a mailed code (seconds)' });
  await life.fill('5 minutes');
  await page.getByRole('switch', { name: 'Tell strangers nothing about accounts' }).check();
  await page.getByText('2 unsaved changes').waitFor();
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('alert').getByText('a field has to be corrected').waitFor();
  await page.getByText('This must be a whole number.').waitFor();
  assert.equal(await life.getAttribute('aria-invalid'), 'true');
  await accessible(page, 'settings wrong');
  await picture(page, 'settings-wrong');
  await life.fill('300');
  await other.locator('summary', { hasText: 'Accounts: Two Factor Authentication' }).click();
  await save(page);
  await page.getByRole('status').getByText('2 settings are saved and in force.').waitFor();
  // The other window shows the new values within a second, without a reload.
  const otherLife = other.getByRole('textbox', { name: 'Life of a mailed code (seconds)' });
  await other.waitForFunction((e) => e.value === '300', await otherLife.elementHandle(), { timeout: 5_000 });
  assert(await other.getByRole('switch', { name: 'Tell strangers nothing about accounts' }).isChecked());
  await row(other, 'Accounts_TwoFactorAuthentication_By_Email_Code_Expiration').getByText('Changed elsewhere a moment ago.').waitFor();
  await accessible(other, 'settings at 360 px, dark');
  await picture(other, 'settings-360-dark');

  // What one edits is not written over by what another saves.
  await otherLife.fill('200');
  await life.fill('100');
  await save(page);
  await page.getByRole('status').getByText('The setting is saved and in force.').waitFor();
  await row(other, 'Accounts_TwoFactorAuthentication_By_Email_Code_Expiration').getByText('Changed elsewhere meanwhile, to: 100.').waitFor();
  assert.equal(await otherLife.inputValue(), '200');
  await picture(other, 'settings-meanwhile-360-dark');
  await other.getByRole('button', { name: 'Undo the change of “Life of a mailed code (seconds)”' }).click();
  assert.equal(await otherLife.inputValue(), '100');

  // Back to the default, which is saved like every edit.
  await page.getByLabel('Show').selectOption('Other than the default');
  await page.getByRole('button', { name: 'Set “Life of a mailed code (seconds)” to its default' }).click();
  await page.getByRole('button', { name: 'Set “Tell strangers nothing about accounts” to its default' }).click();
  await save(page);
  await page.getByRole('status').getByText('2 settings are saved and in force.').waitFor();
  await page.getByRole('status').getByText(/^1 of/).waitFor(); // the forced one
  await row(page, 'Message_MaxAllowedSize').getByText('Set by the environment variable OVERWRITE_SETTING_Message_MaxAllowedSize').waitFor();
  assert(await page.getByRole('textbox', { name: 'Longest message (characters)' }).isDisabled());
  await close(other);
  await close(page);
});

test('a refusal of the server stands beside its field, secrets stay hidden, markup is text', async () => {
  const page = await browser.open(server, { colorScheme: 'dark' });
  await logIn(page, 'admin', adminPassword);
  await open(page);
  await find(page, 'Sender of mails');
  await page.getByRole('textbox', { name: 'Sender of mails' }).fill('nobody at all');
  await save(page);
  await row(page, 'From_Email').getByText('Must be an e-mail address').waitFor();
  await picture(page, 'settings-refused');
  await page.getByRole('button', { name: 'Undo the change of “Sender of mails”' }).click();

  await find(page, 'Site_Name');
  await page.getByRole('textbox', { name: 'Name of the server' }).fill(markup);
  await save(page);
  await page.getByRole('status').getByText('The setting is saved').waitFor();
  await page.getByRole('textbox', { name: 'Name of the server' }).fill(`${markup}!`);
  await find(page, 'Secret address');
  const secret = page.getByLabel('Secret address for registering', { exact: true });
  await secret.fill('a-secret-of-ours');
  await page.getByText('2 unsaved changes').waitFor();
  const frames = [];
  const sent = [];
  page.on('websocket', (ws) => ws.on('framereceived', (f) => frames.push(f.payload)).on('framesent', (f) => sent.push(f.payload)));
  await page.getByRole('button', { name: 'Save' }).click();
  await confirm(page, adminPassword);
  await page.getByRole('status').getByText('2 settings are saved').waitFor();
  assert.equal(await secret.inputValue(), '');
  assert.equal(await secret.getAttribute('placeholder'), 'hidden');
  await page.reload();
  await page.getByRole('heading', { name: 'Settings', level: 1 }).waitFor();
  assert.equal(await page.getByLabel('Search settings').inputValue(), 'Secret address', 'the search is not in the address');
  await row(page, 'Accounts_RegistrationForm_SecretURL').waitFor();
  assert(frames.length > 0 && !frames.some((f) => f.includes('a-secret-of-ours')), 'the secret came over the wire');
  await page.getByRole('button', { name: 'Set “Secret address for registering” to its default' }).click();
  assert.equal(await secret.getAttribute('placeholder'), 'will be emptied');
  await save(page);
  await page.getByRole('status').getByText('The setting is saved').waitFor();
  assert.equal(await secret.getAttribute('placeholder'), 'empty');
  // The default is the server's: an old page would write an old one.
  assert(sent.some((f) => f.includes('settings:reset')) && !sent.some((f) => f.includes('saveSettings')), 'the default was written by the page');
  await find(page, 'Site_Name');
  assert.equal(await page.getByRole('textbox', { name: 'Name of the server' }).inputValue(), `${markup}!`);
  await accessible(page, 'settings dark');
  await picture(page, 'settings-dark');
  await close(page);
});

test('unsaved changes survive a lost connection, and are not left without asking', async () => {
  const page = await browser.open(server, { path: '', expected: [/WebSocket/] });
  let cut;
  let away = false;
  await page.routeWebSocket(/websocket$/, (ws) => {
    if (away) return void ws.close();
    ws.connectToServer();
    cut = () => ws.close();
  });
  await page.reload();
  await logIn(page, 'admin', adminPassword);
  await open(page);
  await find(page, 'pin messages');
  await page.getByRole('switch', { name: 'Pin messages' }).uncheck();
  await page.getByText('1 unsaved change').waitFor();
  // New connections are refused until the page says so: one that comes back at once is not told.
  away = true;
  cut();
  await page.getByRole('status').getByText('No connection to the server').waitFor();
  away = false;
  await page.getByRole('status').getByText('No connection to the server').waitFor({ state: 'hidden' });
  await page.getByText('1 unsaved change').waitFor();

  await page.getByRole('link', { name: 'My security' }).click();
  const question = page.getByRole('dialog', { name: 'Leave without saving?' });
  await question.waitFor();
  await accessible(page, 'guard');
  await question.getByRole('button', { name: 'Cancel' }).click();
  await page.getByText('1 unsaved change').waitFor();
  await page.goBack();
  await question.waitFor();
  await page.keyboard.press('Escape');
  await page.getByText('1 unsaved change').waitFor();
  await page.getByRole('link', { name: 'My security' }).click();
  await question.getByRole('button', { name: 'Leave and discard' }).click();
  await page.getByRole('heading', { name: 'My security' }).waitFor();
  await open(page);
  await find(page, 'pin messages');
  assert(await page.getByRole('switch', { name: 'Pin messages' }).isChecked());
  await page.getByRole('switch', { name: 'Pin messages' }).uncheck();
  await page.getByRole('button', { name: 'Discard all' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Discard all' }).click();
  assert(await page.getByRole('switch', { name: 'Pin messages' }).isChecked());
  await close(page);
});

test('an ordinary user sees no editor and is sent no settings', async () => {
  const page = await browser.open(server);
  const frames = [];
  page.on('websocket', (ws) => ws.on('framereceived', (f) => frames.push(f.payload)));
  await page.reload();
  await logIn(page, 'bob', bob.password);
  assert.equal(await page.getByRole('link', { name: 'Settings' }).count(), 0);
  await page.goto(`${server.url}/#/settings`);
  await page.getByRole('alert').getByText('Your account may not see this page.').waitFor();
  assert.equal(await page.getByLabel('Search settings').count(), 0);
  // Who asks past the console is sent nothing either, over any door.
  const got = await page.evaluate(async () => {
    const { userId, token } = JSON.parse(Object.values(sessionStorage)[0]);
    const headers = { 'X-User-Id': userId, 'X-Auth-Token': token, 'Content-Type': 'application/json' };
    const rest = await fetch('api/v1/settings', { headers }).then((r) => r.json());
    const ask = (msg) => ({ method: 'POST', headers, body: JSON.stringify({ message: JSON.stringify({ msg: 'method', id: '1', ...msg }) }) });
    const list = await fetch('api/v1/method.call/private-settings:get', ask({ method: 'private-settings/get', params: [] })).then((r) => r.json());
    const saved = await fetch('api/v1/method.call/saveSettings', ask({ method: 'saveSettings', params: [[{ _id: 'Site_Name', value: 'of bob' }]] })).then((r) => r.json());
    return { rest, list: JSON.parse(list.message), saved: JSON.parse(saved.message) };
  });
  assert(!got.rest.settings?.length, JSON.stringify(got.rest));
  assert.deepEqual(got.list.result ?? [], []);
  assert.match(got.saved.error?.error, /^(error-action-not-allowed|totp-required)$/);
  assert(!frames.some((f) => f.includes('private-settings') || f.includes('Protected_Calls')));
  await close(page);
});
