// One DDP connection over a published client (simpleddp-core). This file adds
// what that client leaves to its user: promises for calls, which fail when the
// connection is lost, subscriptions that come back after a reconnect, and the
// owner's own document. It knows nothing of logins; session.ts does.
import core from 'simpleddp-core';
import { signal } from '@preact/signals';
import { Refused, Offline, limited } from './errors';

export type Frame = { out: boolean; at: number; message: Record<string, unknown> };
export type Event = { name: string; args: unknown[] };
// The package is CommonJS: what bundlers call its default is the whole of it.
const DDP = (core as unknown as { default?: typeof core }).default ?? core;

type Pending = { resolve(result: unknown): void; reject(error: Error): void };
type Wanted = { name: string; params: unknown[]; event?: (e: Event) => void; ready?: () => void; refused?: (e: Refused) => void };

/** The first try to come back is soon, since the server may have ended only this login; later ones wait longer. */
const soonest = 250, latest = 8_000;

/**
 * A socket that the server closes takes nothing any more for a moment before it says so. What is sent then is lost like everything
 * under way, and its caller hears so from the event that follows; browsers would write an error for each frame.
 */
class Socket extends WebSocket {
  override send(data: string) {
    if (this.readyState === WebSocket.OPEN) super.send(data);
  }
}

/** How long nothing may come before the connection counts as lost. The server pings after 15 s of silence. */
const silence = 45_000;

/** Where the DDP endpoint of this page's server is, also below a path prefix. */
export function endpoint(): string {
  const url = new URL('websocket', document.baseURI);
  url.protocol = url.protocol.replace('http', 'ws');
  url.hash = '';
  url.search = '';
  return url.href;
}

export class Connection {
  readonly online = signal(false);
  /** Documents of the collection users, which is the own account only. */
  readonly users = signal<ReadonlyMap<string, Record<string, unknown>>>(new Map());
  /** Called on every new connection, before the subscriptions come back. */
  welcome: () => Promise<void> = async () => {};
  /** Sees every refusal of a call. */
  refused?: (e: Refused) => void;
  /** Sees every frame, both ways. */
  watch?: (frame: Frame) => void;

  #ddp: InstanceType<typeof core>;
  #pending = new Map<string, Pending>();
  #wanted = new Map<string, Wanted>();
  /** Subscriptions that this connection has asked for and the server did not refuse. */
  #asked = new Set<string>();
  #heard = 0;
  #watchdog: ReturnType<typeof setInterval>;
  #count = 0;

  constructor(url = endpoint()) {
    this.#ddp = new DDP({ endpoint: url, SocketConstructor: Socket, autoConnect: false, reconnectInterval: soonest, cleanQueue: true });
    this.#ddp.socket.on('message:in', (message) => {
      this.#heard = Date.now();
      this.watch?.({ out: false, at: Date.now(), message });
      this.#take(message);
    });
    this.#ddp.socket.on('message:out', (message) => this.watch?.({ out: true, at: Date.now(), message }));
    this.#ddp.on('connected', () => void this.#connected());
    // The socket's own event comes also when no DDP session was made.
    this.#ddp.socket.on('close', () => this.#lost());
    this.#watchdog = setInterval(() => {
      if (this.online.value && Date.now() - this.#heard > silence) this.#ddp.socket.close();
    }, 5_000);
    this.#ddp.connect();
  }

  close() {
    clearInterval(this.#watchdog);
    this.#ddp.disconnect();
  }

  async #connected() {
    this.users.value = new Map();
    this.#ddp.reconnectInterval = soonest;
    this.online.value = true;
    await this.welcome();
    this.resubscribe();
  }

  #lost() {
    this.online.value = false;
    this.#asked.clear();
    // The client has taken its interval for this time already; many pages must not come back at one moment.
    this.#ddp.reconnectInterval = Math.min(latest, this.#ddp.reconnectInterval * 2) * (0.75 + Math.random() / 2);
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const p of pending) p.reject(new Offline());
  }

  #take(m: any) {
    switch (m.msg) {
      case 'result': {
        const p = this.#pending.get(m.id);
        this.#pending.delete(m.id);
        if (m.error) {
          const refusal = new Refused(m.error);
          this.refused?.(refusal);
          p?.reject(refusal);
        } else p?.resolve(m.result);
        return;
      }
      case 'ready':
        for (const id of m.subs ?? []) this.#wanted.get(id)?.ready?.();
        return;
      case 'nosub':
        this.#asked.delete(m.id);
        if (m.error) {
          const refusal = new Refused(m.error);
          // What is wanted still is asked for again when the limits of the server allow it.
          const ms = limited(refusal);
          if (ms) setTimeout(() => this.#ask(m.id), ms);
          else this.#wanted.get(m.id)?.refused?.(refusal);
        }
        return;
      case 'added':
      case 'changed':
      case 'removed':
        if (m.collection === 'users') this.#document(m);
        else if (m.fields?.eventName) {
          for (const w of [...this.#wanted.values()]) {
            if (w.name === m.collection && w.params[0] === m.fields.eventName) w.event?.({ name: m.fields.eventName, args: m.fields.args ?? [] });
          }
        }
    }
  }

  #document(m: any) {
    const all = new Map(this.users.value);
    if (m.msg === 'removed') all.delete(m.id);
    else {
      const next: Record<string, unknown> = { ...(m.msg === 'changed' ? all.get(m.id) : undefined), ...m.fields, _id: m.id };
      for (const key of m.cleared ?? []) delete next[key];
      all.set(m.id, next);
    }
    this.users.value = all;
  }

  /** Calls a method. A refusal is a Refused, a connection that is not there an Offline. */
  call<T = unknown>(method: string, ...params: unknown[]): Promise<T> {
    if (!this.online.value) return Promise.reject(new Offline());
    return new Promise<T>((resolve, reject) => {
      this.#pending.set(this.#ddp.method(method, params), { resolve: resolve as (r: unknown) => void, reject });
    });
  }

  /** Sends a frame as it is; its answer is seen by watch alone. */
  send(frame: Record<string, unknown>) {
    if (!this.online.value) throw new Offline();
    this.#ddp.socket.send(frame);
  }

  /** Subscribes until the returned function is called; the subscription comes back after a reconnect. */
  subscribe(name: string, params: unknown[], on: Pick<Wanted, 'event' | 'ready' | 'refused'>): () => void {
    const id = `s${++this.#count}`;
    this.#wanted.set(id, { name, params, ...on });
    this.#ask(id);
    return () => {
      this.#wanted.delete(id);
      if (this.#asked.delete(id)) this.#ddp.unsub(id);
    };
  }

  /** Asks for everything that is wanted and not there, after a login or a reconnect. */
  resubscribe() {
    for (const id of this.#wanted.keys()) this.#ask(id);
  }

  #ask(id: string) {
    const w = this.#wanted.get(id);
    if (!w || !this.online.value || this.#asked.has(id)) return;
    this.#asked.add(id);
    this.#ddp.sub(w.name, w.params, id);
  }
}
