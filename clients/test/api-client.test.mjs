// @rocket.chat/api-client with its built-in second-factor dialogue: it asks the
// application for a code and repeats the request until it works or the
// application gives up.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { Server } from '../support/server.mjs';
import { sha256 } from '../support/story.mjs';

const require = createRequire(import.meta.url);
const { RestClient } = require('@rocket.chat/api-client');

let server;
before(async () => {
  server = await Server.start();
});
after(() => server?.stop());

// answer reads a refused response.
async function answer(promise) {
  const response = await promise.then(() => assert.fail('the request was not refused'), (r) => r);
  assert.ok(response instanceof Response, String(response));
  return { http: response.status, ...(await response.json()) };
}

async function login(user, more = {}) {
  const rest = new RestClient({ baseUrl: server.url });
  const { data } = await rest.post('/v1/login', { user: user.username, password: user.password, ...more });
  assert.equal(data.me.username, user.username);
  rest.setCredentials({ 'X-User-Id': data.userId, 'X-Auth-Token': data.authToken });
  return rest;
}

test('api-client: prompt, wrong code, right code', async () => {
  const user = await server.addUser('prompted');
  const rest = await login(user);
  assert.equal((await rest.post('/v1/users.2fa.enableEmail')).success, true);

  const asked = [];
  let code;
  rest.handleTwoFactorChallenge(async (challenge) => {
    asked.push(challenge);
    code ??= await server.mailbox.code(user.email);
    return asked.length === 1 ? String((Number(code) + 1) % 1e6).padStart(6, '0') : code;
  });
  assert.equal((await rest.post('/v1/users.2fa.disableEmail')).success, true);
  assert.deepEqual(asked, [
    { method: 'email', emailOrUsername: 'prompted', invalidAttempt: false },
    { method: 'email', emailOrUsername: 'prompted', invalidAttempt: true },
  ]);
  assert.equal((await rest.get('/v1/me')).services.email2fa?.enabled ?? false, false);
});

test('api-client: the application cancels', async () => {
  const user = await server.addUser('cancelling');
  const rest = await login(user);
  await rest.post('/v1/users.2fa.enableEmail', {});
  rest.handleTwoFactorChallenge(() => Promise.reject(new Error('cancelled by the user')));
  await assert.rejects(rest.post('/v1/users.2fa.disableEmail', {}), /cancelled by the user/);
  assert.equal((await rest.get('/v1/me')).services.email2fa.enabled, true);
});

test('api-client: no handler means the raw answer', async () => {
  const user = await server.addUser('unhandled');
  const rest = await login(user);
  await rest.post('/v1/users.2fa.enableEmail', {});
  const refusal = await answer(rest.post('/v1/users.2fa.disableEmail', {}));
  assert.equal(refusal.http, 400);
  assert.equal(refusal.success, false);
  assert.equal(refusal.errorType, 'totp-required');
  assert.equal(refusal.details.method, 'email');
  assert.equal(refusal.details.emailOrUsername, 'unhandled');
});

test('api-client: login asks with 401 and takes the code in the body', async () => {
  const user = await server.addUser('coded');
  const rest = await login(user);
  await rest.post('/v1/users.2fa.enableEmail', {});
  const fresh = new RestClient({ baseUrl: server.url });
  fresh.handleTwoFactorChallenge(() => assert.fail('a login is never prompted for'));
  const body = { user: user.username, password: user.password };
  const refusal = await answer(fresh.post('/v1/login', body));
  assert.equal(refusal.http, 401);
  assert.equal(refusal.error, 'totp-required');
  const code = await server.mailbox.code(user.email);
  assert.equal((await answer(fresh.post('/v1/login', { ...body, code: '1' }))).error, 'totp-invalid');
  assert.equal((await fresh.post('/v1/login', { ...body, code })).status, 'success');
});

test('api-client: tokens, wrong password, resume, logout without a body', async () => {
  const user = await server.addUser('tokens');
  const rest = await login(user);
  const refusal = await answer(login({ ...user, password: 'wrong' }));
  assert.deepEqual([refusal.http, refusal.status, refusal.error], [401, 'error', 'Unauthorized']);

  const { token } = await rest.post('/v1/users.generatePersonalAccessToken', { tokenName: 'ci' }).catch(async (r) => {
    // Without a second factor the password is the proof.
    assert.equal((await r.clone().json()).details.method, 'password');
    rest.handleTwoFactorChallenge(() => Promise.resolve(sha256(user.password)));
    return rest.post('/v1/users.generatePersonalAccessToken', { tokenName: 'ci' });
  });
  const { tokens } = await rest.get('/v1/users.getPersonalAccessTokens');
  assert.deepEqual(tokens.map(({ name, lastTokenPart }) => [name, lastTokenPart]), [['ci', token.slice(-6)]]);

  const own = rest.getCredentials();
  const again = new RestClient({ baseUrl: server.url });
  const resumed = await again.post('/v1/login', { resume: own['X-Auth-Token'] });
  assert.equal(resumed.data.userId, own['X-User-Id']);
  const bot = new RestClient({ baseUrl: server.url, credentials: { 'X-User-Id': own['X-User-Id'], 'X-Auth-Token': token } });
  assert.equal((await bot.get('/v1/me')).username, 'tokens');
  assert.equal((await rest.post('/v1/logout')).status, 'success');
  assert.equal((await answer(rest.get('/v1/me'))).http, 401);
  assert.equal((await bot.get('/v1/me')).username, 'tokens');
});
