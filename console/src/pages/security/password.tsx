import { useState } from 'preact/hooks';
import { digest, publicSettings } from '../../session';
import { call } from '../../call';
import { Refused } from '../../errors';
import { texts } from '../../texts';
import { Card, Outcome, useAct } from '../../ui/parts';
import { Actions, Dialog } from '../../ui/dialog';
import type { Own } from './own';

/** The password: change it. */
export function PasswordSection({ id, own }: { id: string; own: Own }) {
  const t = texts.mine.password;
  const a = useAct();
  const [open, show] = useState(false);
  return (
    <Card id={id} title={t.title}>
      <p>{t.about}</p>
      <Outcome of={a} />
      <button type="button" class="secondary outline" onClick={() => show(true)}>
        {t.change}
      </button>
      {open && (
        <Change
          username={own.u.username ?? ''}
          close={() => show(false)}
          done={() => {
            show(false);
            void a.act(async () => t.changed);
          }}
        />
      )}
    </Card>
  );
}

function Change({ username, close, done }: { username: string; close(): void; done(): void }) {
  const t = texts.mine.password;
  const a = useAct();
  const least = Number(publicSettings.value.get('Accounts_Password_Policy_MinLength') ?? 0);
  const submit = (e: SubmitEvent) => {
    e.preventDefault();
    const data = new FormData(e.currentTarget as HTMLFormElement);
    void a.act(async () => {
      if (data.get('fresh') !== data.get('again')) throw new Refused({ error: 'differ', reason: t.differ });
      try {
        // The new one goes as it is, so that the server can hold it against its policy.
        await call(t.toChange, 'changePassword', { digest: digest(String(data.get('old'))), algorithm: 'sha-256' }, String(data.get('fresh')));
      } catch (e) {
        if (e instanceof Refused && e.error === 403) throw new Refused({ error: 'wrong', reason: t.wrong });
        throw e;
      }
      done();
    });
  };
  return (
    <Dialog title={t.change} close={close}>
      <form onSubmit={submit}>
        {/* Programs that keep passwords look for whose it is. */}
        <input class="offscreen" type="text" name="username" autocomplete="username" value={username} readOnly tabIndex={-1} aria-hidden="true" />
        <label>
          {t.old}
          <input name="old" type="password" autocomplete="current-password" required maxLength={256} />
        </label>
        <label>
          {t.fresh}
          <input name="fresh" type="password" autocomplete="new-password" required maxLength={256} aria-describedby={least > 1 ? 'least' : undefined} />
        </label>
        {least > 1 && <small id="least">{t.least(least)}</small>}
        <label>
          {t.again}
          <input name="again" type="password" autocomplete="new-password" required maxLength={256} />
        </label>
        <Outcome of={a} />
        <Actions close={close} busy={a.busy}>
          {t.change}
        </Actions>
      </form>
    </Dialog>
  );
}
