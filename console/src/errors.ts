// What may go wrong on the way to the server, and how a person is told.
import type { PublicKeyCredentialRequestOptionsJSON } from '@simplewebauthn/browser';
import { texts } from './texts';

export type Details = {
  method?: string;
  availableMethods?: string[];
  codeGenerated?: boolean;
  codeCount?: number;
  codeExpires?: (string | Date)[];
  emailOrUsername?: string;
  timeToReset?: number;
  /** The question of a passkey, and in words what its answer is good for. */
  publicKey?: PublicKeyCredentialRequestOptionsJSON;
  asked?: string;
  /** The server sends no mail: codes by e-mail are in its outbox. */
  mailKept?: boolean;
  [key: string]: unknown;
};

/** An answer of the server that is a refusal. */
export class Refused extends Error {
  readonly error: string | number;
  readonly reason: string;
  readonly details: Details;
  constructor(e: { error?: string | number; reason?: string; message?: string; details?: Details }) {
    super(e.message ?? e.reason ?? String(e.error));
    this.error = e.error ?? 500;
    this.reason = e.reason ?? '';
    this.details = e.details && typeof e.details === 'object' ? e.details : {};
  }
}

/** The server cannot be reached, or the connection was lost before the answer came. */
export class Offline extends Error {}

/** The person closed the dialogue that asked for a second factor. */
export class Cancelled extends Error {}

/** How many milliseconds the server's limits ask to wait, or 0 when e is not their refusal. */
export function limited(e: unknown): number {
  if (!(e instanceof Refused) || (e.error !== 'too-many-requests' && e.error !== 'error-too-many-requests')) return 0;
  return Math.max(250, e.details.timeToReset ?? 5_000);
}

/**
 * Asks for something that only reads until the limits of the server let it. Nobody pressed a button for it, so nobody should
 * have to press one again. It gives up when wanted says so; waits hears how long the next try is away, in milliseconds.
 */
export async function patient<T>(ask: () => Promise<T>, wanted: () => boolean, waits?: (ms: number) => void): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (e) {
      const ms = limited(e);
      if (!ms || !wanted()) throw e;
      waits?.(ms);
      await new Promise((later) => setTimeout(later, ms));
      if (!wanted()) throw e;
    }
  }
}

/** The sentence for a person, or '' when there is nothing to say. */
export function explain(e: unknown): string {
  if (e instanceof Cancelled) return '';
  if (e instanceof Offline) return texts.errors.offline;
  if (e instanceof Refused) {
    if (limited(e)) {
      return texts.errors.tooMany(Math.max(1, Math.ceil((e.details.timeToReset ?? 60_000) / 1000)));
    }
    // 403 is Meteor's for many things; its reasons tell the links of mails from logins.
    if (e.error === 403 && /link|token/i.test(e.reason)) return texts.errors.staleLink;
    const known = (texts.errors.known as Record<string, string>)[String(e.error)];
    return known ?? (e.reason || e.message.replace(/ \[[^\]]*\]$/, ''));
  }
  return texts.errors.unknown;
}
