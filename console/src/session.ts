// Who is logged in at this page, on which connection. The login token is kept
// in the browser's storage of this tab, or of this browser when the person asks
// to stay logged in; docs/adr/0010-a-console-that-is-a-client.md says why there.
import { batch, computed, signal } from '@preact/signals';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { Connection } from './ddp';
import { Offline, Refused, limited, patient } from './errors';
import { challenged, type Proof } from './challenge';
import { answer, make, obstacle, type Creation, type Request } from './passkeys';
import { texts } from './texts';

export type Session = { userId: string; token: string; expires?: number };
export type User = {
  _id: string;
  username?: string;
  name?: string;
  roles?: string[];
  emails?: { address: string; verified: boolean }[];
  services?: { totp?: { enabled?: boolean; resetDue?: Date }; email2fa?: { enabled?: boolean }; webauthn?: { enabled?: boolean; resetDue?: Date } };
};

const key = `ddpserver.session:${new URL('.', document.baseURI).pathname}`;

export const connection = new Connection();
export const session = signal<Session | null>(read());
/** Why the login that was there is gone, for the login page. */
export const ended = signal('');
/** Set when the server said, on this connection, that the login is good. */
export const member = signal(false);
export const user = computed<User | null>(() => (member.value && session.value ? (connection.users.value.get(session.value.userId) as User) ?? null : null));
/** Counts how often what the server refused became open to the account: pages ask for it again. */
export const opened = signal(0);
const table = signal<{ _id: string; roles: string[] }[] | null>(null);
/** The roles that were known last, and whose. */
let known: { userId: string; roles: string[] } | null = null;
/**
 * What the account may do. The server decides; this only spares people buttons that would refuse. While a lost
 * connection comes back the own document is not here: what was known stays, so that no page goes with what somebody wrote in it.
 */
export const permissions = computed<ReadonlySet<string>>(() => {
  const id = session.value?.userId;
  if (user.value) known = { userId: user.value._id, roles: user.value.roles ?? [] };
  const roles = new Set(known && known.userId === id ? known.roles : []);
  return new Set(table.value?.filter((p) => p.roles?.some((r) => roles.has(r))).map((p) => p._id));
});
/** Whether permissions is the server's word: before, nobody should be told that they may not. */
export const judged = computed(() => member.value && user.value !== null && table.value !== null);
export const may = (permission: string) => permissions.value.has(permission);
/** Settings that everybody may see. */
export const publicSettings = signal<ReadonlyMap<string, unknown>>(new Map());

function read(): Session | null {
  for (const store of [sessionStorage, localStorage]) {
    try {
      const s = JSON.parse(store.getItem(key) ?? 'null');
      if (s && typeof s.userId === 'string' && typeof s.token === 'string') return s;
    } catch {
      store.removeItem(key);
    }
  }
  return null;
}

function keep(s: Session | null, stay: boolean) {
  // What stays is never taken out for a moment: other tabs would believe that somebody logged out.
  const mine = s ? (stay ? localStorage : sessionStorage) : null;
  for (const store of [sessionStorage, localStorage]) if (store !== mine) store.removeItem(key);
  mine?.setItem(key, JSON.stringify(s));
  session.value = s;
}

const staying = () => localStorage.getItem(key) !== null;

/** The lower-case hexadecimal SHA-256 of a password, which is all that leaves the page. */
export const digest = (password: string) => bytesToHex(sha256(utf8ToBytes(password)));

type LoginResult = { id: string; token: string; tokenExpires?: Date };

function took(r: LoginResult, stay: boolean) {
  keep({ userId: r.id, token: r.token, expires: r.tokenExpires?.getTime() }, stay);
  ended.value = '';
  member.value = true;
  patient(() => connection.call<{ _id: string; roles: string[] }[]>('permissions/get'), () => member.value)
    .then((all) => (table.value = all), () => (table.value ??= []));
}

/** Whether a public setting is on; one that is not known yet counts as on. */
export const allows = (...ids: string[]) => ids.every((id) => publicSettings.value.get(id) !== false);

/** Whether the settings let people use passkeys at all. */
export const passkeysOn = () => allows('Accounts_TwoFactorAuthentication_Enabled', 'Accounts_TwoFactorAuthentication_By_WebAuthn_Enabled');

/** Whether somebody can log in with a passkey alone, as far as this page and the settings go. */
export const passkeysEnter = () => publicSettings.value.size > 0 && passkeysOn() && allows('Accounts_WebAuthn_Passwordless_Login') && !obstacle();

/** The question of a login by passkey, which names nobody. */
export const loginOptions = () => connection.call<Request>('generateWebAuthnAuthenticationOptions', { mode: 'login' });

/** Logs in with the answer of a passkey to loginOptions, and nothing else. */
export async function enter(text: string, stay: boolean) {
  took(await connection.call<LoginResult>('login', { webauthn: JSON.parse(text) }), stay);
  connection.resubscribe();
}

/** Asks the browser for a passkey and logs in with it. */
export async function loginByPasskey(owner: object, stay: boolean) {
  await enter(await answer(owner, await loginOptions()), stay);
}

/**
 * Logs in once more with the password and this passkey of the account: so a key from before the password was set anew counts again.
 * The login that was there goes on without this page; it is returned.
 */
export async function loginAgain(owner: object, password: string, key: string): Promise<Session> {
  const before = session.value!;
  const stay = staying();
  const options = { user: { id: before.userId }, password: { digest: digest(password), algorithm: 'sha-256' } };
  const send = (code: string) => connection.call<LoginResult>('login', options, { twoFactorCode: code, twoFactorMethod: 'webauthn' });
  let asked = false;
  // Only named, the factor is asked for: the refusal has its question.
  const r = await send('').catch(async (e: unknown) => {
    const question = e instanceof Refused ? e.details.publicKey : undefined;
    if (!question) throw e;
    asked = true;
    return send(await answer(owner, { ...question, allowCredentials: question.allowCredentials?.filter((c) => c.id === key) }));
  });
  took(r, stay);
  connection.resubscribe();
  if (!asked) throw new Refused({ error: 'passkey', reason: texts.mine.keys.notAsked });
  return before;
}

/** Makes an account that is opened by a passkey, and logs in to it. */
export async function join(owner: object, userData: { username: string; email: string }, credentialName: string) {
  const options = await connection.call<Creation>('generateWebAuthnSignUpOptions', { userData });
  took(await connection.call<LoginResult>('createUserWithWebAuthn', { credential: await make(owner, options), credentialName }), false);
  connection.resubscribe();
}

/** Logs in with a password; asks for the second factor in the dialogue where the server does. */
export async function login(name: string, password: string, stay: boolean) {
  const who = name.includes('@') ? { email: name } : { username: name };
  const options = { user: who, password: { digest: digest(password), algorithm: 'sha-256' } };
  const r = await challenged(texts.challenge.toLogIn, (proof?: Proof) =>
    connection.call<LoginResult>('login', options, ...(proof ? [{ twoFactorCode: proof.code, twoFactorMethod: proof.method }] : [])),
    { who: name, passkey: passkeysOn() && !obstacle() });
  took(r, stay);
  connection.resubscribe();
}

/** Ends this login at the server and forgets it here, also when the server cannot be reached. */
export async function logout() {
  await connection.call('logout').catch(() => {});
  forget('');
}

/** Forgets the login here: it is over at the server. */
export function forget(why: string) {
  batch(() => {
    keep(null, false);
    member.value = false;
    table.value = null;
    known = null;
    ended.value = why;
  });
}

/** Takes another token for the same login, which the server gave instead of the old one. */
export function exchange(r: { token: string; tokenExpires?: Date }) {
  const s = session.value;
  if (s) keep({ ...s, token: r.token, expires: r.tokenExpires?.getTime() }, staying());
}

connection.welcome = async () => {
  member.value = false;
  void patient(() => connection.call<{ _id: string; value: unknown }[]>('public-settings/get'), () => connection.online.value).then(
    (all) => (publicSettings.value = new Map(all.map((s) => [s._id, s.value]))), () => {});
  const s = session.value;
  if (!s) return;
  try {
    took(await connection.call<LoginResult>('login', { resume: s.token }), staying());
  } catch (e) {
    if (e instanceof Offline) return;
    const ms = limited(e);
    if (ms) {
      setTimeout(() => void connection.welcome().then(() => connection.resubscribe()), ms);
      return;
    }
    forget(texts.login.endedElsewhere);
  }
};

// Settings that everybody may see follow a change at once.
connection.subscribe('stream-notify-all', ['public-settings-changed', false], {
  event: ({ args }) => {
    const changed = args[1] as { _id?: string; value?: unknown } | undefined;
    if (changed?._id) publicSettings.value = new Map(publicSettings.value).set(changed._id, changed.value);
  },
});

// Another tab logged out or in with the storage of the browser.
addEventListener('storage', (e) => {
  if (e.key !== key || sessionStorage.getItem(key) !== null) return;
  const s = read();
  if (s?.token === session.value?.token) return;
  if (!s) forget(texts.login.endedElsewhere);
  else {
    session.value = s;
    void connection.welcome().then(() => connection.resubscribe());
  }
});
