// Sessions of everybody, for administrators.
import { useState } from 'preact/hooks';
import { call } from '../call';
import { connection } from '../session';
import { texts } from '../texts';
import { Confirm } from '../ui/dialog';
import { Badge, Outcome, Pager, Shown, Time, useAct, useLater, useLoad } from '../ui/parts';

type Origin = { kind?: string; client?: string; clientVersion?: string; os?: string; osVersion?: string; address?: string; door?: string };
type Session = {
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

const page = 25;

export function Sessions() {
  const t = texts.sessionsPage;
  const [text, setText] = useState('');
  const [sort, setSort] = useState('-createdAt');
  const [offset, go] = useState(0);
  const [asked, ask] = useState<Session | null>(null);
  const search = useLater(text.trim());
  const a = useAct();
  const list = useLoad(
    () => connection.call<{ sessions: Session[]; total: number }>('sessions:listAll', { count: page, offset, sort, ...(search ? { search } : {}) }),
    [search, sort, offset],
  );
  const end = (s: Session) =>
    a.act(async () => {
      await call(t.endWhy, 'sessions:endAny', { sessionId: s.id });
      list.reload();
      return t.ended;
    });
  return (
    <>
      <h1>{texts.shell.sessions}</h1>
      <p>{t.lead}</p>
      <div class="row">
        <label class="grow">
          {t.search}
          <input
            type="search"
            value={text}
            onInput={(e) => {
              setText(e.currentTarget.value);
              go(0);
            }}
          />
        </label>
        <label>
          {t.sort}
          <select
            value={sort}
            onChange={(e) => {
              setSort(e.currentTarget.value);
              go(0);
            }}
          >
            {Object.entries(t.sorts).map(([key, label]) => (
              <option key={key} value={key}>
                {label}
              </option>
            ))}
          </select>
        </label>
      </div>
      <Outcome of={a} />
      <Shown of={list} empty={(d) => d.sessions.length === 0}>
        {(d) => (
          <>
            <div class="scroll" tabIndex={0} role="region" aria-label={texts.shell.sessions}>
              <table>
                <thead>
                  <tr>
                    <th scope="col">{t.account}</th>
                    <th scope="col">{t.client}</th>
                    <th scope="col">{t.address}</th>
                    <th scope="col">{t.login}</th>
                    <th scope="col">{t.used}</th>
                    <th scope="col">{t.trusted}</th>
                    <td />
                  </tr>
                </thead>
                <tbody>
                  {d.sessions.map((s) => (
                    <tr key={s.id}>
                      <th scope="row">
                        {s.user?.username ?? s.userId}
                        <br />
                        {s.current ? <Badge kind="plain">{t.thisOne}</Badge> : s.connected && <Badge kind="good">{t.connected}</Badge>}
                      </th>
                      <td>{described(s.used ?? s.made)}</td>
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
                      <td>
                        <button type="button" class="danger outline small" disabled={a.busy} onClick={() => ask(s)}>
                          {t.end}
                        </button>
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
            <Pager offset={offset} count={page} total={d.total} go={go} />
          </>
        )}
      </Shown>
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
