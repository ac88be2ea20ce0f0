// rocket.chat.realtime.api.rxjs as a client of the story. It hands over whole
// frames; who uses it picks the ones that matter, as this adapter does. It wants
// the global WebSocket of browsers even when it is given a class.

import { createRequire } from 'node:module';
import { watchWebSocket } from './sockets.mjs';

const require = createRequire(import.meta.url);
const { RealTimeAPI } = require('rocket.chat.realtime.api.rxjs');

export function rxjs(server) {
  const socket = watchWebSocket();
  globalThis.WebSocket = socket.Socket;
  const api = new RealTimeAPI({ url: server.ws, WebSocketCtor: socket.Socket });
  const first = (frames, fits) => new Promise((done, fail) => {
    const listening = frames.subscribe((frame) => {
      if (!fits(frame)) return;
      if (frame.error) fail(frame.error);
      else done(frame);
      // It may be called before subscribe has returned.
      queueMicrotask(() => listening.unsubscribe());
    }, fail);
  });
  const result = (frames) => first(frames, ({ msg }) => msg === 'result').then((frame) => frame.result);
  const open = () => {
    api.keepAlive().subscribe(() => {}, () => {});
    return first(api.connectToServer(), () => true);
  };
  let token;
  const client = {
    api,
    socket,
    connect: open,
    call: (method, ...params) => result(api.callMethod(method, ...params)),
    subscribe: (name, key, added) => {
      // The id is nobody's business: the next answer is the one.
      const ready = first(api.getObservable(), ({ msg }) => msg === 'ready' || msg === 'nosub');
      const stream = api.getSubscription(name, key, added).subscribe((frame) => client.heard?.(frame), () => {});
      return { ready, stop: async () => stream.unsubscribe() };
    },
    login: async ({ username, password }) => {
      ({ token } = await result(api.login(username, password)));
    },
    resume: async (given) => {
      ({ token } = await result(api.loginWithAuthToken(given)));
    },
    logout: () => client.call('logout'),
    // It does not come back by itself: opening again is the application's part.
    reconnected: async () => {
      await new Promise((done) => api.getObservable().subscribe({ error: done, complete: done }));
      await open();
      await client.resume(token);
    },
    close: () => api.getObservable().complete(),
  };
  return client;
}
