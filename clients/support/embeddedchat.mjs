// EmbeddedChat's widget in a page of its own origin, as somebody who embeds it has it: the published
// package, put into one script, in Chromium. Nothing of the widget is replaced; what it asks of the server is noted.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { rolldown } from 'rolldown';
import { executable } from './browser.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const patience = Number(process.env.CONSOLE_PATIENCE ?? 600_000);

const source = `
import { createElement } from 'react';
import { createRoot } from 'react-dom/client';
import { EmbeddedChat } from '@embeddedchat/react';
createRoot(document.getElementById('root')).render(createElement(EmbeddedChat, JSON.parse(document.getElementById('options').textContent)));
`;

async function bundle() {
  const made = await rolldown({
    input: 'widget',
    cwd: here,
    platform: 'browser',
    logLevel: 'silent',
    transform: { define: { 'process.env.NODE_ENV': '"production"', 'process.env': '{}' } },
    plugins: [{
      name: 'widget',
      resolveId: (id) => (id === 'widget' ? join(here, 'widget.mjs') : null),
      load: (id) => (id === join(here, 'widget.mjs') ? source : null),
    }],
  });
  const { output } = await made.generate({ format: 'iife' });
  await made.close();
  return output[0].code;
}

// One grey point, which stands for the pictures of emoji that the widget would fetch from a network of its own.
const point = Buffer.from('R0lGODlhAQABAIAAAMLCwgAAACH5BAAAAAAALAAAAAABAAEAAAICRAEAOw==', 'base64');

/** A site that embeds the widget, and the browser that opens it. */
export class Site {
  static async start(server) {
    const site = new Site();
    site.server = server;
    const code = await bundle();
    site.http = createServer((request, response) => {
      const { pathname, searchParams } = new URL(request.url, 'http://site');
      if (pathname === '/widget.js') return response.setHeader('content-type', 'text/javascript').end(code);
      if (pathname !== '/') return response.writeHead(204).end();
      response.setHeader('content-type', 'text/html; charset=utf-8').end(`<!doctype html><meta charset="utf-8"><title>A site</title>
<script type="application/json" id="options">${JSON.stringify({ host: server.url, ...JSON.parse(searchParams.get('options')) })}</script>
<div id="root"></div><script src="/widget.js"></script>`);
    });
    site.http.listen(0, '127.0.0.1');
    await once(site.http, 'listening');
    const args = ['--no-sandbox', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'];
    site.chromium = await chromium.launch({ executablePath: executable(), args, timeout: patience });
    return site;
  }

  async open(options) {
    const context = await this.chromium.newContext({ viewport: { width: 1100, height: 900 }, reducedMotion: 'reduce', permissions: ['microphone', 'camera', 'clipboard-write'] });
    context.setDefaultTimeout(patience);
    const page = await context.newPage();
    const widget = { page, asked: [], troubles: [] };
    // What the widget says in passing, which may be gone before anybody looks.
    await page.addInitScript(() => {
      window.said = [];
      window.recordings = 0;
      const { start } = MediaRecorder.prototype;
      MediaRecorder.prototype.start = function (...given) {
        this.addEventListener('start', () => window.recordings++);
        return start.apply(this, given);
      };
      new MutationObserver(() => {
        for (const { innerText } of document.querySelectorAll('.ec-toast-bar')) if (window.said.at(-1) !== innerText) window.said.push(innerText);
      }).observe(document, { subtree: true, childList: true, characterData: true });
    });
    const own = `http://127.0.0.1:${this.http.address().port}`;
    await page.route((url) => ![this.server.url, own].includes(url.origin), (route) => route.fulfill({ contentType: 'image/gif', body: point }));
    page.on('pageerror', (e) => widget.troubles.push(`error of the page: ${e.message}`));
    page.on('console', (m) => {
      if (m.type() === 'error' && !/the server responded with a status of 4\d\d/.test(m.text())) widget.troubles.push(`console: ${m.text()}`);
    });
    page.on('response', (r) => {
      const url = new URL(r.url());
      const verb = r.request().method();
      if (url.origin !== this.server.url || verb === 'OPTIONS') return;
      widget.asked.push({ call: `${verb} ${url.pathname.replace(/^\/api\/v1\//, '')}`, status: r.status() });
    });
    page.on('requestfailed', (r) => {
      if (r.failure()?.errorText !== 'net::ERR_ABORTED') widget.troubles.push(`failed: ${r.url()} ${r.failure()?.errorText}`);
    });
    await page.goto(`${own}/?options=${encodeURIComponent(JSON.stringify(options))}`);
    return widget;
  }

  async stop() {
    await this.chromium.close();
    this.http.close();
  }
}

/** The button among those in a place that shows this label to whom the mouse rests on it: they have no other name. */
export async function button(place, label) {
  const buttons = place.locator('button');
  await buttons.first().waitFor();
  for (const one of await buttons.all()) {
    await one.hover();
    const tip = one.locator('xpath=..');
    await tip.locator(':scope > .ec-box').first().waitFor();
    if ((await tip.innerText()).trim().toLowerCase() === label.toLowerCase()) return one;
  }
  throw new Error(`no button says ${label}`);
}

export async function press(place, label) {
  await (await button(place, label)).click();
}
