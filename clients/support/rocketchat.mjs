// @rocket.chat/ddp-client as a client of the story. It takes its socket class
// from the global WebSocket, as browsers have it.

import { createRequire } from 'node:module';
import { sha256 } from './story.mjs';

const require = createRequire(import.meta.url);
const { DDPSDK } = require('@rocket.chat/ddp-client');

export function ddpClient(url, socket) {
  globalThis.WebSocket = socket.Socket;
  const sdk = DDPSDK.create(url, { retryCount: 5, retryTime: 50 });
  return {
    sdk,
    socket,
    connect: () => {
      globalThis.WebSocket = socket.Socket;
      return sdk.connection.connect();
    },
    call: (method, ...params) => sdk.call(method, ...params),
    subscribe: (name, ...params) => {
      const subscription = sdk.client.subscribe(name, ...params);
      return { ready: subscription.ready(), stop: () => sdk.client.unsubscribe(subscription.id) };
    },
    login: ({ username, password }) => sdk.account.loginWithPassword(username, sha256(password)),
    resume: (token) => sdk.account.loginWithToken(token),
    logout: () => sdk.account.logout(),
    reconnected: () => new Promise((done) => sdk.connection.once('connected', () => done())),
    close: () => {
      sdk.timeoutControl.stop();
      sdk.connection.close();
    },
  };
}
