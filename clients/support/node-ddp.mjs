// ddp (node-ddp-client) with ddp-login as a client of the story.

import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const DDPClient = require('ddp');
const login = require('ddp-login');

const promised = (call) => new Promise((done, fail) => call((error, value) => (error ? fail(error) : done(value))));

export function nodeDDP(options) {
  const ddp = new DDPClient({ autoReconnectTimer: 100, ...options });
  const socket = { frames: [], sockets: [] };
  ddp.on('message', (text) => socket.frames.push(text));
  ddp.on('connected', () => socket.sockets.push(ddp.socket));
  socket.cut = () => ddp.socket._stream.destroy();
  socket.count = (msg) => socket.frames.filter((frame) => frame.includes(`"msg":"${msg}"`)).length;
  let token;
  // Its login tries five times unless told otherwise, and speaks up on the console.
  const logIn = async (given) => {
    ({ token } = await promised((done) => login(ddp, { retry: 1, ...given }, done)));
  };
  const client = {
    ddp,
    socket,
    logIn,
    connect: () => promised((done) => {
      let first = true;
      ddp.connect((error) => {
        if (first) done(error);
        first = false;
      });
    }),
    call: (method, ...params) => promised((done) => ddp.call(method, params, done)),
    subscribe: (name, ...params) => {
      let id;
      const ready = promised((done) => {
        id = ddp.subscribe(name, params, done);
      });
      return { ready, stop: async () => ddp.unsubscribe(id) };
    },
    login: ({ username, password }) => logIn({ account: username, pass: password }),
    resume: async (given) => {
      process.env.DDP_LOGIN_TOKEN = given;
      await logIn({ env: 'DDP_LOGIN_TOKEN', method: 'token' });
      delete process.env.DDP_LOGIN_TOKEN;
    },
    logout: () => client.call('logout'),
    reconnected: async () => {
      await new Promise((done) => ddp.once('connected', done));
      await client.resume(token);
    },
    close: () => ddp.close(),
  };
  return client;
}
