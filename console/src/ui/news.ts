// News of accounts, for pages that show lists of them to administrators.
import { useEffect, useRef } from 'preact/hooks';
import { useStream } from './parts';

/** The shortest time between two reloads: half of what a connection may call of one method, so that a person's own questions fit. */
const apart = 2_000;

/**
 * Calls reload when accounts changed ("users"), or when their sessions did: soon, and once for many changes that come
 * together. With an id other accounts are passed over; an event that names none is about any. Without an event nobody listens.
 */
export function useAccountNews(event: 'users' | 'sessions' | undefined, reload: () => void, id?: string) {
  const last = useRef(reload);
  last.current = reload;
  const timer = useRef<ReturnType<typeof setTimeout>>();
  const before = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  useStream('stream-server', event, ([changed]) => {
    const whose = (changed as { _id?: string } | undefined)?._id;
    if (timer.current !== undefined || (id !== undefined && whose !== undefined && whose !== id)) return;
    timer.current = setTimeout(() => {
      timer.current = undefined;
      before.current = Date.now();
      last.current();
    }, Math.max(300, before.current + apart - Date.now()));
  });
}
