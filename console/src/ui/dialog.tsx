import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { texts } from '../texts';

/** A modal dialogue: the browser keeps the focus inside; Escape closes it. */
export function Dialog({ title, close, children, wide }: { title: string; close(): void; children: ComponentChildren; wide?: boolean }) {
  const box = useRef<HTMLDialogElement>(null);
  const heading = useId();
  const gone = useRef(false);
  useEffect(() => {
    const before = document.activeElement;
    const dialog = box.current;
    dialog?.showModal();
    // A form begins in its first field, not at the button that closes it.
    dialog?.querySelector<HTMLElement>('form :is(input:not(.offscreen), select)')?.focus();
    return () => {
      gone.current = true;
      dialog?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={box}
      aria-labelledby={heading}
      onCancel={(e) => {
        e.preventDefault();
        close();
      }}
      onClose={(e) => {
        // Browsers close it themselves when Escape is pressed twice, whatever the page says.
        if (gone.current || e.target !== box.current) return;
        close();
        setTimeout(() => {
          if (!gone.current && !box.current?.open) box.current?.showModal();
        });
      }}
    >
      <article class={wide ? 'wide' : undefined}>
        <header>
          <button type="button" class="close" aria-label={texts.close} onClick={close} />
          <h2 id={heading}>{title}</h2>
        </header>
        {children}
      </article>
    </dialog>
  );
}

/** The buttons below a form in a dialogue: give up, or send it. off is for what cannot be sent as it is. */
export function Actions({ close, busy, danger, off, children }: {
  close(): void;
  busy: boolean;
  danger?: boolean;
  off?: boolean;
  children: ComponentChildren;
}) {
  return (
    <footer class="actions">
      <button type="button" class="secondary" onClick={close}>
        {texts.cancel}
      </button>
      <button type="submit" class={danger ? 'danger' : undefined} aria-busy={busy} disabled={off}>
        {children}
      </button>
    </footer>
  );
}

/** Asks before something that cannot be taken back. */
export function Confirm({ title, text, action, close, run }: { title: string; text: ComponentChildren; action: string; close(): void; run(): void }) {
  return (
    <Dialog title={title} close={close}>
      <p>{text}</p>
      <footer class="actions">
        <button type="button" class="secondary" onClick={close}>
          {texts.cancel}
        </button>
        <button
          type="button"
          class="danger"
          onClick={() => {
            close();
            run();
          }}
        >
          {action}
        </button>
      </footer>
    </Dialog>
  );
}
