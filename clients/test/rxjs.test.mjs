// rocket.chat.realtime.api.rxjs 2.1.1.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { rxjs } from '../support/rxjs.mjs';
import { Server } from '../support/server.mjs';
import { tell, until } from '../support/story.mjs';

let server;
before(async () => {
  server = await Server.start({ HEARTBEAT_INTERVAL: '1s', HEARTBEAT_TIMEOUT: '5s' });
});
after(() => server?.stop());

tell('rxjs', () => server, rxjs);

test('rxjs: the own document comes before the result of the login', async () => {
  const user = await server.addUser('early');
  const client = rxjs(server);
  await client.connect();
  const seen = [];
  const listening = client.api.login(user.email, user.password).subscribe((frame) => seen.push(frame));
  await until('the login', () => seen.some(({ msg }) => msg === 'result'));
  listening.unsubscribe();
  const result = seen.find(({ msg }) => msg === 'result');
  const added = seen.find(({ msg }) => msg === 'added');
  assert.equal(added?.id, result.result.id);
  assert.equal(added.fields.username, 'early');
  assert.ok(result.result.tokenExpires.$date > Date.now());
  client.close();
});

for (const added of [true, false]) {
  test(`rxjs: a room's messages with the old boolean ${added}`, async () => {
    const user = await server.addUser(`boolean.${added}`);
    const client = rxjs(server);
    await client.connect();
    await client.login(user);
    const { rid } = await client.call('createChannel', `boolean-${added}`, []);
    const events = [];
    client.heard = (frame) => events.push(frame);
    const stream = client.subscribe('stream-room-messages', rid, added);
    await stream.ready;
    await client.call('sendMessage', { rid, msg: 'over a boolean' });
    await until('the message', () => events.some(({ fields }) => fields.args?.[0].msg === 'over a boolean'));
    assert.equal(events[0].msg, added ? 'added' : 'changed');
    for (const { collection, id, fields } of events) assert.deepEqual([collection, id, fields.eventName], ['stream-room-messages', 'id', rid]);
    await stream.stop();
    client.close();
  });
}
