// docs/endpoints.md says what the published types have and this server has not.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { file, report, there, typed } from '../support/offered.mjs';
import { Server } from '../support/server.mjs';

let server;
before(async () => {
  server = await Server.start();
});
after(() => server?.stop());

test('endpoints: the document is what the types and the protocol say', async () => {
  const list = await typed();
  assert.ok(list.length > 450, `${list.length} endpoints are declared`);
  assert.ok(list.some((e) => e.verb === 'POST' && e.path === 'chat.sendMessage' && e.area === 'messages'));
  assert.equal(await readFile(file, 'utf8'), await report(), 'run make endpoints');
});

test('endpoints: what is not here answers 404 with the name of the address', async () => {
  const routes = await there();
  const out = (await typed()).find((e) => e.verb === 'GET' && !e.path.includes(':') && !routes.has(`GET ${e.path}`));
  const response = await fetch(`${server.url}/api/v1/${out.path}`);
  const answer = await response.json();
  assert.equal(response.status, 404);
  assert.ok(JSON.stringify(answer).includes(out.path), JSON.stringify(answer));
});
