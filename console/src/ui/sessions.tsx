// Sessions of somebody, or of everybody, as administrators see them.
import { useEffect, useState } from 'preact/hooks';
import { call } from '../call';
import { may } from '../session';
import { texts } from '../texts';
import { Confirm } from './dialog';
import { Badge, Outcome, Time, useAct } from './parts';

type Origin = { kind?: string; client?: string; clientVersion?: string; os?: string; osVersion?: string; address?: string; door?: string };
export type Session = {
  id: string;
  userId: string;
  current: boolean;
  connected: boolean;
  createdAt?: Date;
  lastUsedAt?: Date;
  trustedUntil?: Date;
  made?: Origin;
  used?: Origin;
  user?: { _id: string; username?: string; name?: string };
};
export type SessionList = { sessions: Session[]; count: number; offset: number; total: number };

/** Goes to the last page of a list when all sessions of the page that is shown ended. */
export function useInside(list: SessionList | null | undefined, page: number, go: (offset: number) => void) {
  useEffect(() => {
    if (list && list.offset > 0 && list.sessions.length === 0) go(Math.max(0, Math.ceil(list.total / page) - 1) * page);
  }, [list]);
}

/** The table of a part of the list. owners says that it shows whose they are; ended is called when one was ended here. */
export function SessionTable({ of: list, owners, label, ended }: { of: Session[]; owners?: boolean; label: string; ended(): void }) {
  const t = texts.sessionsPage;
  const a = useAct();
  const [asked, ask] = useState<Session | null>(null);
  const end = (s: Session) =>
    a.act(async () => {
      await call(t.endWhy, 'sessions:endAny', { sessionId: s.id });
      ended();
      return t.ended;
    });
  const state = (s: Session) => (s.current ? <Badge kind="plain">{t.thisOne}</Badge> : s.connected && <Badge kind="good">{t.connected}</Badge>);
  return (
    <>
      <Outcome of={a} />
      {list.length === 0 ? (
        <p class="empty">{texts.nothing}</p>
      ) : (
        <div class="scroll" tabIndex={0} role="region" aria-label={label}>
          <table>
            <thead>
              <tr>
                {owners && <th scope="col">{t.account}</th>}
                <th scope="col">{t.client}</th>
                <th scope="col">{t.address}</th>
                <th scope="col">{t.login}</th>
                <th scope="col">{t.used}</th>
                <th scope="col">{t.trusted}</th>
                {may('logout-device-management') && <td />}
              </tr>
            </thead>
            <tbody>
              {list.map((s) => (
                <tr key={s.id}>
                  {owners && (
                    <th scope="row">
                      {s.user?.username ?? s.userId}
                      <br />
                      {state(s)}
                    </th>
                  )}
                  <td>
                    {described(s.used ?? s.made)}
                    {!owners && <> {state(s)}</>}
                  </td>
                  <td>{s.used?.address ?? s.made?.address ?? t.hidden}</td>
                  <td>
                    <Time at={s.createdAt} />
                  </td>
                  <td>
                    <Time at={s.lastUsedAt} />
                  </td>
                  <td>
                    <Time at={s.trustedUntil} />
                  </td>
                  {may('logout-device-management') && (
                    <td>
                      <button type="button" class="danger outline small" disabled={a.busy} onClick={() => ask(s)}>
                        {t.end}
                      </button>
                    </td>
                  )}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {asked && (
        <Confirm title={t.endTitle} text={t.endText(asked.user?.username ?? asked.userId)} action={t.end} close={() => ask(null)} run={() => void end(asked)} />
      )}
    </>
  );
}

/** A client in words: "Firefox 131 on Linux". */
function described(o: Origin | undefined): string {
  if (!o?.client) return texts.sessionsPage.unknown;
  return [o.client, o.clientVersion, o.os ? `(${[o.os, o.osVersion].filter(Boolean).join(' ')})` : ''].filter(Boolean).join(' ');
}
