// The parts of simpleddp-core that the console uses; the package has no types.
declare module 'simpleddp-core' {
  type Listener = (message: any) => void;
  interface Emitter {
    on(event: string, listener: Listener): void;
    removeListener(event: string, listener: Listener): void;
  }
  export default class DDP implements Emitter {
    constructor(options: {
      endpoint: string;
      SocketConstructor: typeof WebSocket;
      autoConnect?: boolean;
      autoReconnect?: boolean;
      reconnectInterval?: number;
      cleanQueue?: boolean;
    });
    reconnectInterval: number;
    status: 'connected' | 'disconnected';
    socket: Emitter & { send(message: unknown): void; close(): void };
    connect(): void;
    disconnect(): void;
    method(name: string, params: unknown[]): string;
    sub(name: string, params: unknown[], id?: string): string;
    unsub(id: string): void;
    on(event: string, listener: Listener): void;
    removeListener(event: string, listener: Listener): void;
  }
}
