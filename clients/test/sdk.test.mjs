// @rocket.chat/sdk 1.0.0-alpha.42: a bot that reads, answers and reacts. The
// class has faults that no server can cure (docs/wire/clients.md 3.3): it asks REST for a
// room's id and takes the whole answer for it, and unsubscribing never settles. So
// rooms go over DDP here and the socket is closed without unsubscribing.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { Server } from '../support/server.mjs';
import { refused, until } from '../support/story.mjs';

const require = createRequire(import.meta.url);
const { Bot } = require('@rocket.chat/sdk');
const { DDPDriver } = require('@rocket.chat/sdk/lib/drivers/ddp');

const quiet = Object.fromEntries(['debug', 'info', 'warn', 'warning', 'error'].map((level) => [level, () => {}]));

let server;
before(async () => {
  server = await Server.start();
});
after(() => server?.stop());

const options = () => ({ host: server.url, useSsl: false, logger: quiet, ping: 20_000, reopen: 200 });

// hangUp closes a driver's socket; its own close would wait for ever.
function hangUp(driver) {
  const { ddp } = driver;
  clearInterval(ddp.reopenInterval);
  clearTimeout(ddp.pingTimeout);
  ddp.connection.onclose = null;
  ddp.connection.close(1000, 'disconnect');
}

async function driver(user) {
  const d = new DDPDriver(options());
  await d.connect();
  await d.login({ username: user.username, password: user.password });
  return d;
}

test('sdk: a bot logs in, joins, listens, sends, and reacts to a mention', async () => {
  const alice = await server.addUser('alice');
  const person = await driver(alice);
  const { rid } = await person.methodCall('createChannel', 'bot-yard', []);

  const account = await server.addUser('helper.bot');
  const bot = new Bot(options());
  await bot.connect();
  await bot.login({ username: account.username, password: account.password });
  assert.equal(bot.currentLogin.username, 'helper.bot');
  await bot.methodCall('joinRoom', rid);

  const heard = [];
  await bot.reactToMessages(async (error, message) => {
    assert.equal(error, null);
    heard.push(message);
    const mentioned = message.mentions?.some(({ username }) => username === 'helper.bot');
    if (mentioned && message.u.username !== 'helper.bot') {
      await bot.methodCall('setReaction', ':wave:', message._id);
      await bot.methodCall('sendMessage', { rid: message.rid, msg: `@${message.u.username} at your service` });
    }
  });

  const seen = [];
  await person.subscribe('stream-room-messages', rid);
  person.onMessage((message) => seen.push(message));
  await person.methodCall('sendMessage', { rid, msg: 'nobody in particular' });
  await person.methodCall('sendMessage', { rid, msg: 'hello @helper.bot' });
  await until('the answer', () => seen.some((m) => m.msg === '@alice at your service'));
  await until('the reaction', () => seen.some((m) => m.reactions?.[':wave:']?.usernames.includes('helper.bot')));
  const answer = seen.find((m) => m.msg === '@alice at your service');
  assert.equal(answer.u.username, 'helper.bot');
  assert.deepEqual(answer.mentions.map(({ username }) => username), ['alice']);
  assert.ok(answer.ts instanceof Date && Math.abs(answer.ts - Date.now()) < 60_000);
  assert.ok(heard.some((m) => m.msg === 'nobody in particular'));

  hangUp(person);
  hangUp(await bot.socket);
});

test('sdk: its seven user streams, and one id in each ready', async () => {
  const d = await driver(await server.addUser('streams'));
  const subscriptions = await d.subscribeNotifyUser();
  assert.equal(subscriptions.length, 7);
  assert.equal(new Set(subscriptions.map(({ id }) => id)).size, 7);
  hangUp(d);
});

test('sdk: a second factor, answered by repeating the call', async () => {
  const user = await server.addUser('factor');
  const d = await driver(user);
  assert.equal(await d.methodCall('2fa:enable-email'), true);
  const challenge = await refused(d.methodCall('2fa:disable-email'));
  assert.equal(challenge.error, 'totp-required');
  const code = await server.mailbox.code(user.email);
  assert.equal(await d.methodCall('2fa:disable-email', { twoFactorCode: code, twoFactorMethod: 'email' }), true);
  hangUp(d);
});

test('sdk: resumes after a broken connection', async () => {
  const d = await driver(await server.addUser('resuming'));
  const back = new Promise((done) => d.ddp.once('login', done));
  d.ddp.connection.terminate?.() ?? d.ddp.connection._socket.destroy();
  const login = await back;
  assert.equal(login.type, 'resume');
  assert.equal(typeof (await d.methodCall('getUsernameSuggestion')), 'string');
  hangUp(d);
});
