// The story every DDP client goes through. A client is an adapter:
//
//   connect()                      opens the connection
//   call(method, ...params)        resolves with the result, rejects with the error object
//   subscribe(name, ...params)     {ready: Promise, stop(): Promise}
//   subscribeRefused(name)         only where a refused subscribe breaks the client: its nosub's error
//   login({username, password})    logs in the client's own way (a digest, for most)
//   resume(token)                  logs in with a token
//   reconnected()                  resolves when the client is back after socket.cut()
//   close()
//   socket                         what watch (sockets.mjs) returns
//
// and a function that makes a new one of the same kind.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';

export const sha256 = (text) => createHash('sha256').update(text).digest('hex');

// refused waits for a call to be refused and gives the error object.
export async function refused(promise) {
  const marker = {};
  const outcome = await promise.then(() => marker, (error) => error);
  assert.notEqual(outcome, marker, 'the call was not refused');
  return outcome;
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// until waits for something that only time and the other side bring about.
export async function until(what, holds, within = Number(process.env.CONSOLE_PATIENCE ?? 600_000)) {
  for (const deadline = Date.now() + within; !holds(); await pause(10)) {
    assert.ok(Date.now() < deadline, `in vain: ${what}`);
  }
}

export function tell(name, getServer, make) {
  const username = name.toLowerCase().replace(/[^a-z0-9]+/g, '.');
  let server;
  let user;
  let client;
  let token;

  test(`${name}: connect`, async () => {
    server = getServer();
    user = await server.addUser(username);
    client = make(server);
    await client.connect();
    assert.equal(client.socket.count('connected'), 1);
  });

  test(`${name}: a call without a login, and the answer's shape`, async () => {
    const time = await client.call('getServerTime');
    const ms = time instanceof Date ? time.getTime() : time.$date;
    assert.ok(Math.abs(ms - Date.now()) < 60_000);
    const frame = JSON.parse(client.socket.frames.find((text) => text.includes('"msg":"result"')));
    assert.ok(!('error' in frame));
  });

  test(`${name}: unknown method and unknown publication`, async () => {
    const error = await refused(client.call('no such method', 1, { a: [2] }));
    assert.equal(error.error, 404);
    assert.equal(error.reason, "Method 'no such method' not found");
    assert.equal(error.message, "Method 'no such method' not found [404]");
    assert.equal(error.errorType, 'Meteor.Error');
    const before = client.socket.count('updated');
    await refused(client.call('no such method'));
    await until('updated for a refused call', () => client.socket.count('updated') > before);
    const missing = await refused(client.subscribeRefused?.('no such publication') ?? client.subscribe('no such publication').ready);
    assert.equal(missing.error, 404);
    assert.equal(missing.reason, "Subscription 'no such publication' not found");
  });

  test(`${name}: sub and unsub`, async () => {
    const subscription = client.subscribe('meteor.loginServiceConfiguration');
    await subscription.ready;
    const before = client.socket.count('nosub');
    await subscription.stop();
    await until('nosub for an unsub', () => client.socket.count('nosub') > before);
  });

  test(`${name}: logged out means not authorized`, async () => {
    const error = await refused(client.call('2fa:enable-email'));
    assert.equal(error.error, 'error-not-authorized');
    assert.equal(error.reason, 'Not authorized');
    assert.equal((await refused(client.call('login', { user: { username }, password: 'wrong' }))).error, 403);
    assert.equal((await refused(client.call('login', { user: { username: { $ne: null } }, password: 'x' }))).error, 400);
  });

  test(`${name}: login by digest, by plain text, and by token on a second connection`, async () => {
    const plain = await client.call('login', { user: { email: user.email }, password: user.password });
    assert.equal(typeof plain.id, 'string');
    await client.call('logout');
    await client.login(user);
    const result = await client.call('getNewToken');
    token = result.token;
    assert.match(token, /^[\w-]{43}$/);
    await until('the own document', () => client.socket.frames.some((text) => text.includes('"collection":"users"') && text.includes(`"username":"${username}"`)));
    const second = make(server);
    await second.connect();
    await second.resume(token);
    assert.equal(await second.call('getUsernameSuggestion').then((text) => typeof text), 'string');
    assert.equal((await refused(second.call('login', { resume: 'x'.repeat(43) }))).error, 403);
    second.close();
    await client.resume(token);
  });

  test(`${name}: heartbeats`, async () => {
    await until('a ping of the server', () => client.socket.count('ping') > 0);
    await client.call('getServerTime');
  });

  test(`${name}: a factor by e-mail, asked for, answered wrongly, answered by callWithTwoFactorRequired`, async () => {
    assert.equal(await client.call('2fa:enable-email'), true);
    const challenge = await refused(client.call('2fa:disable-email'));
    assert.equal(challenge.error, 'totp-required');
    assert.equal(challenge.reason, 'TOTP Required');
    assert.equal(challenge.details.method, 'email');
    assert.equal(challenge.details.codeGenerated, true);
    assert.equal(challenge.details.codeCount, 1);
    assert.equal(challenge.details.emailOrUsername, username);
    assert.ok(challenge.details.availableMethods.includes('email'));
    assert.match(String(challenge.details.codeExpires[0]), /^\d{4}-\d\d-\d\dT/);
    const code = await server.mailbox.code(user.email);

    const asDocumented = (given) => client.call('callWithTwoFactorRequired', { code: given, ddpMethod: '2fa:disable-email', method: 'email', params: [] });
    const wrong = await refused(asDocumented(code === '000000' ? '000001' : '000000'));
    assert.equal(wrong.error, 'totp-invalid');
    assert.equal(wrong.details.method, 'email');
    const again = await refused(client.call('2fa:disable-email'));
    assert.equal(again.details.codeGenerated, false);
    assert.equal(await asDocumented(code), true);
    // The factor is off and the code is spent.
    assert.notEqual((await refused(asDocumented(code))).error, undefined);
  });

  test(`${name}: the trailing parameter, with a code asked for`, async () => {
    assert.equal(await client.call('2fa:enable-email'), true);
    assert.deepEqual(await client.call('sendEmailCode', username), [user.email]);
    const code = await server.mailbox.code(user.email);
    const error = await refused(client.call('2fa:disable-email', { twoFactorCode: '12345', twoFactorMethod: 'email' }));
    assert.equal(error.error, 'totp-invalid');
    assert.equal(await client.call('2fa:disable-email', { twoFactorCode: code, twoFactorMethod: 'email' }), true);
  });

  test(`${name}: a login that needs a code`, async () => {
    assert.equal(await client.call('2fa:enable-email'), true);
    const second = make(server);
    await second.connect();
    const login = { user: { username }, password: { digest: sha256(user.password), algorithm: 'sha-256' } };
    const challenge = await refused(second.call('login', login));
    assert.equal(challenge.error, 'totp-required');
    const code = await server.mailbox.code(user.email);
    assert.equal((await refused(second.call('login', { totp: { login, code: '1' } }))).error, 'totp-invalid');
    const result = await second.call('login', { totp: { login, code } });
    assert.equal(typeof result.token, 'string');
    second.close();
    assert.equal((await refused(client.call('2fa:disable-email'))).error, 'totp-required');
    const last = await server.mailbox.code(user.email);
    assert.equal(await client.call('2fa:disable-email', { twoFactorCode: last, twoFactorMethod: 'email' }), true);
  });

  test(`${name}: back after a broken connection, still logged in`, async () => {
    const back = client.reconnected();
    client.socket.cut();
    await back;
    assert.equal(await client.call('getUsernameSuggestion').then((text) => typeof text), 'string');
    assert.ok(client.socket.sockets.length >= 2);
  });

  test(`${name}: logout`, async () => {
    await client.logout();
    assert.equal((await refused(client.call('2fa:enable-email'))).error, 'error-not-authorized');
    await until('the own document to go', () => client.socket.frames.some((text) => text.includes('"msg":"removed"') && text.includes('"collection":"users"')));
    assert.equal((await refused(client.call('login', { resume: token }))).error, 403);
    client.close();
  });
}
