// "My security" in a browser: every factor on and off, the one dialogue that asks
// for a proof, tokens, password, addresses, and what other windows see of it.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { accessible, adminPassword, close, confirm, logIn, picture, stage } from './support/world.mjs';
import { codeNow } from './support/totp.mjs';

let server, browser;
stage((s, b) => {
  [server, browser] = [s, b];
});

const section = (page, title) => page.locator('article.card').filter({ has: page.getByRole('heading', { name: title, level: 2 }) });
const summary = (page) => page.getByRole('region', { name: 'How your account is protected' });
const dialog = (page, name) => page.getByRole('dialog', { name });
const asked = (page) => dialog(page, 'Confirm that it is you');
const sha256 = (text) => createHash('sha256').update(text).digest('hex');
/** What another window changed has to be there within a second. */
const soon = { timeout: 15000 };

/** Opens a window and logs a new account in. */
async function enter(name, options = {}) {
  const user = await server.addUser(name, options);
  const page = await browser.open(server, options);
  if (options.stay) await page.getByLabel('Stay logged in on this device').check();
  await logIn(page, user.username, user.password);
  await summary(page).waitFor();
  return { user, page };
}

async function switchMailOn(page, user) {
  await section(page, 'Codes by e-mail').getByRole('button', { name: 'Switch on' }).click();
  const on = section(page, 'Codes by e-mail').getByRole('button', { name: 'Switch off' });
  await on.or(asked(page)).first().waitFor();
  if (await asked(page).isVisible()) await confirm(page, user.password);
  await on.waitFor();
}

/** Sets an app up and gives its secret and its backup codes. */
async function enrol(page, user) {
  await section(page, 'Authenticator app').getByRole('button', { name: 'Set up' }).click();
  await confirm(page, user.password);
  const secret = await dialog(page, 'Set up an authenticator app').locator('.secret').innerText();
  await dialog(page, 'Set up an authenticator app').getByLabel('First code that the app shows').fill(codeNow(secret));
  await dialog(page, 'Set up an authenticator app').getByRole('button', { name: 'Switch on' }).click();
  return { secret, codes: await keepCodes(page) };
}

async function keepCodes(page) {
  const shown = dialog(page, 'Your backup codes');
  await shown.waitFor();
  const codes = await shown.getByRole('listitem').allInnerTexts();
  await shown.getByLabel('I have kept them').check();
  await shown.getByRole('button', { name: 'Done' }).click();
  await shown.waitFor({ state: 'detached' });
  return codes;
}

test('codes by e-mail: on, asked for, sent again, given up with Escape, passed, off', async () => {
  const { user, page } = await enter('eva');
  const mail = section(page, 'Codes by e-mail');
  await summary(page).getByText('Weak').waitFor();
  await accessible(page, 'security, no factor');
  await picture(page, 'security-weak');
  await switchMailOn(page, user);
  await summary(page).getByText('Middling').waitFor();
  await page.getByText('Codes by e-mail are on. Your other sessions were ended.').waitFor();

  // Off asks for a mailed code.
  await mail.getByRole('button', { name: 'Switch off' }).click();
  await dialog(page, 'Switch codes by e-mail off?').getByRole('button', { name: 'Switch off' }).click();
  await asked(page).getByText('A second proof is needed to switch codes by e-mail off.').waitFor();
  await asked(page).getByText('A code was sent to your verified addresses.').waitFor();
  await accessible(page, 'challenge by e-mail');
  await picture(page, 'challenge-mail');
  const first = await server.mailbox.code(user.email);

  await confirm(page, first === '000000' ? '000001' : '000000');
  await asked(page).getByRole('alert').getByText('That code is wrong').waitFor();
  const field = asked(page).locator('input[name=code]');
  assert.equal(await field.inputValue(), '');
  assert(await field.evaluate((e) => e === document.activeElement), 'the field has no focus after a wrong code');

  // Escape gives up: nothing is changed, and the focus is where it was.
  await page.keyboard.press('Escape');
  await asked(page).waitFor({ state: 'detached' });
  await mail.getByRole('button', { name: 'Switch off' }).waitFor();
  assert.equal(await page.getByRole('alert').count(), 0);

  // Once more; the code of before is still good, another one is mailed on request.
  await mail.getByRole('button', { name: 'Switch off' }).click();
  await dialog(page, 'Switch codes by e-mail off?').getByRole('button', { name: 'Switch off' }).click();
  await asked(page).getByText('The code that was sent before is still good.').waitFor();
  await asked(page).getByRole('button', { name: 'Send the mail again' }).click();
  await asked(page).getByText(`Sent to ${user.email}.`).waitFor();
  await asked(page).getByRole('button', { name: /Send the mail again \(\d+ s\)/ }).waitFor();
  const second = await server.mailbox.code(user.email);
  // Pasted as mails and people write it.
  await confirm(page, ` ${second.slice(0, 3)} -\u00a0${second.slice(3)}\u200b `);
  await mail.getByRole('button', { name: 'Switch on' }).waitFor();
  await page.getByText('Codes by e-mail are off. Your other sessions were ended.').waitFor();
  await summary(page).getByText('Weak').waitFor();
  await close(page);
});

test('an authenticator app: set up, backup codes kept, new ones, login with each factor, removed', async () => {
  const { user, page } = await enter('ann');
  const app = section(page, 'Authenticator app');
  await switchMailOn(page, user);

  // The next step of the summary leads to the section.
  await summary(page).getByRole('button', { name: 'Set up an authenticator app' }).click();
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Set up');
  await page.keyboard.press('Enter');
  await asked(page).waitFor();
  await confirm(page, () => server.mailbox.code(user.email));
  const setUp = dialog(page, 'Set up an authenticator app');
  await setUp.getByRole('img', { name: 'QR code with the secret' }).waitFor();
  await accessible(page, 'enrolment');
  await picture(page, 'enrolment');
  const secret = await setUp.locator('.secret').innerText();
  const wrong = codeNow(secret, 400);
  await setUp.getByLabel('First code that the app shows').fill(wrong);
  await page.keyboard.press('Enter');
  await setUp.getByRole('alert').getByText('That code is wrong, or was used before.').waitFor();
  const used = codeNow(secret);
  await setUp.getByLabel('First code that the app shows').fill(` ${used.slice(0, 3)} ${used.slice(3)} `);
  await page.keyboard.press('Enter');

  // Backup codes are shown once: neither Escape nor Done closes them before they are kept.
  const shown = dialog(page, 'Your backup codes');
  await shown.waitFor();
  await accessible(page, 'backup codes');
  await picture(page, 'backup-codes');
  await page.keyboard.press('Escape');
  await shown.getByRole('alert').getByText('Keep the codes first').waitFor();
  await page.keyboard.press('Escape');
  await shown.getByRole('button', { name: 'Done' }).click({ force: true });
  assert(await shown.isVisible());
  const file = page.waitForEvent('download');
  await shown.getByRole('button', { name: 'Download' }).click();
  const text = await readFile(await (await file).path(), 'utf8');
  await page.evaluate(() => (window.print = () => (window.printed = true)));
  await shown.getByRole('button', { name: 'Print' }).click();
  assert(await page.evaluate(() => window.printed));
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await shown.getByRole('button', { name: 'Copy all' }).click();
  await shown.getByText('Copied').waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  const codes = await keepCodes(page);
  assert.deepEqual(copied.split('\n'), codes);
  for (const code of codes) assert(text.includes(code), `the file lacks ${code}`);
  await summary(page).getByText('Strong').waitFor();
  await app.getByText(`${codes.length} backup codes are left.`).waitFor();
  await accessible(page, 'security, app');
  await picture(page, 'security-strong');

  // New backup codes: a code that was used is refused, the next one is taken.
  await app.getByRole('button', { name: 'New backup codes' }).click();
  const renew = dialog(page, 'Make new backup codes');
  await renew.getByLabel('Code of the app, or a backup code').fill(used);
  await page.keyboard.press('Enter');
  await renew.getByRole('alert').getByText('That code was not taken').waitFor();
  await renew.getByLabel('Code of the app, or a backup code').fill(codes[0]);
  await page.keyboard.press('Enter');
  const renewed = await keepCodes(page);
  assert(!renewed.includes(codes[1]));

  // Logging in: a backup code stands for the app …
  await page.getByRole('button', { name: 'Log out', exact: true }).click();
  await logIn(page, user.username, user.password, renewed[0]);
  await app.getByText(`${renewed.length - 1} backup codes are left.`).waitFor();
  // … the app's next code is good …
  await page.getByRole('button', { name: 'Log out', exact: true }).click();
  await page.getByRole('button', { name: 'Log in', exact: true }).waitFor();
  await page.reload(); // another connection: one may log in five times in ten seconds
  await logIn(page, user.username, user.password, () => codeNow(secret, 1));
  // … and so is a mail, when the other factor is chosen.
  await page.getByRole('button', { name: 'Log out', exact: true }).click();
  await page.getByRole('button', { name: 'Log in', exact: true }).waitFor();
  await page.reload(); // another connection: one may log in five times in ten seconds
  await page.getByLabel('User name or e-mail address').fill(user.username);
  await page.getByLabel('Password', { exact: true }).fill(user.password);
  await page.getByRole('button', { name: 'Log in', exact: true }).click();
  await asked(page).getByLabel('Code of your authenticator app').waitFor();
  await picture(page, 'challenge-choice');
  await asked(page).getByLabel('Code by e-mail').check();
  await asked(page).getByText('Ask for a code with the button below.').waitFor();
  await asked(page).getByRole('button', { name: 'Send a code' }).click();
  await confirm(page, () => server.mailbox.code(user.email));
  await summary(page).getByText('Strong').waitFor();

  // What guards takes the strongest factor only: no choice of the mail, whatever is remembered.
  await section(page, 'Codes by e-mail').getByRole('button', { name: 'Switch off' }).click();
  await dialog(page, 'Switch codes by e-mail off?').getByRole('button', { name: 'Switch off' }).click();
  await asked(page).getByLabel('Code of your authenticator app').waitFor();
  assert.equal(await asked(page).getByRole('radio').count(), 0);
  await confirm(page, renewed[1]);
  await section(page, 'Codes by e-mail').getByRole('button', { name: 'Switch on' }).waitFor();

  await app.getByRole('button', { name: 'Remove' }).click();
  const remove = dialog(page, 'Remove the authenticator app');
  await accessible(page, 'remove the app');
  await remove.getByLabel('Code of the app, or a backup code').fill(renewed[2]);
  await remove.getByRole('button', { name: 'Remove' }).click();
  await page.getByText('The authenticator app is removed.').waitFor();
  await summary(page).getByText('Weak').waitFor();
  await close(page);
});

test('too many wrong codes are told, and codes that run out are warned of', async () => {
  // A test types faster than a person: what is asked here is how many wrong codes there may be.
  await saveSetting('DDP_Rate_Limit_Connection_By_Method_Requests_Allowed', 1000);
  await saveSetting('DDP_Rate_Limit_User_By_Method_Requests_Allowed', 1000);
  const { user, page } = await enter('ida');
  const { codes } = await enrol(page, user);
  const app = section(page, 'Authenticator app');
  for (const code of codes.slice(0, codes.length - 3)) {
    await page.getByRole('button', { name: 'Log out', exact: true }).click();
    await page.getByRole('button', { name: 'Log in', exact: true }).waitFor();
    await page.reload(); // another connection: one may log in five times in ten seconds
    await logIn(page, user.username, user.password, code);
    await summary(page).getByText('Strong').waitFor();
  }
  await app.getByText('3 backup codes are left. Make new ones').waitFor();
  await summary(page).getByRole('button', { name: 'Make new backup codes' }).waitFor();
  await accessible(page, 'few codes');
  await section(page, 'Personal access tokens').getByRole('button', { name: 'New token' }).click();
  await dialog(page, 'New token').getByLabel('Name', { exact: true }).fill('x');
  await dialog(page, 'New token').getByRole('button', { name: 'Make the token' }).click();
  for (let i = 0; i < 20; i++) {
    await confirm(page, 'AAAAAAAA');
    await asked(page).getByRole('alert').getByText(/That code is wrong|Too many wrong codes/).waitFor();
    if (await asked(page).getByRole('alert').getByText('Too many wrong codes').isVisible()) break;
  }
  await asked(page).getByRole('alert').getByText('Too many wrong codes').waitFor();
  await accessible(page, 'too many codes');
  await page.keyboard.press('Escape');
  await asked(page).waitFor({ state: 'detached' });
  await page.keyboard.press('Escape');
  await section(page, 'Personal access tokens').getByText('You have no tokens.').waitFor();
  await close(page);
});

test('two windows show the same, and one that is logged out elsewhere says so', async () => {
  const { user, page } = await enter('two', { stay: true });
  const second = await page.context().newPage();
  await second.goto(server.url);
  await summary(second).waitFor();
  const other = await browser.open(server);
  await logIn(other, user.username, user.password);
  await summary(other).getByText('Weak').waitFor();

  // Markup in a name is text, in every window.
  const name = '<img src=x onerror=alert(1)> & "Zwo"';
  await section(page, 'Name and addresses').getByRole('button', { name: 'Change: Name', exact: true }).click();
  await dialog(page, 'Change: Name').getByLabel('Name', { exact: true }).fill(name);
  await dialog(page, 'Change: Name').getByRole('button', { name: 'Save' }).click();
  for (const w of [page, second, other]) await section(w, 'Name and addresses').getByText(name).waitFor(soon);
  await section(page, 'Name and addresses').getByText('Saved.').waitFor();

  await switchMailOn(page, user);
  await summary(second).getByText('Middling').waitFor(soon);
  // A factor that is switched on ends the sessions that were made without it.
  await other.getByText('Your session was ended').waitFor();
  await other.getByRole('button', { name: 'Log in', exact: true }).waitFor();
  await accessible(other, 'ended elsewhere');
  await page.getByRole('button', { name: 'Log out', exact: true }).click();
  await second.getByRole('button', { name: 'Log in', exact: true }).waitFor(soon);
  await close(page);
  await close(other);
});

test('the password is changed, with every refusal told', async () => {
  const { user, page } = await enter('pam');
  const other = await browser.open(server);
  await logIn(other, user.username, user.password);
  await section(page, 'Password').getByRole('button', { name: 'Change the password' }).click();
  const change = dialog(page, 'Change the password');
  await accessible(page, 'change of the password');
  await change.getByText('At least 6 characters.').waitFor();
  const tried = async (old, fresh, again, said) => {
    await change.getByLabel('Password of now').fill(old);
    await change.getByLabel('New password', { exact: true }).fill(fresh);
    await change.getByLabel('New password once more').fill(again);
    await change.getByRole('button', { name: 'Change the password' }).click();
    if (said) await change.getByRole('alert').getByText(said).waitFor();
  };
  await tried(user.password, 'one thing and', 'another thing', 'The two new passwords differ.');
  await tried('not the password', 'a new long password', 'a new long password', 'The password of now is wrong.');
  await tried(user.password, 'kurz', 'kurz', 'The password does not meet the server');
  await tried(user.password, user.password, user.password, 'same as current');
  await tried(user.password, 'a new long password', 'a new long password');
  await page.getByText('The password is changed. Your other sessions were ended.').waitFor();
  await other.getByText('Your session was ended').waitFor();
  await page.getByRole('button', { name: 'Log out', exact: true }).click();
  await logIn(page, user.username, 'a new long password');
  await close(page);
  await close(other);
});

test('an address is confirmed, codes are mailed only then, and another address takes its place', async () => {
  const { user, page } = await enter('una', { verified: false });
  const account = section(page, 'Name and addresses');
  await section(page, 'Codes by e-mail').getByText('This needs a confirmed e-mail address.').waitFor();
  await section(page, 'Codes by e-mail').getByRole('button', { name: 'Confirm your e-mail address' }).click();
  assert.equal(await page.evaluate(() => document.activeElement.closest('article')?.id), 'my-account');
  await accessible(page, 'no confirmed address');
  await account.getByRole('button', { name: 'Send the link again' }).click();
  await account.getByText(`on its way to ${user.email}`).waitFor();
  const link = async (to) => {
    const mail = await server.mailbox.mail(to, /#\/verify-email\//);
    return /#\/verify-email\/[A-Za-z0-9_-]+/.exec(mail.replace(/=\r?\n/g, ''))[0];
  };
  // The first proof ends the sessions of before, so this window says so.
  const clicked = await browser.open(server, { path: await link(user.email) });
  await clicked.getByRole('button', { name: 'Confirm' }).click();
  await clicked.getByText('Your e-mail address is confirmed.').waitFor();
  await page.getByText('Your session was ended').waitFor();
  await logIn(page, user.username, user.password);
  await account.getByText('confirmed', { exact: true }).waitFor();

  await account.getByRole('button', { name: 'Change: E-mail address' }).click();
  const change = dialog(page, 'Change: E-mail address');
  await change.getByLabel('E-mail address').fill('una.two@example.org');
  await change.getByRole('button', { name: 'Save' }).click();
  await confirm(page, user.password);
  await account.getByText('Follow the link that was mailed to una.two@example.org').waitFor();
  await account.getByText(user.email).waitFor(); // stays in force until the new one is confirmed
  await close(clicked);
  await page.goto(`${server.url}/${await link('una.two@example.org')}`);
  await page.getByRole('heading', { name: 'Confirm your e-mail address' }).waitFor();
  await page.getByRole('button', { name: 'Confirm' }).click();
  await page.getByText('Your e-mail address is confirmed.').waitFor();
  await page.getByRole('link', { name: 'My security' }).click();
  await account.getByText('una.two@example.org').waitFor();

  // A taken user name is refused inside the dialogue.
  await account.getByRole('button', { name: 'Change: User name' }).click();
  await dialog(page, 'Change: User name').getByLabel('User name').fill('admin');
  await dialog(page, 'Change: User name').getByRole('button', { name: 'Save' }).click();
  await dialog(page, 'Change: User name').getByRole('alert').waitFor();
  await dialog(page, 'Change: User name').getByLabel('User name').fill('una.neu');
  await dialog(page, 'Change: User name').getByRole('button', { name: 'Save' }).click();
  await account.getByText('una.neu').waitFor();
  await close(page);
});

test('a personal access token is made with the warning, shown once, used, replaced and removed', async () => {
  const { user, page } = await enter('tom');
  const tokens = section(page, 'Personal access tokens');
  await tokens.getByText('You have no tokens.').waitFor();
  await tokens.getByRole('button', { name: 'New token' }).click();
  const add = dialog(page, 'New token');
  await add.getByText('The bypass should be used carefully because it gives super powers to who gain access to the token').waitFor();
  await add.getByLabel('Name', { exact: true }).fill('<b>bot</b>');
  await add.getByLabel('Is not asked for a second factor').check();
  await add.getByLabel('Ends').selectOption('in 30 days');
  await add.getByLabel('Allowed addresses').fill('not an address');
  await accessible(page, 'new token');
  await picture(page, 'token-new');
  await add.getByRole('button', { name: 'Make the token' }).click();
  await confirm(page, user.password);
  await add.getByRole('alert').waitFor();
  await add.getByLabel('Allowed addresses').fill('127.0.0.1, ::1');
  await add.getByRole('button', { name: 'Make the token' }).click();
  await confirm(page, user.password);
  const kept = async () => {
    const shown = dialog(page, 'Your new token');
    await shown.waitFor();
    const [token, id] = await shown.locator('.secret').allInnerTexts();
    await page.keyboard.press('Escape');
    await shown.getByRole('alert').getByText('Copy the token first').waitFor();
    await accessible(page, 'token shown');
    await shown.getByLabel('I have kept it').check();
    await shown.getByRole('button', { name: 'Done' }).click();
    await shown.waitFor({ state: 'detached' });
    return { 'X-Auth-Token': token, 'X-User-Id': id };
  };
  const works = async (headers) => (await fetch(`${server.url}/api/v1/me`, { headers })).status === 200;
  const first = await kept();
  assert(await works(first));
  assert(!(await page.content()).includes(first['X-Auth-Token']), 'the token is still in the page');
  await tokens.getByRole('heading', { name: '<b>bot</b>' }).waitFor();
  await tokens.getByText('no second factor').waitFor();
  await tokens.getByText('127.0.0.1, ::1').waitFor();
  await accessible(page, 'tokens');
  await picture(page, 'tokens');

  await tokens.getByRole('button', { name: 'Replace: <b>bot</b>' }).click();
  await dialog(page, 'Replace this token?').getByRole('button', { name: 'Replace' }).click();
  await confirm(page, user.password);
  const next = await kept();
  assert(!(await works(first)) && (await works(next)));

  await tokens.getByRole('button', { name: 'Remove: <b>bot</b>' }).click();
  await dialog(page, 'Remove this token?').getByRole('button', { name: 'Remove' }).click();
  await confirm(page, user.password);
  await tokens.getByText('You have no tokens.').waitFor();
  assert(!(await works(next)));
  await close(page);
});

test('the account is deleted where the setting allows it, which shows without a reload', async () => {
  const { user, page } = await enter('del');
  assert.equal(await section(page, 'Delete the account').count(), 0);
  await saveSetting('Accounts_AllowDeleteOwnAccount', true);
  const danger = section(page, 'Delete the account');
  await danger.waitFor(soon);
  await danger.getByRole('button', { name: 'Delete my account' }).click();
  await accessible(page, 'delete');
  await dialog(page, 'Delete the account').getByLabel('Your password').fill('not it');
  await dialog(page, 'Delete the account').getByRole('button', { name: 'Delete for good' }).click();
  await dialog(page, 'Delete the account').getByRole('alert').getByText('That is not your password.').waitFor();
  await dialog(page, 'Delete the account').getByLabel('Your password').fill(user.password);
  await dialog(page, 'Delete the account').getByRole('button', { name: 'Delete for good' }).click();
  await page.getByText('Your account is deleted.').waitFor();
  await saveSetting('Accounts_AllowDeleteOwnAccount', false);
  await close(page);
});

/** Posts to a route as the administrator. */
async function office(route, body) {
  admin ??= await fetch(`${server.url}/api/v1/login`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ user: 'admin', password: adminPassword }),
  }).then((r) => r.json());
  const answer = await fetch(`${server.url}/api/v1/${route}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json', 'X-Auth-Token': admin.data.authToken, 'X-User-Id': admin.data.userId,
      'x-2fa-code': sha256(adminPassword), 'x-2fa-method': 'password',
    },
    body: JSON.stringify(body),
  });
  assert.equal(answer.status, 200, `${route}: ${await answer.clone().text()}`);
}
let admin;

/** Whether the server has a route: the page shows no section without it. */
const serverHas = async (route) => (await fetch(`${server.url}/api/v1/${route}`)).status !== 404;

const saveSetting = (id, value) => office(`settings/${id}`, { value });

test('a removal of the app that an administrator asked for shows at once and is stopped', async () => {
  const { user, page } = await enter('rea');
  const { codes } = await enrol(page, user);
  await summary(page).getByText('Strong').waitFor();
  await saveSetting('Accounts_TwoFactorAuthentication_Reset_Delay', 1);
  await office('users.resetTOTP', { username: user.username });
  await summary(page).getByText('Weak').waitFor(soon);
  await section(page, 'Authenticator app').getByText('An administrator asked for the removal of your authenticator app.').waitFor();
  await accessible(page, 'pending reset');
  await picture(page, 'pending-reset');
  await summary(page).getByRole('button', { name: 'Stop the removal' }).click();
  await page.keyboard.press('Enter');
  await asked(page).getByText('A second proof is needed to keep what was to be removed.').waitFor();
  await confirm(page, codes[0]);
  await summary(page).getByText('Strong').waitFor();
  await section(page, 'Authenticator app').getByText('It stays.').waitFor();
  await close(page);
});

test('sessions are listed, live, and ended one by one or all at once', async (t) => {
  const { user, page } = await enter('ses');
  const sessions = section(page, 'Sessions and devices');
  if (!(await serverHas('sessions/list'))) return t.skip('this server does not list sessions'), close(page);
  await sessions.getByText('this one').waitFor();
  await summary(page).getByText('one place').waitFor();
  // A client may call itself what it likes.
  const other = await browser.open(server, { userAgent: 'Mozilla/5.0 (<b>X11</b>; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0' });
  await logIn(other, user.username, user.password);
  await sessions.getByRole('heading', { name: /Firefox 131/ }).waitFor(soon);
  await accessible(page, 'sessions');
  await picture(page, 'sessions');
  await sessions.getByRole('button', { name: /^End: Firefox 131/ }).click();
  await dialog(page, 'End this session?').getByRole('button', { name: 'End' }).click();
  await other.getByText('Your session was ended').waitFor();
  await sessions.getByRole('heading', { name: /Firefox 131/ }).waitFor({ state: 'detached' });
  await logIn(other, user.username, user.password);
  await sessions.getByRole('button', { name: 'End all others' }).click();
  await accessible(page, 'end all others');
  await dialog(page, 'End all other sessions?').getByRole('button', { name: 'End all others' }).click();
  await sessions.getByText('All other sessions are ended.').waitFor();
  await other.getByText('Your session was ended').waitFor();
  await sessions.getByRole('button', { name: /^Log out here/ }).click();
  await dialog(page, 'End this session?').getByRole('button', { name: 'Log out here' }).click();
  await page.getByRole('button', { name: 'Log in', exact: true }).waitFor();
  await close(page);
  await close(other);
});

test('what happened to the account is listed, with what another window does', async (t) => {
  const { user, page } = await enter('act');
  const activity = section(page, 'Recent activity');
  if (!(await serverHas('audit.mine'))) return t.skip('this server keeps no copy of its audit stream'), close(page);
  await activity.getByText('Login', { exact: true }).first().waitFor();
  await switchMailOn(page, user);
  await activity.getByText('Factor switched on').waitFor();
  await accessible(page, 'activity');
  await picture(page, 'activity');
  await close(page);
});

test('with the keyboard alone: into the page, codes by e-mail on and off', async () => {
  const user = await server.addUser('kim');
  const page = await browser.open(server);
  const { keyboard } = page;
  /** Presses Tab until the control has the focus. */
  const reach = async (name) => {
    for (let i = 0; i < 60; i++) {
      await keyboard.press('Tab');
      if (await page.evaluate((n) => {
        const e = document.activeElement;
        return (e?.getAttribute('aria-label') ?? e?.labels?.[0]?.textContent ?? e?.textContent ?? '').trim() === n;
      }, name)) return;
    }
    assert.fail(`${name} is not reached with Tab`);
  };
  await page.getByRole('button', { name: 'Log in', exact: true }).waitFor();
  await reach('User name or e-mail address');
  await keyboard.type('kim');
  await keyboard.press('Tab');
  await keyboard.type(user.password);
  await keyboard.press('Enter');
  await summary(page).waitFor();
  await reach('Switch on');
  await keyboard.press('Enter');
  const off = section(page, 'Codes by e-mail').getByRole('button', { name: 'Switch off' });
  await off.or(asked(page)).first().waitFor();
  if (await asked(page).isVisible()) {
    await keyboard.type(user.password);
    await keyboard.press('Enter');
  }
  await off.waitFor();
  // The focus stayed where the person was.
  assert.equal(await page.evaluate(() => document.activeElement.closest('article')?.id), 'my-mail');
  await reach('Switch off');
  await keyboard.press('Enter');
  await dialog(page, 'Switch codes by e-mail off?').waitFor();
  await reach('Switch off');
  await keyboard.press('Enter');
  await asked(page).waitFor();
  await keyboard.type(await server.mailbox.code(user.email));
  await keyboard.press('Enter');
  await section(page, 'Codes by e-mail').getByRole('button', { name: 'Switch on' }).waitFor();
  await close(page);
});

test('a machine too busy to draw takes nothing away that was typed or opened meanwhile', async () => {
  const { user, page } = await enter('hal', { viewport: { width: 380, height: 900 } });
  const { codes } = await enrol(page, user);
  await section(page, 'Codes by e-mail').getByRole('button', { name: 'Switch on' }).click();
  await confirm(page, codes[0]);
  await section(page, 'Codes by e-mail').getByRole('button', { name: 'Switch off' }).waitFor();
  // No frame is drawn from here on, and what waits for one with a time of its own waits as well, until the page is let go.
  await page.evaluate(() => {
    const held = [];
    const later = window.setTimeout;
    window.requestAnimationFrame = (f) => held.push(f);
    window.setTimeout = (f, ms, ...args) => (ms > 0 && ms < 100 ? held.push(f) : later(f, ms, ...args));
    window.drawAgain = async () => {
      while (held.length) held.shift()();
      await new Promise((done) => later(done, 0));
    };
  });
  // A menu that is opened as soon as another page shows stays open.
  const menu = page.getByRole('button', { name: 'Menu' });
  await menu.click();
  await page.getByRole('navigation').getByRole('link', { name: 'Try it' }).click();
  await page.getByRole('heading', { name: 'Try it', level: 1 }).waitFor();
  await menu.click();
  await page.evaluate(() => window.drawAgain());
  assert.equal(await menu.getAttribute('aria-expanded'), 'true');
  await page.getByRole('button', { name: 'Log out', exact: true }).click();
  await page.getByLabel('User name or e-mail address').fill(user.username);
  await page.getByLabel('Password', { exact: true }).fill(user.password);
  await page.getByRole('button', { name: 'Log in', exact: true }).click();
  const field = asked(page).locator('input[name=code]');
  for (const way of ['Authenticator app', 'Code by e-mail']) {
    await asked(page).getByRole('radio', { name: way }).check();
    await field.fill(codes[1]);
    await page.evaluate(() => window.drawAgain());
    assert.equal(await field.inputValue(), codes[1], `what was typed for ${way} before the page was drawn`);
  }
  await close(page);
});

test('the dialogue outlives the server, waits for its turn, and ends with its session', async () => {
  const expected = [/WebSocket connection/, /ERR_CONNECTION_REFUSED/];
  const { user, page } = await enter('off', { expected });
  await switchMailOn(page, user);

  // The server goes while a code is asked for: the dialogue says so, and the code is good when it is back.
  await section(page, 'Codes by e-mail').getByRole('button', { name: 'Switch off' }).click();
  await dialog(page, 'Switch codes by e-mail off?').getByRole('button', { name: 'Switch off' }).click();
  await asked(page).waitFor();
  const code = await server.mailbox.code(user.email);
  await server.down();
  await page.getByText('No connection to the server.').waitFor();
  await accessible(page, 'offline');
  await picture(page, 'offline');
  await confirm(page, code);
  await asked(page).getByRole('alert').getByText('The server cannot be reached').waitFor();
  await server.up();
  admin = undefined;
  await page.getByText('No connection to the server.').waitFor({ state: 'detached' });
  await confirm(page, code);
  await section(page, 'Codes by e-mail').getByRole('button', { name: 'Switch on' }).waitFor();

  // Two calls that are challenged at once: one question after the other, each with its own reason.
  await page.evaluate(() => {
    const press = (id, name) => [...document.querySelectorAll(`#${id} button`)].find((b) => b.textContent === name).click();
    press('my-tokens', 'New token');
    press('my-app', 'Set up');
  });
  await asked(page).getByText('to set up an authenticator app').waitFor();
  await page.evaluate(() => {
    const name = document.querySelector('dialog input[name=name]');
    name.value = 'both';
    name.form.requestSubmit();
  });
  await asked(page).getByText('to set up an authenticator app').waitFor();
  await confirm(page, user.password);
  await asked(page).getByText('to make a personal access token').waitFor();
  assert.equal(await asked(page).count(), 1);

  // The account is ended elsewhere while it is asked: the question goes with the session.
  await server.addUser('other');
  const elsewhere = await fetch(`${server.url}/api/v1/login`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ user: user.username, password: user.password }),
  }).then((r) => r.json());
  const ended = await fetch(`${server.url}/api/v1/users.removeOtherTokens`, {
    method: 'POST', headers: { 'content-type': 'application/json', 'X-Auth-Token': elsewhere.data.authToken, 'X-User-Id': elsewhere.data.userId }, body: '{}',
  });
  assert.equal(ended.status, 200);
  await page.getByText('Your session was ended').waitFor();
  assert.equal(await page.getByRole('dialog').count(), 0);
  await close(page);
});
