import { useState } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import { texts } from '../../texts';
import { Alert, Copy } from '../../ui/parts';
import { Dialog } from '../../ui/dialog';

/** Shows a secret once; it is closed by who has said that it is kept. */
export function Once({ title, about, secret, children, done }: { title: string; about: string; secret: string; children?: ComponentChildren; done(): void }) {
  const t = texts.mine.tokens;
  const [kept, keep] = useState(false);
  const [early, warn] = useState(0);
  const finish = () => (kept ? done() : warn(early + 1));
  return (
    <Dialog title={title} close={finish}>
      <p>{about}</p>
      <div class="row">
        <span class="secret grow">{secret}</span>
        <Copy text={secret} />
      </div>
      {children}
      <label class="spaced">
        <input type="checkbox" checked={kept} onChange={(e) => keep(e.currentTarget.checked)} /> {t.kept}
      </label>
      {early > 0 && !kept && <Alert key={early}>{t.first}</Alert>}
      <footer class="actions">
        <button type="button" aria-disabled={!kept} onClick={finish}>
          {texts.mine.backup.done}
        </button>
      </footer>
    </Dialog>
  );
}
