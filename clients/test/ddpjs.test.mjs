// ddp.js 2 over a WebSocket and over every SockJS transport that works in Node.

import { after, before } from 'node:test';
import { ddpjs } from '../support/ddpjs.mjs';
import { Server } from '../support/server.mjs';
import { watchSockJS, watchWebSocket } from '../support/sockets.mjs';
import { tell } from '../support/story.mjs';

let server;
before(async () => {
  server = await Server.start({ HEARTBEAT_INTERVAL: '1s', HEARTBEAT_TIMEOUT: '5s' });
});
after(() => server?.stop());

tell('ddp.js', () => server, (s) => ddpjs(s.ws, watchWebSocket()));
for (const transport of ['xhr-polling', 'xhr-streaming', 'eventsource', 'websocket']) {
  tell(`ddp.js sockjs ${transport}`, () => server, (s) => ddpjs(s.sockjs, watchSockJS(transport)));
}
