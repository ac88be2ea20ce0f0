// @rocket.chat/sdk 0.2.9, which hubot and most bots of its time are made of: DDP
// pre2, passwords as plain text, the old boolean of stream subscriptions, one
// connection for the process, and a REST half with settings of its own.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { ddpClient } from '../support/rocketchat.mjs';
import { hangUpClassic } from '../support/asteroid.mjs';
import { Server } from '../support/server.mjs';
import { watchWebSocket } from '../support/sockets.mjs';
import { refused, until } from '../support/story.mjs';

const require = createRequire(import.meta.url);
// A refused call rejects a promise in it that nobody has. Its promises say so to
// the whole process unless they are told not to.
createRequire(require.resolve('rocketchat-sdk-classic'))('q').stopUnhandledRejectionTracking();

const quiet = Object.fromEntries(['debug', 'info', 'warn', 'warning', 'error'].map((level) => [level, () => {}]));

let server;
let driver;
let api;
let bot;
let person;
let room;
const heard = [];

before(async () => {
  server = await Server.start();
  // Its REST half reads where the server is when it is loaded.
  process.env.ROCKETCHAT_URL = server.url;
  ({ driver, api } = require('rocketchat-sdk-classic'));
  driver.useLog(quiet);
  bot = await server.addUser('hubot');
  const owner = await server.addUser('owner');
  person = ddpClient(server.url, watchWebSocket());
  await person.connect();
  await person.login(owner);
  room = await person.call('createChannel', 'robots', []);
});
after(async () => {
  if (driver?.asteroid) hangUpClassic(driver.asteroid);
  person?.close();
  await server?.stop();
});

test('sdk 0.2.9: connects and logs in', async () => {
  await driver.connect({ host: server.url, useSsl: false });
  assert.equal((await refused(driver.login({ username: bot.username, password: 'wrong' }))).error, 403);
  assert.equal(await driver.login({ email: bot.email, password: bot.password }), driver.userId);
  await driver.logout();
  await driver.login({ username: bot.username, password: bot.password });
  assert.equal(driver.asteroid.getCollection('users').reactiveQuery({}).result[0].username, 'hubot');
});

test('sdk 0.2.9: joins by name, listens to all rooms of its own, and answers', async () => {
  await driver.joinRooms(['robots']);
  assert.equal(await driver.getRoomName(room.rid), 'robots');
  await driver.subscribeToMessages();
  await driver.respondToMessages((error, message, meta) => heard.push({ error, message, meta }), { dm: true, edited: true });
  // It takes what has the time of its start, to the millisecond, for old.
  await until('the next millisecond', () => new Date() > driver.lastReadTime);
  await person.call('sendMessage', { rid: room.rid, msg: 'open the doors, @hubot' });
  await until('the message', () => heard.length > 0);
  const [{ error, message, meta }] = heard;
  assert.equal(error, null);
  assert.equal(message.msg, 'open the doors, @hubot');
  assert.deepEqual(message.mentions.map(({ username }) => username), ['hubot']);
  assert.deepEqual(meta, { roomParticipant: true, roomType: 'c', roomName: 'robots' });

  const sent = await driver.sendToRoom('I am afraid not', 'robots');
  assert.equal(sent.rid, room.rid);
  assert.deepEqual(sent.bot, { i: 'js.SDK' });
  assert.equal(await driver.editMessage({ _id: sent._id, rid: sent.rid, msg: 'I am afraid I cannot' }), undefined);
  await driver.setReaction(':door:', message._id);
  const [question, answer] = await Promise.all([message, sent].map(({ _id }) => person.call('getSingleMessage', _id)));
  assert.deepEqual(question.reactions, { ':door:': { usernames: ['hubot'] } });
  assert.equal(answer.msg, 'I am afraid I cannot');
  assert.equal(answer.editedBy.username, 'hubot');
  const several = await driver.sendToRoomId(['one', 'two'], room.rid);
  assert.deepEqual(several.map(({ msg }) => msg), ['one', 'two']);
});

test('sdk 0.2.9: hears edits and direct messages, and no other rooms', async () => {
  const own = await person.call('sendMessage', { rid: room.rid, msg: 'befor' });
  await until('the message', () => heard.at(-1).message._id === own._id);
  await person.call('updateMessage', { _id: own._id, rid: room.rid, msg: 'before' });
  await until('the edit', () => heard.at(-1).message.msg === 'before');
  const hidden = await person.call('createPrivateGroup', 'humans', []);
  await person.call('sendMessage', { rid: hidden.rid, msg: 'robots must not hear this' });
  const direct = await person.call('createDirectMessage', 'hubot');
  await person.call('sendMessage', { rid: direct.rid, msg: 'psst' });
  await until('the direct message', () => heard.at(-1).message.msg === 'psst');
  assert.equal(heard.at(-1).meta.roomType, 'd');
  assert.ok(!heard.some(({ message }) => message.rid === hidden.rid));
  const answer = await driver.sendDirectToUser('what?', 'owner');
  assert.equal(answer.rid, direct.rid);
});

test('sdk 0.2.9: a factor, asked for and passed in both ways', async () => {
  assert.equal(await driver.asyncCall('2fa:enable-email', []), true);
  for (const pass of [
    (code) => ['callWithTwoFactorRequired', [{ code, ddpMethod: '2fa:disable-email', method: 'email', params: [] }]],
    (code) => ['2fa:disable-email', [{ twoFactorCode: code, twoFactorMethod: 'email' }]],
  ]) {
    await driver.asyncCall('2fa:enable-email', []);
    // callMethod without parameters sends a lone null.
    const challenge = await refused(driver.callMethod('2fa:disable-email'));
    assert.equal(challenge.error, 'totp-required');
    assert.equal(challenge.details.method, 'email');
    const code = await server.mailbox.code(bot.email);
    assert.equal((await refused(driver.asyncCall(...pass('999999x')))).error, 'totp-invalid');
    assert.equal(await driver.asyncCall(...pass(code)), true);
  }
});

test('sdk 0.2.9: REST with the same account', async () => {
  const login = await api.login({ username: bot.username, password: bot.password });
  assert.equal(login.status, 'success');
  assert.equal(login.data.userId, driver.userId);
  assert.ok((await api.users.allNames()).includes('owner'));
  assert.deepEqual(new Set(await api.users.allIDs()).size, (await api.users.all()).length);
  const info = await api.get('users.info', { username: 'owner' });
  assert.equal(info.user.username, 'owner');
  const posted = await api.post('chat.postMessage', { channel: '#robots', text: 'over the other door' });
  assert.equal(posted.message.msg, 'over the other door');
  assert.equal(posted.channel, '#robots');
  await api.logout();
  assert.equal(api.currentLogin, null);
});

test('sdk 0.2.9: after a broken connection it is logged in and hears again', async () => {
  const { asteroid } = driver;
  const back = once(driver.events, 'reconnected');
  asteroid.ddp._socket._stream.destroy();
  await back;
  await asteroid.resumeLoginPromise;
  // It has subscribed before it was logged in again, which is refused.
  await driver.subscribeToMessages();
  const before = heard.length;
  await person.call('sendMessage', { rid: room.rid, msg: 'are you there?' });
  await until('the message', () => heard.length > before);
  driver.unsubscribeAll();
  await driver.leaveRoom(room.rid).catch(() => {});
  await driver.logout();
  assert.equal((await refused(driver.asyncCall('getUsernameSuggestion', []))).error, 'error-not-authorized');
});
