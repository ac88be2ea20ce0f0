// Whether the server hands out another console than this one: it was updated while
// the page stayed open. What tells is the page itself, which names its files by
// their content, so nothing about the server is published for it.
import { effect, signal } from '@preact/signals';
import { connection } from './session';

/** Set once the server was seen with other files than those of this page. */
export const outdated = signal(false);

const named = (e: Element) => e.getAttribute('src') ?? e.getAttribute('href') ?? '';
/** The files that this page was made of. Read now: pages that are opened later add theirs. */
const mine = [...document.querySelectorAll('script[src], link[rel=stylesheet]')].map(named);

/** Looks at the page as it is handed out now. A server that cannot be asked says nothing. */
export async function look(): Promise<void> {
  const page = new URL('./', document.baseURI);
  page.hash = '';
  try {
    const answer = await fetch(page, { credentials: 'omit', cache: 'no-store', referrerPolicy: 'no-referrer' });
    if (!answer.ok) return;
    const text = await answer.text();
    if (mine.some((name) => !text.includes(`"${name}"`))) outdated.value = true;
  } catch {
    // It is looked at again when the connection comes back.
  }
}

let before = false;
effect(() => {
  if (!connection.online.value) return;
  if (before) void look();
  before = true;
});
