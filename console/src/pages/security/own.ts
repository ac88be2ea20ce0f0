// What the sections of the page share: the account, what is loaded for more than
// one of them, and the news that says what to load again.
import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { allows, connection, may, type User } from '../../session';
import { Refused } from '../../errors';
import { useLoad, useStream, type Loaded } from '../../ui/parts';

export type Token = {
  name: string;
  createdAt: string;
  lastTokenPart: string;
  bypassTwoFactor: boolean;
  lastUsedAt?: string;
  expiresAt?: string;
  allowedAddresses?: string[];
};

export type Own = {
  u: User;
  app: boolean;
  mail: boolean;
  /** Whether passkeys are a factor of the account. */
  passkey: boolean;
  keys: Loaded<Key[]>;
  /** Whether an address is confirmed. */
  confirmed: boolean;
  /** Backup codes that are left; none without the app. */
  codes: Loaded<number | undefined>;
  tokens: Loaded<Token[]>;
};

/** A passkey as the server lists it. */
export type Key = {
  id: string;
  name: string;
  createdAt?: Date;
  lastUsedAt?: Date;
  deviceType: string;
  backedUp: boolean;
  userVerified: boolean;
  transports: string[];
  /** The password was set anew since, by a mailed link or an administrator: it proves nothing until it was used beside that. */
  needsPassword?: boolean;
};

/** How many passkeys an account may have: the server refuses more. */
export const most = 20;

/** Passkeys that prove nothing until each was used beside the password. */
export const suspended = (own: Own) => (own.keys.data ?? []).filter((k) => k.needsPassword);

export const twoFactor = (factor: 'TOTP' | 'Email' | 'WebAuthn') =>
  allows('Accounts_TwoFactorAuthentication_Enabled', `Accounts_TwoFactorAuthentication_By_${factor}_Enabled`);

export const hasTokens = () => may('create-personal-access-tokens') && allows('API_Enable_Personal_Access_Tokens');

/** A list that this server does not have is no failure. */
export async function orNothing<T>(load: Promise<T>): Promise<T | null> {
  try {
    return await load;
  } catch (e) {
    if (e instanceof Refused && e.error === 404) return null;
    throw e;
  }
}

const news = signal<{ kind: string; count: number }>({ kind: '', count: 0 });

/** Listens to what changes of the account's security, for all sections. */
export function useSecurityNews(userId: string) {
  useStream('stream-notify-user', `${userId}/security`, (args) => {
    const kind = (args[0] as { kind?: unknown } | undefined)?.kind;
    news.value = { kind: typeof kind === 'string' ? kind : '', count: news.value.count + 1 };
  });
}

/** Runs soon after news of one of the kinds, once for several that come together. */
export function useNews(kinds: readonly string[] | 'all', heard: () => void, pause = 150) {
  const last = useRef(heard);
  last.current = heard;
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let first = true;
    const stop = news.subscribe(({ kind }) => {
      // A subscription to a signal begins with what it is now, which is no news.
      if (first) return void (first = false);
      if (kinds !== 'all' && !kinds.includes(kind)) return;
      timer ??= setTimeout(() => {
        timer = undefined;
        last.current();
      }, pause);
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, []);
}

export function useOwn(u: User): Own {
  const app = u.services?.totp?.enabled === true;
  const codes = useLoad(async () => (app ? (await connection.call<{ remaining: number }>('2fa:checkCodesRemaining')).remaining : undefined), [app]);
  const has = hasTokens();
  const tokens = useLoad(async () => (has ? (await connection.call<{ tokens: Token[] }>('personalAccessTokens:list')).tokens : []), [has]);
  // Those that are no factor, of an adopted database for instance, are listed too.
  const keys = useLoad(async () => (await orNothing(connection.call<Key[]>('listWebAuthnCredentials'))) ?? []);
  useNews(['factors'], () => {
    codes.reload();
    keys.reload();
  });
  useNews(['tokens', 'password'], tokens.reload);
  // A login in another window may have been the one that they waited for.
  useNews(['sessions'], () => keys.data?.some((k) => k.needsPassword) && keys.reload());
  return {
    u, app, codes, tokens, keys,
    passkey: u.services?.webauthn?.enabled === true,
    mail: u.services?.email2fa?.enabled === true,
    confirmed: (u.emails ?? []).some((e) => e.verified),
  };
}

/** Below this many backup codes are few. */
export const few = 4;

/** The id that a section has in the document. */
export const cardOf = (section: string) => `my-${section}`;

/** Shows a section and moves the focus into it. */
export function jump(id: string) {
  const section = document.getElementById(cardOf(id));
  section?.scrollIntoView({ block: 'start' });
  section?.querySelector<HTMLElement>('button:not([disabled]), input, a')?.focus({ preventScroll: true });
}
