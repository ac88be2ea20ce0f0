// What hostile people try with the console: texts that are markup, on every page; a
// frame around it; addresses and referrers that tell tokens; pages of administrators
// opened by somebody who is none.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { adminPassword, close, confirm, logIn, stage } from './support/world.mjs';

let server, browser, eve, admin;
// No MAIL_URL: mails are files, and the outbox shows them.
stage(async (s, b) => {
  [server, browser] = [s, b];
  eve = await server.addUser('eve');
  admin = await caller('admin', adminPassword);
}, { MAIL_URL: '', OVERWRITE_SETTING_API_Enable_Rate_Limiter_Limit_Calls_Default: '100' }); // a setting after the other is changed here

/** Markup that says where it was put, and does something if a page takes it for markup. */
const markup = (where) => `${where}<img src=x onerror=hit=1><b class=hit>`;

/** Somebody on REST, with the password as proof in every request. */
async function caller(user, password, agent = 'a script') {
  const headers = { 'Content-Type': 'application/json', 'User-Agent': agent };
  const ask = async (verb, path, body) => {
    const answer = await fetch(`${server.url}/api/v1/${path}`, { method: verb, headers, body: body && JSON.stringify(body) });
    return answer.json();
  };
  const { data } = await ask('POST', 'login', { user, password });
  if (!data) return null;
  const proof = createHash('sha256').update(password).digest('hex');
  Object.assign(headers, { 'X-User-Id': data.userId, 'X-Auth-Token': data.authToken, 'x-2fa-method': 'password', 'x-2fa-code': proof });
  return { id: data.userId, token: data.authToken, ask };
}

/** Puts markup into everything that somebody may choose, and tells what was taken. */
async function poison() {
  const taken = new Set();
  const note = (where, answer) => (answer?.success === false || answer?.status === 'error' ? undefined : taken.add(where));
  const hers = await caller(eve.username, eve.password, markup('agent'));
  note('agent', hers);
  await caller(markup('login'), 'wrong', markup('failed'));
  note('name', await admin.ask('POST', 'users.update', { userId: hers.id, data: { name: markup('name'), statusText: markup('status') } }));
  for (const who of [hers, admin]) note('token', await who.ask('POST', 'users.generatePersonalAccessToken', { tokenName: markup('token') }));
  await admin.ask('POST', 'users.create', { username: 'reg', name: markup('made'), email: 'reg@example.org', password: eve.password });
  const settings = [];
  for (let total = 1; settings.length < total;) {
    const page = await admin.ask('GET', `settings?offset=${settings.length}`);
    settings.push(...page.settings);
    ({ total } = page);
  }
  for (const s of settings) {
    // What decides who may log in stays, so that the pages can be opened.
    if (typeof s.value !== 'string' || /Roles|Regex|Validation|RegistrationForm$|Address/.test(s._id)) continue;
    note(`setting ${s._id}`, await admin.ask('POST', `settings/${s._id}`, { value: markup(s._id) }));
  }
  await admin.ask('POST', 'users.forgotPassword', { email: eve.email });
  await admin.ask('GET', `${encodeURIComponent(markup('route'))}`);
  return { taken, hers };
}

/** The addresses of all pages that are in somebody's menu. */
const menu = async (page) => page.getByRole('navigation').locator('a[href^="#/"]').evaluateAll((all) => all.map((a) => a.getAttribute('href')));

/** Everything that is shown, the values of fields too. */
const shown = (page) =>
  page.evaluate(() => document.body.innerText + [...document.querySelectorAll('input, textarea, select, option, [title], [aria-label]')].map(
    (e) => `\n${e.value ?? ''}\n${e.title ?? ''}\n${e.getAttribute('aria-label') ?? ''}`).join(''));

/** Nothing that was put in as text became an element or ran. */
async function harmless(page, where) {
  const found = await page.evaluate(() => ({
    ran: 'hit' in window,
    elements: [...document.querySelectorAll('.hit, img[src="x"], [onerror], iframe, object, embed, base, a[href^="javascript:"]')].map((e) => e.outerHTML),
  }));
  assert.deepEqual(found, { ran: false, elements: [] }, where);
}

/** Waits until a page has what it shows. */
async function drawn(page) {
  await page.locator('main h1, main [role=alert]').first().waitFor();
  await page.waitForFunction(() => !document.querySelector('main [aria-busy=true]'));
}

test('whatever people choose is shown as text on every page, and no address tells a token', async () => {
  const { taken, hers } = await poison();
  for (const where of ['agent', 'name', 'token', 'setting Site_Name']) assert(taken.has(where), `${where} was refused, so that nothing is tried with it: ${[...taken]}`);
  const page = await browser.open(server, { userAgent: markup('window') });
  const requests = [];
  page.on('request', (r) => requests.push(r));
  page.on('dialog', (d) => page.troubles.push(`a dialogue: ${d.message()}`));
  await logIn(page, 'admin', adminPassword);
  // What is to be seen on a page; the others are walked all the same.
  const expected = {
    '#/security': ['token<img', 'window<img'],
    '#/settings': ['Site_Name<img'],
    '#/users': ['name<img', 'made<img'],
    '#/sessions': ['agent<img', 'window<img'],
    '#/audit': ['agent<img', 'failed<img'],
    '#/outbox': ['Site_Name<img'],
    [`#/users/${hers.id}`]: ['name<img'],
  };
  const addresses = await menu(page);
  assert(addresses.length >= 9, `only these pages: ${addresses}`);
  for (const address of [...addresses, `#/users/${hers.id}`]) {
    await page.goto(`${server.url}/${address}`);
    if (address === '#/outbox') await confirm(page, adminPassword);
    await drawn(page);
    await page.evaluate(() => document.querySelectorAll('main details').forEach((d) => (d.open = true)));
    for (const text of expected[address] ?? []) {
      await page.waitForFunction((wanted) => [document.body.innerText, ...[...document.querySelectorAll('input, textarea')].map((e) => e.value)].join('\n').includes(wanted), text).catch(async (e) => {
        throw new Error(`${address} does not show ${text}: ${await shown(page)}`, { cause: e });
      });
    }
    await harmless(page, address);
    // Addresses are chosen by whoever sends somebody a link.
    for (const tail of ['/%E0%A4%A', '/%3Cimg%20src=x%20onerror=hit=1%3E', '?q=%3Cimg%20src=x%20onerror=hit=1%3E&search=%3Cb%20class=hit%3E&user=%3Cb%20class=hit%3E', '/..%2f..%2f']) {
      await page.goto(`${server.url}/${address}${tail}`);
      await drawn(page);
      await harmless(page, address + tail);
    }
  }
  const token = await page.evaluate(() => JSON.parse(Object.values(sessionStorage)[0]).token);
  for (const r of requests) {
    const { referer } = await r.allHeaders();
    assert(!referer, `${r.url()} is told a referrer`);
    assert(!r.url().includes(token) && !r.url().includes(encodeURIComponent(token)), `the token is in ${r.url()}`);
  }
  assert(!page.url().includes(token));
  assert.equal((await page.context().cookies()).length, 0);
  await close(page);
});

test('frames that carry markup are shown as text, and whatever is secret in a call is not shown', async () => {
  const page = await browser.open(server);
  await logIn(page, eve.username, eve.password);
  await page.goto(`${server.url}/#/try`);
  await page.getByText('Connected, session').waitFor();
  // The names of members that hold secrets are those that the surface tells of.
  const { methods } = await admin.ask('GET', 'server.surface');
  const names = new Set(methods.flatMap((m) => m.params.match(/\b\w*(password|secret|token|code|digest|pass)\w*\b/gi) ?? []));
  for (const name of ['tokenName', 'ddpMethod', 'passwordSet', 'protectedCalls', 'codes', 'bypassTwoFactor', 'lastTokenPart', 'token', 'password', 'code']) names.delete(name);
  await page.getByLabel('A frame as it is').check();
  const send = async (frame) => {
    await page.getByLabel('The frame, as a JSON object').fill(JSON.stringify(frame));
    await page.getByRole('button', { name: 'Send', exact: true }).click();
  };
  let n = 0;
  for (const name of ['token', 'password', 'code', 'codes', ...names]) {
    const method = `attack:${++n}`; // a name of its own, which no limit counts with the others
    await send({ msg: 'method', id: method, method, params: [{ [name]: `hidden-${n}`, shown: markup(`params${n}`) }] });
    await page.locator('ol.frames code').filter({ hasText: `params${n}<img` }).waitFor();
    assert(!(await page.locator('ol.frames').innerText()).includes(`hidden-${n}`), `${name} is shown`);
  }
  await send({ msg: 'method', id: 'setting', method: 'attack:setting', params: [[{ _id: 'An_Account_Password', value: 'hidden-value', shown: markup('setting') }]] });
  await page.locator('ol.frames code').filter({ hasText: 'setting<img' }).waitFor();
  assert(!(await page.locator('ol.frames').innerText()).includes('hidden-value'), 'the value of a secret setting is shown');
  await send({ msg: 'sub', id: 'attack', name: 'stream-room-messages', params: [markup('room'), { args: [markup('args')] }] });
  await page.locator('ol.frames code').filter({ hasText: 'args<img' }).waitFor();
  await harmless(page, 'frames');
  await close(page);
  // Mails hold codes and links.
  const office = await browser.open(server);
  await logIn(office, 'admin', adminPassword);
  await office.goto(`${server.url}/#/try`);
  await office.getByText('Connected, session').waitFor();
  await admin.ask('POST', 'users.forgotPassword', { email: eve.email });
  const proof = { twoFactorCode: createHash('sha256').update(adminPassword).digest('hex'), twoFactorMethod: 'password' };
  await office.getByLabel('Name', { exact: true }).fill('outbox:list');
  await office.getByLabel('Parameters, as a JSON list').fill(JSON.stringify([{}, proof]));
  await office.getByRole('button', { name: 'Send', exact: true }).click();
  await office.locator('ol.frames code').filter({ hasText: '"mails":[{' }).waitFor();
  assert(!/reset-password|enroll-account/.test(await office.locator('ol.frames').innerText()), 'a link of a mail is shown');
  await close(office);
});

test('no other page puts the console into a frame', async () => {
  const other = createServer((q, a) => a.setHeader('Content-Type', 'text/html').end(`<title>other</title><iframe src="${server.url}${q.url}"></iframe>`));
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  const context = await browser.chromium.newContext();
  try {
    for (const path of ['/', '/console/', '/none', '/api/docs', '/livez', '/avatar/eve', '/sockjs/info']) {
      const page = await context.newPage();
      const refused = page.waitForEvent('console', { predicate: (m) => /frame-ancestors|X-Frame-Options/i.test(m.text()), timeout: 600_000 });
      await page.goto(`http://localhost:${other.address().port}${path}`);
      await refused;
      for (const frame of page.frames().slice(1)) assert(!(await frame.locator('#app').count()), `${path} is drawn in a frame`);
      await page.close();
    }
  } finally {
    await context.close();
    other.closeAllConnections();
    other.close();
  }
});

test('who is no administrator sees no page of theirs, and gets nothing of it in any frame', async () => {
  const page = await browser.open(server);
  const frames = [];
  page.on('websocket', (ws) => ws.on('framereceived', (f) => frames.push(String(f.payload))));
  await page.reload(); // the socket that was there before is not listened to
  await logIn(page, eve.username, eve.password);
  const own = await menu(page);
  const theirs = await browser.open(server);
  await logIn(theirs, 'admin', adminPassword);
  const pages = (await menu(theirs)).filter((a) => !own.includes(a));
  await close(theirs);
  assert(pages.length >= 7, `only these pages: ${pages}`);
  for (const address of [...pages, `#/users/${admin.id}`, `#/users/${admin.id}?x=1`]) {
    await page.goto(`${server.url}/${address}`);
    await page.getByRole('alert').getByText('You may not').or(page.getByRole('alert')).first().waitFor();
    const text = await shown(page);
    for (const secret of ['admin@example.org', 'made<img', 'failed<img', admin.id]) assert(!text.includes(secret), `${address} shows ${secret}`);
  }
  await admin.ask('POST', 'users.update', { userId: admin.id, data: { name: 'Another' } }); // news of each kind
  await page.goto(`${server.url}/#/security`);
  await drawn(page);
  assert(frames.length > 5, 'no frame was seen');
  for (const f of frames) {
    for (const secret of ['admin@example.org', 'reg@example.org', 'made<img', 'failed<img', 'stream-audit', 'neverLoggedIn\\":', 'goroutines\\":', admin.id]) {
      assert(!f.includes(secret) || f.includes('\\"methods\\"'), `${secret} in ${f.slice(0, 300)}`);
    }
  }
  await close(page);
});
