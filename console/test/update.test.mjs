// A console that stays open while the server gets another one.

import { test } from 'node:test';
import { Server, accessible, adminPassword, close, logIn, picture, stage } from './support/world.mjs';

let server, browser;
stage((s, b) => {
  [server, browser] = [s, b];
});

/** A window whose connection is lost with cut, and refused while away is set. */
async function open(options = {}) {
  const page = await browser.open(server, { expected: [/WebSocket/, /ERR_INTERNET_DISCONNECTED/], ...options });
  const line = { away: false, cut: () => {} };
  await page.routeWebSocket(/websocket$/, (ws) => {
    if (line.away) return void ws.close();
    ws.connectToServer();
    line.cut = () => ws.close();
  });
  await page.reload();
  await logIn(page, 'admin', adminPassword);
  return { page, line };
}

/** Loses the connection, and waits until the page looked whether it is still the server's. */
async function reconnect(page, line) {
  const looked = page.waitForResponse((r) => r.url() === `${server.url}/` && r.request().resourceType() === 'fetch');
  line.cut();
  await (await looked).finished();
}

test('an updated server is told of, and the page goes on until it is loaded anew', async () => {
  const { page, line } = await open();
  const banner = page.getByRole('status').filter({ hasText: 'The server was updated.' });
  await reconnect(page, line);
  await page.getByRole('link', { name: 'Audit', exact: true }).click();
  await page.getByRole('row', { name: /login ok admin/ }).first().waitFor();
  if (await banner.count()) throw new Error('told of an update that was none');

  await page.route(`${server.url}/`, async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, body: (await answer.text()).replace(/index-[^".]*\.js/, 'index-of-tomorrow.js') });
  });
  await reconnect(page, line);
  await banner.waitFor();
  await accessible(page, 'updated');
  await picture(page, 'updated');
  await page.setViewportSize({ width: 360, height: 700 });
  await accessible(page, 'updated, narrow');
  await page.setViewportSize({ width: 1200, height: 900 });
  await page.getByRole('row', { name: /login ok admin/ }).first().waitFor();
  await page.unroute(`${server.url}/`);
  await banner.getByRole('button', { name: 'Reload' }).click();
  await banner.waitFor({ state: 'detached' });
  await page.getByRole('row', { name: /login ok admin/ }).first().waitFor();
  await close(page);
});

test('a page that is gone offers to load the console anew, one that cannot be reached waits', async () => {
  const { page, line } = await open();
  await page.route(/console\/audit-.*\.js/, (route) => route.fulfill({ status: 404, body: 'Not Found' }));
  await page.getByRole('link', { name: 'Audit', exact: true }).click();
  await page.getByRole('alert').getByText('This page could not be loaded. The server may have been updated').waitFor();
  await accessible(page, 'page gone');
  await picture(page, 'page-gone');
  await page.unroute(/console\/audit-.*\.js/);
  await page.getByRole('button', { name: 'Reload' }).click();
  await page.getByRole('row', { name: /login ok admin/ }).first().waitFor();

  line.away = true;
  line.cut();
  await page.getByRole('status').getByText('No connection to the server').waitFor();
  await page.route(/console\/server-.*\.js/, (route) => route.abort('internetdisconnected'));
  await page.getByRole('link', { name: 'Server', exact: true }).click();
  await page.getByRole('alert').getByText('because the server cannot be reached').waitFor();
  await page.unroute(/console\/server-.*\.js/);
  line.away = false;
  await page.getByRole('heading', { name: 'Server', level: 1 }).waitFor();
  await close(page);
});
