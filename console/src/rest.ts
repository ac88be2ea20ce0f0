// The REST door, for what has no method of its own. The token travels in a
// header, never in an address.
import { connection, session, type Session } from './session';
import { Offline, Refused } from './errors';
import type { Proof } from './challenge';

/** Asks a route, as the login of this page or another one. */
export async function rest<T = any>(verb: 'GET' | 'POST', route: string, data: Record<string, unknown> = {}, proof?: Proof, as = session.value): Promise<T> {
  const url = new URL(`api/v1/${route}`, document.baseURI);
  url.hash = '';
  const headers = authorization(as);
  if (proof) {
    // Without a code the factor is named only, so that its challenge is asked for.
    if (proof.code) headers['x-2fa-code'] = proof.code;
    headers['x-2fa-method'] = proof.method;
  }
  const init: RequestInit = { method: verb, headers, credentials: 'omit', cache: 'no-store', referrerPolicy: 'no-referrer' };
  if (verb === 'GET') {
    for (const [key, value] of Object.entries(data)) if (value !== undefined && value !== '') url.searchParams.set(key, String(value));
  } else {
    headers['Content-Type'] = 'application/json';
    init.body = JSON.stringify(data);
  }
  let answer: Response;
  try {
    answer = await fetch(url, init);
  } catch {
    throw new Offline();
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok || body.success === false) {
    const refusal = new Refused({ error: body.errorType ?? answer.status, reason: String(body.error ?? body.message ?? '').replace(/ \[[^\]]*\]$/, ''), details: body.details });
    connection.refused?.(refusal);
    throw refusal;
  }
  return body;
}

/** The headers of somebody who is logged in. */
export function authorization(s: Session | null = session.value): Record<string, string> {
  return s ? { 'X-User-Id': s.userId, 'X-Auth-Token': s.token } : {};
}
