// ddp 0.12.1 with ddp-login 1.0.10, to a WebSocket, and as it goes to SockJS.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { nodeDDP } from '../support/node-ddp.mjs';
import { Server } from '../support/server.mjs';
import { refused, tell } from '../support/story.mjs';

let server;
before(async () => {
  server = await Server.start({ HEARTBEAT_INTERVAL: '1s', HEARTBEAT_TIMEOUT: '5s' });
});
after(() => server?.stop());

const address = ({ url }) => ({ host: new URL(url).hostname, port: new URL(url).port });

tell('ddp', () => server, (s) => nodeDDP(address(s)));
tell('ddp asking for sockjs', () => server, (s) => nodeDDP({ ...address(s), useSockJs: true }));

for (const ddpVersion of ['pre1', 'pre2']) {
  test(`ddp: version ${ddpVersion}`, async () => {
    const client = nodeDDP({ ...address(server), ddpVersion });
    await client.connect();
    assert.ok((await client.call('getServerTime')) instanceof Date);
    client.close();
  });
}

test('ddp: a version nobody speaks ends in one that both do', async () => {
  const client = nodeDDP({ ...address(server), ddpVersion: '77' });
  await client.connect();
  assert.equal(client.ddp.ddpVersion, '1');
  client.close();
});

test('ddp-login: by address, by plain text, and refused', async () => {
  const user = await server.addUser('ddp.login');
  const client = nodeDDP(address(server));
  await client.connect();
  for (const given of [{ account: user.email }, { account: user.email, method: 'email' }, { account: user.username, method: 'username', plaintext: true }]) {
    await client.logIn({ ...given, pass: user.password });
    assert.equal(typeof client.ddp.collections.users, 'object');
    const [own] = Object.values(client.ddp.collections.users);
    assert.equal(own.username, user.username);
    await client.call('logout');
    assert.deepEqual(client.ddp.collections.users, {});
  }
  const error = await refused(client.logIn({ account: user.username, pass: 'wrong' }));
  assert.equal(error.error, 403);
  client.close();
});

test('ddp: callWithRandomSeed, and dates both ways', async () => {
  const user = await server.addUser('seeded');
  const client = nodeDDP(address(server));
  await client.connect();
  await client.login(user);
  const rooms = await new Promise((done, fail) => {
    client.ddp.callWithRandomSeed('rooms/get', [new Date(0)], 'a seed', (error, result) => (error ? fail(error) : done(result)));
  });
  assert.ok(Array.isArray(rooms.update) && Array.isArray(rooms.remove));
  client.close();
});
