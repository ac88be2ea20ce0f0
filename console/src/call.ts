// Calls of somebody who is logged in. Every one that the server challenges is
// answered in the same dialogue.
import { connection, member, user } from './session';
import { challenged } from './challenge';
import { Offline } from './errors';
import { obstacle } from './passkeys';
import { rest } from './rest';

/** Whether a passkey is what to ask for first: the account has one, and this page can use it. */
const byPasskey = () => user.peek()?.services?.webauthn?.enabled === true && !obstacle();

/**
 * Calls a method and answers its challenge, if there is one, with the documented
 * callWithTwoFactorRequired. why completes the sentence "Confirm that it is you …".
 */
export function call<T = unknown>(why: string, method: string, ...params: unknown[]): Promise<T> {
  return challenged(why, async (proof) => {
    // A connection that came back is nobody's until the login is resumed: a code would be lost on it.
    if (!member.value) throw new Offline();
    // Only named, a factor travels behind the parameters: that asks of a call what it asks anyway, and nothing of one that asks for none.
    if (proof && !proof.code) return connection.call<T>(method, ...params, { twoFactorCode: '', twoFactorMethod: proof.method });
    return proof
      ? connection.call<T>('callWithTwoFactorRequired', { code: proof.code, method: proof.method, ddpMethod: method, params })
      : connection.call<T>(method, ...params);
  }, { passkey: byPasskey() });
}

/** The same for a route of the REST API. */
export function post<T = any>(why: string, route: string, data: Record<string, unknown> = {}): Promise<T> {
  return challenged(why, (proof) => rest<T>('POST', route, data, proof), { passkey: byPasskey() });
}
