// ddp.js as a client of the story. It knows no logins: applications call the method.

import DDP from 'ddp.js';
import { once } from 'node:events';
import { sha256 } from './story.mjs';

const Client = DDP.default ?? DDP;

export function ddpjs(endpoint, socket) {
  const ddp = new Client({ endpoint, SocketConstructor: socket.Socket, autoConnect: false, reconnectInterval: 100 });
  const waiting = new Map();
  const answer = (id, error, value) => {
    waiting.get(id)?.(error, value);
    waiting.delete(id);
  };
  ddp.on('result', (m) => answer(m.id, m.error, m.result));
  ddp.on('ready', (m) => m.subs.forEach((id) => answer(id)));
  ddp.on('nosub', (m) => answer(m.id, m.error));
  const settled = (id) => new Promise((done, fail) => waiting.set(id, (error, value) => (error ? fail(error) : done(value))));
  let token;
  const client = {
    socket,
    connect: () => {
      const connected = once(ddp, 'connected');
      ddp.connect();
      return connected;
    },
    call: (method, ...params) => settled(ddp.method(method, params)),
    subscribe: (name, ...params) => {
      const id = ddp.sub(name, params);
      return { ready: settled(id), stop: () => settled(ddp.unsub(id)) };
    },
    login: async ({ username, password }) => {
      ({ token } = await client.call('login', { user: { username }, password: { digest: sha256(password), algorithm: 'sha-256' } }));
    },
    resume: async (given) => {
      ({ token } = await client.call('login', { resume: given }));
    },
    logout: () => client.call('logout'),
    reconnected: async () => {
      await once(ddp, 'connected');
      await client.resume(token);
    },
    close: () => ddp.disconnect(),
  };
  return client;
}
