// The first screen of the README as a person follows it: the server as `make run`
// starts it, without a mail server, and everything else in the browser.

import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Browser, Server, accessible, close, confirm, logIn, picture } from './support/world.mjs';
import { codeNow } from './support/totp.mjs';

let browser;
before(async () => {
  browser = await Browser.start();
});
after(async () => {
  await browser?.stop();
});

const section = (page, title) => page.locator('article.card').filter({ has: page.getByRole('heading', { name: title, level: 2 }) });
const asked = (page) => page.getByRole('dialog', { name: 'Confirm that it is you' });

/** Opens the outbox in the tab that the page offers; the tab is logged in, and asks for the password. */
async function openOutbox(page) {
  const opened = page.context().waitForEvent('page');
  await page.getByRole('link', { name: 'Open the outbox in a new tab' }).click();
  const tab = await opened;
  tab.on('pageerror', (e) => page.troubles.push(`error of the outbox: ${e.message}`));
  tab.on('console', (m) => m.type() === 'error' && page.troubles.push(`outbox: ${m.text()}`));
  await asked(tab).getByText('A second proof is needed to read mails to other people.').waitFor();
  return tab;
}

/** Reads the newest code there, once there are so many mails. */
async function newestCode(tab, count) {
  const mails = tab.locator('article.card').filter({ has: tab.getByRole('button', { name: /^Copy \d{3}-\d{3}$/ }) });
  await mails.nth(count - 1).waitFor();
  assert.equal(await mails.count(), count);
  const name = await mails.first().getByRole('button', { name: /^Copy/ }).innerText();
  return name.replace(/\D/g, '');
}

async function sendCall(page, n) {
  await page.getByLabel('Name', { exact: true }).fill('setUserStatus');
  await page.getByLabel('Parameters, as a JSON list').fill('["away", "On a walk"]');
  await page.getByRole('button', { name: 'Send', exact: true }).click();
  await page.locator('ol.frames code').filter({ hasText: new RegExp(`"id":"try${n}","error":\\{.*totp-required`) }).waitFor();
  await page.getByRole('heading', { name: 'The call was challenged' }).waitFor();
}

async function answerCall(page, n, code) {
  await page.locator('input[name=answer]').fill(code);
  await page.getByRole('button', { name: 'Send the answer' }).click();
  const result = page.locator('ol.frames code').filter({ hasText: new RegExp(`"msg":"result","id":"try${n}"`) });
  await result.waitFor();
  assert.doesNotMatch(await result.innerText(), /"error"/);
}

async function goTo(page, name) {
  await page.getByRole('link', { name, exact: true }).click();
  await page.getByRole('heading', { name, level: 1 }).waitFor();
}

test('the tour of the README: protect a call, switch factors on, be challenged, pass, all in the browser', async () => {
  // No MAIL_URL and no password: the server makes one up and prints it, as at a first start.
  const server = await Server.start({ MAIL_URL: undefined, MAIL_FROM: undefined, ADMIN_USERNAME: undefined, ADMIN_EMAIL: undefined, ADMIN_PASS: undefined });
  try {
    const printed = server.printed.map((line) => /^Administrator: (\S+) Password: (\S+)$/.exec(line)).find(Boolean);
    assert(printed, `no password is printed: ${server.printed.join('\n')}`);
    const [, name, password] = printed;
    const page = await browser.open(server);
    await logIn(page, name, password);

    await goTo(page, 'Protected calls');
    await page.getByLabel('Search calls').fill('setUserStatus');
    await page.getByRole('switch', { name: 'Protect setUserStatus', exact: true }).check();
    await page.getByRole('button', { name: 'Save' }).click();
    await confirm(page, password);
    await page.getByRole('status').getByText('The list is saved and in force.').waitFor();

    await goTo(page, 'My security');
    await section(page, 'Codes by e-mail').getByRole('button', { name: 'Switch on' }).click();
    await section(page, 'Codes by e-mail').getByRole('button', { name: 'Switch off' }).waitFor();

    // The call is asked for a code, which is in the outbox of the server.
    await goTo(page, 'Try it');
    await page.getByText('Connected, session').waitFor();
    await sendCall(page, 1);
    const tab = await openOutbox(page);
    await asked(tab).getByLabel('Your password').waitFor();
    await asked(tab).getByText('A code by e-mail is no proof for this').waitFor();
    await accessible(tab, 'outbox, asked');
    await confirm(tab, password);
    const first = await newestCode(tab, 1);
    await accessible(tab, 'outbox with a code');
    await answerCall(page, 2, first);

    // The authenticator app is asked about with another code, which the open outbox shows by itself.
    await goTo(page, 'My security');
    await section(page, 'Authenticator app').getByRole('button', { name: 'Set up' }).click();
    await asked(page).getByText('This server sends no mail').waitFor();
    await asked(page).getByRole('link', { name: 'Open the outbox in a new tab' }).waitFor();
    await accessible(page, 'challenge, the mail is kept');
    await picture(asked(page).getByRole('article'), 'challenge-outbox');
    const second = await newestCode(tab, 2);
    assert.notEqual(second, first);
    await confirm(page, second);
    const setUp = page.getByRole('dialog', { name: 'Set up an authenticator app' });
    await setUp.getByRole('img', { name: 'QR code with the secret' }).waitFor();
    const secret = await setUp.locator('.secret').innerText();
    await setUp.getByLabel('First code that the app shows').fill(codeNow(secret));
    await setUp.getByRole('button', { name: 'Switch on' }).click();
    const codes = page.getByRole('dialog', { name: 'Your backup codes' });
    await codes.waitFor();
    await codes.getByLabel('I have kept them').check();
    await codes.getByRole('button', { name: 'Done' }).click();
    await codes.waitFor({ state: 'detached' });

    // From now on the app is asked first, and opens the outbox, too.
    await goTo(page, 'Try it');
    await page.getByText('Connected, session').waitFor();
    await sendCall(page, 1);
    assert.equal(await page.getByRole('combobox', { name: 'Factor' }).inputValue(), 'totp');
    await answerCall(page, 2, codeNow(secret, 1));
    await goTo(page, 'Outbox');
    await asked(page).getByLabel('Code of your authenticator app').waitFor();
    await page.keyboard.press('Escape');
    await asked(page).waitFor({ state: 'detached' });

    await tab.close();
    await close(page);
  } finally {
    await server.stop();
  }
});

/** The code in the newest file of the outbox, as the dialogue tells people to find it. */
async function codeInFiles(server, count) {
  const dir = join(server.dir, 'outbox');
  for (;;) {
    const files = (await readdir(dir).catch(() => [])).filter((f) => f.endsWith('.eml')).sort();
    const texts = await Promise.all(files.map((f) => readFile(join(dir, f), 'utf8')));
    const codes = texts.map((t) => /^(\d{3})-(\d{3})\s*$/m.exec(t)).filter(Boolean);
    if (codes.length >= count) return codes.at(-1)[1] + codes.at(-1)[2];
    await new Promise((again) => setTimeout(again, 50));
  }
}

test('who may not see the outbox, or is not logged in yet, is told where the code is', async () => {
  const server = await Server.start({ MAIL_URL: '' });
  try {
    const { username, password } = await server.addUser('vera');
    const page = await browser.open(server);
    await logIn(page, username, password);
    const mail = section(page, 'Codes by e-mail');
    await mail.getByRole('button', { name: 'Switch on' }).click();
    await mail.getByRole('button', { name: 'Switch off' }).waitFor();
    await page.getByRole('button', { name: 'Log out', exact: true }).click();

    await page.getByLabel('User name or e-mail address').fill(username);
    await page.getByLabel('Password', { exact: true }).fill(password);
    await page.getByRole('button', { name: 'Log in', exact: true }).click();
    await asked(page).getByText('The code is in the newest file of the folder “outbox” in the server’s data').waitFor();
    assert.equal(await asked(page).getByRole('link').count(), 0);
    await accessible(page, 'login, the mail is kept');
    await confirm(page, await codeInFiles(server, 1));

    await mail.getByRole('button', { name: 'Switch off' }).click();
    await page.getByRole('dialog', { name: 'Switch codes by e-mail off?' }).getByRole('button', { name: 'Switch off' }).click();
    await asked(page).getByText('Ask an administrator for the code').waitFor();
    await asked(page).getByRole('button', { name: 'Make another code' }).click();
    await asked(page).getByText('Another code was made.').waitFor();
    assert.equal(await asked(page).getByRole('link').count(), 0);
    await confirm(page, await codeInFiles(server, 3));
    await mail.getByRole('button', { name: 'Switch on' }).waitFor();
    await close(page);
  } finally {
    await server.stop();
  }
});
