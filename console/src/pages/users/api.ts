// What the page of accounts asks the server for.
import { call } from '../../call';
import { connection } from '../../session';
import { rest } from '../../rest';
import { texts } from '../../texts';

export type State = 'active' | 'inactive' | 'pending';

export type Account = {
  _id: string;
  username?: string;
  name?: string;
  type?: string;
  active: boolean;
  status?: string;
  statusText?: string;
  createdAt?: Date | string;
  lastLogin?: Date | string;
  emails?: { address: string; verified: boolean }[];
  roles: string[];
  reason?: string;
  state: State;
  factors: string[];
  personalAccessTokens: number;
  sessions: number;
  passwordSet: boolean;
  totpResetDue?: Date | string;
  webauthnResetDue?: Date | string;
  /** How many passkeys prove nothing until they were used beside the password. */
  passkeysSuspended?: number;
};

export type Page = { users: Account[]; count: number; offset: number; total: number };

export type Statistics = {
  total: number;
  active: number;
  inactive: number;
  pending: number;
  neverLoggedIn: number;
  factors: { none: number; email: number; totp: number; webauthn?: number; both: number };
  personalAccessTokens: number;
  roles: Record<string, number>;
};

/** Members that are not set stay out of the question. */
export const list = (q: { search?: string; role?: string; state?: string; factor?: string; order?: string; offset: number; count: number }) =>
  connection.call<Page>('users:list', Object.fromEntries(Object.entries(q).filter(([, v]) => v !== undefined && v !== '')));

export const statistics = () => connection.call<Statistics>('users:statistics');

export const one = (id: string) => connection.call<Account>('users:info', id);

/** The roles of the server; those of rooms are given in rooms. They do not change while it runs. */
export function roles(): Promise<{ _id: string; description: string }[]> {
  known ??= rest('GET', 'roles.list').then((r) => r.roles.filter((x: { scope?: string }) => x.scope !== 'Subscriptions'));
  known.catch(() => (known = undefined));
  return known;
}
let known: Promise<{ _id: string; description: string }[]> | undefined;

export type Change = { name?: string; username?: string; email?: string; verified?: boolean; password?: string; roles?: string[] };

const t = texts.users;
export const update = (userId: string, data: Change) => call(t.whys.update, 'users:update', userId, data);
export const create = (data: Record<string, unknown>) => call<{ user: Account }>(t.whys.create, 'users:create', data).then((r) => r.user);
export const setActive = (userId: string, active: boolean) => call(active ? t.whys.activate : t.whys.deactivate, 'setUserActiveStatus', userId, active);
export const remove = (userId: string) => call(t.whys.remove, 'deleteUser', userId);
export const endSessions = (userId: string) => call(t.whys.endSessions, 'users:logout', userId);
export const resetApp = (userId: string) => call<{ due?: string } | undefined>(t.whys.resetApp, 'users:resetTOTP', userId);
export const resetMail = (userId: string) => call(t.whys.resetMail, 'users:resetEmail2FA', userId);
export const resetKeys = (userId: string) => call<{ due?: string } | undefined>(t.whys.resetKeys, 'users:resetWebAuthn', userId);
export const sendLink = (userId: string) => call(t.whys.sendLink, 'users:sendPasswordLink', userId);
