// Lists that the server cuts, gone through by a person, and trust that is forgotten.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { accessible, adminPassword, close, confirm, logIn, stage } from './support/world.mjs';

const accounts = 55, logins = 30;
/** With the administrator, and who logs in again and again. */
const all = accounts + 2;
let server, browser;
// What is made here in a moment is what a year makes.
stage(async (s, b) => {
  [server, browser] = [s, b];
  const admin = await inside('admin', adminPassword);
  for (let n = 0; n < accounts; n++) {
    const username = `guest${String(n).padStart(2, '0')}`;
    await admin('users.create', { username, email: `${username}@example.org`, name: username, password: `${username} and a long password`, verified: true });
  }
  const { username, password } = await server.addUser('lena');
  for (let n = 0; n < logins; n++) await inside(username, password, `Reader${n}/1`);
}, { OVERWRITE_SETTING_API_Enable_Rate_Limiter: 'false' });

/** Logs in over REST; what is returned posts as somebody whose password proves every call. */
async function inside(username, password, agent = 'lists') {
  const send = async (route, body, headers = {}) => {
    const r = await fetch(`${server.url}/api/v1/${route}`, {
      method: 'POST', headers: { 'Content-Type': 'application/json', 'User-Agent': agent, ...headers }, body: JSON.stringify(body),
    });
    const answer = await r.json();
    assert(r.ok, `${route}: ${JSON.stringify(answer)}`);
    return answer;
  };
  const { data } = await send('login', { user: username, password });
  const headers = { 'X-User-Id': data.userId, 'X-Auth-Token': data.authToken, 'x-2fa-code': createHash('sha256').update(password).digest('hex'), 'x-2fa-method': 'password' };
  return (route, body) => send(route, body, headers);
}

test('accounts, sessions and events beyond the first page are a click away', async () => {
  const page = await browser.open(server);
  await logIn(page, 'admin', adminPassword);
  const pager = page.getByRole('navigation', { name: 'Pages' });
  const rows = () => page.getByRole('rowheader').allInnerTexts();

  await page.getByRole('link', { name: 'Users' }).click();
  await pager.getByText(`1–50 of ${all}`).waitFor();
  const first = await rows();
  assert(await pager.getByRole('button', { name: 'Previous' }).isDisabled());
  await pager.getByRole('button', { name: 'Next' }).click();
  await pager.getByText(`51–${all} of ${all}`).waitFor();
  assert(await pager.getByRole('button', { name: 'Next' }).isDisabled());
  const second = await rows();
  assert.equal(new Set([...first, ...second]).size, all, 'the two pages are not the list');
  // The page is in the address; another question begins with its first page.
  await page.reload();
  await pager.getByText(`51–${all} of`).waitFor();
  await page.getByLabel('Search name, user name or address').fill('guest');
  await pager.getByText(`1–50 of ${accounts}`).waitFor();
  await accessible(page, 'users, pages');

  await page.getByRole('link', { name: 'Sessions', exact: true }).click();
  await pager.getByText(/^1–25 of \d+$/).waitFor();
  await page.getByLabel('Search by user, client or address').fill('lena');
  await pager.getByText(`1–25 of ${logins}`).waitFor();
  await pager.getByRole('button', { name: 'Next' }).click();
  await pager.getByText(`26–${logins} of ${logins}`).waitFor();
  // Newest first: the first that was made is the last that is shown.
  await page.getByRole('row', { name: 'Reader0 1' }).waitFor();
  await pager.getByRole('button', { name: 'Previous' }).click();
  await page.getByRole('row', { name: `Reader${logins - 1} 1` }).waitFor();

  await page.getByRole('link', { name: 'Audit', exact: true }).click();
  await page.getByRole('combobox', { name: /^Act\b/ }).selectOption('account_created');
  const made = page.getByRole('row', { name: /account_created ok/ });
  await page.getByRole('row', { name: /login ok/ }).first().waitFor({ state: 'detached' });
  const total = Number.parseInt(await page.getByText(/^\d+ events$/).innerText(), 10);
  assert(total >= accounts, `${total} events`);
  assert.equal(await made.count(), 50);
  await page.getByRole('button', { name: 'Older events' }).click();
  await page.getByText('That is all.').waitFor();
  assert.equal(await made.count(), total);
  await close(page);
});

test('trust is forgotten for one device, and for all', async () => {
  const page = await browser.open(server);
  await logIn(page, 'admin', adminPassword);
  const card = page.locator('article').filter({ has: page.getByRole('heading', { name: 'Sessions and devices', level: 2 }) });
  const of = (client) => card.getByRole('listitem').filter({ hasText: client });
  const forget = (client) => of(client).getByRole('button', { name: /^Ask again here/ });
  /** Logs in with another program and ends somebody's session, which asks once and not again for a while. */
  const trusted = async (userAgent) => {
    const other = await browser.open(server, { userAgent });
    await logIn(other, 'admin', adminPassword);
    await other.getByRole('link', { name: 'Sessions', exact: true }).click();
    await other.getByLabel('Search by user, client or address').fill('lena');
    await other.waitForFunction(() => !/admin/.test(document.querySelector('tbody')?.textContent ?? 'admin'));
    const end = async () => {
      await other.getByRole('row', { name: /^lena/ }).first().getByRole('button', { name: 'End' }).click();
      await other.getByRole('dialog', { name: 'End this session?' }).getByRole('button', { name: 'End', exact: true }).click();
    };
    await end();
    await confirm(other, adminPassword);
    await other.getByText('The session was ended.').waitFor();
    return { other, end };
  };
  const tablet = await trusted('Tablet/1');
  await trusted('Kiosk/2').then(({ other }) => close(other));
  await forget('Tablet').waitFor();
  await forget('Kiosk').waitFor();
  await accessible(page, 'trusted devices');
  await forget('Kiosk').click();
  await forget('Kiosk').waitFor({ state: 'detached' });
  await forget('Tablet').waitFor();

  // For all: nobody is logged out, and whoever was trusted is asked again.
  await trusted('Phone/3').then(({ other }) => close(other));
  await forget('Phone').waitFor();
  await card.getByRole('button', { name: 'Forget all trust' }).click();
  await forget('Tablet').waitFor({ state: 'detached' });
  await forget('Phone').waitFor({ state: 'detached' });
  await of('Tablet').waitFor();
  await tablet.end();
  await tablet.other.getByRole('dialog', { name: 'Confirm that it is you' }).waitFor();
  await close(tablet.other);
  await close(page);
});
