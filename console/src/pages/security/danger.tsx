import { useState } from 'preact/hooks';
import { digest, forget } from '../../session';
import { call } from '../../call';
import { Refused } from '../../errors';
import { texts } from '../../texts';
import { Card, Outcome, useAct } from '../../ui/parts';
import { Actions, Dialog } from '../../ui/dialog';

/** Deletes the own account, where the server allows it. */
export function Danger({ id }: { id: string }) {
  const t = texts.mine.danger;
  const [open, show] = useState(false);
  return (
    <Card id={id} title={t.title}>
      <p>{t.about}</p>
      <button type="button" class="danger outline" onClick={() => show(true)}>
        {t.open}
      </button>
      {open && <Delete close={() => show(false)} />}
    </Card>
  );
}

function Delete({ close }: { close(): void }) {
  const t = texts.mine.danger;
  const a = useAct();
  const submit = (e: SubmitEvent) => {
    e.preventDefault();
    const password = String(new FormData(e.currentTarget as HTMLFormElement).get('password'));
    void a.act(async () => {
      try {
        await call(t.toDelete, 'deleteUserOwnAccount', digest(password));
      } catch (e) {
        if (e instanceof Refused && e.error === 'error-invalid-password') throw new Refused({ error: 'wrong', reason: t.wrong });
        throw e;
      }
      forget(t.deleted);
    });
  };
  return (
    <Dialog title={t.title} close={close}>
      <p>
        {t.about} <strong>{t.text}</strong>
      </p>
      <form onSubmit={submit}>
        <label>
          {t.password}
          <input name="password" type="password" autocomplete="current-password" required maxLength={256} />
        </label>
        <Outcome of={a} />
        <Actions close={close} busy={a.busy} danger>
          {t.run}
        </Actions>
      </form>
    </Dialog>
  );
}
