// Socket classes that clients are given: the real ones, watched.

import SockJS from 'sockjs-client';
import { WebSocket } from 'ws';

// Watched keeps every frame that came in and lets a test break the connection.
export function watch(open, cut) {
  const record = { frames: [], sockets: [] };
  record.Socket = function Socket(url) {
    const socket = open(url);
    record.sockets.push(socket);
    socket.addEventListener('message', ({ data }) => record.frames.push(String(data)));
    return socket;
  };
  record.Socket.OPEN = WebSocket.OPEN;
  // cut breaks the newest connection without a good-bye.
  record.cut = () => cut(record.sockets.at(-1));
  // count tells how many frames of a kind came in.
  record.count = (msg) => record.frames.filter((frame) => frame.includes(`"msg":"${msg}"`)).length;
  return record;
}

export const watchWebSocket = () => watch((url) => new WebSocket(url), (socket) => socket.terminate());

export const watchSockJS = (transport) =>
  watch((url) => new SockJS(url, null, { transports: [transport] }), (socket) => socket._transport?.close?.() ?? socket.close());
