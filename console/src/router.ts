// Pages are named behind the "#", so that the server needs to know none of them
// and the console works below any path prefix.
import { useHashLocation } from 'wouter-preact/use-hash-location';

export { useHashLocation };

/** The address of a page, as a link: href={to('/users')}. */
export const to = (path: string) => `#${path}`;

/** Goes to a page. */
export function go(path: string) {
  location.hash = path;
}

export type MailedLink = { kind: 'verify-email' | 'reset-password' | 'enroll-account'; token: string };

/**
 * The link of a mail that this page was opened with, if it was one. Its token is
 * taken out of the address bar and the history at once.
 */
export function takeMailedLink(): MailedLink | null {
  const m = /^#\/(verify-email|reset-password|enroll-account)\/([A-Za-z0-9_-]+)$/.exec(location.hash);
  if (!m) return null;
  history.replaceState(null, '', location.pathname + location.search);
  return { kind: m[1] as MailedLink['kind'], token: m[2]! };
}
