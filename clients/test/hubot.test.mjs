// hubot 3.5.0 with hubot-rocketchat 2.0.0, as its own program: it joins rooms, hears, responds, welcomes and
// whispers. Its adapter stands on @rocket.chat/sdk 0.1.0.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ddpClient } from '../support/rocketchat.mjs';
import { Server } from '../support/server.mjs';
import { watchWebSocket } from '../support/sockets.mjs';
import { until } from '../support/story.mjs';

const require = createRequire(import.meta.url);
const root = join(dirname(fileURLToPath(import.meta.url)), '..');

let server;
let hubot;
let ann;
let lab;
let log = '';
const heard = [];
const told = (holds) => heard.find(holds);

const say = (msg) => ann.call('sendMessage', { rid: lab, msg });

/** Waits for what hubot says, and gives the message. */
async function answers(msg, rid = lab) {
  await until(`hubot says ${msg}`, () => told((m) => m.rid === rid && m.u.username === 'hal' && m.msg === msg));
  return told((m) => m.rid === rid && m.u.username === 'hal' && m.msg === msg);
}

before(async () => {
  server = await Server.start();
  const [person, bot] = [await server.addUser('ann'), await server.addUser('hal', { role: 'bot' })];
  ann = ddpClient(server.url, watchWebSocket());
  await ann.connect();
  await ann.login(person);
  ({ rid: lab } = await ann.call('createChannel', 'lab', []));
  await ann.sdk.stream('room-messages', lab, (message) => heard.push(message)).ready();
  hubot = spawn(process.execPath, [require.resolve('hubot/bin/hubot.js'), '-a', 'rocketchat', '-d', '-n', 'hal', '-r', join(root, 'support/hubot')], {
    cwd: server.dir,
    env: {
      PATH: process.env.PATH, ROCKETCHAT_URL: server.url, ROCKETCHAT_ROOM: 'lab', ROCKETCHAT_USER: 'hal', ROCKETCHAT_PASSWORD: bot.password,
      RESPOND_TO_DM: 'true',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const out of [hubot.stdout, hubot.stderr]) out.on('data', (part) => { log += part; });
});
after(async () => {
  if (hubot?.exitCode === null) {
    const gone = once(hubot, 'exit');
    hubot.kill();
    await gone;
  }
  ann?.close();
  await server?.stop();
});

test('hubot: joins the rooms it is told to', async () => {
  await until('hal joins', () => told((m) => m.t === 'uj' && m.u.username === 'hal'));
});

test('hubot: hears, and responds to its name', async () => {
  await until('it has read its script', () => log.includes('ready to talk'));
  await say('what of the pod bay doors?');
  await answers('I heard of the doors');
  await say('hal open the doors');
  await answers('@ann I cannot open the doors');
  await say('@hal open a window');
  const reply = await answers('@ann I cannot open a window');
  assert.deepEqual(reply.mentions.map(({ username }) => username), ['ann']);
  await say('hal shrug');
  await answers('_shrugs_');
});

test('hubot: in direct messages, and to those who come and go', async () => {
  const bob = ddpClient(server.url, watchWebSocket());
  await bob.connect();
  await bob.login(await server.addUser('bob'));
  const { rid: direct } = await bob.call('createDirectMessage', 'hal');
  await bob.sdk.stream('room-messages', direct, (message) => heard.push(message)).ready();
  await bob.call('sendMessage', { rid: direct, msg: 'open sesame' });
  await answers('I cannot open sesame', direct); // nobody else is there who could be meant
  await bob.call('sendMessage', { rid: direct, msg: 'hal whisper' });
  await answers('only to you', direct);
  await bob.call('joinRoom', lab);
  await answers('welcome, bob');
  await bob.call('leaveRoom', lab);
  await answers('farewell, bob');
  bob.close();
});
