// The frames of the documentation, letter by letter, over a bare WebSocket.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { WebSocket } from 'ws';
import { Server } from '../support/server.mjs';
import { sha256 } from '../support/story.mjs';

let server;
before(async () => {
  server = await Server.start({ OVERWRITE_SETTING_Accounts_TwoFactorAuthentication_Protected_Calls: 'pinMessage, updateMessage' });
});
after(() => server?.stop());

// Wire sends and expects frames.
class Wire {
  #frames = [];
  #waiting = [];

  static async open(url) {
    const wire = new Wire();
    wire.socket = new WebSocket(url);
    wire.socket.on('message', (data) => {
      wire.#frames.push(JSON.parse(String(data)));
      wire.#waiting.splice(0).forEach((look) => look());
    });
    await once(wire.socket, 'open');
    wire.send({ msg: 'connect', version: '1', support: ['1', 'pre2', 'pre1'] });
    await wire.take((m) => m.msg === 'connected');
    return wire;
  }

  send(frame) {
    this.socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
  }

  // take removes the first frame that fits.
  async take(fits) {
    for (;;) {
      const at = this.#frames.findIndex(fits);
      if (at >= 0) return this.#frames.splice(at, 1)[0];
      await new Promise((look) => this.#waiting.push(look));
    }
  }

  // call sends a frame with an id and takes its result and its updated.
  async call(frame) {
    this.send(frame);
    const { id } = typeof frame === 'string' ? JSON.parse(frame) : frame;
    const result = await this.take((m) => m.msg === 'result' && m.id === id);
    await this.take((m) => m.msg === 'updated' && m.methods.includes(id));
    return result;
  }

  method(method, ...params) {
    this.n = (this.n ?? 0) + 1;
    return this.call({ msg: 'method', id: `m${this.n}`, method, params });
  }

  login({ username, password }) {
    return this.method('login', { user: { username }, password: { digest: sha256(password), algorithm: 'sha-256' } });
  }
}

for (const door of ['ws', 'raw SockJS']) {
  test(`the documented frame over ${door}`, async () => {
    const user = await server.addUser(`frame.${door === 'ws' ? 'a' : 'b'}`);
    const wire = await Wire.open(door === 'ws' ? server.ws : `${server.sockjs.replace(/^http/, 'ws')}/websocket`);
    await wire.login(user);
    assert.equal((await wire.method('2fa:enable-email')).result, true);
    const { error } = await wire.call('{"msg":"method","id":"341","method":"2fa:disable-email","params":[]}');
    assert.equal(error.error, 'totp-required');
    const code = await server.mailbox.code(user.email);
    const passed = await wire.call(`{"msg":"callWithTwoFactorRequired","id":"342","code":"${code}","ddpMethod":"2fa:disable-email","method":"email","params":[]}`);
    assert.deepEqual(passed, { msg: 'result', id: '342', result: true });
    wire.socket.close();
  });
}

test('the documented method call changes a message-like thing: the own address', async () => {
  const user = await server.addUser('frame.c');
  const wire = await Wire.open(server.ws);
  await wire.login(user);
  await wire.method('2fa:enable-email');
  const change = { email: 'moved@example.org' };
  const { error } = await wire.method('saveUserProfile', change, {});
  assert.equal(error.error, 'totp-required');
  const code = await server.mailbox.code(user.email);
  const frame = { msg: 'method', id: '342', method: 'callWithTwoFactorRequired', params: [{ code, ddpMethod: 'saveUserProfile', method: 'email', params: [change, {}] }] };
  assert.equal((await wire.call(frame)).error, undefined);
  await server.mailbox.mail('moved@example.org', /./);
  // The code is spent.
  assert.equal((await wire.call({ ...frame, id: '343' })).error.error, 'totp-invalid');
  wire.socket.close();
});

// The examples call pinMessage and updateMessage, here with the ids of a room of this server.
test('both documented examples, in both spellings, and their errors', async () => {
  const user = await server.addUser('frame.e');
  const wire = await Wire.open(server.ws);
  await wire.login(user);
  await wire.method('2fa:enable-email');
  const { result: room } = await wire.method('createPrivateGroup', 'examples', []);
  const message = { _id: '298gMs93982Le9A7pZjo2D2iB', rid: room.rid, msg: 'Whats 4*!' };
  await wire.method('sendMessage', { ...message, msg: 'Whats 4?' });

  const challenge = await wire.call({ msg: 'method', id: '1', method: 'updateMessage', params: [message] });
  const { codeExpires } = challenge.error.details;
  assert.equal(codeExpires.length, 1);
  assert.match(codeExpires[0], /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  const details = { method: 'email', codeGenerated: true, codeCount: 1, codeExpires, availableMethods: ['email'], emailOrUsername: user.username };
  const required = { isClientSafe: true, error: 'totp-required', reason: 'TOTP Required', details, message: 'TOTP Required [totp-required]', errorType: 'Meteor.Error' };
  assert.deepEqual(challenge, { msg: 'result', id: '1', error: required });

  const literal = (id, ddpMethod, code, params) => wire.call({ msg: 'callWithTwoFactorRequired', code, ddpMethod, id, method: 'email', params });
  const called = (ddpMethod, code, params) => wire.method('callWithTwoFactorRequired', { code, ddpMethod, method: 'email', params });
  const wrong = await literal('341', 'updateMessage', '38290', [message]);
  assert.deepEqual(wrong.error, { ...required, error: 'totp-invalid', reason: 'TOTP Invalid', details: { ...details, codeGenerated: false }, message: 'TOTP Invalid [totp-invalid]' });
  let code = await server.mailbox.code(user.email);
  assert.deepEqual(await literal('342', 'updateMessage', code, [message]), { msg: 'result', id: '342' });
  assert.equal((await wire.method('getSingleMessage', message._id)).result.msg, 'Whats 4*!');

  // The table of the documentation has params as one object, and a method call around it.
  const mailed = async () => {
    assert.deepEqual((await wire.method('sendEmailCode', user.username)).result, [user.email]);
    return server.mailbox.code(user.email);
  };
  const pinned = await called('pinMessage', await mailed(), message);
  assert.equal(pinned.result.t, 'message_pinned');
  assert.equal((await wire.method('getSingleMessage', message._id)).result.pinned, true);
  assert.equal((await called('updateMessage', await mailed(), [{ ...message, msg: 'again' }])).error, undefined);
  code = await mailed();
  assert.equal((await literal('343', 'pinMessage', code, message)).result._id, message._id);

  // The errors of sendEmailCode, which also works without a login.
  const stranger = await Wire.open(server.ws);
  assert.equal((await stranger.method('sendEmailCode')).error.error, 'error-parameter-required');
  assert.equal((await stranger.method('sendEmailCode', '')).error.error, 'error-parameter-required');
  assert.equal((await stranger.method('sendEmailCode', 'nobody')).error.error, 'error-invalid-user');
  assert.deepEqual((await stranger.method('sendEmailCode', user.email)).result, [user.email]);
  assert.equal((await stranger.method('2fa:enable-email')).error.error, 'error-not-authorized');
  // The code of before is spent; the one that was asked for just now is not told by that.
  const spent = await literal('344', 'pinMessage', code, message);
  assert.deepEqual([spent.error.error, spent.error.details.codeGenerated, spent.error.details.codeCount], ['totp-invalid', false, 1]);
  stranger.socket.close();
  wire.socket.close();
});

test('wrong shapes are refused, the connection goes on', async () => {
  const user = await server.addUser('frame.d');
  const wire = await Wire.open(server.ws);
  const loggedOut = await wire.call({ msg: 'callWithTwoFactorRequired', id: '1', code: '1', ddpMethod: '2fa:disable-email', method: 'email', params: [] });
  assert.equal(loggedOut.error.error, 'error-not-authorized');
  await wire.login(user);
  for (const [frame, code] of [
    [{ code: 5, ddpMethod: '2fa:disable-email', params: [] }, 400],
    [{ code: '1', params: [] }, 400],
    [{ code: '1', ddpMethod: 'no such method', params: [] }, 404],
    [{ code: '1', ddpMethod: 'login', params: [{}] }, 400],
    [{ code: '1', ddpMethod: 'callWithTwoFactorRequired', params: [] }, 400],
  ]) {
    const { error } = await wire.call({ msg: 'callWithTwoFactorRequired', id: 'x', ...frame });
    assert.equal(error.error, code, JSON.stringify(frame));
  }
  wire.send('{"msg":"callWithTwoFactorRequired","code":"1","ddpMethod":"logout","params":[]}');
  assert.equal((await wire.take((m) => m.msg === 'error')).reason, 'Malformed method invocation');
  wire.send('{"msg":"ping","id":"still here"}');
  await wire.take((m) => m.msg === 'pong' && m.id === 'still here');
  wire.socket.close();
});
