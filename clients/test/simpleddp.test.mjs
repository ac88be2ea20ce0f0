// simpleddp with its login plugin: EJSON both ways, the session's id on a
// reconnect, unsub of old ids before new subs.

import { after, before } from 'node:test';
import { createRequire } from 'node:module';
import { Server } from '../support/server.mjs';
import { watchWebSocket } from '../support/sockets.mjs';
import { sha256, tell } from '../support/story.mjs';

const require = createRequire(import.meta.url);
const SimpleDDP = require('simpleddp');
const { simpleDDPLogin } = require('simpleddp-plugin-login');

function make(server) {
  const socket = watchWebSocket();
  const ddp = new SimpleDDP({ endpoint: server.ws, SocketConstructor: socket.Socket, reconnectInterval: 100, autoConnect: false }, [simpleDDPLogin]);
  const once = (event) => new Promise((done) => {
    const handler = ddp.on(event, (value) => {
      handler.stop();
      done(value);
    });
  });
  return {
    socket,
    connect: () => ddp.connect(),
    call: (method, ...params) => ddp.call(method, ...params),
    subscribe: (name, ...params) => {
      const subscription = ddp.subscribe(name, ...params);
      return { ready: subscription.ready(), stop: () => subscription.stop() };
    },
    // A subscription object leaves a rejection behind that nobody can catch.
    subscribeRefused: (name) => new Promise((done, fail) => {
      const id = ddp.ddpConnection.sub(name, []);
      const handler = ddp.on('nosub', (m) => {
        if (m.id !== id) return;
        handler.stop();
        fail(m.error);
      });
    }),
    login: ({ username, password }) => ddp.login({ user: { username }, password: { digest: sha256(password), algorithm: 'sha-256' } }),
    resume: (resume) => ddp.login({ resume }),
    logout: () => ddp.logout(),
    reconnected: () => once('loginResume'),
    close: () => ddp.disconnect(),
  };
}

let server;
before(async () => {
  server = await Server.start({ HEARTBEAT_INTERVAL: '1s', HEARTBEAT_TIMEOUT: '5s' });
});
after(() => server?.stop());

tell('simpleddp', () => server, make);
