// Two people with a published client each: @rocket.chat/ddp-client talks, edits
// and pins with a second factor; @rocket.chat/sdk sees every change at once and
// answers.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { ddpClient } from '../support/rocketchat.mjs';
import { Server } from '../support/server.mjs';
import { watchWebSocket } from '../support/sockets.mjs';
import { refused, until } from '../support/story.mjs';

const require = createRequire(import.meta.url);
const { DDPDriver } = require('@rocket.chat/sdk/lib/drivers/ddp');

const quiet = Object.fromEntries(['debug', 'info', 'warn', 'warning', 'error'].map((level) => [level, () => {}]));

let server;
before(async () => {
  server = await Server.start({ OVERWRITE_SETTING_Accounts_TwoFactorAuthentication_Protected_Calls: 'pinMessage, updateMessage' });
});
after(() => server?.stop());

test('conversation: talk, edit, pin with a second factor, leave', async () => {
  const [alice, bob] = [await server.addUser('alice'), await server.addUser('bob')];
  const one = ddpClient(server.url, watchWebSocket());
  await one.connect();
  await one.login(alice);
  assert.equal(await one.call('2fa:enable-email'), true);

  const two = new DDPDriver({ host: server.url, useSsl: false, logger: quiet, ping: 20_000, reopen: 200 });
  await two.connect();
  await two.login({ username: bob.username, password: bob.password });

  const { rid } = await one.call('createPrivateGroup', 'two-terminals', ['bob']);
  const [atOne, atTwo] = [[], []];
  await one.sdk.stream('room-messages', rid, (message) => atOne.push(message)).ready();
  await two.subscribe('stream-room-messages', rid);
  two.onMessage((message) => atTwo.push(message));
  const deleted = [];
  await one.sdk.stream('notify-room', `${rid}/deleteMessage`, ({ _id }) => deleted.push(_id)).ready();

  const sent = await one.call('sendMessage', { rid, msg: 'Whats *up* @bob?' });
  await until('the message at the other terminal', () => atTwo.some((m) => m._id === sent._id && m.mentions[0].username === 'bob'));
  const answer = await two.methodCall('sendMessage', { rid, msg: 'nothing much' });
  await until('the answer', () => atOne.some((m) => m._id === answer._id && m.md[0].type === 'PARAGRAPH'));
  await two.methodCall('setReaction', ':wave:', sent._id);
  await until('the reaction', () => atOne.some((m) => m.reactions?.[':wave:']?.usernames.includes('bob')));

  // Editing and pinning are under a second factor; the challenge is answered as
  // the documentation says.
  const edit = { _id: sent._id, rid, msg: 'Whats 4*!' };
  const challenge = await refused(one.call('updateMessage', edit));
  assert.equal(challenge.error, 'totp-required');
  assert.equal(challenge.details.method, 'email');
  let code = await server.mailbox.code(alice.email);
  await one.call('callWithTwoFactorRequired', { code, ddpMethod: 'updateMessage', method: 'email', params: [edit] });
  await until('the edit at the other terminal', () => atTwo.some((m) => m._id === sent._id && m.msg === 'Whats 4*!' && m.editedBy.username === 'alice'));

  // The factor is remembered for a while, so this one asks nothing.
  const note = await one.call('pinMessage', { _id: sent._id, rid });
  assert.equal(note.t, 'message_pinned');
  await until('the pin', () => atTwo.some((m) => m._id === sent._id && m.pinned) && atTwo.some((m) => m._id === note._id));

  // Bob has no factor of his own: his password is asked.
  const plea = await refused(two.methodCall('updateMessage', { _id: answer._id, rid, msg: 'x' }));
  assert.equal(plea.error, 'totp-required');
  assert.equal(plea.details.method, 'password');

  await two.methodCall('deleteMessage', { _id: answer._id });
  await until('the deletion', () => deleted.includes(answer._id));

  await one.call('removeUserFromRoom', { rid, username: 'bob' });
  const heard = atTwo.length;
  await one.call('sendMessage', { rid, msg: 'alone at last' });
  await until('the last message here', () => atOne.some((m) => m.msg === 'alone at last'));
  assert.equal(atTwo.length, heard, 'a removed user hears nothing more');
  assert.equal((await refused(two.methodCall('sendMessage', { rid, msg: 'hello?' }))).error, 'error-not-allowed');

  one.close();
  const { ddp } = two;
  clearInterval(ddp.reopenInterval);
  clearTimeout(ddp.pingTimeout);
  ddp.connection.onclose = null;
  ddp.connection.close(1000, 'disconnect');
});
