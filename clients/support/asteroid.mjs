// asteroid as a client of the story, in its two generations: 0.6, which is below
// @rocket.chat/sdk 0.2.9 and speaks DDP pre2 only, and 2, rewritten on ddp.js 2.
// Both send passwords as plain text and log in again by themselves on a reconnect.

import { once } from 'node:events';
import { createRequire } from 'node:module';
import { watchWebSocket } from './sockets.mjs';

const require = createRequire(import.meta.url);

// The copy of 0.6 that the SDK itself uses.
export const Classic = createRequire(require.resolve('rocketchat-sdk-classic'))('asteroid');

// record takes from a connection of 0.6 what watch takes from a socket: its
// socket class is built in, but it lets somebody listen.
export function recordClassic() {
  const record = { frames: [], sockets: [] };
  record.intercept = ({ type, message }) => {
    if (type === 'socket_open') record.sockets.push(record.asteroid.ddp._socket);
    if (type === 'socket_message_received') record.frames.push(message);
  };
  record.cut = () => record.asteroid.ddp._socket._stream.destroy();
  record.count = (msg) => record.frames.filter((frame) => frame.includes(`"msg":"${msg}"`)).length;
  return record;
}

// hangUpClassic ends a connection of 0.6, which has no way of its own to stay away.
export function hangUpClassic({ ddp }) {
  ddp._autoreconnect = false;
  ddp._socket.close();
}

let instances = 0;

export function asteroidClassic(server) {
  const socket = recordClassic();
  const instance = `story-${++instances}`;
  const host = new URL(server.url).host;
  const key = `http://${host}__${instance}__login_token__`;
  let asteroid;
  const client = {
    socket,
    connect: () => new Promise((done) => {
      asteroid = new Classic(host, false, socket.intercept, instance);
      socket.asteroid = asteroid;
      asteroid.on('connected', () => {
        // There is no token yet, and nobody else waits for that.
        asteroid.resumeLoginPromise.catch(() => {});
        done();
      });
    }),
    call: (method, ...params) => {
      const { result, updated } = asteroid.call(method, ...params);
      // A refused call fails twice, and nobody waits for this one.
      updated.catch(() => {});
      return result;
    },
    subscribe: (name, ...params) => {
      const subscription = asteroid.subscribe(name, ...params);
      return { ready: subscription.ready, stop: async () => subscription.stop() };
    },
    login: ({ username, password }) => asteroid.loginWithPassword(username, password),
    resume: async (resume) => {
      await client.call('login', { resume });
      await Classic.utils.multiStorage.set(key, resume);
    },
    logout: () => asteroid.logout(),
    reconnected: () => new Promise((done, fail) => {
      asteroid.on('reconnected', () => asteroid.resumeLoginPromise.then(done, fail));
    }),
    close: () => hangUpClassic(asteroid),
  };
  return client;
}

export function asteroid2(server) {
  const { createClass } = require('asteroid');
  const socket = watchWebSocket();
  // Its store of tokens is one for the process, by endpoint.
  const endpoint = `${server.ws}?instance=${++instances}`;
  const asteroid = new (createClass())({ endpoint, SocketConstructor: socket.Socket, autoConnect: false, reconnectInterval: 100 });
  const client = {
    socket,
    asteroid,
    connect: () => {
      const connected = once(asteroid, 'connected');
      asteroid.connect();
      return connected;
    },
    call: (method, ...params) => asteroid.call(method, ...params),
    subscribe: (name, ...params) => {
      const subscription = asteroid.subscribe(name, ...params);
      const ready = new Promise((done, fail) => {
        subscription.once('ready', done);
        subscription.once('error', fail);
      });
      return { ready, stop: async () => asteroid.unsubscribe(subscription.id) };
    },
    login: ({ username, password }) => asteroid.loginWithPassword({ username, password }),
    resume: (resume) => asteroid.login({ resume }),
    logout: () => asteroid.logout(),
    reconnected: () => new Promise((done) => asteroid.once('loggedIn', done)),
    close: () => asteroid.disconnect(),
  };
  return client;
}
