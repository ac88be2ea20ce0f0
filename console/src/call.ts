// Calls of somebody who is logged in. Every one that the server challenges is
// answered in the same dialogue.
import { connection, member } from './session';
import { challenged } from './challenge';
import { Offline } from './errors';
import { rest } from './rest';

/**
 * Calls a method and answers its challenge, if there is one, with the documented
 * callWithTwoFactorRequired. why completes the sentence "Confirm that it is you …".
 */
export function call<T = unknown>(why: string, method: string, ...params: unknown[]): Promise<T> {
  return challenged(why, async (proof) => {
    // A connection that came back is nobody's until the login is resumed: a code would be lost on it.
    if (!member.value) throw new Offline();
    return proof
      ? connection.call<T>('callWithTwoFactorRequired', { code: proof.code, method: proof.method, ddpMethod: method, params })
      : connection.call<T>(method, ...params);
  });
}

/** The same for a route of the REST API. */
export function post<T = any>(why: string, route: string, data: Record<string, unknown> = {}): Promise<T> {
  return challenged(why, (proof) => rest<T>('POST', route, data, proof));
}
