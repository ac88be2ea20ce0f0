// The embedded default without MAIL_URL: every mail is a file, and the newest
// file holds the code. This is the tour of the README.

import assert from 'node:assert/strict';
import { watch } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Server, adminPassword } from '../support/server.mjs';

const require = createRequire(import.meta.url);
const { RestClient } = require('@rocket.chat/api-client');

let server;
before(async () => {
  server = await Server.start({ MAIL_URL: '' });
});
after(() => server?.stop());

// newestCode waits for a mail file with a code.
async function newestCode() {
  const dir = join(server.dir, 'outbox');
  await mkdir(dir, { recursive: true });
  const watcher = watch(dir);
  try {
    for (;;) {
      const change = new Promise((done) => {
        watcher.once('change', done);
        setTimeout(done, 1000).unref();
      });
      const files = (await readdir(dir)).filter((name) => name.endsWith('.eml')).sort();
      for (const name of files.reverse()) {
        const found = /^(\d{3})-(\d{3})\s*$/m.exec(await readFile(join(dir, name), 'utf8'));
        if (found) return found[1] + found[2];
      }
      await change;
    }
  } finally {
    watcher.close();
  }
}

test('outbox: the administrator of the first start reads the code from a file', async () => {
  const rest = new RestClient({ baseUrl: server.url });
  const { data } = await rest.post('/v1/login', { user: 'admin', password: adminPassword });
  rest.setCredentials({ 'X-User-Id': data.userId, 'X-Auth-Token': data.authToken });
  assert.equal((await rest.post('/v1/users.2fa.enableEmail')).success, true);
  rest.handleTwoFactorChallenge(newestCode);
  assert.equal((await rest.post('/v1/users.2fa.disableEmail')).success, true);
  // Standard output says once who the administrator is, but not a chosen password.
  assert.ok(!server.log.join('\n').includes(adminPassword));
});
