import { useState } from 'preact/hooks';
import { connection } from '../../session';
import { call } from '../../call';
import { bare } from '../../challenge';
import { Refused } from '../../errors';
import { texts } from '../../texts';
import { Badge, Card, Copy, Outcome, useAct } from '../../ui/parts';
import { Actions, Dialog } from '../../ui/dialog';
import { BackupCodes } from './backup';
import { few, twoFactor, type Own } from './own';
import { Pending } from './pending';
import { QR } from './qr';

type Enrolment = { secret: string; url: string };
type Open = { what: 'enrol'; e: Enrolment } | { what: 'codes'; codes: string[] } | { what: 'regenerate' | 'remove' } | undefined;

/** The authenticator app: set it up, make new backup codes, remove it, stop its removal. */
export function App({ id, own }: { id: string; own: Own }) {
  const t = texts.mine.app;
  const a = useAct();
  const [open, show] = useState<Open>();
  const offered = twoFactor('TOTP');
  const due = own.u.services?.totp?.resetDue;
  const left = own.codes.data;
  const close = () => show(undefined);
  const username = own.u.username ?? '';

  const setUp = () => a.act(async () => {
    show({ what: 'enrol', e: await call<Enrolment>(t.toSetUp, '2fa:enable') });
  });
  return (
    <Card id={id} title={t.title} aside={<Badge kind={own.app ? 'good' : 'plain'}>{own.app ? texts.on : texts.off}</Badge>}>
      {own.app && due && <Pending due={due} text={t.pending} a={a} />}
      <p>{t.about}</p>
      {!offered && <p class="hint">{t.serverOff}</p>}
      {own.app && left !== undefined && (
        <p class={left < few ? 'warn' : 'hint'}>
          {t.codes(left)} {left < few && t.few}
        </p>
      )}
      <Outcome of={a} />
      {own.app ? (
        <div class="row">
          <button type="button" class="secondary outline" onClick={() => show({ what: 'regenerate' })}>
            {t.regenerate}
          </button>
          <button type="button" class="danger outline" onClick={() => show({ what: 'remove' })}>
            {t.remove}
          </button>
        </div>
      ) : (
        offered && (
          <button type="button" aria-busy={a.busy} onClick={() => void setUp()}>
            {t.setUp}
          </button>
        )
      )}
      {open?.what === 'enrol' && <Enrol e={open.e} close={close} done={(codes) => show({ what: 'codes', codes })} />}
      {open?.what === 'codes' && (
        <BackupCodes
          codes={open.codes}
          username={username}
          done={() => {
            close();
            own.codes.reload();
          }}
        />
      )}
      {open?.what === 'regenerate' && (
        <WithCode
          title={t.regenerateTitle}
          about={t.regenerateAbout}
          action={t.make}
          close={close}
          run={async (code) => {
            const r = await connection.call<{ codes: string[] } | null | undefined>('2fa:regenerateCodes', code);
            if (!r?.codes) throw new Refused({ error: 'wrong', reason: t.wrong });
            show({ what: 'codes', codes: r.codes });
          }}
        />
      )}
      {open?.what === 'remove' && (
        <WithCode
          title={t.removeTitle}
          about={own.mail ? t.removeBeside : t.removeAlone}
          action={t.remove}
          danger
          close={close}
          run={async (code) => {
            if ((await connection.call('2fa:disable', code)) !== true) throw new Refused({ error: 'wrong', reason: t.wrong });
            close();
            void a.act(async () => t.removed);
          }}
        />
      )}
    </Card>
  );
}

/** Two steps: the secret goes into the app, the app's first code comes back. */
function Enrol({ e, close, done }: { e: Enrolment; close(): void; done(codes: string[]): void }) {
  const t = texts.mine.app;
  const a = useAct();
  const [text, write] = useState('');
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (!bare(text)) return;
    void a.act(async () => {
      const { codes } = await connection.call<{ codes: string[] }>('2fa:validateTempToken', bare(text));
      done(codes);
    }).finally(() => write(''));
  };
  return (
    <Dialog title={texts.mine.summary.setUp} close={close}>
      <h3>{t.step(1, 2)}</h3>
      <p>{t.scan}</p>
      <div class="enrol">
        <QR text={e.url} label={t.picture} />
        <div>
          <strong>{t.secret}</strong>
          <p class="secret">{e.secret}</p>
          <Copy text={e.secret} />
        </div>
      </div>
      <h3>{t.step(2, 2)}</h3>
      <form onSubmit={submit}>
        <label>
          {t.first}
          <input
            name="first"
            autocomplete="one-time-code"
            inputMode="numeric"
            spellcheck={false}
            value={text}
            aria-describedby="first-hint"
            aria-invalid={a.failed ? 'true' : undefined}
            onInput={(event) => write(event.currentTarget.value)}
          />
        </label>
        <small id="first-hint">{t.firstHint}</small>
        <Outcome of={a} />
        {a.failed && <p class="hint">{t.tooLong}</p>}
        <Actions close={close} busy={a.busy}>
          {t.switchOn}
        </Actions>
      </form>
    </Dialog>
  );
}

/** Something that takes a code of the app, or a backup code, in its own parameters. */
function WithCode({ title, about, action, danger, close, run }: {
  title: string;
  about: string;
  action: string;
  danger?: boolean;
  close(): void;
  run(code: string): Promise<void>;
}) {
  const t = texts.mine.app;
  const a = useAct();
  const [text, write] = useState('');
  const submit = (e: SubmitEvent) => {
    e.preventDefault();
    if (bare(text)) void a.act(() => run(bare(text))).finally(() => write(''));
  };
  return (
    <Dialog title={title} close={close}>
      <p>{about}</p>
      <form onSubmit={submit}>
        <label>
          {t.code}
          <input
            name="code"
            autocomplete="one-time-code"
            autocapitalize="off"
            spellcheck={false}
            value={text}
            aria-invalid={a.failed ? 'true' : undefined}
            onInput={(e) => write(e.currentTarget.value)}
          />
        </label>
        <Outcome of={a} />
        <Actions close={close} busy={a.busy} danger={danger}>
          {action}
        </Actions>
      </form>
    </Dialog>
  );
}
