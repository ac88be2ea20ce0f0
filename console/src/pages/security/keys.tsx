import { useEffect, useRef, useState } from 'preact/hooks';
import { connection, loginAgain, loginOptions, passkeysOn } from '../../session';
import { call } from '../../call';
import { Refused } from '../../errors';
import { rest } from '../../rest';
import { fresh, make, misplaced, obstacle, stop, suggestion, type Creation } from '../../passkeys';
import { texts } from '../../texts';
import { Badge, Card, Outcome, Shown, Time, useAct, useLoad } from '../../ui/parts';
import { Actions, Confirm, Dialog } from '../../ui/dialog';
import { most, orNothing, type Key, type Own } from './own';
import { Pending } from './pending';

/** What is done with a key. */
type Act = 'rename' | 'remove' | 'confirm';
type Open = { what: 'add' } | { what: Act; key: Key } | undefined;

/** Why passkeys cannot be added on this page, or '': the settings, this browser, or the address of the server, which it is asked for. */
function useHindrance(): string {
  const t = texts.mine.keys;
  const on = passkeysOn();
  const here = obstacle();
  const asked = useLoad(async () => {
    if (!on || here) return '';
    try {
      return misplaced((await orNothing(loginOptions()))?.rpId);
    } catch (e) {
      if (!(e instanceof Refused)) throw e;
      // A server where nobody logs in with a passkey alone does not tell its host here; the options of a new key do.
      return e.error === 'webauthn-not-supported' ? t.ruledOut : '';
    }
  }, [on, here]);
  return !on ? t.serverOff : here || asked.data || '';
}

/** Passkeys: add, name, remove. */
export function Keys({ id, own }: { id: string; own: Own }) {
  const t = texts.mine.keys;
  const a = useAct();
  const [open, show] = useState<Open>();
  const hindered = useHindrance();
  const close = () => show(undefined);
  const due = own.u.services?.webauthn?.resetDue;
  const on = own.passkey && passkeysOn();
  const full = (own.keys.data?.length ?? 0) >= most;
  const done = (text: string) => {
    close();
    void a.act(async () => text);
    own.keys.reload();
  };
  const remove = (key: Key) => a.act(async () => {
    try {
      await call(t.toRemove, 'removeWebAuthnCredential', key.id);
    } finally {
      own.keys.reload();
    }
    return t.removed(key.name);
  });
  return (
    <Card id={id} title={t.title} aside={<Badge kind={on ? 'good' : 'plain'}>{on ? texts.on : texts.off}</Badge>}>
      {due && <Pending due={due} text={t.pending} a={a} />}
      <p>{t.about}</p>
      {hindered && (
        <p class="hint">
          {hindered} {!passkeysOn() && Boolean(own.keys.data?.length) && t.unused}
        </p>
      )}
      <Outcome of={a} />
      <Shown of={own.keys}>
        {(list) =>
          list.length === 0 ? null : (
            <ul class="list">
              {list.map((k) => (
                <Entry key={k.id} of={k} usable={!hindered && on} act={(what) => show({ what, key: k })} />
              ))}
            </ul>
          )
        }
      </Shown>
      {!hindered && full && <p class="hint">{t.full}</p>}
      {!hindered && (
        <button type="button" aria-busy={a.busy} disabled={full} onClick={() => show({ what: 'add' })}>
          {t.add}
        </button>
      )}
      {open?.what === 'add' && <Add close={close} done={(name) => done(t.added(name))} />}
      {open?.what === 'rename' && <Rename of={open.key} close={close} done={() => done(t.renamed)} />}
      {open?.what === 'confirm' && <Again of={open.key} own={own} close={close} done={() => done(t.confirmed(open.key.name))} />}
      {open?.what === 'remove' && (
        <Confirm
          title={t.removeTitle}
          text={[t.removeText(open.key.name), own.keys.data?.length === 1 && [t.removeLast, !own.app && !own.mail && t.removeAlone]].flat().filter(Boolean).join(' ')}
          action={t.remove}
          close={close}
          run={() => void remove(open.key)}
        />
      )}
    </Card>
  );
}

/** Where a passkey is kept: whoever made it said so. */
function kind(k: Key): string {
  const t = texts.mine.keys.kinds;
  if (k.backedUp || k.deviceType === 'multiDevice') return t.synced;
  return k.transports.includes('internal') || !k.transports.length ? t.device : t.key;
}

/** A key of the list. usable says that passkeys are used here. */
function Entry({ of: k, usable, act }: { of: Key; usable: boolean; act(what: Act): void }) {
  const t = texts.mine.keys;
  return (
    <li>
      <div class="main">
        <h3>{k.name}</h3>
        <Badge kind="plain">{kind(k)}</Badge> {!k.userVerified && <Badge kind="plain">{t.unverified}</Badge>}{' '}
        {k.needsPassword && (
          <>
            <Badge kind="bad">{t.suspended}</Badge>
            <p>
              {t.suspendedText} {usable ? t.confirmIt : t.suspendedHere}
            </p>
          </>
        )}
        <dl class="facts">
          <div>
            <dt>{t.made}</dt>
            <dd>
              <Time at={k.createdAt} />
            </dd>
          </div>
          <div>
            <dt>{t.used}</dt>
            <dd>{k.lastUsedAt ? <Time at={k.lastUsedAt} /> : t.never}</dd>
          </div>
        </dl>
      </div>
      <div class="row acts">
        {k.needsPassword && usable && (
          <button type="button" class="small" aria-label={t.of(t.confirm, k.name)} onClick={() => act('confirm')}>
            {t.confirm}
          </button>
        )}
        <button type="button" class="secondary outline small" aria-label={t.of(t.rename, k.name)} onClick={() => act('rename')}>
          {t.rename}
        </button>
        <button type="button" class="danger outline small" aria-label={t.of(t.remove, k.name)} onClick={() => act('remove')}>
          {t.remove}
        </button>
      </div>
    </li>
  );
}

/** The longest name of a passkey. */
const longest = 64;

function Name({ value }: { value: string }) {
  const t = texts.mine.keys;
  return (
    <>
      <label>
        {t.name}
        <input name="name" required maxLength={longest} autocomplete="off" spellcheck={false} aria-describedby="key-name" defaultValue={value} />
      </label>
      <small id="key-name">{t.nameHint}</small>
    </>
  );
}

/** Names a new passkey, has it made, and gives it to the server. */
function Add({ close, done }: { close(): void; done(name: string): void }) {
  const t = texts.mine.keys;
  const a = useAct();
  const me = useRef({}).current;
  // Options that the browser did nothing with are used again while they are good: nobody proves who they are twice for that.
  const given = useRef<{ options: Creation; at: number }>();
  useEffect(() => () => stop(me), []);
  const submit = (e: SubmitEvent) => {
    e.preventDefault();
    const name = String(new FormData(e.currentTarget as HTMLFormElement).get('name')).trim();
    void a.act(async () => {
      if (!given.current || performance.now() - given.current.at > fresh) {
        given.current = { options: await call<Creation>(t.toAdd, 'generateWebAuthnRegistrationOptions', { mode: 'addCredential' }), at: performance.now() };
      }
      const credential = await make(me, given.current.options);
      given.current = undefined;
      const key = await connection.call<Key>('registerWebAuthnCredential', { credential, ...(name ? { name } : {}) });
      done(key.name);
    });
  };
  return (
    <Dialog title={t.addTitle} close={close}>
      <p>{t.addAbout}</p>
      <form onSubmit={submit}>
        <Name value={suggestion()} />
        <Outcome of={a} />
        <Actions close={close} busy={a.busy}>
          {t.go}
        </Actions>
      </form>
    </Dialog>
  );
}

function Rename({ of: k, close, done }: { of: Key; close(): void; done(): void }) {
  const t = texts.mine.keys;
  const a = useAct();
  const submit = (e: SubmitEvent) => {
    e.preventDefault();
    const name = String(new FormData(e.currentTarget as HTMLFormElement).get('name')).trim();
    if (name === k.name) return close();
    void a.act(async () => {
      await connection.call('renameWebAuthnCredential', k.id, name);
      done();
    });
  };
  return (
    <Dialog title={t.renameTitle} close={close}>
      <form onSubmit={submit}>
        <Name value={k.name} />
        <Outcome of={a} />
        <Actions close={close} busy={a.busy}>
          {texts.save}
        </Actions>
      </form>
    </Dialog>
  );
}

/** Logs in again with the password and a passkey that waits for it. */
function Again({ of: k, own, close, done }: { of: Key; own: Own; close(): void; done(): void }) {
  const t = texts.mine.keys;
  const a = useAct();
  const me = useRef({}).current;
  useEffect(() => () => stop(me), []);
  const submit = (e: SubmitEvent) => {
    e.preventDefault();
    const password = String(new FormData(e.currentTarget as HTMLFormElement).get('password'));
    void a.act(async () => {
      try {
        const before = await loginAgain(me, password, k.id);
        // This page goes on with the new login; nobody would look after the other one. It ends by itself, too.
        await rest('POST', 'logout', {}, undefined, before).catch(() => {});
      } catch (e) {
        if (e instanceof Refused && e.error === 403) throw new Refused({ error: 'wrong', reason: texts.challenge.wrongPassword });
        if (e instanceof Refused && e.error === 'totp-invalid') throw new Refused({ error: 'wrong', reason: texts.challenge.wrongPasskey });
        throw e;
      }
      done();
    });
  };
  return (
    <Dialog title={t.confirmTitle} close={close}>
      <p>{t.confirmText(k.name)}</p>
      <form onSubmit={submit}>
        {/* Programs that keep passwords look for whose it is. */}
        <input class="offscreen" type="text" name="username" autocomplete="username" value={own.u.username ?? ''} readOnly tabIndex={-1} aria-hidden="true" />
        <label>
          {t.password}
          <input name="password" type="password" autocomplete="current-password" required maxLength={256} />
        </label>
        <Outcome of={a} />
        <Actions close={close} busy={a.busy}>
          {t.confirm}
        </Actions>
      </form>
    </Dialog>
  );
}
