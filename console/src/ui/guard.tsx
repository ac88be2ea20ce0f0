import { useLayoutEffect, useState } from 'preact/hooks';
import { go, guardLeaving } from '../router';
import { texts } from '../texts';
import { Confirm } from './dialog';

/** Asks before a page with unsaved changes is left, by a link, the browser's buttons or a closed tab. */
export function Guard({ when }: { when: boolean }) {
  const [next, ask] = useState('');
  // Before the page is drawn: who reads that all is saved may leave at once.
  useLayoutEffect(() => {
    if (!when) return;
    const unload = (e: BeforeUnloadEvent) => e.preventDefault();
    addEventListener('beforeunload', unload);
    guardLeaving(ask);
    return () => {
      removeEventListener('beforeunload', unload);
      guardLeaving(null);
      ask('');
    };
  }, [when]);
  if (!next) return null;
  return (
    <Confirm
      title={texts.guard.title}
      text={texts.guard.text}
      action={texts.guard.leave}
      close={() => ask('')}
      run={() => {
        guardLeaving(null);
        go(next);
      }}
    />
  );
}
