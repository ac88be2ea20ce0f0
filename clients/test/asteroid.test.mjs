// asteroid 0.6.1 and 2.0.3.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { asteroid2, asteroidClassic } from '../support/asteroid.mjs';
import { Server } from '../support/server.mjs';
import { refused, tell, until } from '../support/story.mjs';

let server;
before(async () => {
  server = await Server.start({ HEARTBEAT_INTERVAL: '1s', HEARTBEAT_TIMEOUT: '5s' });
});
after(() => server?.stop());

tell('asteroid 0.6', () => server, asteroidClassic);
tell('asteroid 2', () => server, asteroid2);

test('asteroid 0.6: nothing but pre2 is spoken', async () => {
  const client = asteroidClassic(server);
  await client.connect();
  assert.match(client.socket.frames[0], /^\{"msg":"connected","session":"\w{17}"\}$/);
  client.close();
});

test('asteroid 2: subscribes again under the same id', async () => {
  const client = asteroid2(server);
  await client.connect();
  // It subscribes again before it logs in, so private streams are lost, as they are with Meteor.
  const stream = client.subscribe('stream-notify-all', 'public-settings-changed', { useCollection: false, args: [] });
  await stream.ready;
  const ready = client.socket.frames.at(-1);
  client.socket.cut();
  await until('the subscription', () => client.socket.frames.filter((frame) => frame === ready).length === 2);
  assert.equal(client.socket.count('nosub'), 0);
  client.close();
});

test('asteroid 2: its createUser hides the names in a user object', async () => {
  const client = asteroid2(server);
  await client.connect();
  const error = await refused(client.asteroid.createUser({ username: 'nested', password: 'in a user object' }));
  assert.deepEqual([error.error, error.reason], [400, 'Need to set a username or email']);
  client.close();
});
