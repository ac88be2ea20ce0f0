// The frames of the documentation, letter by letter, over a bare WebSocket.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { WebSocket } from 'ws';
import { Server } from '../support/server.mjs';
import { sha256 } from '../support/story.mjs';

let server;
before(async () => {
  server = await Server.start();
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
