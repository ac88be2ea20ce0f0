// The browser's half of passkeys: whether this page can use any, one ceremony at
// a time, and what went wrong in it in words. It calls no server.
import {
  WebAuthnAbortService, browserSupportsWebAuthn, browserSupportsWebAuthnAutofill, startAuthentication, startRegistration,
  type PublicKeyCredentialCreationOptionsJSON, type PublicKeyCredentialRequestOptionsJSON, type RegistrationResponseJSON,
} from '@simplewebauthn/browser';
import { Cancelled, Refused } from './errors';
import { texts } from './texts';

export type Creation = PublicKeyCredentialCreationOptionsJSON;
export type Request = PublicKeyCredentialRequestOptionsJSON;

/** What a new passkey is made of for the server. */
export type Made = RegistrationResponseJSON;

/** How long options are used after the server gave them, in milliseconds: they are good for two minutes, and a person needs some of that. */
export const fresh = 100_000;

/** Why this page can use no passkey, whatever the server says, or ''. */
export function obstacle(): string {
  if (!isSecureContext) return texts.passkeys.insecure;
  return browserSupportsWebAuthn() ? '' : texts.passkeys.unsupported;
}

/** Why passkeys for this host cannot be used on this page, or ''. */
export function misplaced(rpId: string | undefined): string {
  const here = location.hostname;
  return !rpId || here === rpId || here.endsWith(`.${rpId}`) ? '' : texts.passkeys.elsewhere(rpId);
}

/** Whose ceremony is under way. Browsers run one at a time for a page, and each that begins ends the one before. */
let turn: object | null = null;

/** Ends the ceremony that owner began, if it is under way still. It fails with Cancelled. */
export function stop(owner: object) {
  if (turn === owner) WebAuthnAbortService.cancelCeremony();
}

async function ceremony<T>(owner: object, rpId: string | undefined, timeout: number | undefined, run: () => Promise<T>): Promise<T> {
  const hindered = obstacle() || misplaced(rpId);
  if (hindered) throw told(hindered);
  const began = performance.now();
  turn = owner;
  try {
    return await run();
  } catch (e) {
    throw problem(e, rpId, timeout !== undefined && performance.now() - began >= timeout - 1_000);
  } finally {
    if (turn === owner) turn = null;
  }
}

const told = (reason: string) => new Refused({ error: 'passkey', reason });

/** Browsers have one name for "closed", "no such key" and "too late", so that pages learn nothing; the clock tells the last one. */
function problem(e: unknown, rpId: string | undefined, late: boolean): Error {
  const t = texts.passkeys;
  switch (e instanceof Error ? e.name : '') {
    case 'AbortError':
      return new Cancelled();
    case 'NotAllowedError':
      return told(late ? t.late : t.cancelled);
    case 'InvalidStateError':
      return told(t.twice);
    case 'SecurityError':
      return told(t.elsewhere(rpId ?? ''));
    default:
      return told(t.unable);
  }
}

/** Makes a passkey. */
export const make = (owner: object, o: Creation): Promise<Made> => ceremony(owner, o.rp.id, o.timeout, () => startRegistration({ optionsJSON: o }));

/** Answers a question of the server with a passkey: the text that stands where a code would. */
export const answer = (owner: object, o: Request): Promise<string> =>
  ceremony(owner, o.rpId, o.timeout, async () => JSON.stringify(await startAuthentication({ optionsJSON: o })));

/** Whether the browser offers passkeys in the field of the user name. */
export const offers = () => (obstacle() ? Promise.resolve(false) : browserSupportsWebAuthnAutofill());

/** Offers passkeys in the field of the user name, until one is taken or the ceremony is ended. */
export const offer = (owner: object, o: Request): Promise<string> =>
  ceremony(owner, o.rpId, undefined, async () => JSON.stringify(await startAuthentication({ optionsJSON: o, useBrowserAutofill: true })));

type Brands = { userAgentData?: { platform?: string; brands?: { brand: string }[] } };

/** A name for a passkey that is made here, from what the browser says of itself. */
export function suggestion(): string {
  const said = (navigator as Navigator & Brands).userAgentData;
  const agent = navigator.userAgent;
  const os = said?.platform || (/Windows|Android|iPhone|iPad|Mac OS X|CrOS|Linux/.exec(agent)?.[0] ?? '').replace('Mac OS X', 'macOS').replace('CrOS', 'Chrome OS');
  const known = /Firefox|Edg|OPR|Chrom(?:e|ium)|Safari/.exec(agent)?.[0] ?? '';
  const names: Record<string, string> = { Edg: 'Edge', OPR: 'Opera' };
  return texts.mine.keys.suggested(names[known] ?? known, os).slice(0, 64);
}
