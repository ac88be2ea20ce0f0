// Pages are named behind the "#", so that the server needs to know none of them
// and the console works below any path prefix.
import { useHashLocation } from 'wouter-preact/use-hash-location';

/** Where a page is, without what stands behind the "?". */
export function usePath(): string {
  return useHashLocation()[0].split('?')[0]!;
}

/**
 * What stands behind the "?" of a page's address: filters, an offset, nothing secret. A change
 * takes the place of what was there in the history; an empty value takes a name away.
 */
export function useQuery(): [Record<string, string>, (changes: Record<string, string>) => void] {
  const [path, query = ''] = useHashLocation()[0].split('?');
  const now = new URLSearchParams(query);
  const change = (changes: Record<string, string>) => {
    // Read anew: two changes may follow each other before anything is drawn.
    const next = new URLSearchParams(location.hash.split('?')[1] ?? '');
    for (const [name, value] of Object.entries(changes)) {
      if (value === '') next.delete(name);
      else next.set(name, value);
    }
    const oldURL = location.href;
    history.replaceState(null, '', `${location.pathname}${location.search}#${path}${next.size ? `?${next}` : ''}`);
    dispatchEvent(new HashChangeEvent('hashchange', { oldURL, newURL: location.href }));
  };
  return [Object.fromEntries(now), change];
}

/** The address of a page, as a link: href={to('/users')}. */
export const to = (path: string) => `#${path}`;

/** Goes to a page. */
export function go(path: string) {
  location.hash = path;
}

let guard: ((next: string) => void) | null = null;

/** From now on ask is called instead of leaving the page, with the address that was wanted; null leaves again. */
export function guardLeaving(ask: typeof guard) {
  guard = ask;
}

const page = (url: string) => new URL(url).hash.split('?')[0]!;
const mailed = /^#\/(verify-email|reset-password|enroll-account)\/([A-Za-z0-9_-]+)$/;

// Listeners of the window are called in their order, so this one is added before the router's.
addEventListener('hashchange', (e) => {
  if (!guard || page(e.oldURL) === page(e.newURL) || mailed.test(page(e.newURL))) return;
  e.stopImmediatePropagation();
  history.pushState(null, '', e.oldURL);
  guard(new URL(e.newURL).hash.slice(1));
});

export type MailedLink = { kind: 'verify-email' | 'reset-password' | 'enroll-account'; token: string };

/**
 * The link of a mail that this page was opened with, if it was one. Its token is
 * taken out of the address bar and the history at once.
 */
export function takeMailedLink(): MailedLink | null {
  const m = mailed.exec(location.hash);
  if (!m) return null;
  history.replaceState(null, '', location.pathname + location.search);
  return { kind: m[1] as MailedLink['kind'], token: m[2]! };
}
