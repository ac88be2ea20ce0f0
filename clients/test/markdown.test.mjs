// The tree of a message is the one that @rocket.chat/message-parser makes of its text. The
// Go tests compare every text of support/markdown.mjs' file; here the file is compared with
// the package, and the texts that people write go the whole way through a server.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { file, pairs, written } from '../support/markdown.mjs';
import { Server } from '../support/server.mjs';

let server;
before(async () => {
  server = await Server.start({ OVERWRITE_SETTING_API_Enable_Rate_Limiter: 'false' });
});
after(() => server?.stop());

test('markdown: the file of texts is what the published parser says', async () => {
  const kept = JSON.parse(await readFile(file, 'utf8'));
  assert.ok(kept.length > 1000, `${kept.length} texts`);
  assert.deepEqual(kept, JSON.parse(JSON.stringify(pairs())));
});

// Links that lead elsewhere than to a server over http, and a lost "@".
const different = ['ftp://x.org/a', 'a@@b', '[a](javascript:alert(1))', '[a](data:text/html,x)'];

test('markdown: what a server tells of a message', async () => {
  const call = async (path, body, headers) => {
    const response = await fetch(`${server.url}/api/v1/${path}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
    return response.json();
  };
  const writers = []; // several, because each may write five messages a second
  for (const name of ['ada', 'ben', 'cleo', 'dan', 'eve', 'fay']) {
    const user = await server.addUser(name);
    const { data } = await call('login', { user: user.username, password: user.password });
    writers.push({ 'X-User-Id': data.userId, 'X-Auth-Token': data.authToken });
  }
  const trees = new Map(pairs().map(({ text, md }) => [text, JSON.parse(JSON.stringify(md))]));
  const told = written.filter((text) => text.trim() === text);
  assert.ok(told.length > 250, `${told.length} texts`);
  const others = [];
  for (const [i, text] of told.entries()) {
    const send = () => call('chat.sendMessage', { message: { rid: 'GENERAL', msg: text } }, writers[i % writers.length]);
    let answer = await send();
    while (answer.errorType === 'error-too-many-requests') {
      await wait(answer.details.timeToReset);
      answer = await send();
    }
    assert.ok(answer.success, `${JSON.stringify(text)}: ${JSON.stringify(answer)}`);
    try {
      assert.deepEqual(answer.message.md, trees.get(text));
    } catch {
      others.push(text);
    }
  }
  assert.deepEqual(others, different);
});
