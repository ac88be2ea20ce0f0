// Logging in, registering and the links of mails, in a browser.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accessible, adminPassword, close, logIn, picture, stage } from './support/world.mjs';

let server, browser;
stage((s, b) => {
  [server, browser] = [s, b];
});

test('a wrong password is told, a right one opens the own page, logging out closes it', async () => {
  const page = await browser.open(server);
  await page.getByRole('button', { name: 'Log in', exact: true }).waitFor();
  await accessible(page, 'login');
  await picture(page, 'login');
  await page.getByLabel('User name or e-mail address').fill('admin');
  await page.getByLabel('Password', { exact: true }).fill('not it');
  await page.getByRole('button', { name: 'Log in', exact: true }).click();
  await page.getByRole('alert').getByText('The name or the password is wrong.').waitFor();
  await logIn(page, 'admin', adminPassword);
  // A reload stays logged in; the session is kept in this tab only.
  await page.reload();
  await page.getByRole('heading', { name: 'My security' }).waitFor();
  assert.equal(await page.evaluate(() => localStorage.length), 0);
  await page.getByRole('button', { name: 'Log out', exact: true }).click();
  await page.getByRole('button', { name: 'Log in', exact: true }).waitFor();
  assert.equal(await page.evaluate(() => localStorage.length + sessionStorage.length), 0);
  await close(page);
});

test('who stays logged in is logged in in the next tab, and logging out there ends both', async () => {
  const page = await browser.open(server);
  await page.getByLabel('Stay logged in on this device').check();
  await logIn(page, 'admin', adminPassword);
  const second = await page.context().newPage();
  await second.goto(server.url);
  await second.getByRole('heading', { name: 'My security' }).waitFor();
  await second.getByRole('button', { name: 'Log out', exact: true }).click();
  await page.getByRole('button', { name: 'Log in', exact: true }).waitFor();
  await close(page);
});

test('a person makes an account, loses its password and sets another by mail', async () => {
  const page = await browser.open(server);
  await page.getByRole('link', { name: 'Make an account' }).click();
  await page.getByRole('heading', { name: 'Make an account' }).waitFor();
  await accessible(page, 'register');
  await page.getByLabel('Name', { exact: true }).fill('<b>Nora</b> "Neu"');
  await page.getByLabel('User name').fill('nora');
  await page.getByLabel('E-mail address').fill('nora@example.org');
  await page.getByLabel('Password').fill('nora has a long password');
  await page.getByRole('button', { name: 'Make the account' }).click();
  await page.getByText('The account is made.').waitFor();
  await page.getByRole('link', { name: 'Back to the login' }).click();
  await page.getByRole('link', { name: 'Forgot the password?' }).click();
  await page.getByRole('heading', { name: 'Forgot the password?' }).waitFor();
  await accessible(page, 'forgot');
  await page.getByLabel('E-mail address').fill('nora@example.org');
  await page.getByRole('button', { name: 'Send the link' }).click();
  await page.getByText('the mail is on its way').waitFor();
  const mail = await server.mailbox.mail('nora@example.org', /#\/reset-password\//);
  const [, token] = /#\/reset-password\/([A-Za-z0-9_-]+)/.exec(mail.replace(/=\r?\n/g, ''));
  await page.goto(`${server.url}/#/reset-password/${token}`);
  await page.getByRole('heading', { name: 'Choose a new password' }).waitFor();
  assert(!page.url().includes(token), 'the token stays in the address bar');
  await accessible(page, 'reset');
  await page.getByLabel('New password').fill('nora has another password');
  await page.getByLabel('Once more').fill('something else');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('The two passwords differ.').waitFor();
  await page.getByLabel('Once more').fill('nora has another password');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Your password is set.').waitFor();
  await page.getByRole('link', { name: 'Back to the login' }).click();
  // The link proved the address, so codes by mail are on from now on.
  await logIn(page, 'nora', 'nora has another password', () => server.mailbox.code('nora@example.org'));
  await close(page);
});
