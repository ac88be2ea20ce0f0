import { call } from '../../call';
import { texts } from '../../texts';
import { Alert, type useAct } from '../../ui/parts';

/** A removal of a factor that an administrator asked for and that waits, and what stops all of them. */
export function Pending({ due, text, a }: { due: Date; text(when: string): string; a: ReturnType<typeof useAct> }) {
  const t = texts.mine.pending;
  const stop = () => a.act(async () => {
    await call(t.toStop, '2fa:cancel-reset');
    return t.stopped;
  });
  return (
    <div class="pending">
      <Alert>{text(new Date(due).toLocaleString())}</Alert>
      <button type="button" onClick={() => void stop()} aria-busy={a.busy}>
        {t.stop}
      </button>
    </div>
  );
}
