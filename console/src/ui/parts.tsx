// Small parts that every page is made of.
import type { ComponentChildren, VNode } from 'preact';
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { connection, member, opened } from '../session';
import { Cancelled, Refused, explain, patient } from '../errors';
import { texts } from '../texts';

/** A refusal or failure, read out by screen readers at once. */
export function Alert({ children }: { children: ComponentChildren }) {
  return (
    <p class="alert" role="alert">
      {children}
    </p>
  );
}

/** A note that something went well. */
export function Done({ children }: { children: ComponentChildren }) {
  return (
    <p class="done" role="status">
      {children}
    </p>
  );
}

/** A short state: "on", "off", "forced". */
export function Badge({ kind, children }: { kind: 'good' | 'bad' | 'plain'; children: ComponentChildren }) {
  return <span class={`badge ${kind}`}>{children}</span>;
}

/** A section of a page with its heading. */
export function Card({ title, aside, children, id }: { title: string; aside?: ComponentChildren; children: ComponentChildren; id?: string }) {
  return (
    <article class="card" id={id}>
      <header>
        <h2>{title}</h2>
        {aside}
      </header>
      {children}
    </article>
  );
}

/** What a person does with a button: busy while it runs, and what went wrong. */
export function useAct(): { busy: boolean; failed: string; done: string; act(run: () => Promise<string | void>): Promise<void>; clear(): void } {
  const [state, set] = useState({ busy: false, failed: '', done: '' });
  const alive = useRef(true);
  const running = useRef(false);
  useEffect(() => () => void (alive.current = false), []);
  const act = useCallback(async (run: () => Promise<string | void>) => {
    // Not every button is disabled meanwhile: one that is loses the focus.
    if (running.current) return;
    running.current = true;
    set({ busy: true, failed: '', done: '' });
    let next = { busy: false, failed: '', done: '' };
    try {
      next.done = (await run()) ?? '';
    } catch (e) {
      if (!(e instanceof Cancelled)) next.failed = explain(e);
    }
    running.current = false;
    if (alive.current) set(next);
  }, []);
  return { ...state, act, clear: () => set({ busy: false, failed: '', done: '' }) };
}

/** Says what came of useAct. */
export function Outcome({ of }: { of: { failed: string; done: string } }) {
  if (of.failed) return <Alert>{of.failed}</Alert>;
  if (of.done) return <Done>{of.done}</Done>;
  return null;
}

export type Loaded<T> = { data?: T; failed: string; refused: boolean; loading: boolean; waits: number; reload(): void };

/**
 * Loads something from the server, again when the connection comes back, and with reload. However much news there is, one question is on
 * its way and one is waiting for it; what the limits of the server refuse is asked again when they allow it (waits: in how many seconds).
 */
export function useLoad<T>(load: () => Promise<T>, keys: unknown[] = []): Loaded<T> {
  const [state, set] = useState<Omit<Loaded<T>, 'reload'>>({ failed: '', refused: false, loading: true, waits: 0 });
  const [round, again] = useState(0);
  const asked = useRef({ busy: false, stale: false });
  // A connection that came back is nobody's until the login is resumed.
  const online = connection.online.value && member.value;
  useEffect(() => {
    if (!online) return;
    let current = true;
    const mine = { busy: true, stale: false };
    asked.current = mine;
    set((s) => ({ ...s, loading: true }));
    const took = (next: (s: Omit<Loaded<T>, 'reload'>) => Omit<Loaded<T>, 'reload'>) => {
      if (!current) return;
      mine.busy = false;
      set(next);
      if (mine.stale) again((n) => n + 1);
    };
    patient(load, () => current, (ms) => current && set((s) => ({ ...s, waits: Math.ceil(ms / 1000) }))).then(
      (data) => took(() => ({ data, failed: '', refused: false, loading: false, waits: 0 })),
      (e) => took((s) => ({ ...s, failed: explain(e), refused: e instanceof Refused && /not-allowed|not-authorized|unauthorized/.test(String(e.error)), loading: false, waits: 0 })),
    );
    return () => void (current = false);
  }, [online, round, opened.value, ...keys]);
  const reload = useCallback(() => {
    if (asked.current.busy) asked.current.stale = true;
    else again((n) => n + 1);
  }, []);
  return { ...state, reload };
}

/** The faces of something that is loaded: loading, refused, failed, empty, there. */
export function Shown<T>({ of, empty, children }: { of: Loaded<T>; empty?: (data: T) => boolean; children: (data: T) => VNode | null }) {
  if (of.data === undefined) {
    if (of.failed) {
      return (
        <div>
          <Alert>{of.failed}</Alert>
          {!of.refused && (
            <button type="button" class="secondary outline" onClick={of.reload}>
              {texts.again}
            </button>
          )}
        </div>
      );
    }
    return <p aria-busy="true">{of.waits ? texts.errors.waits(of.waits) : texts.loading}</p>;
  }
  return (
    <>
      {of.failed && <Alert>{of.failed}</Alert>}
      {of.waits > 0 && <Done>{texts.errors.waits(of.waits)}</Done>}
      {empty?.(of.data) ? <p class="empty">{texts.nothing}</p> : children(of.data)}
    </>
  );
}

/** A button that copies a text and says so. */
export function Copy({ text, label }: { text: string; label?: string }) {
  const [done, set] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without HTTPS browsers have no clipboard for pages: the old way.
      const area = document.createElement('textarea');
      area.value = text;
      area.className = 'offscreen';
      (document.querySelector('dialog[open]') ?? document.body).append(area);
      area.select();
      document.execCommand('copy');
      area.remove();
    }
    set(true);
    setTimeout(() => set(false), 2_000);
  };
  return (
    <button type="button" class="secondary outline small" onClick={copy}>
      <span aria-live="polite">{done ? texts.copied : (label ?? texts.copy)}</span>
    </button>
  );
}

/** A point in time in the reader's zone and language; the exact one is in the title. */
export function Time({ at }: { at: Date | string | number | null | undefined }) {
  if (at === null || at === undefined || at === '') return <>–</>;
  const date = at instanceof Date ? at : new Date(at);
  if (Number.isNaN(date.getTime())) return <>–</>;
  return (
    <time dateTime={date.toISOString()} title={date.toISOString()}>
      {date.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })}
    </time>
  );
}

/** Pages of a list that the server cuts. */
export function Pager({ offset, count, total, go }: { offset: number; count: number; total: number; go(offset: number): void }) {
  if (total <= count && offset === 0) return null;
  return (
    <nav class="pager" aria-label={texts.pages}>
      <button type="button" class="secondary outline small" disabled={offset === 0} onClick={() => go(Math.max(0, offset - count))}>
        {texts.previous}
      </button>
      <span>{texts.range(offset + 1, Math.min(offset + count, total), total)}</span>
      <button type="button" class="secondary outline small" disabled={offset + count >= total} onClick={() => go(offset + count)}>
        {texts.next}
      </button>
    </nav>
  );
}

/** Follows an event of a stream as long as the part is shown. */
export function useStream(name: string, event: string | undefined, heard: (args: unknown[]) => void) {
  const last = useRef(heard);
  last.current = heard;
  useEffect(() => (event === undefined ? undefined : connection.subscribe(name, [event, false], { event: (e) => last.current(e.args) })), [name, event]);
}

/** A value that follows another after a pause, for fields that search while one types. */
export function useLater<T>(value: T, pause = 300): T {
  const [later, set] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => set(value), pause);
    return () => clearTimeout(timer);
  }, [value]);
  return later;
}

/** Hands a text to the person as a file. */
export function download(name: string, text: string | Blob, type = 'text/plain') {
  const url = URL.createObjectURL(text instanceof Blob ? text : new Blob([text], { type }));
  const a = document.createElement('a');
  a.href = url;
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
