// @rocket.chat/ddp-client, the official client of the current web application.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ddpClient } from '../support/rocketchat.mjs';
import { Server } from '../support/server.mjs';
import { watchWebSocket } from '../support/sockets.mjs';
import { refused, tell, until } from '../support/story.mjs';

let server;
before(async () => {
  server = await Server.start({ HEARTBEAT_INTERVAL: '1s', HEARTBEAT_TIMEOUT: '5s' });
});
after(() => server?.stop());

const make = (s) => ddpClient(s.url, watchWebSocket());

tell('ddp-client', () => server, make);

test('ddp-client: its own ping, and a call with a lone null', async () => {
  const client = make(server);
  await client.connect();
  const ping = new Promise((done) => {
    const stop = client.sdk.client.ddp.onMessage((m) => {
      if (m.msg === 'pong') done(stop());
    });
  });
  client.sdk.client.ddp.ping();
  await ping;
  // The low-level call sends params:[null] when there are none.
  const time = await new Promise((done, fail) => {
    client.sdk.client.call('getServerTime', (error, result) => (error ? fail(error) : done(result)));
  });
  assert.ok(time.$date > 0);
  client.close();
});

test('ddp-client: streams, also after a broken connection', async () => {
  const [speaker, listener] = [make(server), make(server)];
  const [alice, bob] = [await server.addUser('stream.alice'), await server.addUser('stream.bob')];
  for (const [client, user] of [[speaker, alice], [listener, bob]]) {
    await client.connect();
    await client.login(user);
  }
  const { rid } = await speaker.call('createChannel', 'ddp-client-streams', ['stream.bob']);
  const heard = [];
  const stream = listener.sdk.stream('room-messages', rid, (message) => heard.push(message.msg));
  await stream.ready();
  const typing = [];
  await listener.sdk.stream('notify-room', `${rid}/user-activity`, (username, activities) => typing.push([username, activities])).ready();
  const status = listener.sdk.client.subscribe('stream-notify-user', `${listener.sdk.account.uid}/userData`, { useCollection: false, args: [] });
  await status.ready();

  const sent = await speaker.call('sendMessage', { rid, msg: 'first' });
  assert.equal(sent.msg, 'first');
  await speaker.call('stream-notify-room', `${rid}/user-activity`, 'stream.alice', ['user-typing']);
  await until('the first message', () => heard.includes('first'));
  await until('the activity', () => typing.some(([who, what]) => who === 'stream.alice' && what[0] === 'user-typing'));

  // Reconnected, the client sends its resume and all its subscriptions in one
  // breath: a private stream must not be refused for coming early.
  const back = listener.reconnected();
  const ready = listener.socket.count('ready');
  listener.socket.cut();
  await back;
  await until('three subscriptions to be ready again', () => listener.socket.count('ready') >= ready + 3);
  await speaker.call('sendMessage', { rid, msg: 'second' });
  await until('the second message', () => heard.includes('second'));
  assert.deepEqual(heard, ['first', 'second']);

  const outsider = make(server);
  await outsider.connect();
  await outsider.login(await server.addUser('stream.carol'));
  const denied = outsider.sdk.client.subscribe('stream-notify-user', `${listener.sdk.account.uid}/userData`, { useCollection: false, args: [] });
  assert.match((await refused(denied.ready())).error, /not-allowed/);
  [speaker, listener, outsider].forEach((client) => client.close());
});

test('ddp-client: its REST half uses the token of the DDP login', async () => {
  const client = make(server);
  await client.connect();
  await client.login(await server.addUser('rest.half'));
  const me = await client.sdk.rest.get('/v1/me');
  assert.equal(me.username, 'rest.half');
  client.close();
});
