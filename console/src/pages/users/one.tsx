import { useState } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import { connection, may, user as me } from '../../session';
import { go, to } from '../../router';
import { texts } from '../../texts';
import { Confirm } from '../../ui/dialog';
import { Guard } from '../../ui/guard';
import { useAccountNews } from '../../ui/news';
import { Badge, Card, Copy, Outcome, Pager, Shown, Time, useAct, useLoad } from '../../ui/parts';
import { SessionTable, useInside, type SessionList } from '../../ui/sessions';
import { random } from './create';
import { Factors, StateBadge, called } from './list';
import { endSessions, one, remove, resetApp, resetKeys, resetMail, roles, sendLink, setActive, update, type Account, type Change } from './api';

export function One({ id }: { id: string }) {
  const t = texts.users;
  const loaded = useLoad(() => one(id), [id]);
  useAccountNews('users', loaded.reload, id);
  return (
    <>
      <p class="back">
        <a href={to('/users')}>{t.back}</a>
      </p>
      <h1>{loaded.data ? called(loaded.data) : t.oneTitle}</h1>
      <Shown of={loaded}>
        {(u) => (
          <>
            <Facts u={u} />
            {may('edit-other-user-info') && <Edit u={u} saved={loaded.reload} />}
            <Protection u={u} changed={loaded.reload} />
            <Sessions u={u} changed={loaded.reload} />
            <Ending u={u} changed={loaded.reload} />
          </>
        )}
      </Shown>
    </>
  );
}

function Facts({ u }: { u: Account }) {
  const t = texts.users;
  const fact = (name: string, value: ComponentChildren) => (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
  return (
    <Card title={t.about} aside={<StateBadge of={u} />}>
      <dl class="facts">
        {fact(t.username, u.username ?? '–')}
        {fact(
          t.email,
          u.emails?.length
            ? u.emails.map((e) => (
                <span key={e.address}>
                  {e.address} <Badge kind={e.verified ? 'good' : 'plain'}>{e.verified ? t.isVerified : t.notVerified}</Badge>{' '}
                </span>
              ))
            : '–',
        )}
        {fact(t.role, u.roles.join(', ') || '–')}
        {fact(
          t.factor,
          <>
            <Factors of={u} /> {u.passkeysSuspended && <Badge kind="bad">{t.keysSuspended(u.passkeysSuspended)}</Badge>}
          </>,
        )}
        {fact(t.sessions, u.sessions)}
        {fact(t.factors.tokens, u.personalAccessTokens)}
        {fact(t.createdAt, <Time at={u.createdAt} />)}
        {fact(t.lastLogin, u.lastLogin ? <Time at={u.lastLogin} /> : t.never)}
        {u.reason && fact(t.reason, u.reason)}
        {fact(t.id, <code>{u._id}</code>)}
      </dl>
    </Card>
  );
}

/** Edits what was changed only, so that nothing is written over that others changed meanwhile. */
function Edit({ u, saved }: { u: Account; saved(): void }) {
  const t = texts.users;
  const a = useAct();
  const known = useLoad(roles);
  const [draft, write] = useState<Change>({});
  const email = u.emails?.[0];
  const now = { name: u.name ?? '', username: u.username ?? '', email: email?.address ?? '', verified: email?.verified ?? false, roles: u.roles, ...draft };
  const edit = (c: Change) => {
    a.clear();
    const next: Change = { ...draft, ...c };
    // What is again as it was is no change.
    if (next.name === (u.name ?? '')) delete next.name;
    if (next.username === (u.username ?? '')) delete next.username;
    if (next.email === (email?.address ?? '')) delete next.email;
    if (next.verified === (email?.verified ?? false) && next.email === undefined) delete next.verified;
    if (next.roles && [...next.roles].sort().join() === [...u.roles].sort().join()) delete next.roles;
    write(next);
  };
  const dirty = Object.keys(draft).length > 0;
  const submit = (e: SubmitEvent) => {
    e.preventDefault();
    void a.act(async () => {
      await update(u._id, draft);
      write({});
      saved();
      return t.saved;
    });
  };
  const all = [...new Set([...(known.data ?? []).map((r) => r._id), ...u.roles])];
  return (
    <Card title={t.edit} aside={dirty && <Badge kind="bad">{texts.settings.unsaved}</Badge>}>
      <Guard when={dirty} />
      <form onSubmit={submit}>
        <div class="two">
          <label>
            {t.name}
            <input value={now.name} maxLength={120} autocomplete="off" onInput={(e) => edit({ name: e.currentTarget.value })} />
          </label>
          <label>
            {t.username}
            <input value={now.username} maxLength={64} autocomplete="off" autocapitalize="off" spellcheck={false} onInput={(e) => edit({ username: e.currentTarget.value })} />
          </label>
          <div>
            <label>
              {t.email}
              <input type="email" value={now.email} maxLength={254} autocomplete="off" onInput={(e) => edit({ email: e.currentTarget.value })} />
            </label>
            <label>
              <input type="checkbox" checked={now.verified} onChange={(e) => edit({ verified: e.currentTarget.checked })} /> {t.verified}
            </label>
          </div>
          <fieldset>
            <legend>{t.roles}</legend>
            {all.map((r) => (
              <label key={r}>
                <input
                  type="checkbox"
                  checked={now.roles.includes(r)}
                  onChange={(e) => edit({ roles: e.currentTarget.checked ? [...now.roles, r] : now.roles.filter((x) => x !== r) })}
                />{' '}
                {r}
              </label>
            ))}
          </fieldset>
        </div>
        <Outcome of={a} />
        <footer class="actions">
          <button type="button" class="secondary outline" disabled={!dirty || a.busy} onClick={() => write({})}>
            {t.undo}
          </button>
          <button type="submit" aria-busy={a.busy} disabled={!dirty || a.busy}>
            {texts.save}
          </button>
        </footer>
      </form>
    </Card>
  );
}

function Protection({ u, changed }: { u: Account; changed(): void }) {
  const t = texts.users;
  const a = useAct();
  const [asking, ask] = useState<'app' | 'mail' | 'keys' | 'password' | ''>('');
  const [given, show] = useState('');
  const [text, write] = useState('');
  const run = (what: () => Promise<unknown>, done: string) =>
    void a.act(async () => {
      const result = await what();
      changed();
      return (result as { due?: string } | undefined)?.due ? t.resetDone : done;
    });
  const setPassword = (password: string, shown: boolean) =>
    run(async () => {
      await update(u._id, { password });
      write('');
      show(shown ? password : '');
    }, t.passwordSaved);
  return (
    <Card title={t.protection}>
      <ul class="acts">
        {may('edit-other-user-password') && (
          <li>
            <p>{t.linkText}</p>
            <button type="button" class="secondary outline" disabled={a.busy || !u.emails?.length} onClick={() => run(() => sendLink(u._id), t.linkSent)}>
              {t.sendLink}
            </button>
          </li>
        )}
        {may('edit-other-user-info') && may('edit-other-user-password') && (
          <li>
            <form
              onSubmit={(e) => {
                e.preventDefault();
                if (text) ask('password');
              }}
            >
              <label>
                {t.newPassword}
                <input type="password" value={text} maxLength={256} autocomplete="new-password" onInput={(e) => write(e.currentTarget.value)} />
              </label>
              <div class="row">
                <button type="submit" class="secondary outline" disabled={a.busy || !text}>
                  {t.setPassword}
                </button>
                <button type="button" class="secondary outline" disabled={a.busy} onClick={() => setPassword(random(), true)}>
                  {t.setRandom}
                </button>
              </div>
            </form>
            {given && (
              <div>
                <p>{t.passwordOnce}</p>
                <p class="row">
                  <code class="secret">{given}</code> <Copy text={given} />
                </p>
              </div>
            )}
          </li>
        )}
        {may('edit-other-user-totp') && (
          <li>
            <p>{u.totpResetDue ? <>{t.resetDue} <Time at={u.totpResetDue} /></> : t.resetText}</p>
            <button type="button" class="danger outline" disabled={a.busy || !u.factors.includes('totp')} onClick={() => ask('app')}>
              {t.resetApp}
            </button>
          </li>
        )}
        {may('edit-other-user-totp') && (
          <li>
            <p>{t.resetMailText}</p>
            <button type="button" class="danger outline" disabled={a.busy || !u.factors.includes('email2fa')} onClick={() => ask('mail')}>
              {t.resetMail}
            </button>
          </li>
        )}
        {may('edit-other-user-totp') && (
          <li>
            <p>
              {u.webauthnResetDue ? <>{t.resetKeysDue} <Time at={u.webauthnResetDue} /></> : t.resetKeysText} {u.passkeysSuspended && t.keysSuspendedText}
            </p>
            <button type="button" class="danger outline" disabled={a.busy || !u.factors.includes('webauthn')} onClick={() => ask('keys')}>
              {t.resetKeys}
            </button>
          </li>
        )}
      </ul>
      <Outcome of={a} />
      {asking === 'app' && (
        <Confirm title={t.resetAppTitle} text={t.resetAppText(called(u))} action={t.resetApp} close={() => ask('')} run={() => run(() => resetApp(u._id), t.resetDone)} />
      )}
      {asking === 'mail' && (
        <Confirm title={t.resetMailTitle} text={t.resetMailAsk(called(u))} action={t.resetMail} close={() => ask('')} run={() => run(() => resetMail(u._id), t.resetMailDone)} />
      )}
      {asking === 'keys' && (
        <Confirm title={t.resetKeysTitle} text={t.resetKeysAsk(called(u))} action={t.resetKeys} close={() => ask('')} run={() => run(() => resetKeys(u._id), t.resetKeysDone)} />
      )}
      {asking === 'password' && (
        <Confirm title={t.passwordTitle} text={t.passwordText(called(u))} action={t.setPassword} close={() => ask('')} run={() => setPassword(text, false)} />
      )}
    </Card>
  );
}

/** How many sessions the tables of accounts show at once. */
const page = 10;

/** Where and when the account is logged in; ends one session, or all of them. */
function Sessions({ u, changed }: { u: Account; changed(): void }) {
  const t = texts.users;
  const a = useAct();
  const seen = may('view-device-management');
  const [offset, go] = useState(0);
  const [asking, ask] = useState(false);
  const list = useLoad(
    async () => (seen ? connection.call<SessionList>('sessions:listAll', { userId: u._id, count: page, offset, sort: '-lastUsedAt' }) : null),
    [seen, u._id, offset],
  );
  useAccountNews(seen ? 'sessions' : undefined, list.reload, u._id);
  useInside(list.data, page, go);
  const reload = () => {
    list.reload();
    changed();
  };
  const end = () =>
    a.act(async () => {
      await endSessions(u._id);
      go(0);
      reload();
      return t.ended;
    });
  return (
    <Card
      title={t.sessions}
      aside={
        may('logout-other-user') && (
          <button type="button" class="danger outline small" disabled={a.busy} onClick={() => ask(true)}>
            {t.endSessions}
          </button>
        )
      }
    >
      <p>{t.sessionsText(u.sessions)}</p>
      <Outcome of={a} />
      <Shown of={list}>
        {(d) =>
          d && (
            <>
              <SessionTable of={d.sessions} label={t.sessions} ended={reload} />
              <Pager offset={offset} count={page} total={d.total} go={go} />
            </>
          )
        }
      </Shown>
      {asking && <Confirm title={t.endTitle} text={t.endText(called(u))} action={t.endSessions} close={() => ask(false)} run={() => void end()} />}
    </Card>
  );
}

function Ending({ u, changed }: { u: Account; changed(): void }) {
  const t = texts.users;
  const a = useAct();
  const [asking, ask] = useState<'deactivate' | 'remove' | ''>('');
  const own = u._id === me.value?._id;
  const act = (run: () => Promise<unknown>, done: string) =>
    void a.act(async () => {
      await run();
      changed();
      return done;
    });
  return (
    <Card title={t.ending}>
      {own && <p>{t.own}</p>}
      <ul class="acts">
        {may('edit-other-user-active-status') && !own && (
          <li>
            <p>{u.active ? t.deactivateText : t.activateText}</p>
            {u.active ? (
              <button type="button" class="danger outline" disabled={a.busy} onClick={() => ask('deactivate')}>
                {t.deactivate}
              </button>
            ) : (
              <button type="button" disabled={a.busy} onClick={() => act(() => setActive(u._id, true), t.activated)}>
                {t.activate}
              </button>
            )}
          </li>
        )}
        {may('delete-user') && !own && (
          <li>
            <p>{t.removeText}</p>
            <button type="button" class="danger" disabled={a.busy} onClick={() => ask('remove')}>
              {t.remove}
            </button>
          </li>
        )}
      </ul>
      <Outcome of={a} />
      {asking === 'deactivate' && (
        <Confirm title={t.deactivateTitle(called(u))} text={t.deactivateAsk} action={t.deactivate} close={() => ask('')} run={() => act(() => setActive(u._id, false), t.deactivated)} />
      )}
      {asking === 'remove' && (
        <Confirm
          title={t.removeTitle(called(u))}
          text={t.removeAsk}
          action={t.remove}
          close={() => ask('')}
          run={() =>
            void a.act(async () => {
              await remove(u._id);
              go('/users');
            })
          }
        />
      )}
    </Card>
  );
}
