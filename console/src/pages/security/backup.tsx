import { useState } from 'preact/hooks';
import { texts } from '../../texts';
import { Alert, Copy, download } from '../../ui/parts';
import { Dialog } from '../../ui/dialog';

/** Shows backup codes once: whoever closes it has said that the codes are kept. */
export function BackupCodes({ codes, username, done }: { codes: string[]; username: string; done(): void }) {
  const t = texts.mine.backup;
  const [kept, keep] = useState(false);
  const [early, warn] = useState(0);
  const text = t.file(location.host, username, codes);
  const finish = () => (kept ? done() : warn(early + 1));
  return (
    <Dialog title={t.title} close={finish}>
      <p>{t.about}</p>
      <ol class="codes">
        {codes.map((c) => (
          <li key={c} class="secret">
            {c}
          </li>
        ))}
      </ol>
      <p class="row">
        <Copy text={codes.join('\n')} label={t.copy} />
        <button type="button" class="secondary outline small" onClick={() => download(t.fileName, text)}>
          {t.download}
        </button>
        <button type="button" class="secondary outline small" onClick={() => print()}>
          {t.print}
        </button>
      </p>
      <label>
        <input type="checkbox" checked={kept} onChange={(e) => keep(e.currentTarget.checked)} /> {t.kept}
      </label>
      {early > 0 && !kept && <Alert key={early}>{t.first}</Alert>}
      <footer class="actions">
        <button type="button" aria-disabled={!kept} onClick={finish}>
          {t.done}
        </button>
      </footer>
    </Dialog>
  );
}
