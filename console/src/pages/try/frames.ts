// What frames look like to a person: without secrets, and in the two forms in
// which they are taken along.
import EJSON from 'ejson';
import type { Frame } from '../../ddp';
import { endpoint } from '../../ddp';

/** Members whose values nobody else may see, wherever they stand. */
const secret = /^(token|authToken|resume|digest|pass|codes|signature|\w*code|\w*password|\w*secret\w*)$/i;

/** Calls whose parameters, and calls whose results, are secrets as a whole. */
const secretParams = /^(changePassword|resetPassword|verifyEmail|deleteUserOwnAccount|2fa:validateTempToken|2fa:disable|2fa:regenerateCodes)$/;
const secretResult = /^(personalAccessTokens:(generate|regenerate)Token|2fa:(enable|validateTempToken|regenerateCodes)|login|getNewToken|logoutOtherClients)$/;

const mask = '‹hidden›';

/** A copy of a value in which secrets are masked. */
export function masked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(masked);
  if (typeof value === 'string' && value.startsWith('otpauth:')) return mask;
  if (value === null || typeof value !== 'object' || value instanceof Date || value instanceof Uint8Array) return value;
  // A mail holds codes and links in its text, and a setting its secret beside its name.
  const mail = 'to' in value && 'subject' in value && 'text' in value;
  const setting = '_id' in value && /password|secret/i.test(String(value._id));
  return Object.fromEntries(
    Object.entries(value).map(([key, v]) => [key, (secret.test(key) || (mail && key === 'text') || (setting && key === 'value')) && (v === null || typeof v !== 'object' || Array.isArray(v)) ? hide(v) : masked(v)]),
  );
}

function hide(v: unknown): unknown {
  if (typeof v === 'string' || typeof v === 'number') return mask;
  if (Array.isArray(v)) return v.map(hide);
  return v;
}

/** Remembers which method an id belongs to, so that results can be judged. */
export class Names {
  #of = new Map<string, string>();

  /** The frame as it may be shown. */
  shown(frame: Frame): Record<string, unknown> {
    const m = frame.message as any;
    const copy = masked(m) as Record<string, any>;
    if (m.msg === 'method' || m.msg === 'callWithTwoFactorRequired') {
      const inner = m.msg === 'method' && m.method === 'callWithTwoFactorRequired' ? m.params?.[0]?.ddpMethod : (m.ddpMethod ?? m.method);
      if (frame.out && typeof m.id === 'string') this.#of.set(m.id, String(inner ?? m.method));
      if (secretParams.test(String(inner))) copy.params = (copy.params ?? []).map((p: any) => (p && typeof p === 'object' && 'params' in p ? { ...p, params: mask } : hide(p)));
    }
    if (m.msg === 'result' && secretResult.test(this.#of.get(m.id) ?? '') && 'result' in m && typeof m.result === 'string') copy.result = mask;
    return copy;
  }
}

export const line = (m: Record<string, unknown>) => EJSON.stringify(m as any);

/** A golden conversation: "C:" for what the client sends, "S:" for what comes back. */
export function conversation(frames: { out: boolean; shown: Record<string, unknown> }[]): string {
  return `${frames.map((f) => `${f.out ? 'C' : 'S'}: ${line(f.shown)}`).join('\n')}\n`;
}

/** Arguments for ddpcat, which connects, logs in and numbers nothing by itself. */
export function ddpcat(frames: { out: boolean; shown: Record<string, unknown> }[]): string {
  const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  const sent = frames.filter((f) => f.out && f.shown.msg !== 'connect' && !(f.shown.msg === 'method' && f.shown.method === 'login') && f.shown.msg !== 'pong' && f.shown.msg !== 'ping');
  return [`ddpcat -url ${quote(endpoint())} -token "$TOKEN"`, ...sent.map((f) => `  ${quote(line(f.shown))}`)].join(' \\\n');
}
